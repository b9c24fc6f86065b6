"""Commands that run: their output, their end, and who may see them.

1. A job belongs to its owner's session; nobody else's session finds it.
2. Of the output the latest KEPT_BYTES stay; who writes more than MAX_OUTPUT_BYTES is ended.
3. A job ends by itself, by its time, by `process kill`, with the stopping of its run, or with the gateway.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable
from typing import Final

from openclaw.base.bounded import BoundedMap
from openclaw.base.clock import Clock
from openclaw.base.errors import ToolError
from openclaw.base.ids import RunId
from openclaw.base.tasks import TaskSet
from openclaw.processes.sandbox.job import Running
from openclaw.tools.api import Caller

KEPT_BYTES: Final = 256 * 1024
MAX_OUTPUT_BYTES: Final = 64 << 20
MAX_RUNNING: Final = 64
MAX_OF_SESSION: Final = 16
MAX_ENDED: Final = 128
MAX_INPUT_BYTES: Final = 64 * 1024
DRAIN_S: Final = 2.0
_BLOCK: Final = 1 << 16


class Job:
    """One command. Times are the clock's monotonic seconds."""

    def __init__(self, caller: Caller, shown: str, running: Running, now_s: float, *, takes_input: bool) -> None:
        self.id = secrets.token_hex(4)
        self.shown = shown
        self.started_s = now_s
        self.ended_s = 0.0
        self.status: int | None = None
        self.note = ""
        """Why it was ended, when it did not end by itself."""
        self.total = 0
        self.told = 0
        """How many bytes of the output the agent has polled."""
        self.takes_input = takes_input
        self.run_id = caller.run_id
        self.running = running
        self.done = asyncio.Event()
        self.after: Callable[[], Awaitable[None]] | None = None
        """What is closed once it has ended."""
        self._place = _place(caller)
        self._kept = bytearray()

    def is_of(self, caller: Caller) -> bool:
        """Say whether it belongs to the caller's session."""
        return self._place == _place(caller)

    def take(self, block: bytes) -> None:
        """Keep some output."""
        self.total += len(block)
        self._kept += block
        if len(self._kept) > KEPT_BYTES:
            del self._kept[: len(self._kept) - KEPT_BYTES]

    def since(self, position: int) -> tuple[bytes, int]:
        """Return what is kept of the output from a byte on, and how many bytes before it are gone."""
        first = self.total - len(self._kept)
        return bytes(self._kept[max(0, position - first) :]), max(0, first - position)


def _place(caller: Caller) -> tuple[str, ...]:
    who = caller.principal
    return (who.tenant, who.owner, caller.agent_id, caller.session_key)


class Jobs:
    """Every job of the gateway. `close` leaves none."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._running: dict[str, Job] = {}
        self._ended: BoundedMap[str, Job] = BoundedMap("exec.ended", MAX_ENDED)
        self._tasks = TaskSet("tools.exec", limit=8 * MAX_RUNNING)

    def __len__(self) -> int:
        return len(self._running)

    def check(self, caller: Caller) -> None:
        """Raises: ToolError when no more jobs may be started."""
        if len(self._running) >= MAX_RUNNING or len(self.of(caller, running=True)) >= MAX_OF_SESSION:
            raise ToolError("Too many commands are running. Wait for some, or end them with `process`.")

    def start(
        self,
        caller: Caller,
        shown: str,
        running: Running,
        timeout_s: float,
        *,
        takes_input: bool = False,
        hear: Callable[[bytes], None] | None = None,
    ) -> Job:
        """Follow a command that was started, until it ends. `hear` is told its output."""
        job = Job(caller, shown, running, self._clock.monotonic_s(), takes_input=takes_input)
        self._running[job.id] = job
        self._tasks.spawn(self._follow(job, timeout_s, hear), job.id)
        return job

    def get(self, caller: Caller, job_id: str) -> Job:
        """Return a job of the caller's session. Raises: ToolError."""
        job = self._running.get(job_id) or self._ended.get(job_id)
        if job is None or not job.is_of(caller):
            raise ToolError(f"There is no command {job_id[:40]!r} in this session. See `process` with action list.")
        return job

    def of(self, caller: Caller, *, running: bool = False) -> list[Job]:
        """Return the jobs of the caller's session, the oldest first."""
        every = list(self._running.values())
        if not running:
            every += self._ended.values()
        return sorted((job for job in every if job.is_of(caller)), key=lambda job: job.started_s)

    async def wait(self, job: Job, seconds: float) -> None:
        """Wait until a job has ended, or some time has passed."""
        both = [
            self._tasks.spawn(job.done.wait(), f"wait {job.id}"),
            self._tasks.spawn(self._clock.sleep(seconds), f"wait {job.id}"),
        ]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()

    async def end(self, job: Job, note: str) -> None:
        """End a job with all that it has started. Cancels: it ends all the same."""
        if job.done.is_set():
            return
        job.note = job.note or note
        await asyncio.shield(self._tasks.spawn(job.running.end(), f"end {job.id}"))
        await job.done.wait()

    def run_stopped(self, run_id: RunId) -> None:
        """End what a run has started that was stopped by a person."""
        for job in list(self._running.values()):
            if job.run_id == run_id:
                self._tasks.spawn(self.end(job, "its run was stopped"), f"stop {job.id}")

    def forget(self, caller: Caller) -> int:
        """Forget the session's jobs that have ended. Return how many."""
        gone = [job.id for job in self.of(caller) if job.done.is_set()]
        for job_id in gone:
            self._ended.pop(job_id)
        return len(gone)

    async def close(self) -> None:
        """End every job. What an engine of containers does not end now, the next gateway's first look ends."""
        await asyncio.gather(*(job.running.end() for job in list(self._running.values())), return_exceptions=True)
        await self._tasks.close()

    async def _follow(self, job: Job, timeout_s: float, hear: Callable[[bytes], None] | None) -> None:
        timer = self._tasks.spawn(self._time_out(job, timeout_s), f"time {job.id}")
        try:
            while block := await job.running.child.stdout.read(_BLOCK):
                job.take(block)
                if hear is not None:
                    hear(block)
                if job.total > MAX_OUTPUT_BYTES:
                    job.note = f"it wrote more than {MAX_OUTPUT_BYTES >> 20} MiB"
                    break
            else:
                await job.running.child.wait()
        finally:
            timer.cancel()
            try:
                job.status = await job.running.end()
                await _drained(job.running.child.stdout)
            finally:
                await self._done(job)

    async def _done(self, job: Job) -> None:
        """Note that a job has ended, so that nobody waits for it, and close what it needed."""
        job.ended_s = self._clock.monotonic_s()
        self._running.pop(job.id, None)
        self._ended.put(job.id, job)
        try:
            if job.after is not None:
                await job.after()
        finally:
            job.done.set()

    async def _time_out(self, job: Job, timeout_s: float) -> None:
        await self._clock.sleep(timeout_s)
        job.note = job.note or f"it ran for longer than {timeout_s:g} seconds"
        await job.running.end()


async def _drained(stream: asyncio.StreamReader) -> None:
    """Read what is left in a pipe that nobody writes to any more, so that it is closed."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            while await stream.read(_BLOCK):
                pass
