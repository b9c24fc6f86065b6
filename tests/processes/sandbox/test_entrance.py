"""Walls that another service puts up: who may ask, for what, and how it ends."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

import psutil
import pytest

from openclaw.base.clock import ManualClock
from openclaw.processes.sandbox.bubblewrap import ENTRANCE, Bubblewrap
from openclaw.processes.sandbox.job import Walls
from openclaw.processes.spawner import Spawner
from tests.processes.sandbox.manager import Manager
from tests.processes.sandbox.support import names, outcome, ran, shell
from tests.processes.waiting import alive, until

pytestmark = pytest.mark.anyio


async def test_a_command_runs_where_it_was_asked_for(
    box: Bubblewrap, manager: Manager, workspace: Path, walls: Walls
) -> None:
    assert await box.problem() == ""
    status, written = await ran(box, shell(workspace, "echo in > made; uname -n; exit 9"), walls)
    assert (status, written) == (9, "sandbox\n")
    assert names(workspace) == ["made"]
    assert len(manager.started) == 2


async def test_what_was_started_ends_with_who_has_asked(
    box: Bubblewrap, manager: Manager, workspace: Path, walls: Walls
) -> None:
    running = await box.start(shell(workspace, "setsid -f sleep 711; echo up; sleep 712"), walls)
    assert await running.child.stdout.readuntil(b"up\n")
    (server,) = manager.started[1:]
    inner = [each.pid for each in psutil.Process(server.pid).children(recursive=True)]
    assert inner
    await running.child.kill()
    assert await asyncio.to_thread(server.wait, 5) == 0
    await until(lambda: not any(map(alive, inner)))


async def test_nothing_but_bubblewrap_is_started_by_way_of_it(
    manager: Manager, spawner: Spawner, workspace: Path
) -> None:
    for argv in (("/usr/bin/touch", "owned"), ("/usr/bin/bwrap", "--bind", "/", "/", "touch", "owned"), ("/bin/sh",)):
        command = (sys.executable, "-I", "-S", str(ENTRANCE), str(manager.path), *argv)
        done = await spawner.run(command, cwd=workspace)
        assert (done.returncode, "nothing but bubblewrap" in done.stderr_tail) == (126, True)
    assert names(workspace) == []


async def test_where_nobody_listens_nothing_starts_and_it_is_said(
    bubblewrap: Bubblewrap, spawner: Spawner, workspace: Path, walls: Walls, tmp_path: Path
) -> None:
    gone = Bubblewrap(spawner, ManualClock(), str(tmp_path / "gone"))
    said = await gone.problem()
    assert said.startswith(f"commands cannot be shut in: {tmp_path / 'gone'}: No such file or directory")
    assert "openclaw gateway install" in said
    running = await gone._start(shell(workspace, "touch owned"), walls)
    status, written = await outcome(running)
    assert (status, written) == (126, f"{said}\n")
    assert names(workspace) == []


async def test_a_call_that_is_no_call_ends_the_service_alone(manager: Manager) -> None:
    for sent in (b"", b"\0\0\0\1{", b"\xff\xff\xff\xff", b"GET / HTTP/1.1\r\n\r\n"):
        with socket.socket(socket.AF_UNIX) as one:
            await asyncio.to_thread(one.connect, str(manager.path))
            one.sendall(sent)
    await until(lambda: len(manager.started) == 4)
    for server in manager.started:
        assert await asyncio.to_thread(server.wait, 5) == 0
