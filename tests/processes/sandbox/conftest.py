"""A spawner, a workspace, and walls around it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from openclaw.base.clock import SystemClock
from openclaw.processes.sandbox.bubblewrap import Bubblewrap
from openclaw.processes.sandbox.carried import Bare
from openclaw.processes.sandbox.job import Walls
from openclaw.processes.spawner import Spawner
from tests.processes.sandbox.manager import Manager


@pytest.fixture
async def spawner() -> AsyncIterator[Spawner]:
    one = Spawner()
    yield one
    await one.close(0.5)
    assert one.children() == 0


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "ws"
    folder.mkdir()
    return folder


@pytest.fixture
def walls(workspace: Path) -> Walls:
    return Walls(workspace=workspace)


@pytest.fixture
def bare(spawner: Spawner) -> Bare:
    return Bare(spawner)


@pytest.fixture
async def bubblewrap(spawner: Spawner) -> Bubblewrap:
    box = Bubblewrap(spawner, SystemClock())
    if problem := await box.problem():
        pytest.skip(f"no walls here: {problem}")
    return box


@pytest.fixture
async def manager(tmp_path: Path) -> AsyncIterator[Manager]:
    one = Manager(tmp_path / "sock")
    yield one
    one.close()


@pytest.fixture
async def box(bubblewrap: Bubblewrap, spawner: Spawner, manager: Manager) -> Bubblewrap:
    """Bubblewrap by way of another service."""
    return Bubblewrap(spawner, SystemClock(), str(manager.path))
