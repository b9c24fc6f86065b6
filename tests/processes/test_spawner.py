"""The spawner: groups, reaping, bounded output, and no child left however we end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterable

import psutil
import pytest

from openclaw.base.errors import Unavailable
from openclaw.processes.spawner import Spawner
from tests.processes.waiting import alive, until

pytestmark = pytest.mark.anyio

SLEEPER = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
STUBBORN = [
    sys.executable,
    "-S",
    "-c",
    "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)",
]
FAMILY = ["sh", "-c", "sleep 600 & echo $!; wait"]
ORPHANING = ["sh", "-c", "sleep 600 >/dev/null 2>&1 </dev/null & echo $!"]


class Variables:
    """An environment of these variables."""

    def __init__(self, **values: str) -> None:
        self._values = values

    def get(self, name: str) -> str | None:
        """Return one."""
        return self._values.get(name)

    def names(self) -> Iterable[str]:
        """Return their names."""
        return self._values


@pytest.fixture
async def spawner() -> AsyncIterator[Spawner]:
    one = Spawner(Variables(PATH=os.environ["PATH"]))
    yield one
    await one.close(0.5)
    assert one.children() == 0


async def test_a_program_runs_to_its_end_and_its_output_is_returned(spawner: Spawner) -> None:
    done = await spawner.run(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (done.returncode, done.stdout, done.stderr_tail, done.truncated) == (3, b"out\n", "err", False)
    assert spawner.children() == 0


async def test_output_beyond_the_limit_is_read_but_not_kept(spawner: Spawner) -> None:
    done = await spawner.run(
        [sys.executable, "-S", "-c", "import sys; sys.stdout.write('x' * 3_000_000)"], max_output_bytes=1000
    )
    assert done.returncode == 0
    assert len(done.stdout) == 1000
    assert done.truncated


async def test_a_stderr_line_without_end_does_not_fill_memory(spawner: Spawner) -> None:
    done = await spawner.run([sys.executable, "-S", "-c", "import sys; sys.stderr.write('x' * 3_000_000)"])
    assert done.returncode == 0
    assert 0 < len(done.stderr_tail) < 5_000_000


async def test_a_missing_program_is_an_os_error_and_leaves_no_child(spawner: Spawner) -> None:
    with pytest.raises(FileNotFoundError):
        await spawner.run(["/nowhere/program"])
    assert spawner.children() == 0


async def test_a_child_gets_only_allowed_variables() -> None:
    spawner = Spawner(Variables(PATH=os.environ["PATH"], SECRET_TOKEN="s", PIP_INDEX_URL="i", https_proxy="p"))
    done = await spawner.run(["env"], allow=("PATH", "PIP_*", "*_proxy"), env={"EXTRA": "1"})
    names = {line.partition("=")[0] for line in done.stdout.decode().splitlines()}
    assert names - {"_", "PWD", "SHLVL"} == {"PATH", "PIP_INDEX_URL", "https_proxy", "EXTRA"}
    await spawner.close()


async def test_a_timeout_kills_the_whole_group(spawner: Spawner) -> None:
    with pytest.raises(TimeoutError):
        await spawner.run(FAMILY, timeout_s=0.2)
    assert spawner.children() == 0


async def test_cancelling_a_run_kills_the_whole_group(spawner: Spawner) -> None:
    task = asyncio.get_running_loop().create_task(spawner.run(SLEEPER))
    await until(lambda: spawner.children() == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert spawner.children() == 0


async def test_terminate_reaches_grandchildren(spawner: Spawner) -> None:
    child = await spawner.spawn(FAMILY, stdout=True)
    grandchild = int(await child.stdout.readline())
    assert alive(grandchild)
    assert await child.terminate(2) == -signal.SIGTERM
    await until(lambda: not alive(grandchild))


async def test_a_child_that_ignores_sigterm_is_killed_after_the_grace(spawner: Spawner) -> None:
    child = await spawner.spawn(STUBBORN, stdout=True)
    assert await child.stdout.readline() == b"up\n"
    assert await child.terminate(0.1) == -signal.SIGKILL
    assert not alive(child.pid)


async def test_what_a_child_left_in_its_group_ends_with_it(spawner: Spawner) -> None:
    child = await spawner.spawn(ORPHANING, stdout=True)
    grandchild = int(await child.stdout.readline())
    assert await child.wait() == 0
    await until(lambda: not alive(grandchild))


async def test_stdin_reaches_the_child(spawner: Spawner) -> None:
    child = await spawner.spawn(["cat"], stdin=True, stdout=True)
    await child.write(b"hello\n")
    assert await child.stdout.readline() == b"hello\n"
    child.close_stdin()
    assert await child.wait() == 0


async def test_close_leaves_no_child_and_refuses_new_ones() -> None:
    spawner = Spawner(Variables(PATH=os.environ["PATH"]))
    children = [await spawner.spawn(argv, stdout=True) for argv in (SLEEPER, STUBBORN, FAMILY)]
    await children[1].stdout.readline()
    await spawner.close(0.2)
    assert spawner.children() == 0
    assert not any(alive(child.pid) for child in children)
    assert psutil.Process().children() == []
    with pytest.raises(Unavailable):
        await spawner.spawn(SLEEPER)


async def test_a_child_over_the_limit_is_refused() -> None:
    spawner = Spawner(limit=1)
    await spawner.spawn(SLEEPER)
    with pytest.raises(Unavailable):
        await spawner.spawn(SLEEPER)
    await spawner.close()


PARENT = """
import asyncio, sys
from openclaw.processes.spawner import Spawner
from tests.processes.waiting import alive, until

async def main():
    spawner = Spawner()
    child = await spawner.spawn(["/bin/sh", "-c", "sleep 600 & echo $!; wait"], stdout=True)
    grandchild = (await child.stdout.readline()).decode().strip()
    print(child.pid, grandchild, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_children_and_grandchildren_die_within_a_second_of_a_killed_parent() -> None:
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", PARENT, stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    pids = [int(pid) for pid in (await parent.stdout.readline()).split()]
    family = psutil.Process(parent.pid).children(recursive=True)
    assert len(family) == 3
    pids += [one.pid for one in family]
    parent.kill()
    await parent.wait()
    await until(lambda: not any(alive(pid) for pid in pids), 1.0)


async def test_a_dead_warden_is_replaced_and_told_of_every_child() -> None:
    spawner = Spawner()
    first = await spawner.spawn(SLEEPER)
    (warden,) = (child for child in psutil.Process().children() if child.pid != first.pid)
    warden.kill()
    await until(lambda: not alive(warden.pid))
    await spawner.spawn(SLEEPER)
    third = await spawner.spawn(SLEEPER)
    assert len(psutil.Process().children()) == 4
    await third.terminate()
    await spawner.close()
    assert psutil.Process().children() == []


@pytest.mark.parametrize("turns", range(6))
async def test_a_start_that_is_cancelled_leaves_no_child(spawner: Spawner, turns: int) -> None:
    before = {child.pid for child in psutil.Process().children()}
    async with asyncio.TaskGroup() as group:
        starting = group.create_task(spawner.spawn(SLEEPER, stdin=True, stdout=True, own_lifeline=True))
        for _ in range(turns):
            await asyncio.sleep(0)
        starting.cancel()
    assert spawner.children() <= (0 if starting.cancelled() else 1)
    if not starting.cancelled():
        await starting.result().kill()
    assert {child.pid for child in psutil.Process().children()} <= before


async def test_a_program_that_does_not_read_its_input_is_no_failure(spawner: Spawner) -> None:
    for _ in range(20):  # whether it ends before it is fed is a matter of chance
        done = await spawner.run(["/bin/echo", "said"], input_bytes=b"never read")
        assert (done.returncode, done.stdout) == (0, b"said\n")
