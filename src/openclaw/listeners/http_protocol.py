"""uvicorn's httptools protocol with the bounds that it lacks, and WebSockets handed straight to our sessions.

Bounds: bytes of a request's head (431), requests pipelined on one connection, time for a head, silence within a body.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from openclaw.listeners.ws_frames import accept_key
from openclaw.listeners.ws_socket import Session, Socket

MAX_HEAD_BYTES: Final = 32 * 1024
"""Request line and headers. Real requests have under 4 KiB; browsers with big cookies under 16."""

MAX_HEADERS: Final = 128
MAX_PIPELINED: Final = 32
LINGER_S: Final = 1.0
HEAD_TIMEOUT_S: Final = 15.0
BODY_SILENCE_S: Final = 30.0

_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: 31\r\nconnection: close\r\n\r\nRequest Header Fields Too Large"
)


class Refusal(Exception):
    """An upgrade that gets an ordinary HTTP answer."""

    def __init__(self, status: int, body: bytes, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.headers = headers


class UpgradeApp(Protocol):
    """The part of the app that takes WebSockets."""

    def upgrade(self, url: bytes, pairs: Sequence[tuple[bytes, bytes]], peer: str) -> Session:
        """Return what will speak over the socket. Raises: Refusal."""
        ...


class HttpProtocol(HttpToolsProtocol):
    """One HTTP connection."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.access_log = False
        self.on_lost: Callable[[], None] | None = None
        self._head_bytes = 0
        self._in_head = True
        self._since = self.loop.time()
        self._deaf = False

    def data_received(self, data: bytes) -> None:
        """Feed the parser, then check what it collected."""
        if self._deaf:
            return
        self._since = self.loop.time()
        if self.timeout_keep_alive_task is not None:
            self._unset_keepalive_if_required()
        if self._in_head:
            self._head_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._get_upgrade() == b"websocket":
                self._take_websocket(bytes(data[upgrade.args[0] :]))
            return  # any other upgrade (h2c) is an offer that we may ignore: the request is being answered
        except httptools.HttpParserError:
            self._refuse_garbage()
            return
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES:
            self._refuse_head()
        elif len(self.pipeline) > MAX_PIPELINED:
            self.transport.abort()

    def on_message_begin(self) -> None:
        """Called by the parser at the first byte of a request."""
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        """Called by the parser at the end of a head; starts the request."""
        self._in_head = False
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > MAX_HEAD_BYTES or len(self.headers) > MAX_HEADERS:
            self._refuse_head()
            raise ValueError("request head too large")
        if self.parser.get_http_version() == "1.1" and not any(name == b"host" for name, _ in self.headers):
            raise ValueError("HTTP/1.1 without a Host")  # the parser's caller answers 400, as RFC 9112 has it
        if self._deaf or self.transport.is_closing():
            return
        self.scope["openclaw.connection"] = self  # type: ignore[typeddict-unknown-key]
        super().on_headers_complete()

    def _refuse_garbage(self) -> None:
        if not self._deaf and not self.transport.is_closing():
            self.send_400_response("Invalid HTTP request received.")

    def _refuse_head(self) -> None:
        """Refuse, and hear the rest out for a moment: a close with input unread would take the answer back."""
        self._in_head = False
        if not self._deaf and not self.transport.is_closing():
            self._deaf = True
            self.transport.write(_TOO_LARGE)
            if self.transport.can_write_eof():  # TLS cannot close one side alone
                self.transport.write_eof()
            self.loop.call_later(LINGER_S, self.transport.abort)

    def _should_upgrade(self) -> bool:
        return self._get_upgrade() == b"websocket"

    def sweep(self, now: float) -> None:
        """Cut the connection when its peer is slower than anybody honest."""
        cycle: Any = self.cycle
        if cycle is not None and not cycle.response_complete:
            if cycle.more_body and not self.flow.read_paused and now - self._since > BODY_SILENCE_S:
                self.transport.abort()
        elif self.timeout_keep_alive_task is None and now - self._since > HEAD_TIMEOUT_S:
            self.transport.abort()

    def abort(self) -> None:
        """Cut the connection now."""
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the transport once; tells the request that is going on."""
        super().connection_lost(exc)
        on_lost, self.on_lost = self.on_lost, None
        if on_lost is not None:
            on_lost()

    def _take_websocket(self, early: bytes) -> None:
        headers = dict(self.headers)
        try:
            key = self._websocket_key(headers)
            app: UpgradeApp = self.app
            session = app.upgrade(self.url, self.headers, self.client[0] if self.client else "")
        except Refusal as refusal:
            self._answer(refusal)
            return
        self.connections.discard(self)
        self.parser = None  # type: ignore[assignment]
        Socket(session, self.connections, self.loop).start(
            self.transport,
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
            b"sec-websocket-accept: %b\r\n\r\n" % accept_key(key),
            early,
        )

    def _websocket_key(self, headers: Mapping[bytes, bytes]) -> bytes:
        cycle: Any = self.cycle
        key = headers.get(b"sec-websocket-key", b"")
        if self.parser.get_method() != b"GET" or len(key) != 24 or (cycle is not None and not cycle.response_complete):
            raise Refusal(400, b"Bad WebSocket request")
        if headers.get(b"sec-websocket-version") != b"13":
            raise Refusal(426, b"Upgrade Required", ((b"sec-websocket-version", b"13"),))
        return key

    def _answer(self, refusal: Refusal) -> None:
        kind = b"application/json" if refusal.body.startswith(b"{") else b"text/plain"
        lines = [b"HTTP/1.1 %d Refused\r\n" % refusal.status]
        lines += [b"%b: %b\r\n" % header for header in refusal.headers]
        lines.append(
            b"content-type: %b; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
            % (kind, len(refusal.body))
        )
        self.transport.write(b"".join((*lines, refusal.body)))
        self.transport.close()
