from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any, Literal

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from openclaw.config.schema import AuthConfig, GatewayConfig
from tests.listeners.fakes import TOKEN, World, raw_request, until, world

pytestmark = pytest.mark.anyio


def hello(version: int = 4, **changes: Any) -> str:
    body = {
        "minProtocol": version,
        "maxProtocol": version,
        "client": {"id": "cli", "version": "1", "platform": "linux", "mode": "cli"},
        "auth": {"token": TOKEN},
        "scopes": ["operator.read"],
        **changes,
    }
    return json.dumps({"type": "req", "id": "c", "method": "connect", "params": body})


def request(request_id: str, method: str, params: Any = None) -> str:
    return json.dumps({"type": "req", "id": request_id, "method": method, "params": params or {}})


async def receive(socket: ClientConnection) -> dict[str, Any]:
    frame: dict[str, Any] = json.loads(await asyncio.wait_for(socket.recv(), 5))
    return frame


async def open_client(here: World, version: int = 4) -> ClientConnection:
    socket = await connect(here.ws_url, max_size=None, proxy=None)
    assert (await receive(socket))["event"] == "connect.challenge"
    await socket.send(hello(version))
    answer = await receive(socket)
    assert answer["ok"], answer
    return socket


async def drain(socket: ClientConnection) -> None:
    while True:
        await asyncio.wait_for(socket.recv(), 5)


async def closed(socket: ClientConnection) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as caught:
        await drain(socket)
    frame = caught.value.rcvd
    assert frame is not None
    return frame.code, frame.reason


@pytest.mark.parametrize("version", [3, 4])
async def test_a_client_connects_and_is_answered(version: int) -> None:
    async with world() as here:
        socket = await open_client(here, version)
        await socket.send(request("1", "health"))
        answer = await receive(socket)
        assert (answer["id"], answer["payload"]["ok"]) == ("1", True)
        (peer,) = here.hub.peers.values()
        assert (peer.protocol, peer.client.id, peer.principal.may("operator.read")) == (version, "cli", True)
        await socket.close()
        await until(lambda: not here.hub.peers)


async def test_a_slow_answer_does_not_hold_back_the_next() -> None:
    async with world() as here:
        socket = await open_client(here)
        await socket.send(request("slow", "slow"))
        await socket.send(request("fast", "health"))
        assert (await receive(socket))["id"] == "fast"
        here.counter.gate.set()
        assert (await receive(socket))["id"] == "slow"
        await socket.close()


async def test_an_answer_for_a_client_that_left_goes_nowhere() -> None:
    async with world() as here:
        socket = await open_client(here)
        await socket.send(request("slow", "slow"))
        await socket.close()
        await until(lambda: not here.hub.peers)
        here.counter.gate.set()
        await until(lambda: not len(here.app.tasks))
        assert here.app.tasks.failures == 0


async def test_a_wrong_token_is_answered_then_closed_with_the_same_text() -> None:
    async with world() as here, connect(here.ws_url, proxy=None) as socket:
        await receive(socket)
        await socket.send(hello(auth={"token": "wrong"}))
        answer = await receive(socket)
        assert answer["error"]["details"]["code"] == "AUTH_TOKEN_MISMATCH"
        assert await closed(socket) == (1008, answer["error"]["message"])


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ("not json", (1000, "")),
        (b"binary", (1000, "")),
        ('{"x":1}', (1008, "invalid request frame")),
        ("x" * 70_000, (1009, "")),
    ],
)
async def test_a_first_message_that_is_no_request_closes(first: str | bytes, expected: tuple[int, str]) -> None:
    async with world() as here, connect(here.ws_url, proxy=None) as socket:
        await receive(socket)
        await socket.send(first)
        assert await closed(socket) == expected


async def test_the_frame_limit_grows_after_authentication() -> None:
    async with world() as here:
        socket = await open_client(here)
        await socket.send(request("big", "echo", {"text": "x" * 1_000_000}))
        assert len((await receive(socket))["payload"]["params"]["text"]) == 1_000_000
        await socket.close()


@pytest.mark.parametrize(
    ("raw", "reply_id", "message"),
    [
        ('{"type":"req"}', "invalid", "must have required property 'id'; must have required property 'method'"),
        ('{"type":"req","id":5,"method":"health"}', 5, "at /id: must be string"),
        ('{"type":"zzz","id":"q"}', "q", "must have required property 'method'; at /type: must be equal to constant"),
    ],
)
async def test_a_bad_frame_later_is_answered_and_the_connection_lives(raw: str, reply_id: Any, message: str) -> None:
    async with world() as here:
        socket = await open_client(here)
        await socket.send("not json")
        await socket.send(b"\x00binary")
        await socket.send(raw)
        answer = await receive(socket)
        assert answer["id"] == reply_id
        assert answer["error"] == {"code": "INVALID_REQUEST", "message": f"invalid request frame: {message}"}
        await socket.send(request("1", "health"))
        assert (await receive(socket))["ok"]
        await socket.close()


async def test_a_client_that_never_reads_is_closed_as_a_slow_consumer() -> None:
    async with world() as here:
        socket = await open_client(here)
        socket.transport.pause_reading()
        await socket.send(request("1", "flood"))
        await until(lambda: not here.hub.peers or here.server.connections == 0)
        socket.transport.resume_reading()
        with pytest.raises(ConnectionClosed):
            await drain(socket)
        socket.transport.abort()


async def test_of_clients_that_hold_too_much_together_only_the_worst_is_cut() -> None:
    async with world() as here:
        sockets = [await open_client(here) for _ in range(4)]
        for socket in sockets:
            socket.transport.pause_reading()
            await socket.send(request("1", "flood", {"megabytes": 40}))
        await until(lambda: len(here.hub.peers) == 3)
        answered = 0
        for socket in sockets:
            socket.transport.resume_reading()
            with contextlib.suppress(ConnectionClosed):
                frames = [await receive(socket) for _ in range(41)]
                answered += frames[-1]["payload"]["method"] == "flood"
            socket.transport.abort()
        assert answered == 3


async def test_a_client_that_pings_without_end_and_reads_nothing_is_closed_like_any_slow_one() -> None:
    async with world() as here:
        socket = await open_client(here)
        socket.transport.pause_reading()
        pings = (b"\x89\xfd\0\0\0\0" + b"x" * 125) * 8000
        for _ in range(100):
            socket.transport.write(pings)
            await until(lambda: not socket.transport.get_write_buffer_size() or not here.hub.peers)
        await until(lambda: not here.hub.peers)
        socket.transport.abort()


async def test_a_client_that_says_goodbye_and_leaves_its_answers_unread_is_cut_after_the_grace() -> None:
    async with world() as here:
        socket = await open_client(here)
        socket.transport.pause_reading()
        await socket.send(request("1", "flood", {"megabytes": 16}))
        await until(lambda: any(peer.behind for peer in here.hub.peers.values()))
        socket.transport.write(b"\x88\x82\0\0\0\0\x03\xe8")
        await until(lambda: not here.hub.peers)
        socket.transport.abort()


async def test_stopping_tells_clients_the_service_restarts() -> None:
    async with world() as here:
        socket = await open_client(here)
        await asyncio.gather(here.server.stop(2), _expect(socket, (1012, "service restart")))


async def _expect(socket: ClientConnection, expected: tuple[int, str]) -> None:
    assert await closed(socket) == expected


async def test_a_starting_gateway_closes_with_1013() -> None:
    async with world() as here:
        here.health.phase = "starting"
        async with connect(here.ws_url, proxy=None) as socket:
            await receive(socket)
            await socket.send(hello())
            assert (await receive(socket))["error"]["code"] == "UNAVAILABLE"
            assert (await closed(socket))[0] == 1013


async def test_a_gateway_that_became_ready_since_the_challenge_lets_in() -> None:
    async with world() as here:
        here.health.phase = "starting"
        async with connect(here.ws_url, proxy=None) as socket:
            await receive(socket)
            here.health.phase = "ready"
            await socket.send(hello())
            assert (await receive(socket))["ok"]


async def test_a_client_that_ignores_the_close_is_cut_after_the_grace() -> None:
    async with world() as here:
        socket = await open_client(here)
        socket.transport.pause_reading()
        await here.server.stop(0.05)
        await until(lambda: not here.hub.peers)
        socket.transport.abort()


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "file://x"])
async def test_a_foreign_page_gets_no_socket(origin: str) -> None:
    async with world() as here:
        with pytest.raises(InvalidStatus) as caught:
            await connect(here.ws_url, origin=origin, proxy=None)  # type: ignore[arg-type]
        assert caught.value.response.status_code == 403
        assert b"CONTROL_UI_ORIGIN_NOT_ALLOWED" in caught.value.response.body


async def test_our_own_page_is_let_in() -> None:
    config = GatewayConfig()
    async with world(config) as here:
        origin = here.url
        async with connect(here.ws_url, origin=origin, proxy=None) as socket:  # type: ignore[arg-type]
            await receive(socket)
            await socket.send(hello())
            assert (await receive(socket))["ok"]


@pytest.mark.parametrize("path", ["/", "/any/path", "/v1/models", "/ws?token=x"])
async def test_the_upgrade_takes_any_path(path: str) -> None:
    async with world() as here, connect(here.ws_url + path, proxy=None) as socket:
        assert (await receive(socket))["event"] == "connect.challenge"


@pytest.mark.parametrize(
    ("headers", "query", "allowed", "let_in"),
    [
        ({"Authorization": f"Bearer {TOKEN}"}, "", False, True),
        ({"Authorization": f"bearer  {TOKEN} "}, "", False, True),
        ({"Authorization": f"Basic {TOKEN}"}, "", False, False),
        ({"Authorization": "Bearer wrong"}, f"?token={TOKEN}", True, False),
        ({}, f"?token={TOKEN}", False, False),
        ({}, f"?token={TOKEN}", True, True),
        ({}, f"?a=b&token={TOKEN}&c", True, True),
        ({}, "?token=wrong", True, False),
        ({}, f"?access_token={TOKEN}", True, False),
        ({}, f"?{'a' * 9000}&token={TOKEN}", True, False),
    ],
)
@pytest.mark.parametrize("mode", ["token", "password"])
async def test_what_the_upgrade_brings_counts_where_the_message_has_no_credential(
    headers: dict[str, str], query: str, allowed: bool, let_in: bool, mode: Literal["token", "password"]
) -> None:
    config = GatewayConfig(auth=AuthConfig(mode=mode, allow_url_token=allowed))
    async with (
        world(config, mode=mode) as here,
        connect(f"{here.ws_url}/{query}", additional_headers=headers, proxy=None) as socket,
    ):
        await receive(socket)
        await socket.send(hello(auth={}))
        assert (await receive(socket))["ok"] is let_in
    async with world(config, mode=mode) as here:
        status, _, _ = await raw_request(
            here.port, f"GET /v1/models?token={TOKEN} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        )
        assert status == 401


@pytest.mark.parametrize(("mode", "status"), [("none", 403), ("token", 101)])
async def test_without_a_credential_a_rebound_name_gets_no_socket_on_a_wide_bind_either(
    mode: Literal["none", "token"], status: int
) -> None:
    """A gateway that listens wide and has just been told to be local and open, until it restarts."""
    config = GatewayConfig(auth=AuthConfig(mode=mode))
    async with world(config, mode=mode, loopback_bind=False) as here:
        page = {"Host": "evil.example", "Origin": "http://evil.example"}
        head = "".join(f"{name}: {value}\r\n" for name, value in page.items())
        upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
        writer.write(f"GET / HTTP/1.1\r\n{head}{upgrade}{key}".encode())
        assert int((await reader.readline()).split()[1]) == status
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def test_a_rebound_name_or_a_forwarding_header_gets_no_socket() -> None:
    async with world() as here:
        for headers in ({"Host": "evil.example"}, {"X-Forwarded-For": "127.0.0.1"}):
            with pytest.raises(InvalidStatus) as caught:
                await connect(here.ws_url, additional_headers=headers, proxy=None)
            assert caught.value.response.status_code == 403


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ("Sec-WebSocket-Version: 13", 400),
        ("Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", 426),
        ("Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short", 400),
    ],
)
async def test_a_malformed_upgrade_is_an_http_error(lines: str, status: int) -> None:
    async with world() as here:
        head = f"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{lines}\r\n\r\n"
        assert (await raw_request(here.port, head.encode()))[0] == status
