"""A client of the Gateway protocol that keeps every frame as it came."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from openclaw.base.ids import new_id
from openclaw.protocol.limits import MAX_PAYLOAD_BYTES

from .process import TOKEN

SCOPES = ("operator.read", "operator.write", "operator.admin")
PATIENCE_S = 60.0


class Wire:
    """One connection. `events` holds what was told, `hello` what the gateway said of itself."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.hello: dict[str, Any] = {}
        self.events: list[dict[str, Any]] = []
        self._answers: dict[str, list[dict[str, Any]]] = {}
        self._news = asyncio.Condition()

    async def read(self) -> None:
        """Take frames until the connection ends."""
        async for text in self.socket:
            frame = json.loads(text)
            async with self._news:
                if frame["type"] == "event":
                    self.events.append(frame)
                else:
                    self._answers.setdefault(frame["id"], []).append(frame)
                self._news.notify_all()

    async def until(self, happened: Callable[[], Any]) -> Any:
        """Wait until a frame has made the condition true."""
        async with asyncio.timeout(PATIENCE_S), self._news:
            await self._news.wait_for(happened)
        return happened()

    async def ask(self, method: str, answers: int = 1, **params: Any) -> dict[str, Any]:
        """Ask, and return the last of so many answers."""
        request_id = new_id()
        await self.socket.send(json.dumps({"type": "req", "id": request_id, "method": method, "params": params}))
        await self.until(lambda: len(self._answers.get(request_id, ())) >= answers)
        return self._answers[request_id][-1]

    async def get(self, method: str, **params: Any) -> dict[str, Any]:
        """Ask for what must be answered well."""
        answer = await self.ask(method, **params)
        assert answer["ok"], answer
        payload: dict[str, Any] = answer["payload"]
        return payload

    def told(self, name: str, run_id: str = "") -> list[dict[str, Any]]:
        """Return the payloads of an event so far, all or those of one run."""
        payloads = [frame["payload"] for frame in self.events if frame["event"] == name]
        return [payload for payload in payloads if not run_id or payload.get("runId") == run_id]

    async def end_of(self, run_id: str) -> dict[str, Any]:
        """Wait for the `chat` event that ends a run."""
        ends = ("final", "aborted", "error")
        told: list[dict[str, Any]] = await self.until(
            lambda: [row for row in self.told("chat", run_id) if row["state"] in ends]
        )
        return told[-1]

    def assert_no_gaps(self) -> None:
        """The connection's `seq`, and the one of each run, count every event once."""
        outer = [frame["seq"] for frame in self.events if "seq" in frame]
        assert outer == list(range(1, len(outer) + 1))
        runs: dict[str, list[int]] = {}
        for payload in self.told("agent"):
            runs.setdefault(payload["runId"], []).append(payload["seq"])
        for run_id, seqs in runs.items():
            assert seqs == list(range(1, len(seqs) + 1)), run_id


@asynccontextmanager
async def wire(
    port: int, protocol: int, *, caps: tuple[str, ...] = ("tool-events",), scopes: tuple[str, ...] = SCOPES
) -> AsyncIterator[Wire]:
    """Connect in one version and shake hands."""
    address = f"ws://127.0.0.1:{port}"
    async with connect(address, compression=None, max_size=MAX_PAYLOAD_BYTES, proxy=None, ping_interval=None) as socket:
        made = Wire(socket)
        reading = asyncio.ensure_future(made.read())
        try:
            params = {
                "minProtocol": protocol,
                "maxProtocol": protocol,
                "client": {"id": "cli", "version": "1", "platform": "linux", "mode": "cli"},
                "caps": list(caps),
                "auth": {"token": TOKEN},
                "role": "operator",
                "scopes": list(scopes),
            }
            await made.until(lambda: made.told("connect.challenge"))
            made.hello = await made.get("connect", **params)
            made.events.clear()
            yield made
        finally:
            reading.cancel()
