"""Jobs that a carrier carries out, on the bare machine or within bubblewrap's walls."""

from __future__ import annotations

import asyncio
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from openclaw.processes.child import Child
from openclaw.processes.sandbox.job import Backend, Job, Running, Walls, frame
from openclaw.processes.sandbox.seccomp import program
from openclaw.processes.spawner import Spawner

CARRIER: Final = Path(__file__).with_name("carrier.py")
PYTHON: Final = str(Path(sys.executable).resolve())
GRACE_S: Final = 0.3
"""How long a carrier may take to end what it has started, before it is ended itself."""


class Carried:
    """Implements Running. `after` is called once it has been ended."""

    def __init__(self, child: Child, after: Callable[[], None] | None = None) -> None:
        self.child = child
        self._after = after

    async def give(self, data: bytes) -> None:
        """See Running."""
        await self.child.write(frame(b"I", data))

    async def end_input(self) -> None:
        """See Running."""
        await self.child.write(frame(b"E"))

    async def end(self) -> int:
        """See Running."""
        self.child.close_stdin()
        try:
            async with asyncio.timeout(GRACE_S):
                return await self.child.wait()
        except TimeoutError:
            return await self.child.kill()
        finally:
            if self._after is not None:
                self._after()


async def started(
    child: Child, job: Job, *, alone: bool, after: Callable[[], None] | None = None, proxy: str = ""
) -> Carried:
    """Tell a carrier its job.

    `alone`: nothing but the job lives in its namespaces; then `proxy` may be a socket to which its network leads.
    """
    seccomp = program(platform.machine()).hex() if alone else ""
    whole: dict[str, Any] = {**msgspec.to_builtins(job), "seccomp": seccomp, "alone": alone, "proxy": proxy}
    try:
        await child.write(frame(b"J", msgspec.json.encode(whole)))
    except (ConnectionError, asyncio.CancelledError):
        await child.kill()
        raise
    return Carried(child, after)


class Bare:
    """No walls: what the operator has chosen, or a person has allowed knowing that there are none. A Sandbox."""

    backend: Backend = "none"

    def __init__(self, spawner: Spawner) -> None:
        self._spawner = spawner

    async def start(self, job: Job, walls: Walls) -> Running:
        """See Sandbox. The carrier ends with its pipe and takes everything along, also what left its group."""
        argv = (PYTHON, "-I", "-S", str(CARRIER))
        child = await self._spawner.spawn(
            argv, name="command", allow=(), cwd=walls.workspace, stdout=True, own_lifeline=True, log_stderr=False
        )
        return await started(child, job, alone=False)
