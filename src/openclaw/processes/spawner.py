"""The one place that starts processes. Every child leads a group of its own and never outlives the gateway."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from openclaw.base.errors import Unavailable
from openclaw.base.tasks import TaskSet
from openclaw.processes.child import MAX_LINE_BYTES, Child
from openclaw.processes.environment import BASIC, EnvironmentSource, NoEnvironment, child_environment
from openclaw.processes.lifeline import Lifeline

MAX_CHILDREN = 256
"""Children at once: a loop that spawns without end meets this before it meets the system's limit."""


class Completed(msgspec.Struct, frozen=True):
    """How a short-lived child ended. `stdout` holds at most the asked-for bytes; `truncated` says if there was more."""

    returncode: int
    stdout: bytes
    stderr_tail: str
    truncated: bool = False


class Spawner:
    """Starts, counts, reaps and ends children.

    `environment` is where allowed variables come from; without it a child gets only what `env` names.
    """

    def __init__(self, environment: EnvironmentSource | None = None, *, limit: int = MAX_CHILDREN) -> None:
        self._environment = environment or NoEnvironment()
        self._limit = limit
        self._children: dict[int, Child] = {}
        self._starting = 0
        self._closed = False
        self._lifeline = Lifeline()
        self._tasks = TaskSet("processes", limit=2 * limit)

    def children(self) -> int:
        """How many children run now."""
        return len(self._children)

    def variable(self, name: str) -> str | None:
        """Return an inherited variable that a child may be given."""
        return self._environment.get(name)

    async def spawn(
        self,
        argv: Sequence[str],
        *,
        name: str = "",
        allow: Iterable[str] = BASIC,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdin: bool = False,
        stdout: bool = False,
        own_lifeline: bool = False,
        log_stderr: bool = True,
    ) -> Child:
        """Start a program by its argument list, never through a shell.

        `allow` names the inherited variables (shell patterns), `env` adds to them. `own_lifeline` is for children that
        end by themselves when their stdin closes: they need no warden.

        Raises: OSError when the program cannot be started; Unavailable when too many run or we are closing.
        Cancels: a child that was on its way is ended and reaped first.
        """
        self._check_open()
        if len(self._children) + self._starting >= self._limit:
            raise Unavailable(f"{self._limit} child processes are running, no more are started", retry_after_s=1.0)
        self._starting += 1
        cancelled = False
        starting = asyncio.gather(
            asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.PIPE if stdin or own_lifeline else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE if stdout else asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                env=child_environment(self._environment, allow, env),
                cwd=cwd,
                start_new_session=True,
                limit=MAX_LINE_BYTES,
            )
        )
        try:
            (process,) = await asyncio.shield(starting)
        except asyncio.CancelledError:
            (process,) = await starting  # it cannot be called back: let it come, and end it below
            cancelled = True
        finally:
            self._starting -= 1
        child = Child(name or Path(argv[0]).name, process, log_stderr=log_stderr)
        if self._closed:
            child.signal(signal.SIGKILL)
            await process.wait()
            self._check_open()
        self._children[child.pid] = child
        if not own_lifeline:
            self._lifeline.hold(child.pid)
        self._tasks.spawn(child.follow(self._forget), child.name)
        if cancelled:
            await child.kill()
            raise asyncio.CancelledError
        return child

    async def run(
        self,
        argv: Sequence[str],
        *,
        name: str = "",
        allow: Iterable[str] = BASIC,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        input_bytes: bytes | None = None,
        log_stderr: bool = True,
        timeout_s: float = 60.0,
        max_output_bytes: int = 1 << 20,
    ) -> Completed:
        """Run a program to its end, fed with `input_bytes`, and return what it wrote.

        Raises: OSError, Unavailable, TimeoutError (the group is killed first).
        Cancels: the group is killed and reaped first.
        """
        child = await self.spawn(
            argv,
            name=name,
            allow=allow,
            env=env,
            cwd=cwd,
            stdin=input_bytes is not None,
            stdout=True,
            log_stderr=log_stderr,
        )
        if input_bytes is not None:
            child.feed(input_bytes)
        kept = bytearray()
        size = 0
        try:
            async with asyncio.timeout(timeout_s):
                while block := await child.stdout.read(1 << 16):
                    size += len(block)
                    kept += block[: max(0, max_output_bytes - len(kept))]
                status = await child.wait()
        finally:
            await child.kill()
        return Completed(status, bytes(kept), child.stderr_tail, truncated=size > max_output_bytes)

    async def close(self, grace_s: float = 5.0) -> None:
        """End every child and refuse new ones. None is left when this returns."""
        self._closed = True
        await asyncio.gather(*(child.terminate(grace_s) for child in list(self._children.values())))
        await self._tasks.close()
        self._lifeline.close()

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("no process is started while the gateway stops")

    def _forget(self, child: Child) -> None:
        self._children.pop(child.pid, None)
        self._lifeline.let_go(child.pid)
