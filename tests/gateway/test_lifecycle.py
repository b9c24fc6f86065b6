"""A gateway under a service manager: what it tells, how it restarts in place, and when it takes nothing more in."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from openclaw.base.errors import OpenClawError
from openclaw.client.errors import GatewayDown
from openclaw.client.ws import GatewayClient
from tests.gateway.process import IPV6, START_S, TOKEN, GatewayProcess, free_port, gateway, write_config

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


class Manager:
    """A service manager's socket."""

    def __init__(self, path: Path) -> None:
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.bind(str(path))
        self._sock.setblocking(False)
        self.env = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "1000000"}

    async def hears(self, wanted: str) -> list[str]:
        """Wait for a message with that line; return its lines."""
        async with asyncio.timeout(START_S):
            while True:
                try:
                    lines = self._sock.recv(4096).decode().splitlines()
                except BlockingIOError:
                    await asyncio.sleep(0.01)
                    continue
                if wanted in lines:
                    return lines

    def close(self) -> None:
        self._sock.close()


@asynccontextmanager
async def managed(folder: Path, model: str = "fake/echo") -> AsyncIterator[tuple[Manager, GatewayProcess]]:
    port = free_port()
    write_config(folder, port, model)
    manager = Manager(folder / "notify")
    running = await GatewayProcess.start(folder, port, env=manager.env)
    try:
        yield manager, running
    finally:
        await running.stop()
        manager.close()


async def test_the_manager_is_told_each_thing_when_it_is_so(tmp_path: Path) -> None:
    async with managed(tmp_path) as (manager, running):
        assert any(line.startswith("STATUS=listening on 127.0.0.1") for line in await manager.hears("READY=1"))
        async with await running.connect():
            pass  # READY meant it: this did not have to wait
        await manager.hears("WATCHDOG=1")
        await manager.hears("WATCHDOG=1")
        running.process.send_signal(signal.SIGHUP)
        reloading = await manager.hears("RELOADING=1")
        assert any(line.startswith("MONOTONIC_USEC=") for line in reloading)
        await manager.hears("READY=1")
        running.process.send_signal(signal.SIGTERM)
        await manager.hears("STOPPING=1")
        assert await running.process.wait() == 0


async def _history(client: GatewayClient) -> str:
    found: Any = await client.call("chat.history", {"sessionKey": "main"})
    return json.dumps(found)


async def test_a_restart_in_place_keeps_the_process_and_every_accepted_turn(tmp_path: Path) -> None:
    async with managed(tmp_path, "fake/fake-l1000") as (manager, running):
        await manager.hears("READY=1")
        async with await running.connect() as client:
            for number in range(3):
                await client.call(
                    "chat.send", {"sessionKey": "main", "message": f"turn {number}", "idempotencyKey": f"key-{number}"}
                )
        running.process.send_signal(signal.SIGUSR1)
        await manager.hears("RELOADING=1")
        await manager.hears("READY=1")
        assert running.process.returncode is None
        async with asyncio.timeout(START_S):
            while True:
                async with await running.connect() as client:
                    said = await _history(client)
                if all(said.count(f"turn {number}") >= 2 for number in range(3)):
                    break  # asked, and answered by the fake, which repeats what it is told
                await asyncio.sleep(0.1)
        assert running.output().count("gateway_ready") == 2


async def test_signals_in_the_middle_of_a_restart_end_nothing_but_sigterm_does(tmp_path: Path) -> None:
    async with managed(tmp_path) as (manager, running):
        await manager.hears("READY=1")
        running.process.send_signal(signal.SIGUSR1)
        await manager.hears("RELOADING=1")
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR1):
            running.process.send_signal(number)
        await manager.hears("READY=1")
        assert running.process.returncode is None
        running.process.send_signal(signal.SIGTERM)
        assert await running.process.wait() == 0


async def test_a_full_disk_is_told_and_messages_are_refused_before_anything_breaks(tmp_path: Path) -> None:
    everything = 1 << 60
    async with gateway(tmp_path, storage={"minFreeBytes": everything}) as running:
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as http:
            async with http.get(f"{running.http_url}/ready") as ready:
                assert ready.status == 503
                told = await ready.json()
            assert told["failing"] == ["disk"]
            assert "bytes are free" in told["checks"]["disk"]
            body = {"model": "openclaw", "messages": [{"role": "user", "content": "hello"}]}
            async with http.post(f"{running.http_url}/v1/chat/completions", json=body) as refused:
                assert refused.status == 503
                assert int(refused.headers["Retry-After"]) == 30
            async with http.get(f"{running.http_url}/healthz") as alive:
                assert alive.status == 200
        write_config(tmp_path, running.port, storage={"minFreeBytes": 0})
        async with asyncio.timeout(START_S):
            while True:
                async with aiohttp.ClientSession() as http, http.get(f"{running.http_url}/ready") as ready:
                    if ready.status == 200:
                        break
                await asyncio.sleep(0.1)


async def test_a_loaded_gateway_refuses_new_work_and_goes_on_with_what_it_has(tmp_path: Path) -> None:
    def limited(**shed: int) -> dict[str, Any]:
        return {"gateway": {"port": running.port, "auth": {"token": TOKEN}, "shed": shed}}

    async def failing(http: aiohttp.ClientSession, names: list[str]) -> None:
        async with asyncio.timeout(START_S):
            while True:
                async with http.get(f"{running.http_url}/ready") as ready:
                    if (ready.status, (await ready.json())["failing"]) == (503 if names else 200, names):
                        return
                await asyncio.sleep(0.05)

    async with (
        gateway(tmp_path, "fake/fake-l1000") as running,
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as http,
    ):
        write_config(tmp_path, running.port, "fake/fake-l1000", **limited(memoryBytes=1))
        await failing(http, ["memory"])
        body = {"model": "openclaw", "messages": [{"role": "user", "content": "hello"}]}
        async with http.post(f"{running.http_url}/v1/chat/completions", json=body) as refused:
            assert (refused.status, refused.headers["Retry-After"]) == (503, "5")
        write_config(tmp_path, running.port, "fake/fake-l1000", **limited(queued=1))
        await failing(http, [])
        async with await running.connect() as client:
            for number in range(2):
                await client.call(
                    "chat.send", {"sessionKey": "main", "message": f"turn {number}", "idempotencyKey": f"key-{number}"}
                )
            with pytest.raises(OpenClawError, match="1 of at most 1 messages wait"):
                await client.call("chat.send", {"sessionKey": "x", "message": "too much", "idempotencyKey": "key-3"})
            await failing(http, ["queue"])
            await failing(http, [])  # what was taken in went on
            assert "turn 1" in await _history(client)


async def test_a_second_gateway_is_told_who_has_the_state_and_as_what(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        second = await GatewayProcess.start(tmp_path, free_port())
        assert await second.process.wait() == 78
        assert f"process {running.process.pid} (" in running.output()
        assert "openclaw gateway run)" in running.output()


async def test_the_lock_dies_with_its_owner(tmp_path: Path) -> None:
    port = free_port()
    write_config(tmp_path, port)
    first = await (await GatewayProcess.start(tmp_path, port)).ready()
    await first.kill()
    async with asyncio.timeout(START_S):
        again = await (await GatewayProcess.start(tmp_path, port)).ready()
    assert await again.stop() == 0


async def test_a_port_in_use_on_ipv6_names_the_process_that_has_it(tmp_path: Path) -> None:
    if not IPV6:
        pytest.skip("no IPv6 here")
    port = free_port()
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as taken:
        taken.bind(("::1", port))
        taken.listen()
        write_config(tmp_path, port)
        refused = await GatewayProcess.start(tmp_path, port)
        assert await refused.process.wait() == 78
        assert f"port {port} on ::1 is in use by" in refused.output()
        assert f"(pid {os.getpid()})" in refused.output()


async def _until_gone(client: GatewayClient) -> None:
    async with asyncio.timeout(START_S):
        while True:
            await client.call("health")
            await asyncio.sleep(0.05)


async def test_a_client_that_follows_comes_back_after_a_restart_in_place(tmp_path: Path) -> None:
    async with managed(tmp_path) as (manager, running):
        await manager.hears("READY=1")
        async with await running.connect() as client:
            running.process.send_signal(signal.SIGUSR1)
            await manager.hears("RELOADING=1")
            with pytest.raises(GatewayDown):
                await _until_gone(client)
        await manager.hears("READY=1")
        async with await running.connect() as client:
            assert await client.call("health")
