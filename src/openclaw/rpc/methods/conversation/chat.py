"""chat.send, chat.history, chat.abort: a conversation as chat clients have it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

from msgspec import UNSET, Meta, UnsetType

from openclaw.base import own_names
from openclaw.base.ids import SessionKey
from openclaw.base.run import Inbound, Reply
from openclaw.base.thinking import thinking_level
from openclaw.protocol.validate import Params
from openclaw.rpc import commands
from openclaw.rpc.attachments import Attachment, user_message
from openclaw.rpc.method import MethodSpec, Rate
from openclaw.rpc.methods.conversation.agent import LONGEST_S, RUNS, RunKey
from openclaw.rpc.methods.conversation.sessions import session_defaults
from openclaw.rpc.peer import Peer
from openclaw.rpc.room import Room
from openclaw.rpc.rows import MAX_HISTORY_CHARS, find_step, fitting, input_id, message_id, message_rows, newest
from openclaw.store.api import StepRow

DEFAULT_MESSAGES: Final = 200
MAX_MESSAGES: Final = 1000
MAX_WAITING_SHOWN: Final = 20

Key = Annotated[str, Meta(min_length=1, max_length=512)]


class ChatSendParams(Params, frozen=True):
    """`idempotencyKey` becomes the run's id. `thinking` is for this message only. What concerns channels, permission
    modes and tool bindings is accepted and has no meaning yet."""

    session_key: Key
    message: str
    idempotency_key: RunKey
    agent_id: str = ""
    session_id: str = ""
    thinking: str = ""
    fast_mode: bool | Literal["auto"] = False
    queue_mode: Literal["steer", "followup", "collect", "interrupt"] | UnsetType = UNSET
    deliver: bool = False
    attachments: tuple[Attachment, ...] = ()
    timeout_ms: Annotated[int, Meta(ge=0)] = 0
    reply_to_id: str = ""
    originating_channel: str = ""
    originating_to: str = ""
    originating_account_id: str = ""
    originating_thread_id: str = ""
    suppress_command_interpretation: bool = False
    expected_leaf_entry_id: str | None = None
    expected_session_routing_contract: str = ""
    expected_permission_mode: str | None = None
    expected_tool_overrides: dict[str, Any] | None = None
    fast_auto_on_seconds: Annotated[int, Meta(ge=1)] | UnsetType = UNSET
    tool_bindings: Annotated[dict[str, Any], Meta(max_length=16)] | UnsetType = UNSET
    system_input_provenance: dict[str, Any] | UnsetType = UNSET
    system_provenance_receipt: str = ""


class ChatHistoryParams(Params, frozen=True):
    """`maxChars` cuts each text; the newest messages that fit into `maxBytes` are returned. `sessionId` must be the
    session's current one. `inputRunIds` asks what became of messages sent. A `cursor` is always answered by
    `{kind: "reset"}`: load the page again."""

    session_key: Key
    agent_id: str = ""
    session_id: str = ""
    limit: Annotated[int, Meta(ge=1, le=MAX_MESSAGES)] = DEFAULT_MESSAGES
    offset: Annotated[int, Meta(ge=0)] = 0
    max_chars: Annotated[int, Meta(ge=1, le=500_000)] | UnsetType = UNSET
    max_bytes: Annotated[int, Meta(ge=1024)] = MAX_HISTORY_CHARS
    cursor: str | None = None
    message_id: str = ""
    pending_before: Annotated[int, Meta(ge=1)] | UnsetType = UNSET
    input_run_ids: Annotated[tuple[RunKey, ...], Meta(max_length=50)] = ()


class ChatAbortParams(Params, frozen=True):
    """Without `runId` everything of the session stops, also what waits."""

    session_key: Key
    run_id: RunKey | UnsetType = UNSET
    agent_id: str = ""
    preserve_side_runs: bool = False


async def chat_send(room: Room, peer: Peer, params: ChatSendParams) -> dict[str, Any]:
    """Return as soon as the message is durable; what follows comes as events."""
    key = room.session_key(peer.principal, params.session_key, params.agent_id)
    if not params.attachments and not params.suppress_command_interpretation:
        command = commands.parse(params.message)
        if command is not None:
            return await _command(room, peer, key, params.idempotency_key, *command)
    if params.session_id:
        await room.expect_session(peer, key, params.session_id)
    inbound = Inbound(
        run_id=own_names.kept_run(peer.principal, params.idempotency_key),
        session_key=key,
        agent_id=room.agent_of(key),
        message=user_message(params.message, params.attachments, "chat.send"),
        principal=peer.principal,
        thinking=thinking_level(params.thinking),
        lane_mode=None if isinstance(params.queue_mode, UnsetType) else params.queue_mode,
        timeout_s=min(params.timeout_ms, LONGEST_S * 1000) / 1000 or None,
    )
    run = await room.deps.agent.submit(inbound)
    if not run.duplicate:
        return {"runId": run.id, "status": "started"}
    if run.state in ("queued", "running"):
        return {"runId": run.id, "status": "in_flight"}
    return _ended(await run.result())


def _ended(reply: Reply) -> dict[str, Any]:
    if reply.state == "aborted":
        return {
            "runId": reply.run_id,
            "status": "timeout",
            "summary": "aborted",
            "stopReason": "rpc",
            "endedAt": reply.ended_at_ms,
        }
    if reply.state == "error":
        text = str((reply.error or {}).get("message", "the run failed"))
        return {"runId": reply.run_id, "status": "error", "summary": text}
    return {"runId": reply.run_id, "status": "ok"}


async def _command(room: Room, peer: Peer, key: SessionKey, run_id: str, name: str, argument: str) -> dict[str, Any]:
    if name != "stop":
        commands.check(peer.principal, name)
    ticket = await room.once.open(peer.principal, "chat.send", run_id, (key, name, argument))
    if not ticket.first:
        return {"runId": run_id, "status": "in_flight"} if ticket.going else await ticket.answer()
    if name == "stop":
        stopped = await room.deps.agent.abort(key, peer.principal, reason="stop")
        answer = {"ok": True, "aborted": bool(stopped), "runIds": list(stopped)}
        await ticket.done(answer)
        return answer

    async def run() -> None:
        try:
            text = await commands.answer(room, key, peer.principal, name, argument)
        except Exception as error:
            await ticket.forget(error)
            raise
        kept = own_names.kept_run(peer.principal, run_id)
        room.bridge.command_answer(kept, key, own_names.told_text(peer.principal, text), peer.principal)
        await ticket.done({"runId": run_id, "status": "ok"})

    if commands.COMMANDS[name].slow:
        room.tasks.spawn(run(), "command")
    else:
        await run()
    return {"runId": run_id, "status": "started"}


async def chat_abort(room: Room, peer: Peer, params: ChatAbortParams) -> dict[str, Any]:
    """Stop the run; what it has said so far stays in the history."""
    key = room.session_key(peer.principal, params.session_key, params.agent_id)
    stopped = await room.abort(peer.principal, key, None if isinstance(params.run_id, UnsetType) else params.run_id)
    return {"ok": True, "aborted": bool(stopped), "runIds": list(stopped)}


async def chat_history(room: Room, peer: Peer, params: ChatHistoryParams) -> dict[str, Any]:
    """Return the last messages of a session, oldest first; an unknown session has none."""
    if params.cursor is not None:
        return {"kind": "reset"}
    key = room.session_key(peer.principal, params.session_key, params.agent_id)
    service = room.deps.agent
    session = await service.session(key, peer.principal)
    defaults = session_defaults(room)
    if session is None:
        return {
            "sessionKey": room.as_called(params.session_key, key),
            "messages": [],
            "hasMore": False,
            "totalMessages": 0,
            "pendingInputs": {"items": [], "total": 0},
            "defaults": defaults,
            "thinkingLevel": room.thinking(key),
        }
    steps = await service.history(key, peer.principal, limit=params.limit + min(params.offset, MAX_MESSAGES) + 1)
    rows = list(message_rows(steps))
    end = max(0, len(rows) - params.offset)
    cut = MAX_HISTORY_CHARS if isinstance(params.max_chars, UnsetType) else params.max_chars
    shown = newest(fitting(rows[max(0, end - params.limit) : end], cut), params.max_bytes)
    receipts = (
        {"inputReceipts": _receipts(room, peer, key, steps, params.input_run_ids)} if params.input_run_ids else {}
    )
    waiting = _waiting(room, key)
    return {
        "sessionKey": room.as_called(params.session_key, key),
        "sessionId": session.id,
        "messages": shown,
        "hasMore": len(shown) < end,
        "pendingInputs": {"items": waiting[:MAX_WAITING_SHOWN], "total": len(waiting)},
        **receipts,
        "defaults": defaults,
        "sessionInfo": room.session_row(session),
        "thinkingLevel": room.thinking(key, session),
    }


def _waiting(room: Room, key: SessionKey) -> list[dict[str, Any]]:
    """Return the messages that wait for their turn."""
    runs = [room.deps.agent.live_run(run_id) for run_id in room.deps.agent.register.runs(key)]
    return [
        {
            "id": input_id(run.id),
            "runId": run.id,
            "acceptedAt": run.accepted_at_ms,
            "state": "queued",
            "message": {"role": "user", "content": run.inbound.message.text, "timestamp": run.accepted_at_ms},
        }
        for run in runs
        if run is not None and run.state == "queued"
    ]


def _receipts(
    room: Room, peer: Peer, key: SessionKey, steps: Sequence[StepRow], run_ids: Sequence[str]
) -> list[dict[str, Any]]:
    """Return what became of messages: they stand in the transcript, or wait; of others nothing is known."""
    waiting = room.deps.agent.register.runs(key)
    receipts = []
    for run_id in (each for named in run_ids for each in own_names.runs_meant(peer.principal, named)):
        step = find_step(steps, input_id(run_id))
        if step is not None:
            receipts.append({"runId": run_id, "state": "consumed", "consumedByEventId": message_id(step)})
        elif run_id in waiting:
            receipts.append({"runId": run_id, "state": "pending"})
    return receipts


_COMMANDS: Final = " ".join(f"/{name}" for name in ("stop", *commands.COMMANDS))

METHODS = (
    MethodSpec(
        "chat.history",
        ChatHistoryParams,
        "operator.read",
        chat_history,
        "Returns the last messages of a session, oldest first.",
        "`{sessionKey, sessionId, messages: [{role, content[], timestamp, provider?, model?, usage?, stopReason?}], "
        "thinkingLevel}`, in protocol 4 also `hasMore`, `pendingInputs`, `inputReceipts?`, `defaults`, "
        "`sessionInfo?`. A `system` message "
        'with `__openclaw.kind: "compaction"` stands where a summary took the '
        "place of older ones. An unknown session has no `sessionId` and no messages.",
        passing="large",
    ),
    MethodSpec(
        "chat.abort",
        ChatAbortParams,
        "operator.write",
        chat_abort,
        "Stops a session's run (or the one named) and what waits behind it.",
        "`{ok, aborted, runIds[]}`",
    ),
    MethodSpec(
        "chat.send",
        ChatSendParams,
        "operator.write",
        chat_send,
        "Sends a message; the answer comes as `chat` and `agent` events. A repeated `idempotencyKey` never runs twice. "
        f"`{_COMMANDS}` are commands.",
        '`{runId, status: "started"}`; a repeat: `in_flight` while it runs, then `ok`, `error`, or after an abort '
        '`{runId, status: "timeout", summary: "aborted", stopReason, endedAt}` (protocol 3: `ok`).',
        rate=Rate(RUNS.burst, RUNS.per_s),
    ),
)
