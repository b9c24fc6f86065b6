"""Nodes that are connected, and what they have been asked to do.

1. An invoke ends once: with the node's answer, at its deadline, when the node goes, when its pairing changes, or when
   everybody who waited for it has gone. What comes later is ignored.
2. Only the connection that was asked may answer.
3. What a node answers is bounded, so that it can neither fill us nor overflow the socket of who asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from openclaw.base.errors import Unavailable
from openclaw.protocol.frames import encode_event
from openclaw.rpc.nodes.record import NodeInfo, Surface
from openclaw.rpc.peer import Peer
from openclaw.rpc.versions import EVENTS

MAX_RUNNING: Final = 256
MAX_RUNNING_OF_NODE: Final = 64
MAX_PARAMS_BYTES: Final = 1024 * 1024
MAX_RESULT_BYTES: Final = 8 * 1024 * 1024
"""A result travels as JSON and as text with JSON in it, at worst thrice its size: less than one frame."""

ERROR_CHARS: Final = 2000


class NodeError(Unavailable):
    """A node did not do what was asked. Asking again is for the caller to decide: it may have happened."""

    next_actor = "nobody"
    default_hint = ""


def failed(code: str, message: str, **details: Any) -> NodeError:
    """Return the error that clients of the field know by `details.code`."""
    return NodeError(message, details={"code": code, **details})


class Outcome(msgspec.Struct, frozen=True):
    """How an invoke ended. `payload_json` is the text as sent, None when the node sent a value instead."""

    payload: msgspec.Raw = msgspec.Raw(b"null")
    payload_json: str | None = None
    error: Unavailable | None = None

    def size(self) -> int:
        """Return the bytes that keeping it takes, about."""
        return len(bytes(self.payload)) + len(self.payload_json or "")


class Invoke:
    """One request to a node. `waiting` holds the connections that want to know how it ends."""

    __slots__ = ("command", "ended", "fingerprint", "id", "node", "timer", "waiting")

    def __init__(self, invoke_id: str, node: NodeSession, command: str, fingerprint: bytes) -> None:
        self.id = invoke_id
        self.node = node
        self.command = command
        self.fingerprint = fingerprint
        self.ended: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.timer: asyncio.TimerHandle | None = None
        self.waiting: set[str] = set()

    def end(self, outcome: Outcome) -> None:
        """End it; only the first end counts."""
        if self.timer is not None:
            self.timer.cancel()
        self.node.invokes.pop(self.id, None)
        if not self.ended.done():
            self.ended.set_result(outcome)


class NodeSession:
    """A node on its connection. Times are Unix ms."""

    __slots__ = (
        "connected_at_ms",
        "info",
        "invokes",
        "last_active_at_ms",
        "node_id",
        "offered",
        "peer",
        "presence_at_ms",
    )

    def __init__(self, node_id: str, peer: Peer, info: NodeInfo, offered: Surface) -> None:
        self.node_id = node_id
        self.peer = peer
        self.info = info
        self.offered = offered
        self.connected_at_ms = peer.connected_at_ms
        self.last_active_at_ms = 0
        self.presence_at_ms = 0
        self.invokes: dict[str, Invoke] = {}

    def tell(self, event: str, payload: dict[str, Any]) -> None:
        """Send an event to this node alone, outside the count of `seq`, if its protocol has it."""
        if event in EVENTS[self.peer.protocol]:
            self.peer.send(encode_event(event, payload))

    def fail_all(self, code: str, message: str, *, retry: bool = False) -> None:
        """End everything that this node was asked to do."""
        for invoke in list(self.invokes.values()):
            error = (
                Unavailable(message, details={"code": code}) if retry else failed(code, f"{message} ({invoke.command})")
            )
            invoke.end(Outcome(error=error))

    def call_off(self, invoke: Invoke, error: Unavailable) -> None:
        """End an invoke without the node's answer, and tell the node."""
        if not invoke.ended.done():
            invoke.end(Outcome(error=error))
            self.tell("node.invoke.cancel", {"invokeId": invoke.id, "nodeId": self.node_id})


class Live:
    """The connected nodes."""

    def __init__(self) -> None:
        self._by_id: dict[str, NodeSession] = {}
        self._by_conn: dict[str, NodeSession] = {}

    def add(self, session: NodeSession) -> NodeSession | None:
        """Take a node in. Return the connection that it replaces."""
        older = self._by_id.pop(session.node_id, None)
        if older is not None:
            self._by_conn.pop(older.peer.conn_id, None)
        self._by_id[session.node_id] = self._by_conn[session.peer.conn_id] = session
        return older

    def remove(self, conn_id: str) -> NodeSession | None:
        """Forget a connection. Return its node, unless another connection has replaced it."""
        session = self._by_conn.pop(conn_id, None)
        if session is not None:
            del self._by_id[session.node_id]
        return session

    def get(self, node_id: str) -> NodeSession | None:
        """Return a node's connection, or None."""
        return self._by_id.get(node_id)

    def of(self, peer: Peer) -> NodeSession | None:
        """Return the node that a connection is, or None when it was replaced or never taken in."""
        return self._by_conn.get(peer.conn_id)

    def running(self) -> Iterator[Invoke]:
        """Yield every invoke that has not ended."""
        for session in self._by_id.values():
            yield from list(session.invokes.values())

    def __iter__(self) -> Iterator[NodeSession]:
        return iter(list(self._by_id.values()))

    def __len__(self) -> int:
        return len(self._by_id)
