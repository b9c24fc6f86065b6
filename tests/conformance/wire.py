"""A client of the tests' own: frames on a socket as they are, nothing hidden and nothing helped."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.speedups import apply_mask

from tests.gateway.process import TOKEN

PATIENCE_S: Final = 60.0
SCOPES: Final = (
    "operator.read",
    "operator.write",
    "operator.admin",
    "operator.approvals",
    "operator.pairing",
)
Frame = dict[str, Any]


def connect_request(protocol: int, **changes: Any) -> Frame:
    """Return a connect request of a trusted local client."""
    params: Frame = {
        "minProtocol": protocol,
        "maxProtocol": protocol,
        "client": {"id": "gateway-client", "version": "1", "platform": "linux", "mode": "backend"},
        "auth": {"token": TOKEN},
        "role": "operator",
        "scopes": SCOPES,
        **changes,
    }
    return {"type": "req", "id": "connect", "method": "connect", "params": params}


class Wire:
    """One connection. Every frame that came is kept in `frames`; `closed` is how it ended."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.frames: list[Frame] = []
        self.closed: tuple[int, str] | None = None
        self._ids = itertools.count(1)
        self._changed = asyncio.Condition()

    async def read(self) -> None:
        """Take frames until the connection ends."""
        try:
            async for text in self.socket:
                async with self._changed:
                    self.frames.append(msgspec.json.decode(text))
                    self._changed.notify_all()
        except ConnectionClosed:
            pass
        async with self._changed:
            self.closed = (self.socket.close_code or 0, self.socket.close_reason or "")
            self._changed.notify_all()

    async def until(self, wanted: Callable[[Frame], bool], after: int = 0, patience_s: float = PATIENCE_S) -> Frame:
        """Wait for a frame from number `after` on. Raises: TimeoutError, ConnectionError when it closed first."""
        seen = after
        async with asyncio.timeout(patience_s), self._changed:
            while True:
                for frame in self.frames[seen:]:
                    if wanted(frame):
                        return frame
                seen = len(self.frames)
                if self.closed is not None:
                    raise ConnectionError(f"closed with {self.closed}")
                await self._changed.wait()

    async def ended(self) -> tuple[int, str]:
        """Wait for the end of the connection; return code and reason."""
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(lambda: self.closed is not None)
        assert self.closed is not None
        return self.closed

    async def send(self, frame: Frame | str | bytes) -> None:
        """Send a frame."""
        await self.socket.send(msgspec.json.encode(frame).decode() if isinstance(frame, dict) else frame)

    async def ask(self, method: str, params: Any = None) -> Frame:
        """Ask and return the first answer."""
        id_ = await self.begin(method, params)
        return await self.until(lambda frame: frame.get("id") == id_)

    async def begin(self, method: str, params: Any = None) -> str:
        """Ask; return the id."""
        id_ = str(next(self._ids))
        await self.send({"type": "req", "id": id_, "method": method, "params": params or {}})
        return id_


@asynccontextmanager
async def socket(url: str, **options: Any) -> AsyncIterator[Wire]:
    """Open a connection that has not said anything yet."""
    async with connect(url, proxy=None, max_size=None, **options) as opened, asyncio.TaskGroup() as tasks:
        wire = Wire(opened)
        tasks.create_task(wire.read())
        yield wire
        await opened.close()


@asynccontextmanager
async def client(url: str, protocol: int, **changes: Any) -> AsyncIterator[Wire]:
    """Open a connection that has been let in."""
    async with socket(url) as wire:
        await wire.until(lambda frame: frame.get("event") == "connect.challenge")
        await wire.send(connect_request(protocol, **changes))
        answer = await wire.until(lambda frame: frame.get("id") == "connect")
        assert answer["ok"], answer
        yield wire


TEXT, BINARY, CLOSE, PING, PONG, CONTINUATION = 1, 2, 8, 9, 10, 0


def raw_frame(
    payload: bytes,
    opcode: int = TEXT,
    *,
    final: bool = True,
    masked: bool = True,
    bits: int = 0,
    size: int | None = None,
) -> bytes:
    """Encode a frame as a client may, or as none should. `size` lies about the payload's length."""
    length = len(payload) if size is None else size
    head = bytes((final << 7 | bits << 4 | opcode,))
    if length < 126:
        head += bytes((masked << 7 | length,))
    elif length < 65536:
        head += bytes((masked << 7 | 126,)) + length.to_bytes(2, "big")
    else:
        head += bytes((masked << 7 | 127,)) + length.to_bytes(8, "big")
    if not masked:
        return head + payload
    key = b"\x01\x02\x03\x04"
    return head + key + apply_mask(payload, key)


class RawSocket:
    """An upgraded TCP connection: bytes in, frames out."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> RawSocket:
        """Upgrade, and take the challenge."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        made = cls(reader, writer)
        assert b"connect.challenge" in (await made.frame())[1]
        return made

    async def login(self, protocol: int = 4) -> None:
        """Be let in."""
        await self.send(raw_frame(msgspec.json.encode(connect_request(protocol))))
        opcode, hello = await self.frame()
        assert (opcode, msgspec.json.decode(hello)["ok"]) == (TEXT, True)

    async def send(self, data: bytes) -> None:
        """Write bytes; a peer that has hung up already is no error."""
        with contextlib.suppress(OSError, RuntimeError):  # uvloop's word for a transport that has closed itself
            self.writer.write(data)
            await self.writer.drain()

    async def frame(self) -> tuple[int, bytes]:
        """Return the next frame's opcode and payload; (CLOSE, b"") when the connection ended without one."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                first, size = await self.reader.readexactly(2)
                assert not size & 0x80, "a server masks nothing"
                if size == 126:
                    size = int.from_bytes(await self.reader.readexactly(2), "big")
                elif size == 127:
                    size = int.from_bytes(await self.reader.readexactly(8), "big")
                return first & 0x0F, await self.reader.readexactly(size)
        except TimeoutError:
            raise
        except (asyncio.IncompleteReadError, OSError):
            return CLOSE, b""

    async def close_code(self) -> int | None:
        """Read to the end; return the close code, None when there was no close frame."""
        while True:
            opcode, payload = await self.frame()
            if opcode == CLOSE:
                return int.from_bytes(payload[:2], "big") if payload else None

    async def answer(self, id_: Any) -> Frame | int | None:
        """Return the answer to a request, or the code with which the connection was closed instead."""
        while True:
            opcode, payload = await self.frame()
            if opcode == CLOSE:
                return int.from_bytes(payload[:2], "big") if payload else None
            if opcode == TEXT and (told := msgspec.json.decode(payload)).get("id") == id_:
                return dict(told)

    async def end(self) -> int | None:
        """Say that nothing more will come, so that a frame that never becomes whole ends too; return the close code."""
        with contextlib.suppress(OSError, RuntimeError):
            self.writer.write_eof()
        return await self.close_code()

    async def close(self) -> None:
        """Hang up."""
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()
