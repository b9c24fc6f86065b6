"""A client of the tests' own: frames on a socket as they are, nothing hidden and nothing helped."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.gateway.process import TOKEN

PATIENCE_S: Final = 5.0
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
