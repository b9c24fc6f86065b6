"""sessions.*: list, change, reset, delete; and the agents that they belong to."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from msgspec import UNSET, Meta, UnsetType

from openclaw.base.errors import InvalidRequest
from openclaw.base.ids import AgentId, SessionKey
from openclaw.base.thinking import thinking_level
from openclaw.protocol.validate import Params
from openclaw.rpc.method import MethodSpec, Rate
from openclaw.rpc.peer import Peer
from openclaw.rpc.room import Room
from openclaw.rpc.rows import preview_items, session_row, split_ref
from openclaw.store.api import SessionRow

DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 1000
MAX_PREVIEWS: Final = 50
"""Sessions whose last message is looked up for one list; each costs a query."""

PREVIEW_CHARS: Final = 200
PREVIEW_STEPS: Final = 3
"""Steps looked at for it: the last one may be a summary or hold no text."""

Key = Annotated[str, Meta(min_length=1, max_length=512)]
Label = Annotated[str, Meta(min_length=1, max_length=512)]
CHANGES: Final = Rate(100, 20)


class SessionsListParams(Params, frozen=True):
    """Filters narrow the list; `search` and `label` look at key and label."""

    limit: Annotated[int, Meta(ge=1)] = DEFAULT_LIMIT
    offset: Annotated[int, Meta(ge=0)] = 0
    active_minutes: Annotated[int, Meta(ge=1)] | UnsetType = UNSET
    require_last_interaction: bool = False
    sort_by: Literal["updatedAt", "lastInteractionAt"] = "updatedAt"
    include_global: bool = True
    include_unknown: bool = False
    configured_agents_only: bool = False
    include_derived_titles: bool = False
    include_last_message: bool = False
    include_people: bool = False
    label: Label | UnsetType = UNSET
    spawned_by: Annotated[str, Meta(min_length=1)] | UnsetType = UNSET
    agent_id: Annotated[str, Meta(min_length=1)] | UnsetType = UNSET
    search: str = ""
    archived: bool | Literal["all"] = False
    owner_first: bool = False


class SessionKeyParams(Params, frozen=True):
    """Names one session."""

    key: Key
    agent_id: str = ""


class SessionsResetParams(Params, frozen=True):
    """`reason` is only told."""

    key: Key
    agent_id: str = ""
    reason: Literal["new", "reset"] = "reset"


class SessionsDeleteParams(Params, frozen=True):
    """`deleteTranscript` is always true: a deleted session leaves no transcript."""

    key: Key
    agent_id: str = ""
    delete_transcript: bool = True
    emit_lifecycle_hooks: bool = True
    expected_session_id: str = ""


Level = Annotated[str, Meta(min_length=1, max_length=64)] | UnsetType | None


class SessionsPatchParams(Params, frozen=True):
    """What is given is changed; null takes a label, a model or a level of thinking away. The other fields are
    accepted at their defaults."""

    key: Key
    agent_id: str = ""
    expected_session_id: str = ""
    label: Label | UnsetType | None = UNSET
    model: Annotated[str, Meta(min_length=1)] | UnsetType | None = UNSET
    thinking_level: Level = UNSET
    verbose_level: Level = UNSET
    trace_level: Level = UNSET
    reasoning_level: Level = UNSET
    elevated_level: Level = UNSET
    fast_mode: bool | Literal["auto"] | UnsetType | None = UNSET
    response_usage: Literal["off", "tokens", "full", "on"] | UnsetType | None = UNSET
    exec_host: Level = UNSET
    exec_security: Level = UNSET
    exec_ask: Level = UNSET
    exec_node: Level = UNSET
    send_policy: Literal["allow", "deny"] | UnsetType | None = UNSET
    group_activation: Literal["mention", "always"] | UnsetType | None = UNSET
    spawned_by: Level = UNSET
    spawn_depth: Annotated[int, Meta(ge=0)] | UnsetType | None = UNSET
    archived: bool = False
    pinned: bool = False
    unread: bool = False


DEFAULTS: Final = (UNSET, None, False, 0, "off", "allow")
"""Values of a field of sessions.patch that say what is so anyway."""

CHANGEABLE: Final = ("key", "agent_id", "expected_session_id", "label", "model", "thinking_level")


class SubscribeParams(Params, frozen=True):
    """A subscription holds for the connection."""

    include_approvals: bool = False


async def sessions_list(room: Room, peer: Peer, params: SessionsListParams) -> dict[str, Any]:
    """Return a page of sessions, latest first."""
    deps = room.deps
    limit = min(params.limit, MAX_LIMIT)
    offset = min(params.offset, 1_000_000)
    now_ms = deps.clock.now_ms()
    since_ms = 0 if params.active_minutes is UNSET else max(0, now_ms - params.active_minutes * 60_000)
    filtered = bool(params.search) or params.label is not UNSET
    nothing = params.archived is True or params.spawned_by is not UNSET  # neither exists here
    rows: list[SessionRow] = []
    total = 0
    if not nothing:
        rows, total = await deps.agent.sessions(
            peer.principal,
            agent_id=None if params.agent_id is UNSET else AgentId(params.agent_id),
            active_since_ms=since_ms,
            limit=MAX_LIMIT if filtered else limit,
            offset=0 if filtered else offset,
        )
    if filtered:
        rows = [row for row in rows if _matches(row, params)]
        total = len(rows)
        rows = rows[offset : offset + limit]
    default_model, context_tokens = room.default_model()
    shown = [session_row(row, default_model, context_tokens) for row in rows]
    if params.include_derived_titles:
        for row in shown:
            row["derivedTitle"] = row["displayName"]
    if params.include_last_message:
        for row in shown[:MAX_PREVIEWS]:
            row["lastMessagePreview"] = await _preview(room, peer, row["key"])
    provider, model = split_ref(default_model)
    more = offset + len(rows) < total
    return {
        "ts": now_ms,
        "path": room.state_path(),
        "count": len(shown),
        "totalCount": total,
        "limitApplied": limit,
        "nextOffset": offset + len(rows) if more else None,
        "hasMore": more,
        "owners": [],
        "defaults": {"modelProvider": provider or None, "model": model or None, "contextTokens": context_tokens},
        "sessions": shown,
    }


def _matches(row: SessionRow, params: SessionsListParams) -> bool:
    if params.label is not UNSET and row.label != params.label:
        return False
    wanted = params.search.casefold()
    return wanted in row.key.casefold() or wanted in row.label.casefold()


async def _preview(room: Room, peer: Peer, key: str) -> str:
    steps = await room.deps.agent.history(SessionKey(key), peer.principal, limit=PREVIEW_STEPS)
    items = [item for item in preview_items(steps, PREVIEW_CHARS) if item["role"] in ("user", "assistant")]
    return items[-1]["text"] if items else ""


async def sessions_describe(room: Room, peer: Peer, params: SessionKeyParams) -> dict[str, Any]:
    """Return one session's row, or null."""
    row = await room.deps.agent.session(room.session_key(params.key, params.agent_id), peer.principal)
    return {"session": None if row is None else session_row(row, *room.default_model())}


async def sessions_reset(room: Room, peer: Peer, params: SessionsResetParams) -> dict[str, Any]:
    """Start the session afresh."""
    key = room.session_key(params.key, params.agent_id)
    row = await room.deps.agent.reset_session(key, peer.principal)
    return {"ok": True, "key": key, "entry": _entry(row)}


async def sessions_delete(room: Room, peer: Peer, params: SessionsDeleteParams) -> dict[str, Any]:
    """Delete the session; a main session can only be reset."""
    key = room.session_key(params.key, params.agent_id)
    if key.count(":") == 2 and key.endswith(":main"):
        raise InvalidRequest(f"Cannot delete the main session ({key}).", hint="Reset it instead.")
    if params.expected_session_id:
        await _expect(room, peer, key, params.expected_session_id)
    deleted = await room.deps.agent.delete_session(key, peer.principal)
    return {"ok": True, "key": key, "deleted": deleted, "archived": []}


async def sessions_patch(room: Room, peer: Peer, params: SessionsPatchParams) -> dict[str, Any]:
    """Change label, model or thinking."""
    key = room.session_key(params.key, params.agent_id)
    for name, wire in zip(params.__struct_fields__, params.__struct_encode_fields__, strict=True):
        value = getattr(params, name)
        if name not in CHANGEABLE and value not in DEFAULTS:
            raise InvalidRequest(f'{wire} "{value}" is not supported (use {"off" if "evel" in wire else "null"})')
    if params.expected_session_id:
        await _expect(room, peer, key, params.expected_session_id)
    level = _change(params.thinking_level)
    row = await room.deps.agent.patch_session(
        key,
        peer.principal,
        label=_change(params.label),
        model=_change(params.model),
        thinking=None if level is None else thinking_level(level, "thinkingLevel"),
    )
    provider, model = split_ref(row.model or room.default_model()[0])
    resolved = {"modelProvider": provider, "model": model}
    return {"ok": True, "path": room.state_path(), "key": key, "entry": _entry(row), "resolved": resolved}


async def _expect(room: Room, peer: Peer, key: SessionKey, session_id: str) -> None:
    row = await room.deps.agent.session(key, peer.principal)
    if row is not None and row.id != session_id:
        raise InvalidRequest(f"session changed: {key} is now {row.id}", hint="List the sessions and try again.")


def _change(value: str | UnsetType | None) -> str | None:
    """Return what the study takes: None leaves a field alone, the empty text clears it."""
    if isinstance(value, UnsetType):
        return None
    return value or ""


def _entry(row: SessionRow) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "sessionId": row.id,
        "updatedAt": row.updated_at_ms,
        "systemSent": bool(row.input_tokens),
        "abortedLastRun": row.aborted_last_run,
        "inputTokens": row.input_tokens,
        "outputTokens": row.output_tokens,
        "totalTokens": row.input_tokens + row.output_tokens,
    }
    if row.label:
        entry["label"] = row.label
    if row.thinking:
        entry["thinkingLevel"] = row.thinking
    if row.model:
        entry["providerOverride"], entry["modelOverride"] = split_ref(row.model)
    return entry


def sessions_subscribe(room: Room, peer: Peer, params: SubscribeParams) -> dict[str, Any]:
    """Tell this connection what happens to sessions from now on."""
    room.deps.hub.subscribe_sessions(peer, True)
    return {"subscribed": True}


def sessions_unsubscribe(room: Room, peer: Peer, params: SubscribeParams) -> dict[str, Any]:
    """Tell it no more."""
    room.deps.hub.subscribe_sessions(peer, False)
    return {"subscribed": False}


METHODS = (
    MethodSpec(
        "sessions.list",
        SessionsListParams,
        "operator.read",
        sessions_list,
        "Lists sessions, latest first; stateless ones are left out.",
        "`{ts, path, count, defaults, sessions: [{key, kind, displayName, updatedAt, sessionId, model, …}]}`; "
        "protocol 4 adds `totalCount`, `limitApplied`, `nextOffset`, `hasMore`, `owners`.",
    ),
    MethodSpec(
        "sessions.describe",
        SessionKeyParams,
        "operator.read",
        sessions_describe,
        "Returns one session.",
        "`{session}`, null when there is none.",
        since=4,
    ),
    MethodSpec(
        "sessions.patch",
        SessionsPatchParams,
        "operator.write",
        sessions_patch,
        "Changes a session's label, model or `thinkingLevel`; null takes it away. What else clients may send is "
        "refused unless it says what is so anyway (`off`, null, false).",
        "`{ok, path, key, entry, resolved: {modelProvider, model}}`",
        rate=CHANGES,
    ),
    MethodSpec(
        "sessions.reset",
        SessionsResetParams,
        "operator.admin",
        sessions_reset,
        "Aborts what runs and starts the session afresh under a new id; the old transcript stays in the archive.",
        "`{ok, key, entry}`",
        rate=CHANGES,
    ),
    MethodSpec(
        "sessions.delete",
        SessionsDeleteParams,
        "operator.admin",
        sessions_delete,
        "Deletes a session and its transcripts. A main session can only be reset.",
        "`{ok, key, deleted, archived[]}`",
        rate=CHANGES,
    ),
    MethodSpec(
        "sessions.subscribe",
        SubscribeParams,
        "operator.read",
        sessions_subscribe,
        "Turns on `sessions.changed`, `session.message` and `session.tool` events for this connection.",
        "`{subscribed: true}`",
        since=4,
    ),
    MethodSpec(
        "sessions.unsubscribe",
        SubscribeParams,
        "operator.read",
        sessions_unsubscribe,
        "Turns them off again.",
        "`{subscribed: false}`",
        since=4,
    ),
)
