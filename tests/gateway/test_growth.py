"""What a run leaves in memory once every cache is full: nothing, and nothing that waits for the garbage collector."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from bench.rpc import connect_frame
from bench.soak import Book, Ears
from bench.watcher import Watcher

from openclaw.gateway.run import GatewayHandle, RunOptions, _Gateway

from .process import TOKEN, free_port, write_config

pytestmark = pytest.mark.anyio

KEPT = 16
"""What each cache may hold here, so that a few runs fill it."""
LIMITS = {
    "openclaw.agent.service.ENDED_KEPT": KEPT,
    "openclaw.agent.conversation.RECENT_SESSIONS": KEPT,
    "openclaw.models.fake.client.REQUESTS_KEPT": KEPT,
    "openclaw.rpc.once.MAX_KEPT": KEPT,
    "openclaw.telemetry.health.LAG_SAMPLES": KEPT,
}
WARM_UP = 150
RUNS = 300
WATCHERS = 3


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[int]:
    """Run a gateway with its real listeners in this process."""
    port = free_port()
    write_config(folder, port)
    ready: asyncio.Future[GatewayHandle] = asyncio.get_running_loop().create_future()
    running = asyncio.ensure_future(_Gateway(RunOptions(quiet=True, drain_s=0), ready.set_result).main())
    try:
        handle = await asyncio.wait_for(ready, 10)
        yield port
        handle.request_stop()
        await running
    finally:
        gc.unfreeze()


class Talker:
    """Clients of one gateway: one talks, all listen."""

    def __init__(self, book: Book, ears: list[Ears], clients: list[Watcher]) -> None:
        self.book, self.ears, self.clients = book, ears, clients
        self.said = 0

    async def say(self, count: int) -> None:
        for _ in range(count):
            self.said += 1
            run_id = f"run-{self.said}"
            ended = self.ears[0].waiting[run_id] = asyncio.get_running_loop().create_future()
            asked = {"sessionKey": run_id, "message": "one two", "idempotencyKey": run_id}
            assert (await self.clients[0].ask("chat.send", asked)).ok
            assert await asyncio.wait_for(ended, 10) == "final"
        await asyncio.sleep(0.1)  # the others hear the last end, and its task is gone


@asynccontextmanager
async def talking(port: int) -> AsyncIterator[Talker]:
    book = Book()
    ears = [Ears(book, str(number)) for number in range(WATCHERS + 1)]
    clients = [
        await Watcher.open(port, connect_frame(number, "operator.admin", TOKEN), its.hear)
        for number, its in enumerate(ears)
    ]
    try:
        yield Talker(book, ears, clients)
    finally:
        for client in clients:
            client.close()


def blocks() -> int:
    gc.collect()
    return sys.getallocatedblocks()


async def growth(talker: Talker) -> tuple[int, Counter[str]]:
    """Say RUNS things; return by how many blocks memory grew, and what of ours lay in garbage cycles."""
    before = blocks()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        await talker.say(RUNS)
        gc.collect()
        cycles = Counter(type(one).__qualname__ for one in gc.garbage if type(one).__module__[:9] == "openclaw.")
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    return blocks() - before, cycles


async def test_a_run_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENCLAW_STATE_DIR", str(tmp_path))
    for name, limit in LIMITS.items():
        monkeypatch.setattr(name, limit)
    async with serving(tmp_path) as port, talking(port) as talker:
        await talker.say(WARM_UP)
        first, second = await growth(talker), await growth(talker)
        assert talker.book.events > RUNS * (WATCHERS + 1)
    assert talker.book.told == []
    assert not first[1] + second[1], "each waits for the collector, with all that it refers to"
    grown = min(first[0], second[0])  # a cache that grows once is no leak: a leak grows each time
    assert grown < RUNS / 2, f"{grown / RUNS:.2f} blocks of memory a run"
