from __future__ import annotations

import asyncio
import os
import socket
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openclaw.base.errors import ConfigError
from openclaw.listeners.http_protocol import BODY_SILENCE_S, HEAD_TIMEOUT_S, MAX_PIPELINED, HttpProtocol
from openclaw.listeners.server import GatewayServer, port_owner
from tests.listeners.fakes import World, http, raw_request, read_answer, until, world

pytestmark = pytest.mark.anyio


async def test_a_taken_port_names_its_process() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = GatewayServer(object(), ("127.0.0.1",), port)
        with pytest.raises(ConfigError) as caught:
            await server.start()
        assert f"pid {os.getpid()}" in caught.value.message
        assert str(port) in caught.value.message
    assert port_owner(port, "127.0.0.1") is None


async def test_the_same_port_of_another_address_is_in_nobodys_way() -> None:
    with socket.socket() as other, socket.socket() as wide:
        other.bind(("127.0.0.2", 0))
        other.listen()
        port = other.getsockname()[1]
        us = f"(pid {os.getpid()})"
        assert port_owner(port, "127.0.0.1") is None
        assert port_owner(port, "::1") is None
        assert us in str(port_owner(port, "127.0.0.2"))
        assert us in str(port_owner(port, "0.0.0.0"))
        wide.bind(("0.0.0.0", 0))
        wide.listen()
        assert us in str(port_owner(wide.getsockname()[1], "127.0.0.1"))


async def test_an_address_of_another_machine_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError):
        await GatewayServer(object(), ("192.0.2.1",), 0).start()


async def test_loopback_is_both_addresses_where_the_machine_has_them() -> None:
    async with world() as here:
        server = GatewayServer(here.app, ("127.0.0.1", "::1"), 0)
        await server.start()
        try:
            for address in server.addresses:
                host = address.rpartition(":")[0].strip("[]")
                reader, writer = await asyncio.open_connection(host, server.port)
                writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert (await read_answer(reader))[0] == 200
                writer.close()
        finally:
            await server.stop(1)


@pytest.mark.parametrize(("head", "status"), [("HTTP/1.1", 400), ("HTTP/1.0", 200), ("HTTP/1.1\r\nHost:", 403)])
async def test_a_request_of_today_without_a_host_is_refused(head: str, status: int) -> None:
    async with world() as here:
        assert (await raw_request(here.port, f"GET /health {head}\r\n\r\n".encode()))[0] == status


async def test_a_head_over_its_limit_is_431() -> None:
    async with world() as here:
        assert (await raw_request(here.port, http("GET", "/health", x="y" * 40_000)))[0] == 431
        many: dict[str, Any] = {f"x{index}": "1" for index in range(200)}
        assert (await raw_request(here.port, http("GET", "/health", **many)))[0] == 431
        assert (await raw_request(here.port, http("GET", "/" + "a" * 40_000)))[0] == 431


async def test_a_head_without_an_end_is_431() -> None:
    async with world() as here:
        reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
        writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: ")
        for _ in range(8):
            writer.write(b"y" * 16_384)
            await writer.drain()
            await asyncio.sleep(0)
        assert (await asyncio.wait_for(read_answer(reader), 5))[0] == 431
        writer.close()


async def test_pipelined_requests_are_answered_in_order_up_to_a_limit() -> None:
    async with world() as here:
        reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
        writer.write(http("GET", "/health") + http("GET", "/nope") + http("GET", "/v1/health"))
        assert [(await read_answer(reader))[0] for _ in range(3)] == [200, 404, 200]
        writer.write(http("GET", "/health") * (MAX_PIPELINED + 20))
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await read_answers(reader, MAX_PIPELINED + 20)
        writer.close()


async def read_answers(reader: asyncio.StreamReader, count: int) -> None:
    for _ in range(count):
        await asyncio.wait_for(read_answer(reader), 5)


def connections(here: World) -> list[HttpProtocol]:
    return [item for item in here.server._state.connections if isinstance(item, HttpProtocol)]


async def test_a_slow_head_and_a_silent_body_are_cut() -> None:
    async with world() as here:
        slow = await asyncio.open_connection("127.0.0.1", here.port)
        slow[1].write(b"GET /health HTTP/1.1\r\nX: ")
        silent = await asyncio.open_connection("127.0.0.1", here.port)
        silent[1].write(
            http("POST", "/v1/chat/completions", b"")[:-4].replace(b"Length: 0", b"Length: 9") + b"\r\n\r\n"
        )
        await until(lambda: len(connections(here)) == 2)
        await asyncio.sleep(0.05)
        now = asyncio.get_running_loop().time()
        for connection in connections(here):
            connection.sweep(now)
        assert len(connections(here)) == 2
        for connection in connections(here):
            connection.sweep(now + max(HEAD_TIMEOUT_S, BODY_SILENCE_S) + 1)
        for reader, writer in (slow, silent):
            assert await ended(reader)
            writer.close()


async def ended(reader: asyncio.StreamReader) -> bool:
    try:
        return await asyncio.wait_for(reader.read(), 5) == b""
    except ConnectionError:
        return True


async def test_stopping_lets_a_request_end() -> None:
    async with world() as here:
        here.agent.hold = True
        answer = asyncio.ensure_future(
            raw_request(
                here.port, http("POST", "/v1/chat/completions", b'{"messages":[{"role":"user","content":"x"}]}')
            )
        )
        await until(lambda: here.agent.runs)
        stopping = asyncio.ensure_future(here.server.stop(5))
        await asyncio.sleep(0.05)
        assert not stopping.done()
        next(iter(here.agent.runs.values())).gate.set()
        assert (await answer)[0] == 200
        await stopping


@given(st.binary(max_size=300))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_never_give_a_5xx(data: bytes) -> None:
    async def attempt() -> None:
        async with world() as here:
            reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
            writer.write(data + b"\r\n\r\n")
            writer.write_eof()
            answer = await asyncio.wait_for(reader.read(), 5)
            assert not answer.startswith(b"HTTP/1.1 5")
            writer.close()

    asyncio.run(attempt())
