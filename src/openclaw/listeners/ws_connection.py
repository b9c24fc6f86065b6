"""A client of the Gateway protocol on a socket: first the handshake machine, then frames to the counter.

Requests of one connection are never handled one after the other: an answer that takes time runs in a task of its own,
so that `chat.abort` overtakes `chat.send`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, Protocol

from openclaw.base.clock import Clock
from openclaw.base.errors import OpenClawError, Unavailable
from openclaw.base.ids import new_id
from openclaw.base.principal import Principal
from openclaw.base.tasks import TaskSet
from openclaw.identity.authenticate import RENEWED
from openclaw.identity.devices.record import Issued
from openclaw.identity.federated.federation import FEDERATED
from openclaw.identity.locality import Source
from openclaw.listeners.ws_handshake import (
    SILENCE,
    Accepted,
    Authenticate,
    DeviceBook,
    Handshake,
    Outcome,
    Phase,
    Waits,
)
from openclaw.listeners.ws_socket import Socket
from openclaw.protocol.frames import BadFrame, Request, decode_request, encode_error, encode_result
from openclaw.protocol.limits import CUT, HANDSHAKE_TIMEOUT_MS, MAX_PAYLOAD_BYTES
from openclaw.rpc.peer import ClientInfo, Peer
from openclaw.telemetry.metrics import METRICS

MAX_RUNNING: Final = 256
"""Requests of one connection that may wait for their answers; more are told to come back."""

_connections = METRICS.counter("openclaw_ws_connections", "WebSocket handshakes by outcome.", ("outcome",))


class Counter(Protocol):
    """rpc.counter.Counter."""

    def handle(self, peer: Peer, request: Request) -> bytes | Coroutine[Any, Any, None]: ...

    def hello_ok(self, peer: Peer, issued: tuple[Issued, ...] = ()) -> dict[str, Any]: ...


class Hub(Protocol):
    """rpc.hub.Hub."""

    def join(self, peer: Peer) -> None: ...

    def leave(self, peer: Peer) -> None: ...


@dataclass(frozen=True, slots=True)
class GatewayDoor:
    """What all connections share."""

    counter: Counter
    hub: Hub
    authenticator: Authenticate
    devices: DeviceBook
    clock: Clock
    phase: Callable[[], Phase]
    tasks: TaskSet


class GatewayConnection:
    """One connection; a `Peer` once it is let in."""

    __slots__ = (
        "_door",
        "_handshake",
        "_running",
        "_socket",
        "_timer",
        "_waiting",
        "client",
        "conn_id",
        "connected_at_ms",
        "principal",
        "protocol",
    )

    def __init__(self, door: GatewayDoor, source: Source, brought: str = "") -> None:
        """Begin with a handshake. `brought` is the credential that the upgrade itself came with."""
        self._door = door
        self.conn_id: str = new_id()
        self.connected_at_ms: int = door.clock.now_ms()
        self.protocol: int = 0
        self.principal: Principal
        self.client: ClientInfo
        self._running: set[asyncio.Task[None]] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._socket: Socket
        self._handshake: Handshake | None = Handshake(
            new_id(), self.connected_at_ms, source, door.authenticator, door.devices, door.phase(), brought
        )
        self._waiting = False
        """The answer to `connect` waits for something to be durable; what comes meanwhile is not listened to."""

    def opened(self, socket: Socket) -> None:
        """Send the challenge and start the clock on silence."""
        self._socket = socket
        if self._handshake is not None:
            socket.send(self._handshake.challenge())
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(HANDSHAKE_TIMEOUT_MS / 1000, self._settle, SILENCE)

    def text(self, data: bytes) -> None:
        """Take one text message."""
        if self._handshake is not None:
            if not self._waiting:
                self._begin(self._handshake, data)
            return
        try:
            request = decode_request(data)
        except BadFrame as bad:
            if bad.is_json:
                message = f"invalid request frame: {'; '.join(bad.problems)}"
                self.send(encode_error(bad.reply_id, {"code": "INVALID_REQUEST", "message": message}))
            return
        answer = self._door.counter.handle(self, request)
        if type(answer) is bytes:
            self._socket.send(answer)
        else:
            self._spawn(answer, request)  # type: ignore[arg-type]

    def binary(self, data: bytes) -> None:
        """Refuse a binary first message; later ones mean nothing."""
        if self._handshake is not None and not self._waiting:
            self._settle(SILENCE)

    def _begin(self, handshake: Handshake, data: bytes) -> None:
        federated = self._door.authenticator.mode in FEDERATED
        given = handshake.wants(data) if federated else None
        if given is None:
            self._judge(handshake, data)
            return
        self._waiting = True
        try:
            self._door.tasks.spawn(self._prepared(handshake, data, given), "identity-keys")
        except RuntimeError:
            self._judge(handshake, data)

    async def _prepared(self, handshake: Handshake, data: bytes, given: str) -> None:
        await self._door.authenticator.prepare(handshake.source, given)
        self._waiting = False
        if self._handshake is handshake:
            self._judge(handshake, data)

    def _judge(self, handshake: Handshake, data: bytes) -> None:
        handshake.phase = self._door.phase()  # the gateway may have become ready since the challenge
        handshake.now_ms = self._door.clock.now_ms()
        outcome = handshake.receive(data)
        if not isinstance(outcome, Waits):
            self._settle(outcome)
            return
        self._waiting = True
        try:
            self._door.tasks.spawn(self._resume(handshake, outcome), "pairing")
        except RuntimeError:
            self._settle(handshake.resume(outcome, Unavailable("too many devices come at once; retry shortly")))

    async def _resume(self, handshake: Handshake, waits: Waits) -> None:
        try:
            written = await waits.work()
        except OpenClawError as error:
            self._settle(handshake.resume(waits, error))
        else:
            self._settle(handshake.resume(waits, written))

    def _settle(self, outcome: Outcome) -> None:
        handshake, self._handshake = self._handshake, None
        if handshake is None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not isinstance(outcome, Accepted):
            _connections.inc("silent" if outcome is SILENCE else "refused")
            if outcome.frame is not None:
                self._socket.send(outcome.frame)
            self._socket.close(outcome.code, outcome.reason)
            return
        _connections.inc("accepted")
        self._door.authenticator.arrived(outcome.principal, handshake.source)
        self.protocol, self.principal, self.client = outcome.protocol, outcome.principal, outcome.client
        if self.principal.device:
            self._door.devices.used(self.principal.device, self.principal.role)
        self._socket.set_limit(MAX_PAYLOAD_BYTES)
        self._door.hub.join(self)
        if (left_s := self._door.authenticator.left_s(self.principal)) is not None:
            self._timer = asyncio.get_running_loop().call_later(left_s, self._expired)
        self._socket.send(encode_result(outcome.request_id, self._door.counter.hello_ok(self, outcome.issued)))

    def _expired(self) -> None:
        """Shut out a client whose token has ended."""
        self._door.hub.leave(self)
        self._socket.close(CUT, RENEWED)

    def _spawn(self, answer: Coroutine[Any, Any, None], request: Request) -> None:
        running = self._running
        if running is None:
            running = self._running = set()
        try:
            if len(running) >= MAX_RUNNING:
                answer.close()
                raise RuntimeError("too many requests are waiting")  # noqa: TRY301  # told like a full task set
            task = self._door.tasks.spawn(answer, request.method[:32])
        except RuntimeError:
            error = {
                "code": "UNAVAILABLE",
                "message": "too many requests are waiting for their answers; retry shortly",
                "retryable": True,
                "retryAfterMs": 1000,
            }
            self.send(encode_error(request.id, error))
            return
        running.add(task)
        task.add_done_callback(running.discard)

    @property
    def behind(self) -> bool:
        """Say whether the client reads slower than it is told; see rpc.peer.Peer."""
        return self._socket.behind

    def send(self, frame: bytes) -> None:
        """Queue a frame; see rpc.peer.Peer."""
        self._socket.send(frame)

    def close(self, code: int, reason: str) -> None:
        """Close after what is queued; see rpc.peer.Peer."""
        self._socket.close(code, reason)

    def lost(self) -> None:
        """Forget the client. What it asked for goes on: a message may be half accepted."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._handshake is None and self.protocol:
            self._door.hub.leave(self)
        self._handshake = None
