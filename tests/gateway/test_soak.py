"""Ten thousand turns in one process: memory, tasks, descriptors and children stay flat."""

from __future__ import annotations

import asyncio
import gc
import os
from pathlib import Path

import pytest

from openclaw.base.ids import SessionKey
from openclaw.gateway.gauges import resident_bytes
from openclaw.models.fake.client import FakeClient
from tests.agent.house import House, house

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

TURNS = 10_000
WARM_UP = 3_000
AT_ONCE = 50
MAX_BYTES_PER_1000 = 2_000_000


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # a Path object per entry would be counted too


async def turns(here: House, first: int, count: int) -> None:
    for start in range(first, first + count, AT_ONCE):
        batch = range(start, start + AT_ONCE)
        runs = [await here.say(f"turn {number}", key=key_of(number), ephemeral=number % 2 == 0) for number in batch]
        for reply in await asyncio.gather(*(run.result() for run in runs)):
            assert reply.state == "ok"


def key_of(number: int) -> SessionKey:
    """Half of the turns are stateless calls, half go on in one of 100 sessions."""
    return SessionKey(f"agent:main:once{number}" if number % 2 == 0 else f"agent:main:s{number % 100}")


async def test_ten_thousand_turns_leave_nothing_behind(tmp_path: Path) -> None:
    async with house(tmp_path, FakeClient()) as here:
        here.client.requests = type(here.client.requests)(maxlen=10)
        await turns(here, 0, WARM_UP)
        gc.collect()
        before = (resident_bytes(), len(asyncio.all_tasks()), descriptors())
        await turns(here, WARM_UP, TURNS - WARM_UP)
        gc.collect()
        after = (resident_bytes(), len(asyncio.all_tasks()), descriptors())
        slope = (after[0] - before[0]) / ((TURNS - WARM_UP) / 1000)
        assert slope < MAX_BYTES_PER_1000, f"{slope / 1e6:.2f} MB per 1000 turns"
        assert after[1:] == before[1:]
        assert here.study.running() == here.study.queued() == 0
