"""The watcher."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from openclaw.base.clock import ManualClock
from openclaw.config.watch import POLL_S, Watcher

pytestmark = pytest.mark.anyio


async def step(clock: ManualClock, seconds: float) -> None:
    """Let the waiting coroutine reach its sleep, move the clock, let it run on."""
    for _ in range(3):
        await asyncio.sleep(0)
    clock.advance(seconds)
    for _ in range(3):
        await asyncio.sleep(0)


async def start(watcher: Watcher) -> tuple[AsyncIterator[Path], asyncio.Task[Path]]:
    changes = watcher.changes()
    return changes, asyncio.ensure_future(changes.__anext__())


async def test_a_change_is_told_after_the_file_is_quiet(tmp_path: Path) -> None:
    path, clock = tmp_path / "c.json", ManualClock()
    path.write_text("1")
    _, waiting = await start(Watcher(path, clock, lambda: 300))
    await step(clock, POLL_S)
    assert not waiting.done()
    path.write_text("12")
    await step(clock, POLL_S)
    path.write_text("123")
    await step(clock, 0.3)
    assert not waiting.done()
    await step(clock, 0.3)
    assert await waiting == path


async def test_an_unchanged_file_is_never_told(tmp_path: Path) -> None:
    path, clock = tmp_path / "c.json", ManualClock()
    path.write_text("1")
    _, waiting = await start(Watcher(path, clock, lambda: 300))
    for _ in range(20):
        await step(clock, POLL_S)
    assert not waiting.done()
    waiting.cancel()


async def test_a_file_that_appears_or_goes_is_a_change(tmp_path: Path) -> None:
    path, clock = tmp_path / "c.json", ManualClock()
    changes, waiting = await start(Watcher(path, clock, lambda: 300))
    path.write_text("1")
    await step(clock, POLL_S)
    await step(clock, 0.3)
    assert await waiting == path
    waiting = asyncio.ensure_future(changes.__anext__())
    path.unlink()
    await step(clock, POLL_S)
    await step(clock, 0.3)
    assert await waiting == path
