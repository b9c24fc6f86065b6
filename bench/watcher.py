"""A client of the Gateway protocol that reads all it is told, on a bare asyncio transport: cheap, so that a thousand of
them on one core still measure the gateway and not themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, cast

import msgspec

from bench.socket_client import masked, upgrade
from bench.tools import BadRun

CONNECT_S = 30.0


class Data(msgspec.Struct, frozen=True):
    """What the data of an `agent` event may hold."""

    phase: str = ""


class Payload(msgspec.Struct, rename="camel"):
    """What the payload of any event may hold."""

    run_id: str = ""
    seq: int = 0
    ts: int = 0
    state: str = ""
    stream: str = ""
    data: Data = Data()


class Frame(msgspec.Struct):
    """A frame of the gateway: an event, or an answer to `id`."""

    type: str
    event: str = ""
    seq: int = 0
    id: str = ""
    ok: bool = False
    payload: msgspec.Raw = msgspec.Raw(b"{}")


_frame = msgspec.json.Decoder(Frame).decode
_payload = msgspec.json.Decoder(Payload).decode


class Watcher(asyncio.Protocol):
    """One connection. `on_event` gets each event; `lost` says how it ended, empty while it lasts."""

    def __init__(self, port: int, connect: str, on_event: Callable[[Frame, Payload], None]) -> None:
        self._port = port
        self._connect = connect
        self._on_event = on_event
        self._buffer = b""
        self._upgraded = False
        self._transport: asyncio.Transport
        self._answers: dict[str, asyncio.Future[Frame]] = {}
        self._ids = 0
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.lost = ""

    @classmethod
    async def open(cls, port: int, connect: str, on_event: Callable[[Frame, Payload], None]) -> Watcher:
        """Connect and shake hands. Raises: BadRun."""
        made = cls(port, connect, on_event)
        await asyncio.get_running_loop().create_connection(lambda: made, "127.0.0.1", port)
        async with asyncio.timeout(CONNECT_S):
            await made.ready
        return made

    async def ask(self, method: str, params: Mapping[str, Any]) -> Frame:
        """Ask and return the answer, good or bad. Raises: BadRun when the connection ends instead."""
        self._ids += 1
        request = {"type": "req", "id": str(self._ids), "method": method, "params": params}
        answer: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._answers[str(self._ids)] = answer
        self._transport.write(masked(msgspec.json.encode(request).decode()))
        return await answer

    def close(self) -> None:
        """Leave without a word."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one only in name
        self._transport.write(upgrade(self._port))

    def data_received(self, data: bytes) -> None:
        """Called by the transport."""
        data = self._buffer + data if self._buffer else data
        offset = 0
        if not self._upgraded:
            offset = data.find(b"\r\n\r\n") + 4
            if offset == 3:
                self._buffer = data
                return
            self._upgraded = True
        while taken := self._take(data, offset):
            offset += taken
        self._buffer = data[offset:]

    def _take(self, data: bytes, offset: int) -> int:
        """Take one frame; return how many bytes it had, 0 when it is not whole yet."""
        left = len(data) - offset
        if left < 2:
            return 0
        size, head = data[offset + 1], 2
        if size >= 126:
            head = 4 if size == 126 else 10
            if left < head:
                return 0
            size = int.from_bytes(data[offset + 2 : offset + head], "big")
        if left < head + size:
            return 0
        body = data[offset + head : offset + head + size]
        if data[offset] == 0x81:
            self._text(body)
        elif data[offset] == 0x88:
            self.lost = f"closed with {int.from_bytes(body[:2], 'big')} {body[2:].decode(errors='replace')}"
        return head + size

    def _text(self, body: bytes) -> None:
        frame = _frame(body)
        if frame.type == "event":
            if frame.event == "connect.challenge":
                self._transport.write(masked(self._connect))
            else:
                self._on_event(frame, _payload(frame.payload))
        elif not self.ready.done():
            if frame.ok:
                self.ready.set_result(None)
            else:
                self.ready.set_exception(BadRun(f"the gateway refused a client: {body[:300]!r}"))
        else:
            answer = self._answers.pop(frame.id, None)
            if answer is not None and not answer.done():
                answer.set_result(frame)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the transport once, at the end."""
        self.lost = self.lost or f"cut ({exc})"
        gone = BadRun(f"the gateway let a client go: {self.lost}")
        waits: list[asyncio.Future[Any]] = [self.ready, *self._answers.values()]
        for waiting in waits:
            if not waiting.done():
                waiting.set_exception(gone)
