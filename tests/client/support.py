"""A gateway of two pages: the real counter behind the websockets library."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import msgspec
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from openclaw.base.tasks import TaskSet
from openclaw.protocol.frames import Request
from tests.rpc.support import Bench, FakePeer


class WirePeer(FakePeer):
    """A peer whose frames go to a socket."""

    def __init__(self, socket: ServerConnection, tasks: TaskSet, protocol: int) -> None:
        super().__init__(protocol)
        self._socket = socket
        self._tasks = tasks

    def send(self, frame: bytes) -> None:
        self._tasks.spawn(self._socket.send(frame.decode()), "send")

    def close(self, code: int, reason: str) -> None:
        self._tasks.spawn(self._socket.close(code, reason), "close")


@contextlib.asynccontextmanager
async def gateway(bench: Bench, token: str = "right") -> AsyncIterator[str]:
    """Serve the bench's counter on a loopback port; yield the URL."""
    tasks = TaskSet("test-gateway")

    async def talk(socket: ServerConnection) -> None:
        await socket.send('{"type":"event","event":"connect.challenge","payload":{"nonce":"n","ts":1}}')
        connect = msgspec.json.decode(await socket.recv())
        params = connect["params"]
        if params.get("auth", {}).get("token") != token:
            error = {
                "code": "INVALID_REQUEST",
                "message": "unauthorized: gateway token mismatch (provide gateway auth token)",
                "details": {"code": "AUTH_TOKEN_MISMATCH"},
            }
            frame = {"type": "res", "id": connect["id"], "ok": False, "error": error}
            await socket.send(msgspec.json.encode(frame).decode())
            await socket.close(1008, str(error["message"]))
            return
        peer = WirePeer(socket, tasks, min(4, params["maxProtocol"]))
        hello = bench.counter.hello_ok(peer)
        await socket.send(
            msgspec.json.encode({"type": "res", "id": connect["id"], "ok": True, "payload": hello}).decode()
        )
        bench.hub.join(peer)
        try:
            async for text in socket:
                answer = bench.counter.handle(peer, msgspec.json.decode(text, type=Request))
                if isinstance(answer, bytes):
                    await socket.send(answer.decode())
                else:
                    tasks.spawn(answer, "request")
        except ConnectionClosed:
            pass
        finally:
            bench.hub.leave(peer)

    async with serve(talk, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}"
        await tasks.close()


@contextlib.contextmanager
def http_gateway(answers: dict[str, tuple[int, str, bytes]]) -> Iterator[tuple[str, list[Any]]]:
    """Serve canned answers by path; yield the URL and the list of (path, authorization, body) received."""
    seen: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            self._answer(msgspec.json.decode(self.rfile.read(int(self.headers["Content-Length"]))))

        def _answer(self, body: Any) -> None:
            seen.append((self.path, self.headers.get("Authorization"), body))
            status, kind, data = answers[self.path]
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the library's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
