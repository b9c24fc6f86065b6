"""How calls reach Bedrock: the region's address, a proof of who asks, and every failure typed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import msgspec

from openclaw.base.clock import Clock
from openclaw.base.errors import ModelError
from openclaw.base.model import ModelEvent
from openclaw.base.secret import Secret
from openclaw.config.schema import ModelTimeouts
from openclaw.models.bedrock.eventstream import EventStreamReader, Message, MessageBroken
from openclaw.models.bedrock.failure import STALE_CREDENTIAL, AwsFailures
from openclaw.models.bedrock.parser import Parser
from openclaw.models.bedrock.signing import Auth, Outgoing
from openclaw.models.transport.failure import Failures
from openclaw.net.error import NetError
from openclaw.net.http import HttpClient, Timeouts
from openclaw.net.response import Response, StreamResponse

T = TypeVar("T")

EVENT_STREAM = "application/vnd.amazon.eventstream"
ERROR_BODY_LIMIT_BYTES = 256 * 1024
_DRAIN_S = 0.2
_JSON = "application/json"
_ERROR_MARK = b'"__type"'
_encode = msgspec.json.Encoder().encode
_UNREADABLE = (msgspec.DecodeError, ValueError, RecursionError)


class Endpoints(NamedTuple):
    """Addresses of the two services; an empty one is AWS' own for the region."""

    runtime: str = ""
    control: str = ""

    def of_runtime(self, region: str) -> str:
        """Return where models are called."""
        return self.runtime.rstrip("/") or f"https://bedrock-runtime.{region}.{_domain(region)}"

    def of_control(self, region: str) -> str:
        """Return where models are listed."""
        return self.control.rstrip("/") or f"https://bedrock.{region}.{_domain(region)}"


AWS = Endpoints()


def _domain(region: str) -> str:
    return "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"


class Transport:
    """One provider's way to Bedrock."""

    def __init__(
        self,
        *,
        provider: str,
        endpoints: Endpoints,
        auth: Auth,
        key: Secret | None,
        timeouts: ModelTimeouts,
        http: HttpClient,
        clock: Clock,
    ) -> None:
        self.provider = provider
        self.failures = AwsFailures(Failures(provider, key, clock))
        self._endpoints = endpoints
        self._auth = auth
        self._http = http
        self._stream_timeouts = Timeouts(
            timeouts.connect_ms / 1000,
            timeouts.first_token_ms / 1000,
            timeouts.idle_ms / 1000,
            timeouts.total_ms / 1000,
        )
        # An answer that is not streamed sends its first byte when it is done.
        self._whole_timeouts = self._stream_timeouts._replace(first_byte=self._stream_timeouts.total)

    async def post(
        self, model: str, region: str, path: str, body: object, read: Callable[[bytes], T]
    ) -> tuple[T, Mapping[str, str]]:
        """Send a call; return its whole answer, read with `read`, and the headers. Raises: ModelError."""
        url = self._endpoints.of_runtime(region) + path
        asked = Outgoing("POST", url, {"Content-Type": _JSON, "Accept": _JSON}, _encode(body), region)
        headers = await self._auth.headers(model, asked)
        try:
            response = await self._http.post_json(
                url, headers=headers, body=asked.body or b"", timeouts=self._whole_timeouts
            )
        except NetError as error:
            raise self.failures.plain.net(model, error) from error
        return self._read(model, response, read), response.headers

    async def get(self, region: str, path: str, read: Callable[[bytes], T]) -> T:
        """Ask the control plane. Raises: ModelError."""
        url = self._endpoints.of_control(region) + path
        headers = await self._auth.headers("*", Outgoing("GET", url, {"Accept": _JSON}, None, region))
        try:
            response = await self._http.get_json(url, headers=headers, timeouts=self._whole_timeouts)
        except NetError as error:
            raise self.failures.plain.net("*", error) from error
        return self._read("*", response, read)

    async def stream(
        self, model: str, region: str, path: str, body: object, parser: Parser
    ) -> AsyncGenerator[Sequence[ModelEvent], None]:
        """Send a call and yield its events, one list per network read, the finish last. Raises: ModelError."""
        async with await self._open(model, region, path, body) as response:
            reader = EventStreamReader()
            while (messages := await self._next(model, response, reader)) is not None:
                events = parser.feed(messages)
                if parser.done:
                    events.append(parser.finish())
                    yield events
                    await _drain(response)
                    return
                if events:
                    yield events
            if reader.unfinished:
                raise self.failures.protocol(model, "the stream ended within an event")
            yield [parser.finish()]

    async def _open(self, model: str, region: str, path: str, body: object) -> StreamResponse:
        url = self._endpoints.of_runtime(region) + path
        asked = Outgoing("POST", url, {"Content-Type": _JSON, "Accept": EVENT_STREAM}, _encode(body), region)
        headers = await self._auth.headers(model, asked)
        try:
            response = await self._http.post_stream(
                url, headers=headers, body=asked.body or b"", timeouts=self._stream_timeouts
            )
        except NetError as error:
            raise self.failures.plain.net(model, error) from error
        if response.status == 200 and response.content_type in (EVENT_STREAM, ""):
            return response
        async with response:
            raise await self._refusal(model, response)

    async def _next(self, model: str, response: StreamResponse, reader: EventStreamReader) -> list[Message] | None:
        try:
            piece = await response.read()
            return reader.feed(piece) if piece else None
        except NetError as error:
            raise self.failures.plain.net(model, error) from error
        except MessageBroken as error:
            raise self.failures.protocol(model, str(error)) from None

    async def _refusal(self, model: str, response: StreamResponse) -> ModelError:
        try:
            raw = await response.read_all(ERROR_BODY_LIMIT_BYTES)
        except NetError as error:
            if response.status == 200 or error.kind != "too-large":
                return self.failures.plain.net(model, error)
            raw = b""
        if response.status != 200:
            return self._refused(model, response.status, response.headers, raw)
        return self._odd(model, response.headers, raw, f"a stream of events, got {response.content_type[:60]!r}")

    def _refused(self, model: str, status: int, headers: Mapping[str, str], raw: bytes) -> ModelError:
        error, name = self.failures.answer(model, status, headers, raw)
        if name in STALE_CREDENTIAL:
            self._auth.forget()
        return error

    def _odd(self, model: str, headers: Mapping[str, str], raw: bytes, expected: str) -> ModelError:
        """Say what a 200 holds that is no answer: an error body, or nothing of this API."""
        error, name = self.failures.answer(model, 200, headers, raw)
        return error if name else self.failures.protocol(model, f"expected {expected}")

    def _read(self, model: str, response: Response, read: Callable[[bytes], T]) -> T:
        if response.status != 200:
            raise self._refused(model, response.status, response.headers, response.body)
        try:
            # An error's body may come as a 200, from a proxy say; it reads as an answer that holds nothing.
            if _ERROR_MARK not in response.body[:200]:
                return read(response.body)
            raise ValueError
        except _UNREADABLE:
            raise self._odd(model, response.headers, response.body, "the JSON of this API") from None


async def _drain(response: StreamResponse) -> None:
    """Read what follows the last event, briefly, so that the connection can be used again."""
    if response.ended:
        return
    try:
        async with asyncio.timeout(_DRAIN_S):
            while await response.read():
                pass
    except (TimeoutError, NetError):
        return
