"""A program that wants out, within bubblewrap's walls."""

from __future__ import annotations

import json
import os
import shutil
import socket
from pathlib import Path

import pytest

from openclaw.processes.sandbox.bubblewrap import Bubblewrap
from openclaw.processes.sandbox.job import Limits, Stage, Walls
from tests.processes.sandbox import hostile
from tests.processes.sandbox.support import command, job, ran

pytestmark = pytest.mark.anyio
CANARY = "canary-5d41402abc4b2a76"
LIMITS = Limits(processes=64, memory_bytes=1 << 30)


@pytest.mark.parametrize("way", ["bubblewrap", "box"], ids=["by itself", "by way of another service"])
async def test_a_hostile_program_gains_nothing(
    way: str, workspace: Path, monkeypatch: pytest.MonkeyPatch, bubblewrap: Bubblewrap, box: Bubblewrap
) -> None:
    monkeypatch.setenv("PLANTED", CANARY)
    above = workspace.parent
    inner = workspace / ".openclaw"
    inner.mkdir()
    secrets = [above / "secret", inner / "token", workspace / ".env"]
    for path in secrets:
        path.write_text(CANARY)
    shutil.copy(hostile.__file__, workspace / "hostile.py")
    name = f"openclaw-hostile-{os.getpid()}"
    with (
        socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as canary,
        socket.socket(socket.AF_UNIX) as abstract,
        socket.socket(socket.AF_UNIX) as local,
    ):
        abstract.bind(f"\0{name}")
        abstract.listen()
        local.bind(str(above / "s"))
        local.listen()
        canary.setblocking(False)
        there = {
            "canary": CANARY, "pid": os.getpid(), "parent": os.getppid(), "secrets": [str(path) for path in secrets],
            "above": str(above), "port": canary.getsockname()[1], "abstract": name, "socket": str(above / "s"),
            "host": socket.gethostname(), "limits": {
                "RLIMIT_CPU": 600, "RLIMIT_FSIZE": 1 << 30, "RLIMIT_NOFILE": 1024, "RLIMIT_CORE": 0,
                "RLIMIT_DATA": 1 << 30, "RLIMIT_NPROC": 256,
            },
        }  # fmt: skip
        run = command(workspace, "python", "-I", "-S", "hostile.py", json.dumps(there))
        walls = Walls(workspace=workspace, hidden=(inner, workspace / ".env"))
        _, said = await ran(
            box if way == "box" else bubblewrap, job(workspace, Stage(commands=(run,)), limits=LIMITS), walls
        )
        told = json.loads(said)
        assert {name: what for name, what in told.items() if what} == {}
        assert len(told) > 150
        with pytest.raises(BlockingIOError):
            canary.accept()
    assert not (workspace / "linked").exists()
