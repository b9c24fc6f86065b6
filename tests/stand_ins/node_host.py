"""A node host of either protocol: attaches by WebSocket with a device of its own and carries out commands."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from openclaw.protocol.device_auth import DeviceKey, Signed, encode_base64url

DEADLINE_S = 60.0
Carry = Callable[[dict[str, Any]], Awaitable[dict[str, Any] | None]]
"""Gets a `node.invoke.request`, returns what to put into the result, or None to stay silent."""


def answering(**fields: Any) -> Carry:
    """Return a command that always gives the same result."""

    async def carry(request: dict[str, Any]) -> dict[str, Any]:
        return fields

    return carry


async def echo(request: dict[str, Any]) -> dict[str, Any]:
    """Give the parameters back."""
    return {"ok": True, "payloadJSON": request.get("paramsJSON", "null")}


async def silent(request: dict[str, Any]) -> None:
    """Never answer."""


class NodeHost:
    """One connection of a node. `requests` and `events` keep what came, `closed` how it ended."""

    def __init__(self, socket: ClientConnection, node_id: str, commands: Mapping[str, Carry]) -> None:
        self.node_id = node_id
        self.hello: dict[str, Any] = {}
        self.requests: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.closed: tuple[int, str] | None = None
        self._socket = socket
        self._commands = commands
        self._answers: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._ids = count(1)
        self._news = asyncio.Condition()
        self._busy: set[asyncio.Task[None]] = set()

    async def call(self, method: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Ask the gateway; return the whole answer frame."""
        request_id = str(next(self._ids))
        answer = self._answers[request_id] = asyncio.get_running_loop().create_future()
        await self._socket.send(json.dumps({"type": "req", "id": request_id, "method": method, "params": params or {}}))
        return await asyncio.wait_for(answer, DEADLINE_S)

    async def told(self, event: str) -> dict[str, Any]:
        """Wait for an event that has come or will come; return its frame."""

        def found() -> dict[str, Any] | None:
            return next((frame for frame in self.events if frame["event"] == event), None)

        async with self._news:
            await asyncio.wait_for(self._news.wait_for(lambda: found() is not None), DEADLINE_S)
        frame = found()
        assert frame is not None
        return frame

    async def ended(self) -> tuple[int, str]:
        """Wait for the end of the connection; return code and reason."""
        async with self._news:
            await asyncio.wait_for(self._news.wait_for(lambda: self.closed is not None), DEADLINE_S)
        assert self.closed is not None
        return self.closed

    async def close(self) -> None:
        """Leave."""
        await self._socket.close()

    async def run(self) -> None:
        """Read until the end."""
        try:
            while True:
                await self._take(json.loads(await self._socket.recv()))
        except ConnectionClosed as end:
            frame = end.rcvd
            async with self._news:
                self.closed = (frame.code, frame.reason) if frame else (1006, "")
                self._news.notify_all()

    async def _take(self, frame: dict[str, Any]) -> None:
        if frame["type"] == "res":
            self._answers.pop(frame["id"]).set_result(frame)
            return
        async with self._news:
            self.events.append(frame)
            self._news.notify_all()
        if frame["event"] == "node.invoke.request":
            self.requests.append(frame["payload"])
            task = asyncio.create_task(self._carry_out(frame["payload"]))
            self._busy.add(task)
            task.add_done_callback(self._busy.discard)

    async def _carry_out(self, request: dict[str, Any]) -> None:
        result = await self._commands[request["command"]](request)
        if result is not None:
            await self.call("node.invoke.result", {"id": request["id"], "nodeId": self.node_id, "ok": True, **result})


@asynccontextmanager
async def attach(
    url: str,
    token: str,
    commands: Mapping[str, Carry] | None = None,
    *,
    protocol: int = 4,
    key: DeviceKey | None = None,
    name: str = "lamp",
    caps: Sequence[str] = ("system",),
    auth: Mapping[str, str] | None = None,
) -> AsyncIterator[NodeHost]:
    """Attach for the block; `key` None comes without a device, as old hosts may."""
    async with connect(url, max_size=None, proxy=None) as socket:
        challenge = json.loads(await socket.recv())
        client = {
            "id": "node-host",
            "version": "1.0",
            "platform": "linux",
            "deviceFamily": "Linux",
            "mode": "node",
            "displayName": name,
            "instanceId": name,
        }
        params: dict[str, Any] = {
            "minProtocol": protocol,
            "maxProtocol": protocol,
            "client": client,
            "role": "node",
            "scopes": [],
            "caps": list(caps),
            "commands": list(commands or {}),
            "auth": dict(auth or {"token": token}),
        }
        if key is not None:
            params["device"] = _signed(key, client, params["auth"], challenge["payload"]["nonce"], protocol)
        await socket.send(json.dumps({"type": "req", "id": "connect", "method": "connect", "params": params}))
        answer = json.loads(await socket.recv())
        assert answer["ok"], answer
        host = NodeHost(socket, key.device_id if key else name, commands or {})
        host.hello = answer["payload"]
        reading = asyncio.create_task(host.run())
        try:
            yield host
        finally:
            await socket.close()
            await reading


def _signed(
    key: DeviceKey, client: Mapping[str, str], auth: Mapping[str, str], nonce: str, protocol: int
) -> dict[str, Any]:
    now_ms = time.time_ns() // 1_000_000
    signed = Signed(
        device_id=key.device_id,
        client_id=client["id"],
        client_mode=client["mode"],
        role="node",
        scopes=(),
        signed_at_ms=now_ms,
        token=auth.get("token") or auth.get("deviceToken") or "",
        nonce=nonce,
        platform=client["platform"],
        device_family=client["deviceFamily"],
    )
    return {
        "id": key.device_id,
        "publicKey": encode_base64url(key.public_key),
        "signature": key.sign(signed.text("v2" if protocol < 4 else "v3")),
        "signedAt": now_ms,
        "nonce": nonce,
    }
