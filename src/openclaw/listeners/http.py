"""Request and response on raw ASGI: only what our routes need."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import parse_qs

import msgspec

from openclaw.base.errors import InvalidRequest, OpenClawError, TooLarge
from openclaw.base.principal import Principal
from openclaw.identity.locality import Source
from openclaw.protocol.wire_errors import to_http
from openclaw.telemetry.redact import REDACTOR

T = TypeVar("T")
Header = tuple[bytes, bytes]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

JSON: Final[Header] = (b"content-type", b"application/json; charset=utf-8")
TEXT: Final[Header] = (b"content-type", b"text/plain; charset=utf-8")
SSE: Final[Header] = (b"content-type", b"text/event-stream; charset=utf-8")
SAFE: Final[tuple[Header, ...]] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)
"""On every answer: nothing of ours may be sniffed, cached or named to third parties."""

_JSON_HEAD = (JSON, *SAFE)
_TEXT_HEAD = (TEXT, *SAFE)
_SSE_HEAD = (SSE, *SAFE, (b"x-accel-buffering", b"no"))
_FORM_TYPES = (b"application/x-www-form-urlencoded", b"multipart/", b"application/xml", b"text/xml", b"text/html")

_encode = msgspec.json.Encoder().encode


class ClientGone(Exception):
    """The client hung up before its request was whole."""


class UnsupportedMedia(InvalidRequest):
    """The body is of a kind we do not read (HTTP 415)."""


class Request:
    """One HTTP request, after routing. `headers` has lower-case names; `params` are the path's, decoded."""

    __slots__ = (
        "_receive",
        "_scope",
        "_send",
        "always",
        "headers",
        "max_body",
        "params",
        "principal",
        "source",
        "status",
    )

    def __init__(
        self,
        scope: Mapping[str, Any],
        receive: Receive,
        send: Send,
        headers: Mapping[bytes, bytes],
        source: Source,
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self.headers = headers
        self.source = source
        self.principal: Principal | None = None
        self.params: Mapping[str, str] = {}
        self.max_body = 0
        self.always: tuple[Header, ...] = ()
        """Headers that this request's answer has, whatever it is."""
        self.status = 0
        """Of the answer, 0 before it began."""

    @property
    def method(self) -> str:
        """Upper-case method."""
        return str(self._scope["method"])

    @property
    def caller(self) -> Principal:
        """The principal of a route that needs one."""
        assert self.principal is not None, "the route is public"
        return self.principal

    @property
    def query(self) -> dict[str, list[str]]:
        """The query's fields."""
        return parse_qs(self._scope.get("query_string", b"").decode("latin-1"), max_num_fields=64)

    def header(self, name: bytes) -> str:
        """Return a header's text, or ""."""
        return self.headers.get(name, b"").decode("latin-1").strip()

    async def body(self) -> bytes:
        """Read the body. Raises: TooLarge, ClientGone."""
        message = await self._receive()
        if message["type"] != "http.request":
            raise ClientGone
        chunk: bytes = message.get("body", b"")
        if not message.get("more_body", False) and len(chunk) <= self.max_body:
            return chunk
        parts, size = [chunk], len(chunk)
        while message.get("more_body", False) and size <= self.max_body:
            message = await self._receive()
            if message["type"] != "http.request":
                raise ClientGone
            parts.append(message.get("body", b""))
            size += len(parts[-1])
        if size > self.max_body:
            raise TooLarge("Payload too large", hint=f"A body may have {self.max_body} bytes.")
        return b"".join(parts)

    @property
    def announced(self) -> int:
        """Bytes that the body is said to have, 0 when nothing is said."""
        text = self.headers.get(b"content-length", b"")
        return int(text) if text.isdigit() else 0

    def pieces(self, most: int) -> AsyncIterator[bytes]:
        """Return a body of up to `most` bytes as it comes; the client waits while a piece is dealt with.

        Raises: TooLarge at once when more is announced, else with the piece too many; ClientGone.
        """
        if self.announced > most:
            raise _beyond(most)
        return self._pieces(most)

    async def _pieces(self, most: int) -> AsyncIterator[bytes]:
        size, more = 0, True
        while more:
            message = await self._receive()
            if message["type"] != "http.request":
                raise ClientGone
            more = message.get("more_body", False)
            piece: bytes = message.get("body", b"")
            size += len(piece)
            if size > most:
                raise _beyond(most)
            yield piece

    def require_plain(self) -> None:
        """Refuse a body that is packed for the way. Raises: UnsupportedMedia."""
        if self.headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise UnsupportedMedia("Unsupported content encoding; send the body as it is.")

    async def json_body(self, decoder: msgspec.json.Decoder[T], empty: bytes = b"{}") -> T:
        """Read and decode a JSON object. Raises: InvalidRequest naming the place, TooLarge, ClientGone."""
        kind = self.headers.get(b"content-type", b"").lower()
        if kind.startswith(_FORM_TYPES):
            raise UnsupportedMedia(f"Unsupported content type {kind[:64].decode('latin-1')}; send application/json.")
        self.require_plain()
        raw = await self.body()
        try:
            return decoder.decode(raw or empty)
        except msgspec.ValidationError as error:
            raise InvalidRequest(_where(str(error))) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidRequest(f"Invalid JSON in the request body: {error}") from None
        except RecursionError:
            raise InvalidRequest("Invalid JSON in the request body: nested too deeply") from None

    async def answer(self, status: int, head: tuple[Header, ...], body: bytes, extra: tuple[Header, ...] = ()) -> None:
        """Send a whole answer."""
        self.status = status
        headers = [*head, *extra, *self.always, (b"content-length", b"%d" % len(body))]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})

    async def json(self, status: int, body: Any, extra: tuple[Header, ...] = ()) -> None:
        """Send a JSON answer."""
        await self.answer(status, _JSON_HEAD, _encode(body), extra)

    async def redirect(self, place: bytes) -> None:
        """Send a browser on, query included. `place` is relative: what a proxy has before it, we do not know."""
        query: bytes = self._scope.get("query_string", b"")
        await self.text(302, "Found", ((b"location", place + (b"?" + query if query else b"")),))

    async def text(self, status: int, body: str, extra: tuple[Header, ...] = ()) -> None:
        """Send a plain text answer."""
        await self.answer(status, _TEXT_HEAD, body.encode(), extra)

    async def error(self, error: OpenClawError) -> None:
        """Send an error in the OpenAI shape."""
        status, body, headers = to_http(error)
        body["error"]["message"] = REDACTOR.clean(body["error"]["message"])
        if isinstance(error, UnsupportedMedia):
            status = 415
        if status == 413:
            headers.append((b"connection", b"close"))
        if status >= 409 and error.next_actor != "retry":
            headers.append((b"x-should-retry", b"false"))  # the official OpenAI clients retry these unless told
        await self.json(status, body, tuple(headers))

    async def start_events(self) -> None:
        """Begin a stream of server-sent events."""
        self.status = 200
        await self._send({"type": "http.response.start", "status": 200, "headers": [*_SSE_HEAD, *self.always]})

    async def send_events(self, data: bytes) -> None:
        """Send encoded events at once."""
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end_events(self, data: bytes = b"") -> None:
        """Send the last events and end the stream."""
        await self._send({"type": "http.response.body", "body": data})

    async def download(self, head: tuple[Header, ...], size: int, pieces: AsyncIterator[bytes]) -> None:
        """Send an answer whose size is known piece by piece."""
        self.status = 200
        headers = [*head, *SAFE, *self.always, (b"content-length", b"%d" % size)]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        async for piece in pieces:
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        await self._send({"type": "http.response.body", "body": b""})

    def cut(self) -> None:
        """Break the connection off: its caller has lost its right to the answer."""
        connection = self._scope.get("openclaw.connection")
        if connection is not None:
            connection.abort()

    def on_gone(self, callback: Callable[[], None] | None) -> None:
        """Call back once if the client hangs up before the answer is whole; None takes it back."""
        connection = self._scope.get("openclaw.connection")
        if connection is not None:
            connection.on_lost = callback


def _beyond(most: int) -> TooLarge:
    return TooLarge(f"Payload too large: {most:,} bytes are taken here")


def _where(message: str) -> str:
    """Turn msgspec's `… - at `$.a.b`` into `a.b: …`."""
    text, found, path = message.partition(" - at `$")
    text = text.replace("Expected", "Invalid input: expected").replace("`", "").replace("got", "received")
    return f"{path.rstrip('`').lstrip('.')}: {text}" if found and path.rstrip("`") else text
