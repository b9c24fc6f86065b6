"""sessions.patch and sessions.patchMany: what a person puts on a session, and chooses for it."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

from msgspec import UNSET, Meta, UnsetType

from openclaw.agent.api import Mark
from openclaw.base.errors import Conflict, InvalidRequest, NotFound, OpenClawError
from openclaw.base.ids import SessionId, SessionKey
from openclaw.base.thinking import thinking_level
from openclaw.protocol.validate import Params
from openclaw.protocol.wire_errors import to_wire
from openclaw.rpc.method import MethodSpec
from openclaw.rpc.methods.conversation.sessions import (
    CHANGES,
    Key,
    Label,
    changed_meanwhile,
    resolved_model,
    session_entry,
)
from openclaw.rpc.peer import Peer
from openclaw.rpc.room import Room
from openclaw.store.api import SessionRow

MAX_TARGETS: Final = 100
NOTE_MINUTES: Final = 30
"""How long a note stands that says nothing of it."""

Text: TypeAlias = Annotated[str, Meta(min_length=1, max_length=512)] | UnsetType | None
Level: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64)] | UnsetType | None
Mode: TypeAlias = Literal["read-only", "guarded", "workspace", "full"] | UnsetType | None


class SessionChanges(Params, frozen=True, kw_only=True):
    """What is given is changed; null takes it away. Fields that this gateway has no use for (the second part) are
    accepted at the values that say what is so anyway."""

    label: Label | UnsetType | None = UNSET
    auto_label: Text = UNSET
    model: Text = UNSET
    thinking_level: Level = UNSET
    archived: bool | UnsetType = UNSET
    pinned: bool | UnsetType = UNSET
    unread: bool | UnsetType = UNSET
    category: Text = UNSET
    icon: Annotated[str, Meta(max_length=512)] | UnsetType | None = UNSET
    color: Annotated[str, Meta(max_length=64)] | UnsetType | None = UNSET
    board_face: Literal["chat", "dashboard"] | UnsetType = UNSET
    status_note: Annotated[str, Meta(max_length=120)] | UnsetType | None = UNSET
    attention: Literal["hand", "key", "alert", "flag", "lock", "hourglass"] | UnsetType | None = UNSET
    ttl_minutes: Annotated[int, Meta(ge=1, le=120)] | UnsetType = UNSET

    verbose_level: Level = UNSET
    trace_level: Level = UNSET
    reasoning_level: Level = UNSET
    elevated_level: Level = UNSET
    fast_mode: bool | Literal["auto"] | UnsetType | None = UNSET
    context_window: Level = UNSET
    response_usage: Literal["off", "tokens", "full", "on"] | UnsetType | None = UNSET
    tool_overrides: dict[str, Any] | UnsetType | None = UNSET
    permission_mode: Mode = UNSET
    exec_host: Level = UNSET
    exec_security: Level = UNSET
    exec_ask: Level = UNSET
    exec_node: Level = UNSET
    sandbox_mode: Literal["off"] | UnsetType | None = UNSET
    agent_runtime: Level = UNSET
    native_runtime_consent: Level = UNSET
    board_presentation: Literal["split", "expanded"] | UnsetType | None = UNSET
    send_policy: Literal["allow", "deny"] | UnsetType | None = UNSET
    group_activation: Literal["mention", "always"] | UnsetType | None = UNSET
    completion_owner_session_key: Level = UNSET
    inherited_tool_policy_version: Literal[1] | UnsetType | None = UNSET
    inherited_tool_allow: tuple[str, ...] | UnsetType | None = UNSET
    inherited_tool_deny: tuple[str, ...] | UnsetType | None = UNSET
    spawned_by: Level = UNSET
    spawn_depth: Annotated[int, Meta(ge=0)] | UnsetType | None = UNSET


class SessionsPatchParams(SessionChanges, frozen=True, kw_only=True):
    """SessionChanges of one session. It is made when it is not there, unless something is expected of it."""

    key: Key
    agent_id: str = ""
    expected_session_id: str = ""
    expected_lifecycle_revision: str = ""
    expected_permission_mode: Mode = UNSET
    expected_tool_overrides: dict[str, Any] | UnsetType | None = UNSET
    expected_sandbox_mode: Literal["off"] | UnsetType | None = UNSET
    expected_native_runtime_consent: Level = UNSET
    expected_marked_unread_at: Annotated[int, Meta(ge=0)] | UnsetType | None = UNSET


class PatchTarget(Params, frozen=True):
    """One of the sessions to change."""

    key: Key
    agent_id: str = ""
    expected_session_id: str = ""
    expected_lifecycle_revision: str = ""


class SessionsPatchManyParams(Params, frozen=True):
    """The same changes for each target; one that fails does not undo the others."""

    targets: Annotated[tuple[PatchTarget, ...], Meta(min_length=1, max_length=MAX_TARGETS)]
    patch: SessionChanges


DEFAULTS: Final[tuple[Any, ...]] = (UNSET, None, False, 0, "off", "allow", {}, ())
"""Values of a field without use that say what is so anyway."""

USED: Final = frozenset(
    [
        "label",
        "auto_label",
        "model",
        "thinking_level",
        "archived",
        "pinned",
        "unread",
        "category",
        "icon",
        "color",
        "board_face",
        "status_note",
        "attention",
        "ttl_minutes",
        "key",
        "agent_id",
        "expected_session_id",
        "expected_lifecycle_revision",
        "expected_permission_mode",
        "expected_tool_overrides",
        "expected_sandbox_mode",
        "expected_native_runtime_consent",
        "expected_marked_unread_at",
    ]
)


async def sessions_patch(room: Room, peer: Peer, params: SessionsPatchParams) -> dict[str, Any]:
    """Change one session."""
    key = room.session_key(peer.principal, params.key, params.agent_id)
    check_usable(params)
    expected = (params.expected_session_id, params.expected_lifecycle_revision)
    row = await _patch(room, peer, key, params, expected, params.expected_marked_unread_at)
    now_ms = room.deps.clock.now_ms()
    entry, resolved = session_entry(row, now_ms), resolved_model(room, row)
    return {"ok": True, "path": room.state_path(), "key": key, "entry": entry, "resolved": resolved}


async def sessions_patch_many(room: Room, peer: Peer, params: SessionsPatchManyParams) -> dict[str, Any]:
    """Change several sessions in the order given."""
    check_usable(params.patch)
    if all(getattr(params.patch, name) is UNSET for name in params.patch.__struct_fields__):
        raise InvalidRequest("invalid sessions.patchMany params: at /patch: must NOT have fewer than 1 properties")
    keys = [room.session_key(peer.principal, target.key, target.agent_id) for target in params.targets]
    if len(set(keys)) < len(keys):
        raise InvalidRequest("a session is named twice among the targets")
    outcomes = []
    for target, key in zip(params.targets, keys, strict=True):
        outcome: dict[str, Any] = {"ok": True, "key": key}
        if target.agent_id:
            outcome["agentId"] = target.agent_id
        expected = (target.expected_session_id, target.expected_lifecycle_revision)
        try:
            await _patch(room, peer, key, params.patch, expected, UNSET)
        except OpenClawError as error:
            outcome |= {"ok": False, "error": to_wire(error, peer.protocol)}
        outcomes.append(outcome)
    return {"outcomes": outcomes}


def check_usable(changes: SessionChanges) -> None:
    """Refuse what would have no effect. Raises: InvalidRequest."""
    for name, wire in zip(changes.__struct_fields__, changes.__struct_encode_fields__, strict=True):
        value = getattr(changes, name)
        if name not in USED and value not in DEFAULTS:
            raise InvalidRequest(f'{wire} "{value}" is not supported (use {"off" if "evel" in wire else "null"})')


async def _patch(
    room: Room,
    peer: Peer,
    key: SessionKey,
    changes: SessionChanges,
    expected: tuple[str, str],
    unread_at_ms: int | UnsetType | None,
) -> SessionRow:
    register = room.deps.agent.register
    ids = {session_id for session_id in expected if session_id}
    row = await room.deps.agent.session(key, peer.principal)
    if len(ids) > 1 or (row is None and ids):
        raise changed_meanwhile(key)
    if row is None:
        row = await register.create(key, room.agent_of(key), peer.principal)
    marks = _marks(changes, row, room.deps.clock.now_ms())
    if not isinstance(unread_at_ms, UnsetType) and (unread_at_ms or 0) != row.marks.unread_at_ms:
        marks.pop("unread_at_ms", None)  # it was marked again since: reading what came before does not undo that
    level = _change(changes.thinking_level)
    label = changes.label
    if label is UNSET and changes.auto_label is not UNSET and not row.label:
        label = changes.auto_label
    try:
        return await register.mark(
            key,
            peer.principal,
            label=_change(label),
            model=_change(changes.model),
            thinking=None if level is None else thinking_level(level, "thinkingLevel"),
            marks=marks,
            expected=SessionId(ids.pop()) if ids else None,
        )
    except (Conflict, NotFound):
        if any(expected):
            raise changed_meanwhile(key) from None
        raise


def _marks(changes: SessionChanges, row: SessionRow, now_ms: int) -> dict[str, Mark]:
    """Return the changes of marks. Archiving unpins, and what is pinned or archived already keeps its time."""
    marks: dict[str, Mark] = {}
    if changes.archived is not UNSET:
        marks["archived_at_ms"] = (row.marks.archived_at_ms or now_ms) if changes.archived else None
        if changes.archived:
            marks["pinned_at_ms"] = None
    if changes.pinned is not UNSET:
        marks["pinned_at_ms"] = (row.marks.pinned_at_ms or now_ms) if changes.pinned else None
    if changes.unread is not UNSET:
        marks["unread_at_ms"] = (row.marks.unread_at_ms or now_ms) if changes.unread else None
        if not changes.unread:
            marks["read_at_ms"] = now_ms
    for name in ("category", "icon", "color", "board_face"):
        value = getattr(changes, name)
        if value is not UNSET:
            marks[name] = value or None
    if changes.status_note is not UNSET:
        marks["note"] = changes.status_note or None
    if changes.attention is not UNSET:
        marks["attention"] = changes.attention
    if marks.get("note") or marks.get("attention"):
        minutes = NOTE_MINUTES if changes.ttl_minutes is UNSET else changes.ttl_minutes
        marks["note_until_ms"] = now_ms + minutes * 60_000
    return marks


def _change(value: str | UnsetType | None) -> str | None:
    """Return what the register takes: None leaves a field alone, the empty text clears it."""
    if isinstance(value, UnsetType):
        return None
    return value or ""


METHODS = (
    MethodSpec(
        "sessions.patch",
        SessionsPatchParams,
        "operator.write",
        sessions_patch,
        "Changes what is chosen for a session (label, model, `thinkingLevel`) and what a person puts on it (archived, "
        "pinned, unread, group, icon, colour, a note for a while); null takes it away. A session that is not there is "
        "made. What else clients may send is refused unless it says what is so anyway (`off`, null, false). What is "
        "`expected…` of it must be so still.",
        "`{ok, path, key, entry, resolved: {modelProvider, model}}`",
        rate=CHANGES,
    ),
    MethodSpec(
        "sessions.patchMany",
        SessionsPatchManyParams,
        "operator.write",
        sessions_patch_many,
        f"Makes the same changes to at most {MAX_TARGETS} sessions.",
        "`{outcomes: [{ok, key, agentId?, error?: {code, message, …}}]}`, in the order of the targets.",
        rate=CHANGES,
        since=4,
    ),
)
