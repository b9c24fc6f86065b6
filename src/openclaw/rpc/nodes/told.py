"""What nodes tell of their own accord (`node.event`): a node tells us things, it never orders us about.

1. Talking to an agent and following a session need an approved node, and only its own session (`node-<id>`) unless
   `gateway.nodes.sessions` is `any`. What it says is a message like any other: no text of it is a command.
2. An event that we have no use for is taken and dropped, and the node is told so.
3. Nothing here raises for what a node sent: bad payloads are answered `handled: false`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta

from openclaw.base.errors import InvalidRequest, NotFound, OpenClawError
from openclaw.base.ids import RunId, SessionKey, new_run_id
from openclaw.base.message import user
from openclaw.base.run import Inbound
from openclaw.base.thinking import thinking_level
from openclaw.rpc.nodes.desk import Nodes
from openclaw.rpc.nodes.live import NodeSession
from openclaw.rpc.room import Room

T = TypeVar("T")
MAX_TEXT: Final = 20_000
MAX_IDLE_S: Final = 2_592_000

OK: Final = ""
"""As a reason: the event was handled."""

UNUSED: Final = frozenset(("exec.started", "exec.finished", "exec.denied", "push.apns.register", "voicewake.changed"))
"""Events that node hosts send and that this gateway does nothing with."""


class _Part(msgspec.Struct, frozen=True, rename="camel"):
    """Base of payloads: what else they hold is ignored, apps add to them."""


class _Session(_Part, frozen=True):
    session_key: Annotated[str, Meta(min_length=1, max_length=512)]


class _Request(_Part, frozen=True):
    message: Annotated[str, Meta(min_length=1, max_length=MAX_TEXT)]
    session_key: str | None = None
    thinking: str | None = None
    timeout_seconds: Annotated[float, Meta(ge=0, le=86_400)] | None = None
    key: Annotated[str, Meta(max_length=256)] | None = None


class _Transcript(_Part, frozen=True):
    text: Annotated[str, Meta(min_length=1, max_length=MAX_TEXT)]
    session_key: str | None = None
    event_id: Annotated[str, Meta(max_length=256)] | None = None


class _Alive(_Part, frozen=True):
    trigger: Annotated[str, Meta(min_length=1, max_length=32, pattern="^[a-z_]+$")]


class _Activity(_Part, frozen=True):
    idle_seconds: Annotated[int, Meta(ge=0, le=MAX_IDLE_S)] | None = None
    action: str | None = None


class _NotHandled(Exception):
    """Why an event was dropped, in a word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


async def hear(room: Room, nodes: Nodes, session: NodeSession, event: str, payload_json: str | None) -> str:
    """Handle an event. Return OK, or in a word why it was dropped."""
    handler = _HANDLERS.get(event)
    if handler is None:
        return "not_used" if event in UNUSED else "unknown_event"
    try:
        await handler(room, nodes, session, payload_json or "{}")
    except _NotHandled as dropped:
        return dropped.reason
    except (InvalidRequest, NotFound):
        return "invalid_payload"
    except OpenClawError as error:
        return error.code.lower()
    return OK


def _read(payload_json: str, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(payload_json, type=kind)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise _NotHandled("invalid_payload") from None


def _key(room: Room, nodes: Nodes, session: NodeSession, wanted: str | None) -> SessionKey:
    """Return the session that a node means, if it may. Raises: InvalidRequest, NotFound."""
    if not nodes.is_approved(session):
        raise _NotHandled("not_approved")
    own = f"node-{session.node_id}"
    key = room.session_key(session.peer.principal, wanted or own)
    if room.deps.config().config.gateway.nodes.sessions != "any" and key.split(":", 2)[2] != own:
        raise _NotHandled("session_not_allowed")
    return key


async def _subscribe(room: Room, nodes: Nodes, session: NodeSession, payload_json: str) -> None:
    key = _key(room, nodes, session, _read(payload_json, _Session).session_key)
    if not room.deps.hub.follow(session.peer, key, True):
        raise _NotHandled("too_many_sessions")


async def _unsubscribe(room: Room, nodes: Nodes, session: NodeSession, payload_json: str) -> None:
    room.deps.hub.follow(
        session.peer, room.session_key(session.peer.principal, _read(payload_json, _Session).session_key), False
    )


async def _agent_request(room: Room, nodes: Nodes, session: NodeSession, payload_json: str) -> None:
    asked = _read(payload_json, _Request)
    key = _key(room, nodes, session, asked.session_key)
    await _say(room, session, key, asked.message, asked.key, asked.thinking or "", asked.timeout_seconds or None)


async def _transcript(room: Room, nodes: Nodes, session: NodeSession, payload_json: str) -> None:
    heard = _read(payload_json, _Transcript)
    key = _key(room, nodes, session, heard.session_key)
    await _say(room, session, key, heard.text, heard.event_id)


async def _say(
    room: Room,
    session: NodeSession,
    key: SessionKey,
    text: str,
    repeat_key: str | None,
    thinking: str = "",
    timeout_s: float | None = None,
) -> None:
    """Give an agent a message from a node. A repeated key is the same message."""
    if not text.strip() or "\x00" in text:
        raise _NotHandled("invalid_payload")
    run_id = RunId(f"node:{session.node_id}:{repeat_key}") if repeat_key else new_run_id()
    await room.deps.agent.submit(
        Inbound(
            run_id=run_id,
            session_key=key,
            agent_id=room.agent_of(key),
            message=user(text.strip(), "a node"),
            principal=session.peer.principal,
            thinking=thinking_level(thinking),
            timeout_s=timeout_s,
        )
    )


async def _alive(room: Room, nodes: Nodes, session: NodeSession, payload_json: str) -> None:
    nodes.book.seen(session.node_id, _read(payload_json, _Alive).trigger)


async def _activity(room: Room, nodes: Nodes, session: NodeSession, payload_json: str) -> None:
    activity = _read(payload_json, _Activity)
    if not nodes.is_approved(session):
        raise _NotHandled("not_approved")
    if (activity.idle_seconds is None) == (activity.action != "clear"):
        raise _NotHandled("invalid_payload")
    now_ms = room.deps.clock.now_ms()
    idle_s = activity.idle_seconds
    session.last_active_at_ms = 0 if idle_s is None else max(0, now_ms - idle_s * 1000)
    session.presence_at_ms = now_ms
    nodes.tell_presence(session)


_Handler = Callable[[Room, Nodes, NodeSession, str], Awaitable[None]]

_HANDLERS: Final[Mapping[str, _Handler]] = {
    "agent.request": _agent_request,
    "chat.subscribe": _subscribe,
    "chat.unsubscribe": _unsubscribe,
    "node.presence.activity": _activity,
    "node.presence.alive": _alive,
    "voice.transcript": _transcript,
}


def told(event: str, reason: str) -> dict[str, Any]:
    """Return the answer to an event."""
    answer: dict[str, Any] = {"ok": True, "event": event, "handled": reason == OK}
    return answer if reason == OK else {**answer, "reason": reason}
