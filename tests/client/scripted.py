"""A gateway that does as each test says: how it greets, what it answers, when it hangs up."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

Frame = dict[str, Any]
HELLO: Frame = {"type": "hello-ok", "protocol": 4, "policy": {"tickIntervalMs": 30_000}, "auth": {"scopes": []}}
Greet = Callable[[Frame, int], Frame]
"""Takes the parameters of `connect` and the number of the connection; returns a hello, or {"error": …}."""

Serve = Callable[["Line", Frame], Awaitable[None]]
"""Takes a connection and a request."""


class Line:
    """One connection as the gateway sees it."""

    def __init__(self, socket: ServerConnection, number: int) -> None:
        self.socket = socket
        self.number = number

    async def answer(self, request: Frame, payload: Any) -> None:
        await self._send({"type": "res", "id": request["id"], "ok": True, "payload": payload})

    async def tell(self, event: str, payload: Any, seq: int | None = None) -> None:
        await self._send({"type": "event", "event": event, "payload": payload, **({"seq": seq} if seq else {})})

    async def _send(self, frame: Frame) -> None:
        await self.socket.send(msgspec.json.encode(frame).decode())


class Scripted:
    """What a scripted gateway has seen."""

    def __init__(self) -> None:
        self.url = ""
        self.connects: list[Frame] = []
        self.requests: list[Frame] = []


def welcome(params: Frame, number: int) -> Frame:
    """Let everybody in."""
    return HELLO


async def echo(line: Line, request: Frame) -> None:
    """Answer every request with its parameters."""
    await line.answer(request, request["params"])


@contextlib.asynccontextmanager
async def scripted(
    greet: Greet = welcome, serving: Serve = echo, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Scripted]:
    """Run one on a loopback port."""
    seen = Scripted()

    async def talk(socket: ServerConnection) -> None:
        line = Line(socket, len(seen.connects))
        await line.tell("connect.challenge", {"nonce": f"nonce-{line.number}", "ts": 1})
        with contextlib.suppress(ConnectionClosed):
            first = msgspec.json.decode(await socket.recv())
            seen.connects.append(first["params"])
            hello = greet(first["params"], line.number)
            if "error" in hello:
                frame = {"type": "res", "id": first["id"], "ok": False, "error": hello["error"]}
                await socket.send(msgspec.json.encode(frame).decode())
                await socket.close(1008, str(hello["error"].get("message", ""))[:100])
                return
            await line.answer(first, hello)
            async for text in socket:
                request = msgspec.json.decode(text)
                seen.requests.append(request)
                await serving(line, request)

    async with serve(talk, "127.0.0.1", 0, ssl=tls) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        seen.url = f"{'wss' if tls else 'ws'}://127.0.0.1:{port}"
        yield seen


def refusal(code: str, message: str = "unauthorized: no", **details: Any) -> Frame:
    """Return a hello that is none."""
    return {"error": {"code": "INVALID_REQUEST", "message": message, "details": {"code": code, **details}}}
