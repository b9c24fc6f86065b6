"""The watcher."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
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


def _renamed(path: Path) -> None:
    (path.parent / "new").write_text("2")
    (path.parent / "new").replace(path)


def _truncated(path: Path) -> None:
    path.write_text("")
    path.write_text("2")


def _swapped(path: Path) -> None:
    """As Kubernetes does with a ConfigMap: the file is a link through a folder that is a link."""
    (path.parent / "second").mkdir()
    (path.parent / "second" / "c.json").write_text("2")
    (path.parent / "..data_tmp").symlink_to("second")
    (path.parent / "..data_tmp").replace(path.parent / "..data")


def _same_size_and_time(path: Path) -> None:
    stat = path.stat()
    path.write_text("2")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


STYLES: dict[str, Callable[[Path], object]] = {
    "rename": _renamed,
    "truncate": _truncated,
    "configmap": _swapped,
    "copy -p": _same_size_and_time,
    "permission": lambda path: path.chmod(0o644),
    "deletion": lambda path: path.unlink(),
}


@pytest.mark.parametrize("style", STYLES)
async def test_a_change_is_told_however_it_is_made(tmp_path: Path, style: str) -> None:
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "c.json").write_text("1")
    (tmp_path / "first" / "c.json").chmod(0o600)
    (tmp_path / "..data").symlink_to("first")
    path, clock = tmp_path / "c.json", ManualClock()
    path.symlink_to("..data/c.json")
    if style != "configmap":
        path.unlink()
        (tmp_path / "first" / "c.json").rename(path)
    changes, waiting = await start(Watcher(path, clock, lambda: 300))
    STYLES[style](path)
    await step(clock, POLL_S)
    await step(clock, 0.3)
    assert await waiting == path
    again = asyncio.ensure_future(changes.__anext__())
    for _ in range(4):
        await step(clock, POLL_S)
    assert not again.done()  # told once
    again.cancel()


async def test_what_changes_before_the_first_look_is_a_change(tmp_path: Path) -> None:
    path, clock = tmp_path / "c.json", ManualClock()
    path.write_text("1")
    watcher = Watcher(path, clock, lambda: 300)
    path.write_text("12")
    _, waiting = await start(watcher)
    await step(clock, POLL_S)
    await step(clock, 0.3)
    assert await waiting == path


async def test_the_quiet_time_is_the_one_of_the_moment(tmp_path: Path) -> None:
    path, clock, quiet_ms = tmp_path / "c.json", ManualClock(), [60_000]
    path.write_text("1")
    _, waiting = await start(Watcher(path, clock, lambda: quiet_ms[0]))
    quiet_ms[0] = 100
    path.write_text("12")
    await step(clock, POLL_S)
    await step(clock, 0.1)
    assert await waiting == path
