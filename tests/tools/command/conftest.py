"""A bench without walls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from openclaw.base.clock import SystemClock
from openclaw.processes.spawner import Spawner
from tests.tools.command.bench import Bench


@pytest.fixture
async def spawner() -> AsyncIterator[Spawner]:
    one = Spawner()
    yield one
    await one.close(0.5)
    assert one.children() == 0


@pytest.fixture
async def bench(tmp_path: Path, spawner: Spawner) -> AsyncIterator[Bench]:
    one = Bench(tmp_path, spawner, SystemClock())
    await one.approvals.open()
    yield one
    await one.close()
