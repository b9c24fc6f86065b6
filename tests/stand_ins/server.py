"""A raw HTTP/1.1 server whose every byte can be scripted: what a model provider's stand-in is made of."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import msgspec


@dataclass(frozen=True)
class Transport:
    """How the bytes of an answer go out, and what goes wrong on the way.

    Shape: `chunk_bytes` 0 = as the answer comes (one event per chunk), else pieces of that size, cutting events and
    characters anywhere. `drop_after` / `hang_after`: after that many bytes of the body the connection is reset, or
    stays open in silence.
    """

    chunk_bytes: int = 0
    first_delay_s: float = 0.0
    delay_s: float = 0.0
    drop_after: int | None = None
    hang_after: int | None = None


SMOOTH = Transport()


@dataclass(frozen=True)
class Raw:
    """An answer byte by byte. `pieces` are sent as HTTP chunks; one piece of a non-stream goes with its length."""

    pieces: tuple[bytes, ...]
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    transport: Transport = SMOOTH
    stream: bool = False


@dataclass(frozen=True)
class Request:
    """A request as it came in."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """The body as JSON."""
        found: dict[str, Any] = msgspec.json.decode(self.body)
        return found


@dataclass(frozen=True)
class Call:
    """A tool call that the model is to make; `arguments` is JSON text."""

    name: str
    arguments: str = "{}"
    id: str = "call_1"


@dataclass(frozen=True)
class Answer:
    """What the model says, whichever wire it goes over.

    Shape: `pieces` = deltas that the text is cut into; `finish` = the wire's own word, "" = the fitting one;
    `omit_finish` leaves out everything after the last delta; `cut_event` stops in the middle of the last event.
    """

    text: str = "Hello from the stand-in."
    thinking: str = ""
    signature: str = ""
    calls: tuple[Call, ...] = ()
    finish: str = ""
    input_tokens: int = 12
    output_tokens: int = 34
    cached_tokens: int = 0
    pieces: int = 4
    omit_usage: bool = False
    omit_finish: bool = False
    cut_event: bool = False
    transport: Transport = SMOOTH


@dataclass(frozen=True)
class Failure:
    """An error in the provider's own form: as the whole answer, or (`after` deltas, status 200) within a stream."""

    status: int = 500
    code: str = ""
    message: str = "it failed"
    headers: Mapping[str, str] = field(default_factory=dict)
    after: int | None = None


Reply = Answer | Failure | Raw
Script = Sequence[Reply] | Callable[[Request], Reply]


class StandIn:
    """Base of the stand-ins. A script's replies are used in order; after the last one, plain answers follow.

    Shape: `requests` in order of arrival; `connections` ever accepted; `open` now; `dropped` counts answers that the
    client did not wait for.
    """

    prefix = ""

    def __init__(self, script: Script = ()) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self.open = 0
        self.dropped = 0
        self._changed = asyncio.Condition()
        self._decide = script if callable(script) else None
        self._script: deque[Reply] = deque(() if callable(script) else script)
        self._server: asyncio.Server | None = None
        self._handlers: set[asyncio.Task[Any]] = set()

    @property
    def base_url(self) -> str:
        """The address that a client is to be given."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}{self.prefix}"

    def answer(self, request: Request, reply: Answer | Failure) -> Raw:
        """Put a reply into the provider's wire form."""
        raise NotImplementedError

    async def until_dropped(self, count: int = 1, timeout_s: float = 5.0) -> None:
        """Wait until that many answers were cut off by the client."""
        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(lambda: self.dropped >= count)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._handlers:
            task.cancel()
        if self._handlers:
            await asyncio.wait(self._handlers)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        task.add_done_callback(self._handlers.discard)
        self.connections += 1
        self.open += 1
        try:
            while (request := await _read_request(reader)) is not None:
                self.requests.append(request)
                await self._respond(request, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, _Dropped):
            pass
        finally:
            self.open -= 1
            writer.close()

    async def _respond(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._decide is not None:
            reply = self._decide(request)
        else:
            reply = self._script.popleft() if self._script else Answer()
        raw = reply if isinstance(reply, Raw) else self.answer(request, reply)
        gone = asyncio.create_task(reader.read(1))
        sending = asyncio.create_task(_send(raw, writer))
        try:
            await asyncio.wait({gone, sending}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
                return
        finally:
            gone.cancel()
            sending.cancel()
            await asyncio.gather(gone, sending, return_exceptions=True)
        async with self._changed:
            self.dropped += 1
            self._changed.notify_all()
        raise _Dropped


class _Dropped(Exception):
    """The connection is over."""


async def _read_request(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, path, headers, body)


async def _send(raw: Raw, writer: asyncio.StreamWriter) -> None:
    transport = raw.transport
    if transport.first_delay_s:
        await asyncio.sleep(transport.first_delay_s)
    length = "Transfer-Encoding: chunked" if raw.stream else f"Content-Length: {sum(map(len, raw.pieces))}"
    extra = "".join(f"{name}: {value}\r\n" for name, value in raw.headers.items())
    kind = f"Content-Type: {raw.content_type}\r\n" if raw.content_type else ""
    writer.write(f"HTTP/1.1 {raw.status} Scripted\r\n{kind}{extra}{length}\r\n\r\n".encode())
    sent = 0
    for piece in _cut(raw.pieces, transport.chunk_bytes):
        for limit in (transport.drop_after, transport.hang_after):
            if limit is not None and sent + len(piece) > limit:
                _write(writer, piece[: limit - sent], raw.stream)
                await writer.drain()
                await _fault(transport, writer)
        _write(writer, piece, raw.stream)
        await writer.drain()
        sent += len(piece)
        if transport.delay_s or transport.chunk_bytes:
            await asyncio.sleep(transport.delay_s)
    if raw.stream:
        writer.write(b"0\r\n\r\n")
    await writer.drain()


async def _fault(transport: Transport, writer: asyncio.StreamWriter) -> None:
    if transport.drop_after is not None:
        # Let what was sent arrive: a reset may overtake it.
        await asyncio.sleep(0.01)
        writer.transport.abort()
        raise _Dropped
    await asyncio.Event().wait()


def _write(writer: asyncio.StreamWriter, piece: bytes, chunked: bool) -> None:
    if writer.transport.is_closing():
        raise _Dropped  # the client has gone
    if piece:
        writer.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)


def _cut(pieces: Sequence[bytes], size: int) -> Sequence[bytes]:
    if not size:
        return pieces
    whole = b"".join(pieces)
    return [whole[start : start + size] for start in range(0, len(whole), size)]


def split_text(text: str, pieces: int) -> list[str]:
    """Cut a text into that many pieces of about one length (fewer if it is short)."""
    size = max(1, -(-len(text) // max(1, pieces)))
    return [text[start : start + size] for start in range(0, len(text), size)]
