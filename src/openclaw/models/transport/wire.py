"""What every HTTP wire client does alike: send JSON, read an answer or a stream of events, map every failure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from types import TracebackType
from typing import NamedTuple, Protocol, TypeVar

import msgspec

from openclaw.base.clock import Clock
from openclaw.base.errors import ModelError
from openclaw.base.model import ModelEvent, ModelFinish
from openclaw.base.secret import Secret
from openclaw.config.schema import ModelTimeouts
from openclaw.models.transport.failure import Failures, error_in
from openclaw.models.transport.sse import EventTooLarge, SseSplitter
from openclaw.net.error import NetError
from openclaw.net.http import HttpClient, Timeouts
from openclaw.net.response import StreamResponse
from openclaw.net.way import Purpose

T = TypeVar("T")

ERROR_BODY_LIMIT_BYTES = 256 * 1024
_DRAIN_S = 0.2
_encode = msgspec.json.Encoder().encode
_UNREADABLE = (msgspec.DecodeError, ValueError, RecursionError)


class Parser(Protocol):
    """Turns the data of events into model events. `done` turns True at the wire's own end mark."""

    done: bool

    def feed(self, payloads: Sequence[bytes]) -> list[ModelEvent]:
        """Raises: ModelError for an error event or unreadable data."""
        ...

    def finish(self) -> ModelFinish:
        """Return the finish. Raises: ModelProtocol when the answer is incomplete."""
        ...


class Splitter(Protocol):
    """Cuts a byte stream into the data of events. Raises: EventTooLarge."""

    def feed(self, piece: bytes) -> list[bytes]:
        """Return the events that this piece completes."""
        ...

    @property
    def unfinished(self) -> bool:
        """True when bytes of an event are left that its end never followed."""
        ...


class Framing(NamedTuple):
    """How a wire's stream is cut into events, and the media types it comes as."""

    splitter: Callable[[], Splitter]
    content_types: tuple[str, ...]


SSE = Framing(SseSplitter, ("text/event-stream", ""))


class Wire:
    """One endpoint of one provider with its credential."""

    def __init__(
        self,
        *,
        provider: str,
        base_url: str,
        headers: Mapping[str, str],
        key: Secret | None,
        timeouts: ModelTimeouts,
        http: HttpClient,
        clock: Clock,
        purpose: Purpose = "inference",
        framing: Framing = SSE,
        hints: Mapping[type[ModelError], str] | None = None,
    ) -> None:
        self.provider = provider
        self._purpose = purpose
        self._framing = framing
        self.failures = Failures(provider, key, clock, hints)
        self._base = base_url.rstrip("/")
        self._headers = {**headers, "Content-Type": "application/json"}
        self._http = http
        self._stream_timeouts = Timeouts(
            timeouts.connect_ms / 1000,
            timeouts.first_token_ms / 1000,
            timeouts.idle_ms / 1000,
            timeouts.total_ms / 1000,
        )
        # An answer that is not streamed sends its first byte when it is done.
        self._whole_timeouts = self._stream_timeouts._replace(first_byte=self._stream_timeouts.total)

    async def post(self, model: str, path: str, body: object, read: Callable[[bytes], T]) -> T:
        """Send a call and read its whole answer with `read`. Raises: ModelError."""
        try:
            status, headers, raw = await self._http.post_json(
                self._base + path,
                headers=self._headers,
                body=_encode(body),
                timeouts=self._whole_timeouts,
                purpose=self._purpose,
            )
        except NetError as error:
            raise self.failures.net(model, error) from error
        return self._read(model, status, headers, raw, read)

    async def get(self, model: str, path: str, read: Callable[[bytes], T]) -> T:
        """Fetch something and read it with `read`. Raises: ModelError."""
        try:
            status, headers, raw = await self._http.get_json(
                self._base + path, headers=self._headers, timeouts=self._whole_timeouts, purpose=self._purpose
            )
        except NetError as error:
            raise self.failures.net(model, error) from error
        return self._read(model, status, headers, raw, read)

    async def stream(
        self, model: str, path: str, body: object, parser: Parser
    ) -> AsyncGenerator[Sequence[ModelEvent], None]:
        """Send a call and yield its events, one list per network read, the finish last. Raises: ModelError."""
        async with await self._open(model, path, body) as source:
            while (payloads := await source.next()) is not None:
                events = parser.feed(payloads)
                if parser.done:
                    events.append(parser.finish())
                    yield events
                    await source.drain()
                    return
                if events:
                    yield events
            if source.cut_short:
                raise self.failures.protocol(model, "the stream ended within an event")
            yield [parser.finish()]

    async def _open(self, model: str, path: str, body: object) -> EventSource:
        try:
            response = await self._http.post_stream(
                self._base + path,
                headers=self._headers,
                body=_encode(body),
                timeouts=self._stream_timeouts,
                purpose=self._purpose,
            )
        except NetError as error:
            raise self.failures.net(model, error) from error
        if response.status == 200 and response.content_type in self._framing.content_types:
            return EventSource(response, self._framing.splitter(), self.failures, model)
        async with response:
            raise await self._refusal(model, response)

    async def _refusal(self, model: str, response: StreamResponse) -> ModelError:
        try:
            raw = await response.read_all(ERROR_BODY_LIMIT_BYTES)
        except NetError as error:
            if response.status == 200 or error.kind != "too-large":
                return self.failures.net(model, error)
            raw = b""
        if response.status != 200:
            return self.failures.http(model, response.status, response.headers, raw)
        if found := error_in(raw):
            return self.failures.told(model, *found, status=200, headers=response.headers)
        return self.failures.protocol(model, f"expected a stream of events, got {response.content_type[:60]!r}")

    def _read(self, model: str, status: int, headers: Mapping[str, str], raw: bytes, read: Callable[[bytes], T]) -> T:
        if status != 200:
            raise self.failures.http(model, status, headers, raw)
        try:
            return read(raw)
        except _UNREADABLE:
            if found := error_in(raw):
                raise self.failures.told(model, *found, status=200, headers=headers) from None
            raise self.failures.protocol(model, "the answer is not the JSON of this API") from None


class EventSource:
    """A response read as events' data. Closing it drops the connection unless it was read to its end."""

    __slots__ = ("_failures", "_model", "_response", "_splitter")

    def __init__(self, response: StreamResponse, splitter: Splitter, failures: Failures, model: str) -> None:
        self._response = response
        self._splitter = splitter
        self._failures = failures
        self._model = model

    async def next(self) -> list[bytes] | None:
        """Return the data of the events that the next network read completed (maybe none), or None at the end."""
        try:
            piece = await self._response.read()
            return self._splitter.feed(piece) if piece else None
        except NetError as error:
            raise self._failures.net(self._model, error) from error
        except EventTooLarge:
            raise self._failures.protocol(self._model, "an event is too large") from None

    @property
    def cut_short(self) -> bool:
        """True when the stream ended within an event."""
        return self._splitter.unfinished

    async def drain(self) -> None:
        """Read what follows the last event, briefly, so that the connection can be used again."""
        if self._response.ended:
            return
        try:
            async with asyncio.timeout(_DRAIN_S):
                while await self._response.read():
                    pass
        except (TimeoutError, NetError):
            return

    async def __aenter__(self) -> EventSource:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._response.close()
