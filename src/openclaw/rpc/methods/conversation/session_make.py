"""Sessions made, written to, stopped, copied and taken back: sessions.create, send, abort, fork, rewind, branches."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from openclaw.agent.session_key import session_key
from openclaw.base import own_names
from openclaw.base.errors import InvalidRequest, NotFound, NotSupported
from openclaw.base.ids import SessionKey, new_id
from openclaw.base.principal import Principal
from openclaw.base.thinking import thinking_level
from openclaw.protocol.validate import Params
from openclaw.rpc.attachments import Attachment
from openclaw.rpc.method import MethodSpec, Rate
from openclaw.rpc.methods.conversation.agent import RUNS, RunKey
from openclaw.rpc.methods.conversation.chat import ChatSendParams, chat_send
from openclaw.rpc.methods.conversation.sessions import (
    CHANGES,
    Key,
    Label,
    NotEmpty,
    message_step,
    resolved_model,
    session_entry,
)
from openclaw.rpc.peer import Peer
from openclaw.rpc.room import Room
from openclaw.rpc.rows import message_id
from openclaw.store.api import SessionFilter, SessionRow, StepRow

WHOLE: Final = 2**53
"""Before this seq is everything."""

HEADLINE_CHARS: Final = 120
COPIES: Final = Rate(20, 2)
"""Each may copy thousands of steps."""

Messages = tuple[Attachment, ...]


class SessionsCreateParams(Params, frozen=True):
    """Without `key` one is made up; a repeated `idempotencyKey` names the same. `fork` copies the parent's transcript,
    `message` (or `task`) is sent at once. What concerns worktrees, runners, projects and permissions is refused
    (NOT_SUPPORTED) unless it says what is so anyway."""

    key: Key | UnsetType = UNSET
    idempotency_key: RunKey = ""
    agent_id: NotEmpty = ""
    label: Label | UnsetType = UNSET
    display_name: Annotated[str, Meta(min_length=1, max_length=500)] = ""
    title_source: Annotated[str, Meta(max_length=1000)] = ""
    category: Label | UnsetType = UNSET
    model: NotEmpty = ""
    thinking_level: Annotated[str, Meta(min_length=1, max_length=64)] = ""
    parent_session_key: NotEmpty = ""
    fork: bool = False
    fork_from: Literal["last-completed"] | UnsetType = UNSET
    succeeds_parent: bool = False
    emit_command_hooks: bool = True
    message: str = ""
    task: str = ""
    attachments: Messages = ()
    timeout_ms: Annotated[int, Meta(ge=0)] = 0
    visibility: Literal["shared", "read-only", "suggest", "draft"] = "shared"

    mentions: tuple[dict[str, Any], ...] = ()
    context_window: str = ""
    fast_mode: bool | Literal["auto"] = False
    permission_mode: Literal["read-only", "guarded", "workspace", "full"] | UnsetType = UNSET
    tool_overrides: dict[str, Any] = msgspec.field(default_factory=dict)
    incognito: bool = False
    catalog_id: str = ""
    agent_runtime: str = ""
    spawn_depth: Annotated[int, Meta(ge=1)] | UnsetType = UNSET
    project_id: str = ""
    project_git_url: str = ""
    repository: dict[str, Any] = msgspec.field(default_factory=dict)
    worktree: bool = False
    worktree_base_ref: str = ""
    worktree_name: str = ""
    worktree_source: str = ""
    exec_node: str = ""
    cwd: str = ""


NOT_OFFERED: Final = [
    "mentions",
    "context_window",
    "fast_mode",
    "permission_mode",
    "tool_overrides",
    "incognito",
    "catalog_id",
    "agent_runtime",
    "spawn_depth",
    "project_git_url",
    "repository",
    "worktree",
    "worktree_base_ref",
    "worktree_name",
    "worktree_source",
    "exec_node",
    "cwd",
]


class SessionsSendParams(Params, frozen=True):
    """`chat.send` to a session that is there. Without `idempotencyKey` the run's id is made up."""

    key: Key
    message: str
    agent_id: str = ""
    thinking: str = ""
    attachments: Messages = ()
    mentions: tuple[dict[str, Any], ...] = ()
    timeout_ms: Annotated[int, Meta(ge=0)] = 0
    idempotency_key: RunKey = ""


class SessionsAbortParams(Params, frozen=True):
    """Names a session, or a run in it. What waits stops too, unless one run is named."""

    key: Key | UnsetType = UNSET
    run_id: RunKey | UnsetType = UNSET
    agent_id: str = ""
    clear_queued: bool = True


class EntryParams(Params, frozen=True):
    """`entryId` is the id of a message, as histories show it (`__openclaw.id`)."""

    session_key: Key
    entry_id: Annotated[str, Meta(min_length=1, max_length=512)]
    agent_id: str = ""


class BranchesListParams(Params, frozen=True):
    """Names a session."""

    session_key: Key
    agent_id: str = ""


async def sessions_create(room: Room, peer: Peer, params: SessionsCreateParams) -> dict[str, Any]:
    """Make a session, and send its first message if there is one."""
    _check(params)
    key = _new_key(room, peer.principal, params)
    register = room.deps.agent.register
    label = "" if params.label is UNSET else params.label
    if label and await _taken(room, peer.principal, key, label):
        raise InvalidRequest(f"label already in use: {label}", hint="Choose another one.")
    known = await room.deps.agent.session(key, peer.principal)
    marks = {} if params.category is UNSET else {"category": params.category}
    if params.parent_session_key:
        parent = await _parent(room, peer.principal, params.parent_session_key)
        marks["parent"] = parent.key
        if params.fork and known is None:
            await register.fork(parent.key, key, peer.principal, WHOLE)
    row = await register.create(key, room.agent_of(key), peer.principal)
    if known is None or label or marks or params.model or params.thinking_level:
        row = await register.mark(
            key,
            peer.principal,
            label=label or None,
            model=params.model or None,
            thinking=thinking_level(params.thinking_level, "thinkingLevel") if params.thinking_level else None,
            marks=dict(marks),
        )
    answer = {"ok": True, "key": key, "sessionId": row.id, "entry": session_entry(row), "runStarted": False}
    text = params.message or params.task
    if text or params.attachments:
        answer |= await _first_message(room, peer, key, text, params)
    return {**answer, "resolved": resolved_model(room, row)}


def _check(params: SessionsCreateParams) -> None:
    for name in NOT_OFFERED:
        if getattr(params, name) not in (UNSET, "", False, {}, ()):
            raise NotSupported(f"sessions.create: {name.replace('_', ' ')} is not offered here")
    if params.visibility != "shared":
        raise NotSupported("every session here is shared with those who may see it, and with nobody else")
    if params.project_id and not params.project_id.startswith("workspace:"):
        raise NotSupported("there are no projects here but the agents' workspaces")
    if params.fork and not params.parent_session_key:
        raise InvalidRequest("sessions.create: fork needs parentSessionKey")


def _new_key(room: Room, principal: Principal, params: SessionsCreateParams) -> SessionKey:
    agent = params.agent_id or params.project_id.removeprefix("workspace:")
    if params.key is not UNSET:
        return room.session_key(principal, params.key, agent)
    name = new_id()
    if params.idempotency_key:
        seed = "\0".join((principal.tenant, principal.owner, params.idempotency_key))
        name = hashlib.sha256(seed.encode(errors="surrogatepass")).hexdigest()[:32]
    return room.session_key(principal, f"dashboard:{name}", agent)


async def _taken(room: Room, principal: Principal, key: SessionKey, label: str) -> bool:
    rows, _ = await room.deps.agent.register.find(principal, SessionFilter(label=label), limit=2)
    return any(row.key != key for row in rows)


async def _parent(room: Room, principal: Principal, raw: str) -> SessionRow:
    parent = await room.deps.agent.session(room.session_key(principal, raw), principal)
    if parent is None:
        raise InvalidRequest(f"unknown parent session: {raw[:128]}", hint="sessions.list shows the sessions there are.")
    return parent


async def _first_message(
    room: Room, peer: Peer, key: SessionKey, text: str, params: SessionsCreateParams
) -> dict[str, Any]:
    run_id = params.idempotency_key or new_id()
    sent = await chat_send(
        room,
        peer,
        ChatSendParams(
            session_key=key,
            message=text,
            idempotency_key=run_id,
            attachments=params.attachments,
            timeout_ms=params.timeout_ms,
        ),
    )
    return {"runStarted": True, "runId": run_id, "status": sent.get("status", "started")}


async def sessions_send(room: Room, peer: Peer, params: SessionsSendParams) -> dict[str, Any]:
    """Send a message to a session that is there."""
    key = room.session_key(peer.principal, params.key, params.agent_id)
    if params.mentions:
        raise NotSupported("nobody can be mentioned here: a session has one person")
    if await room.deps.agent.session(key, peer.principal) is None:
        raise NotFound(f"session not found: {key}", hint="sessions.create makes one; chat.send does so by itself.")
    sent = ChatSendParams(
        session_key=key,
        message=params.message,
        idempotency_key=params.idempotency_key or new_id(),
        thinking=params.thinking,
        attachments=params.attachments,
        timeout_ms=params.timeout_ms,
    )
    return await chat_send(room, peer, sent)


async def sessions_abort(room: Room, peer: Peer, params: SessionsAbortParams) -> dict[str, Any]:
    """Stop what runs in a session."""
    run_id = None if isinstance(params.run_id, UnsetType) else params.run_id
    key = _abort_key(room, peer.principal, params, run_id)
    stopped = [] if key is None else await room.abort(peer.principal, key, run_id)
    status = "aborted" if stopped else "no-active-run"
    return {"ok": True, "abortedRunId": stopped[0] if stopped else None, "status": status}


def _abort_key(room: Room, principal: Principal, params: SessionsAbortParams, run_id: str | None) -> SessionKey | None:
    if params.key is not UNSET:
        return room.session_key(principal, params.key, params.agent_id)
    if run_id is None:
        raise InvalidRequest("sessions.abort: key required")
    for meant in own_names.runs_meant(principal, run_id):
        run = room.deps.agent.live_run(meant)
        if run is not None and room.may_see(principal, run.inbound.principal):
            return run.inbound.session_key
    return None


async def sessions_fork(room: Room, peer: Peer, params: EntryParams) -> dict[str, Any]:
    """Copy a session up to a message into a new one."""
    key = room.session_key(peer.principal, params.session_key, params.agent_id)
    step = await _entry(room, peer.principal, key, params.entry_id)
    new_key = session_key(room.agent_of(key), own_names.beside(key, f"dashboard:{new_id()}"))
    row = await room.deps.agent.register.fork(key, new_key, peer.principal, _cut(step))
    return {"sessionKey": row.key, **_editor(step)}


async def sessions_rewind(room: Room, peer: Peer, params: EntryParams) -> dict[str, Any]:
    """Go on from before a message of a person, or from after one of a model."""
    key = room.session_key(peer.principal, params.session_key, params.agent_id)
    step = await _entry(room, peer.principal, key, params.entry_id)
    await room.deps.agent.register.rewind(key, peer.principal, _cut(step))
    return _editor(step)


async def _entry(room: Room, principal: Principal, key: SessionKey, entry_id: str) -> StepRow:
    step, _ = await message_step(room, principal, key, entry_id)
    if step is None:
        raise NotFound(f"message entry not found: {entry_id[:128]}", hint="Load the history and try again.")
    return step


def _cut(step: StepRow) -> int:
    """Return the seq before which everything stays: a person's message goes back into the editor, others stay."""
    return step.seq if step.kind == "inbound" else step.seq + 1


def _editor(step: StepRow) -> dict[str, Any]:
    return {"editorText": step.messages[0].text} if step.kind == "inbound" else {}


async def branches_list(room: Room, peer: Peer, params: BranchesListParams) -> dict[str, Any]:
    """Return the one branch that a transcript is."""
    key = room.session_key(peer.principal, params.session_key, params.agent_id)
    steps = await room.deps.agent.history(key, peer.principal, limit=1)
    if not steps:
        return {"branches": []}
    last = steps[-1]
    branch = {
        "leafEntryId": message_id(last),
        "headline": last.messages[-1].text[:HEADLINE_CHARS],
        "messageCount": last.seq,
        "active": True,
    }
    return {"branches": [branch]}


METHODS = (
    MethodSpec(
        "sessions.create",
        SessionsCreateParams,
        "operator.write",
        sessions_create,
        "Makes a session, alone or as a copy of another, and sends its first message. One that is there already is "
        "answered as it is.",
        "`{ok, key, sessionId, entry, runStarted, runId?, status?, resolved: {modelProvider, model}}`",
        rate=CHANGES,
        since=4,
    ),
    MethodSpec(
        "sessions.send",
        SessionsSendParams,
        "operator.write",
        sessions_send,
        "Sends a message to a session that is there, as chat.send does.",
        "As chat.send.",
        rate=RUNS,
        since=4,
    ),
    MethodSpec(
        "sessions.abort",
        SessionsAbortParams,
        "operator.write",
        sessions_abort,
        "Stops a session's run (or the one named) and what waits behind it.",
        '`{ok, abortedRunId, status: "aborted" | "no-active-run"}`',
        since=4,
    ),
    MethodSpec(
        "sessions.fork",
        EntryParams,
        "operator.write",
        sessions_fork,
        "Copies a session into a new one: up to a person's message, whose text is handed back, or up to and with a "
        "model's.",
        "`{sessionKey, editorText?}`",
        rate=COPIES,
        since=4,
    ),
    MethodSpec(
        "sessions.rewind",
        EntryParams,
        "operator.admin",
        sessions_rewind,
        "Stops what runs and takes a session back to before a person's message, whose text is handed back, or to after "
        "a model's. It goes on under a new id; the whole transcript stays in the archive.",
        "`{editorText?}`",
        rate=COPIES,
        since=4,
    ),
    MethodSpec(
        "sessions.branches.list",
        BranchesListParams,
        "operator.read",
        branches_list,
        "Lists the branches of a session: its transcript is one.",
        "`{branches: [{leafEntryId, headline, messageCount, active}]}`, none before the first message.",
        since=4,
    ),
)
