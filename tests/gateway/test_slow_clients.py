"""Clients that do not read, or never say a word, against a real gateway: they lose, nobody else does."""

from __future__ import annotations

import asyncio
import json
import socket
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest

from openclaw.protocol.limits import MAX_BUFFERED_BYTES

from .process import TOKEN, GatewayProcess, gateway
from .wire import PATIENCE_S, Wire, wire

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

CHUNKS, CHUNK_BYTES = 600, 4000
TEXT_BYTES = CHUNKS * CHUNK_BYTES
SLACK_BYTES = 40_000_000
SILENT = 200


def resident(running: GatewayProcess) -> int:
    return int(Path(f"/proc/{running.process.pid}/statm").read_text().split()[1]) * 4096


def peers(running: GatewayProcess) -> int:
    """Return how many clients the gateway says it has."""
    request = urllib.request.Request(f"{running.http_url}/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        lines = answer.read().decode().splitlines()
    return int(float(next(line.split()[1] for line in lines if line.startswith("openclaw_ws_peers "))))


def stop_reading(client: Wire) -> None:
    """Take nothing more off the socket; what the kernel keeps for it stays small."""
    transport = client.socket.transport
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    transport.pause_reading()


async def answer(client: Wire, run_id: str) -> None:
    await client.get("chat.send", sessionKey="main", message="at length", idempotencyKey=run_id)
    assert (await client.end_of(run_id))["state"] == "final"


async def test_clients_that_ask_for_much_and_read_nothing_are_cut_and_their_memory_is_used_again(
    tmp_path: Path,
) -> None:
    model = f"fake/fake-n{CHUNKS}-b{CHUNK_BYTES}"
    async with gateway(tmp_path, model) as running, wire(running.port, 4) as other:
        await answer(other, "r1")
        before, sizes = resident(running), []
        for _ in range(3):
            async with wire(running.port, 4) as slow:
                await overwhelm(slow)
                async with asyncio.timeout(PATIENCE_S):
                    while await asyncio.to_thread(peers, running) > 1:
                        assert (await other.get("health"))["ok"]
                        assert resident(running) - before < 4 * MAX_BUFFERED_BYTES + SLACK_BYTES
                sizes.append(resident(running))
                slow.socket.transport.abort()
        assert (
            sizes[-1] - sizes[0] < MAX_BUFFERED_BYTES
        )  # the allocator keeps some; a queue a round would be twice this
        await answer(other, "r2")
        other.assert_no_gaps()


async def overwhelm(slow: Wire) -> None:
    """Stop reading and ask for twice as much as the gateway keeps for one client."""
    stop_reading(slow)
    ask = {"type": "req", "method": "chat.history", "params": {"sessionKey": "main"}}
    for number in range(2 * MAX_BUFFERED_BYTES // TEXT_BYTES):
        await slow.socket.send(json.dumps({**ask, "id": str(number)}))


async def test_a_watcher_that_falls_behind_keeps_its_place_and_gets_the_whole_text_in_the_end(tmp_path: Path) -> None:
    model = f"fake/fake-n{CHUNKS}-d5-b{CHUNK_BYTES}"
    async with (
        gateway(tmp_path, model) as running,
        wire(running.port, 4) as other,
        wire(running.port, 4) as slow,
        wire(running.port, 3) as old,
    ):
        before = resident(running)
        stop_reading(slow)
        stop_reading(old)
        await answer(other, "r1")
        assert resident(running) - before < 2 * SLACK_BYTES
        for client in (slow, old):
            client.socket.transport.resume_reading()
            final = await client.end_of("r1")
            assert len(final["message"]["content"][0]["text"]) == TEXT_BYTES
            seqs = [frame["seq"] for frame in client.events]
            assert seqs == list(range(1, len(seqs) + 1))
            told = [row for row in client.told("chat", "r1") if row["state"] == "delta"]
            assert len(told) < len([row for row in other.told("chat", "r1") if row["state"] == "delta"])
        other.assert_no_gaps()


async def test_two_hundred_silent_sockets_do_not_delay_health(tmp_path: Path) -> None:
    with ExitStack() as stack:
        async with gateway(tmp_path) as running, wire(running.port, 4) as other:
            for _ in range(SILENT):
                line = stack.enter_context(socket.create_connection(("127.0.0.1", running.port)))
                line.sendall(
                    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
                )
            for probe in (False, True, False):
                began = time.monotonic()
                assert (await other.get("health", probe=probe))["ok"]
                assert time.monotonic() - began < 1
            async with wire(running.port, 3) as late:
                assert (await late.get("health"))["ok"]
