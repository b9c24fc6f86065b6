"""A WebSocket on an asyncio transport: reads frames, calls its session, writes straight to the transport."""

from __future__ import annotations

import asyncio
from typing import Any, Final, Protocol

from openclaw.listeners.ws_frames import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    FrameError,
    FrameReader,
    Message,
    close_frame,
    control_frame,
    text_frame,
)
from openclaw.protocol.limits import MAX_BUFFERED_BYTES, PRE_AUTH_FRAME_BYTES, close_reason

CLOSE_TIMEOUT_S: Final = 5.0
"""How long a peer may take to answer our close before the connection is cut."""

SLOW_CLOSE_TIMEOUT_S: Final = 1.0
"""The same for a peer that does not read: its queue is all the memory that one connection may hold."""


BEHIND_BYTES: Final = 1024 * 1024
"""Unsent bytes from which a peer is behind: a second or two of the slowest links of today."""


MAX_ALL_BUFFERED_BYTES: Final = 128 * 1024 * 1024
"""Unsent bytes of all peers that are behind: beyond it whoever has most is closed, as one alone over its own limit."""


class Session(Protocol):
    """What speaks over a socket. Called on the loop; must not block or raise."""

    def opened(self, socket: Socket) -> None: ...

    def text(self, data: bytes) -> None: ...

    def binary(self, data: bytes) -> None: ...

    def lost(self) -> None: ...


class Socket(asyncio.Protocol):
    """One upgraded connection. `limit` bounds the next message; the session raises it after authentication."""

    __slots__ = (
        "_closing",
        "_connections",
        "_counted",
        "_loop",
        "_reader",
        "_session",
        "_timer",
        "_transport",
        "behind",
    )

    def __init__(self, session: Session, connections: set[Any], loop: asyncio.AbstractEventLoop) -> None:
        self._session: Session | None = session
        self._connections = connections
        self._loop = loop
        self._reader = FrameReader(PRE_AUTH_FRAME_BYTES)
        self._closing = False
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport
        self._counted = 0
        """Unsent bytes when all were last added up."""
        self.behind = False
        """More than BEHIND_BYTES wait to be read."""

    def start(self, transport: asyncio.Transport, response: bytes, early: bytes) -> None:
        """Take over a transport: send the 101, open the session, then read what came along with the upgrade."""
        self._transport = transport
        self._connections.add(self)
        transport.set_write_buffer_limits(high=BEHIND_BYTES)
        transport.set_protocol(self)
        transport.write(response)
        if self._session is not None:
            self._session.opened(self)
        if early:
            self.data_received(early)

    def set_limit(self, limit: int) -> None:
        """Set the largest message in bytes from now on."""
        self._reader.limit = limit

    def send(self, payload: bytes) -> None:
        """Send a text message; nothing after a close. More than MAX_BUFFERED_BYTES unsent closes as too slow."""
        if not self._closing:
            self._write(text_frame(payload))

    def _write(self, frame: bytes) -> None:
        self._transport.write(frame)
        if self.behind:
            self._relieve()

    @property
    def unsent_bytes(self) -> int:
        """What waits for a peer that is behind; 0 for one that keeps up or is being closed."""
        return self._transport.get_write_buffer_size() if self.behind and not self._closing else 0

    def _relieve(self) -> None:
        """Cut this peer when it holds too much, or whoever holds most when all do together."""
        waiting = self.unsent_bytes
        if waiting > MAX_BUFFERED_BYTES:
            self.cut()
        elif waiting - self._counted >= BEHIND_BYTES:
            self._counted = waiting
            holders = [one for one in self._connections if isinstance(one, Socket) and one.behind]
            while sum(one.unsent_bytes for one in holders) > MAX_ALL_BUFFERED_BYTES:
                max(holders, key=lambda one: one.unsent_bytes).cut()

    def cut(self) -> None:
        """Close as too slow: there is no time for what waits."""
        self._begin_close(1008, "slow consumer", SLOW_CLOSE_TIMEOUT_S)

    def close(self, code: int, reason: str = "") -> None:
        """Close after what is queued; the first close wins."""
        if not self._closing:
            self._begin_close(code, reason, CLOSE_TIMEOUT_S)

    def _begin_close(self, code: int, reason: str, timeout_s: float) -> None:
        self._closing = True
        self._transport.write(close_frame(code, close_reason(reason)))
        self._timer = self._loop.call_later(timeout_s, self._transport.abort)

    def shutdown(self) -> None:
        """Close because the server stops."""
        self.close(1012, "service restart")

    def abort(self) -> None:
        """Cut the connection now."""
        self._transport.abort()

    def pause_writing(self) -> None:
        """Called by the transport when more than BEHIND_BYTES wait."""
        self.behind = True

    def resume_writing(self) -> None:
        """Called by the transport when most of it has been read."""
        self.behind = False
        self._counted = 0

    def data_received(self, data: bytes) -> None:
        """Called by the transport."""
        messages: list[Message] = []
        try:
            self._reader.feed(data, messages)
        except FrameError as error:
            self._deliver(messages)
            self._fail(error)
            return
        self._deliver(messages)

    def _deliver(self, messages: list[Message]) -> None:
        for opcode, payload in messages:
            if opcode == CLOSE:
                self._peer_closed(payload)
                return
            if self._closing or self._session is None:
                continue
            if opcode == TEXT:
                self._session.text(payload)
            elif opcode == PING:
                self._write(control_frame(PONG, payload))  # who pings and reads nothing is slow like any other
            elif opcode == BINARY:
                self._session.binary(payload)

    def _peer_closed(self, payload: bytes) -> None:
        if not self._closing:
            self._closing = True
            self._transport.write(control_frame(CLOSE, payload[:2]))
        self._hang_up()

    def _fail(self, error: FrameError) -> None:
        """The stream cannot be read any further: say why and stop reading."""
        if not self._closing:
            self._closing = True
            self._transport.write(close_frame(error.code, close_reason(error.reason)))
        self._hang_up()

    def _hang_up(self) -> None:
        """Close when what waits is written; a peer that does not read would else keep it in our memory for ever."""
        self._transport.close()
        if self._timer is None and self._transport.get_write_buffer_size():
            timeout_s = SLOW_CLOSE_TIMEOUT_S if self.behind else CLOSE_TIMEOUT_S
            self._timer = self._loop.call_later(timeout_s, self._transport.abort)

    def eof_received(self) -> None:
        """Called by the transport at the end of input; it closes itself then."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the transport once, at the end."""
        self._closing = True
        self._connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        session, self._session = self._session, None
        if session is not None:
            session.lost()
