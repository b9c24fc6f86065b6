"""sessions.*: list, describe, follow, reset, delete."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from msgspec import UNSET, Meta, UnsetType, structs

from openclaw.agent.session_key import main_key
from openclaw.base import own_names
from openclaw.base.errors import InvalidRequest
from openclaw.base.ids import AgentId, OwnerId, SessionKey
from openclaw.base.principal import Principal
from openclaw.base.thinking import LEVELS
from openclaw.policy.approval import Kind
from openclaw.protocol.validate import Params
from openclaw.rpc.approval_rows import snapshot
from openclaw.rpc.hub import MAX_WATCHED
from openclaw.rpc.method import MethodSpec, Rate, holds
from openclaw.rpc.peer import Peer
from openclaw.rpc.room import Room
from openclaw.rpc.rows import find_step, marks_row, parse_message_id, preview_items, split_ref
from openclaw.store.api import SessionFilter, SessionRow, StepRow

DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 1000
MAX_OFFSET: Final = 1_000_000
MAX_PREVIEWS: Final = 50
"""Sessions whose last message is looked up for one list; each costs a query."""

PREVIEW_CHARS: Final = 200
PREVIEW_STEPS: Final = 3
"""Steps looked at for it: the last one may be a summary or hold no text."""

Key = Annotated[str, Meta(min_length=1, max_length=512)]
Label = Annotated[str, Meta(min_length=1, max_length=512)]
NotEmpty = Annotated[str, Meta(min_length=1, max_length=512)]
CHANGES: Final = Rate(100, 20)
REPLAYED: Final[tuple[Kind, ...]] = ("exec", "plugin", "system-agent")
MAX_REPLAYED: Final = 50


class ProfileRelation(Params, frozen=True):
    """Sessions of one owner; in which relation changes nothing, for a session has one person."""

    profile_id: NotEmpty
    relationship: Literal["owned", "created", "involving"]


class SessionsListParams(Params, frozen=True):
    """Filters narrow the list; `search` and `label` look at key and label. `creatorId`, `ownerId`,
    `involvingProfileId` and `profileRelation` all mean whose sessions, `spawnedBy` the session they were made from."""

    limit: Annotated[int, Meta(ge=1)] = DEFAULT_LIMIT
    offset: Annotated[int, Meta(ge=0)] = 0
    active_minutes: Annotated[int, Meta(ge=1)] | UnsetType = UNSET
    active_only: bool = False
    require_last_interaction: bool = False
    sort_by: Literal["updatedAt", "lastInteractionAt", "activity"] = "updatedAt"
    include_global: bool = True
    include_unknown: bool = False
    include_activity_summary: bool = False
    exclude_cron: bool = False
    exclude_subagents: bool = False
    exclude_system: bool = False
    configured_agents_only: bool = False
    include_derived_titles: bool = False
    include_last_message: bool = False
    include_people: bool = False
    label: Label | UnsetType = UNSET
    group: Annotated[str, Meta(max_length=512)] | UnsetType = UNSET
    pinned: bool | UnsetType = UNSET
    board_face: Literal["chat", "dashboard"] | UnsetType = UNSET
    has_board: bool = False
    spawned_by: NotEmpty | UnsetType = UNSET
    agent_id: NotEmpty | UnsetType = UNSET
    project_id: NotEmpty = ""
    workspace_dir: NotEmpty = ""
    creator_id: NotEmpty = ""
    owner_id: NotEmpty = ""
    involving_me: bool = False
    involving_profile_id: NotEmpty = ""
    profile_relation: ProfileRelation | UnsetType = UNSET
    search: Annotated[str, Meta(max_length=4096)] = ""
    archived: bool | Literal["all"] = False
    owner_first: bool = False


class SessionsDescribeParams(Params, frozen=True):
    """Names one session, and what else of it is wanted."""

    key: Key
    agent_id: str = ""
    include_derived_titles: bool = False
    include_last_message: bool = False


class SessionsResetParams(Params, frozen=True):
    """`reason` is only told."""

    key: Key
    agent_id: str = ""
    expected_session_id: str = ""
    reason: Literal["new", "reset"] = "reset"


class SessionsDeleteParams(Params, frozen=True):
    """`deleteTranscript` is always true: a deleted session leaves no transcript."""

    key: Key
    agent_id: str = ""
    delete_transcript: bool = True
    emit_lifecycle_hooks: bool = True
    archived_only: bool = False
    expected_session_id: str = ""
    expected_lifecycle_revision: str = ""
    expected_session_updated_at: Annotated[int, Meta(ge=0)] | None = None


class SubscribeParams(Params, frozen=True):
    """A subscription holds for the connection."""

    include_approvals: bool = False


class MessagesSubscribeParams(Params, frozen=True):
    """Names the session to follow. With `includeApprovals` the answer says what waits in it for a person."""

    key: Key
    agent_id: str = ""
    include_approvals: bool = False


async def sessions_list(room: Room, peer: Peer, params: SessionsListParams) -> dict[str, Any]:
    """Return a page of sessions, latest first."""
    limit, offset = min(params.limit, MAX_LIMIT), min(params.offset, MAX_OFFSET)
    now_ms = room.deps.clock.now_ms()
    since_ms = 0 if params.active_minutes is UNSET else max(0, now_ms - params.active_minutes * 60_000)
    rows: list[SessionRow] = []
    total = 0
    viewer, wanted = _viewer(peer.principal, params), _filter(room, peer, params)
    if viewer is not None and wanted is not None:
        rows, total = await room.deps.agent.register.find(
            viewer,
            wanted,
            agent_id=None if params.agent_id is UNSET else AgentId(params.agent_id),
            active_since_ms=since_ms,
            limit=MAX_LIMIT if params.active_only else limit,
            offset=0 if params.active_only else offset,
        )
    if params.active_only:
        rows = [row for row in rows if room.deps.agent.register.runs(row.key)]
        rows, total = rows[offset : offset + limit], len(rows)
    shown = room.session_rows(rows)
    for place, row in enumerate(shown):
        await _add(room, peer, row, params.include_derived_titles, params.include_last_message and place < MAX_PREVIEWS)
    more = offset + len(rows) < total
    people = {"people": [], "peopleIncomplete": False, "peopleSessionCount": total} if params.include_people else {}
    return {
        "ts": now_ms,
        "path": room.state_path(),
        "count": len(shown),
        "totalCount": total,
        "limitApplied": limit,
        **({"offset": offset} if offset else {}),
        "nextOffset": offset + len(rows) if more else None,
        "hasMore": more,
        "owners": [],
        **people,
        "defaults": session_defaults(room),
        "sessions": shown,
    }


def _viewer(principal: Principal, params: SessionsListParams) -> Principal | None:
    """Return as whom to look: as oneself, or as the one owner that is asked for; None when two are."""
    named = {params.creator_id, params.owner_id, params.involving_profile_id} - {""}
    if params.profile_relation is not UNSET:
        named.add(params.profile_relation.profile_id)
    if params.involving_me:
        named.add(principal.owner)
    if not named:
        return principal
    owner = OwnerId(named.pop())
    if named or (owner != principal.owner and not principal.may("operator.admin")):
        return None
    return structs.replace(principal, owner=owner, scopes=frozenset(("operator.read",)))


def _filter(room: Room, peer: Peer, params: SessionsListParams) -> SessionFilter | None:
    """Return what is asked for; None when nothing can fit."""
    agents = room.deps.agent.agents()
    if params.project_id:
        agents = [info for info in agents if project_id(info.id) == params.project_id]
    if params.workspace_dir:
        agents = [info for info in agents if info.workspace == params.workspace_dir]
    narrowed = bool(params.project_id or params.workspace_dir or params.configured_agents_only)
    if params.has_board or (narrowed and not agents):
        return None
    return SessionFilter(
        search=params.search or None,
        label=_or_none(params.label),
        archived=None if params.archived == "all" else params.archived,
        pinned=None if params.pinned is UNSET else params.pinned,
        category=_or_none(params.group),
        board_face=_or_none(params.board_face),
        parent=None if params.spawned_by is UNSET else room.session_key(peer.principal, params.spawned_by),
        agents=tuple(info.id for info in agents) if narrowed else None,
        cron=False if params.exclude_cron or params.exclude_system else None,
        subagent=False if params.exclude_subagents else None,
    )


def _or_none(value: str | UnsetType) -> str | None:
    return None if isinstance(value, UnsetType) else value


def project_id(agent_id: str) -> str:
    """Return the id under which an agent's workspace is a project."""
    return f"workspace:{agent_id}"


def session_defaults(room: Room) -> dict[str, Any]:
    """Return what a session has that nothing was chosen for."""
    default_model, context_tokens = room.default_model()
    provider, model = split_ref(default_model)
    levels = [{"id": level, "label": level} for level in LEVELS]
    return {
        "modelProvider": provider or None,
        "model": model or None,
        "contextTokens": context_tokens or None,
        "thinkingLevels": levels,
        "thinkingOptions": list(LEVELS),
        "thinkingDefault": room.thinking(main_key(room.deps.agent.default_agent())),
        "modelSelectionTarget": "session",
    }


async def _add(room: Room, peer: Peer, row: dict[str, Any], title: bool, last_message: bool) -> None:
    if title:
        row["derivedTitle"] = row["displayName"]
    if last_message:
        row["lastMessagePreview"] = await _preview(room, peer, row["key"])


async def _preview(room: Room, peer: Peer, key: str) -> str:
    steps = await room.deps.agent.history(SessionKey(key), peer.principal, limit=PREVIEW_STEPS)
    items = [item for item in preview_items(steps, PREVIEW_CHARS) if item["role"] in ("user", "assistant")]
    return items[-1]["text"] if items else ""


async def sessions_describe(room: Room, peer: Peer, params: SessionsDescribeParams) -> dict[str, Any]:
    """Return one session's row, or null."""
    row = await room.deps.agent.session(room.session_key(peer.principal, params.key, params.agent_id), peer.principal)
    if row is None:
        return {"session": None}
    shown = room.session_row(row)
    await _add(room, peer, shown, params.include_derived_titles, params.include_last_message)
    return {"session": shown}


async def sessions_reset(room: Room, peer: Peer, params: SessionsResetParams) -> dict[str, Any]:
    """Start the session afresh."""
    key = room.session_key(peer.principal, params.key, params.agent_id)
    await _expect(room, peer, key, params.expected_session_id)
    row = await room.deps.agent.reset_session(key, peer.principal)
    return {"ok": True, "key": key, "entry": session_entry(row)}


async def sessions_delete(room: Room, peer: Peer, params: SessionsDeleteParams) -> dict[str, Any]:
    """Delete the session; a main session can only be reset."""
    key = room.session_key(peer.principal, params.key, params.agent_id)
    if own_names.plain(key) == main_key(room.agent_of(key)):
        raise InvalidRequest(f"Cannot delete the main session ({key}).", hint="Reset it instead.")
    row = await _expect(room, peer, key, params.expected_session_id, params.expected_lifecycle_revision)
    if row is not None and params.expected_session_updated_at not in (None, row.updated_at_ms):
        raise changed_meanwhile(key)
    if row is not None and params.archived_only and not row.marks.archived_at_ms:
        raise InvalidRequest(f"session {key} is not archived")
    deleted = await room.deps.agent.delete_session(key, peer.principal)
    return {"ok": True, "key": key, "deleted": deleted, "archived": []}


async def message_step(room: Room, principal: Principal, key: SessionKey, wanted: str) -> tuple[StepRow | None, int]:
    """Return the step of a message and its place there, by its id."""
    session_id, seq, index = parse_message_id(wanted)
    if seq:
        return await room.deps.agent.register.step(key, principal, session_id, seq), index
    steps = await room.deps.agent.history(key, principal, limit=MAX_LIMIT)
    found = (find_step(steps, meant) for meant in own_names.runs_meant(principal, wanted))
    return next((step for step in found if step is not None), None), 0


async def _expect(room: Room, peer: Peer, key: SessionKey, *ids: str) -> SessionRow | None:
    """Return the session. Raises: InvalidRequest when it is not the one that each id which is given names."""
    row = await room.deps.agent.session(key, peer.principal)
    if row is not None and any(expected not in ("", row.id) for expected in ids):
        raise changed_meanwhile(key)
    return row


def changed_meanwhile(key: SessionKey) -> InvalidRequest:
    """Return the refusal of a change to a session that is no longer what the caller has seen."""
    return InvalidRequest(
        f"session changed: {key} is not what it was",
        hint="List the sessions and try again.",
        details={"reason": "session-changed"},
    )


def session_entry(row: SessionRow, now_ms: int = 0) -> dict[str, Any]:
    """Return a session as changes answer it."""
    entry: dict[str, Any] = {
        "sessionId": row.id,
        "lifecycleRevision": row.id,
        "createdAt": row.created_at_ms,
        "updatedAt": row.updated_at_ms,
        "systemSent": bool(row.input_tokens),
        "abortedLastRun": row.aborted_last_run,
        "inputTokens": row.input_tokens,
        "outputTokens": row.output_tokens,
        "totalTokens": row.prompt_tokens,
        **marks_row(row.marks, now_ms),
    }
    if row.label:
        entry["label"] = row.label
    if row.thinking:
        entry["thinkingLevel"] = row.thinking
    if row.model:
        entry["providerOverride"], entry["modelOverride"] = split_ref(row.model)
    return entry


def resolved_model(room: Room, row: SessionRow) -> dict[str, str]:
    """Return the model that a session's next message goes to."""
    provider, model = split_ref(row.model or room.default_model()[0])
    return {"modelProvider": provider, "model": model}


def sessions_subscribe(room: Room, peer: Peer, params: SubscribeParams) -> dict[str, Any]:
    """Tell this connection what happens to sessions from now on."""
    room.deps.hub.subscribe_sessions(peer, True)
    return {"subscribed": True}


def sessions_unsubscribe(room: Room, peer: Peer, params: SubscribeParams) -> dict[str, Any]:
    """Tell it no more."""
    room.deps.hub.subscribe_sessions(peer, False)
    return {"subscribed": False}


def messages_subscribe(room: Room, peer: Peer, params: MessagesSubscribeParams) -> dict[str, Any]:
    """Send `session.message` events of one session to this connection from now on."""
    key = room.session_key(peer.principal, params.key, params.agent_id)
    room.deps.hub.subscribe_messages(peer, key, True)
    answer: dict[str, Any] = {"subscribed": True, "key": key}
    if params.include_approvals:
        answer["approvalReplay"] = _replay(room, peer, key)
    return answer


def _replay(room: Room, peer: Peer, key: SessionKey) -> dict[str, Any]:
    """Return what waits for a person in a session, for who may decide it."""
    waiting = []
    if room.deps.approvals is not None and holds(peer.principal, "operator.approvals"):
        pending = [approval for kind in REPLAYED for approval in room.deps.approvals.pending(peer.principal, kind)]
        waiting = [snapshot(approval) for approval in pending if approval.session_key == key]
    return {
        "sessionKey": key,
        "updatedAtMs": room.deps.clock.now_ms(),
        "approvals": waiting[:MAX_REPLAYED],
        "truncated": len(waiting) > MAX_REPLAYED,
    }


def messages_unsubscribe(room: Room, peer: Peer, params: MessagesSubscribeParams) -> dict[str, Any]:
    """Send no more of them."""
    key = room.session_key(peer.principal, params.key, params.agent_id)
    room.deps.hub.subscribe_messages(peer, key, False)
    return {"subscribed": False, "key": key}


METHODS = (
    MethodSpec(
        "sessions.list",
        SessionsListParams,
        "operator.read",
        sessions_list,
        "Lists sessions, latest first; stateless ones are left out, and archived ones unless they are asked for.",
        "`{ts, path, count, defaults, sessions: [{key, kind, displayName, updatedAt, sessionId, model, …}]}`; "
        "protocol 4 adds `totalCount`, `limitApplied`, `nextOffset`, `hasMore`, `owners`, and to each session what "
        "people put on it (`archived`, `pinned`, `unread`, `category`, …) and its `activeRunIds`.",
        passing="large",
    ),
    MethodSpec(
        "sessions.describe",
        SessionsDescribeParams,
        "operator.read",
        sessions_describe,
        "Returns one session.",
        "`{session}`, null when there is none.",
        since=4,
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
    MethodSpec(
        "sessions.messages.subscribe",
        MessagesSubscribeParams,
        "operator.read",
        messages_subscribe,
        f"Turns on `session.message` events of one session for this connection, which may follow {MAX_WATCHED} so.",
        "`{subscribed: true, key, approvalReplay?}`",
        since=4,
    ),
    MethodSpec(
        "sessions.messages.unsubscribe",
        MessagesSubscribeParams,
        "operator.read",
        messages_unsubscribe,
        "Turns them off again.",
        "`{subscribed: false, key}`",
        since=4,
    ),
)
