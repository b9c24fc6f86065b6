"""The book of jobs: what the shelf keeps of them, and the one place that changes it.

Kinds: `cron.job` by id; `cron.claim` by job and time, made before a run starts and absent before, so that no time runs
twice; `cron.run` by the time of its end, the log of all jobs; `cron.scratch` by job.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Literal

import msgspec

from openclaw.automation.job import Job, RunEntry
from openclaw.base.clock import Clock
from openclaw.base.errors import Conflict
from openclaw.store.shelf import ABSENT, Change, Shelf

MAX_JOBS: Final = 500
KEEP_RUNS: Final = 2_000
"""Lines of the run log, all jobs together."""
TRIM_EVERY: Final = 50
"""The log may be this much longer before it is cut."""
KEEP_CLAIMS: Final = 20
"""Times of each job that are remembered as run; a job's next time is always later than these."""
JOB: Final = "cron.job"
CLAIM: Final = "cron.claim"
RUN: Final = "cron.run"
SCRATCH: Final = "cron.scratch"

_jobs = msgspec.json.Decoder(Job)
_runs = msgspec.json.Decoder(RunEntry)


class Claim(msgspec.Struct, frozen=True):
    """One time of one job that is being run, or was."""

    job_id: str
    at_ms: int
    run_id: str
    session_key: str
    started_at_ms: int
    state: Literal["open", "done"] = "open"

    @property
    def id(self) -> str:
        """Its place on the shelf: claims of a job stand in the order of their times."""
        return claim_id(self.job_id, self.at_ms)


_claims = msgspec.json.Decoder(Claim)


class Scratch(msgspec.Struct, frozen=True, rename="camel"):
    """A job's note to itself. `revision` counts every change, removals included."""

    content: str | None
    revision: int
    updated_at_ms: int


_scratch = msgspec.json.Decoder(Scratch)


def claim_id(job_id: str, at_ms: int) -> str:
    """Return the id of a claim."""
    return f"{job_id}:{at_ms:016d}"


class Book:
    """The jobs in memory, each with its version on the shelf; every change is durable before it is seen."""

    def __init__(self, shelf: Shelf, clock: Clock) -> None:
        self._shelf = shelf
        self._clock = clock
        self._jobs: dict[str, tuple[Job, int]] = {}
        self._untrimmed = TRIM_EVERY

    async def load(self) -> list[Claim]:
        """Read the jobs, and return the claims that a crash left open, oldest first."""
        records = await self._shelf.list(JOB, limit=MAX_JOBS)
        self._jobs = {record.id: (_jobs.decode(record.body), record.version) for record in records}
        claims = await self._shelf.list(CLAIM, limit=(MAX_JOBS + 1) * (KEEP_CLAIMS + 1))
        left = [_claims.decode(record.body) for record in claims if b'"open"' in record.body]
        return sorted(left, key=lambda claim: claim.started_at_ms)

    def jobs(self) -> list[Job]:
        """Return every job, the oldest first."""
        return sorted((job for job, _ in self._jobs.values()), key=lambda job: (job.created_at_ms, job.id))

    def get(self, job_id: str) -> Job | None:
        """Return a job, or None."""
        kept = self._jobs.get(job_id)
        return kept[0] if kept else None

    async def add(self, job: Job) -> None:
        """Keep a new job. Raises: Conflict when there are as many as there may be."""
        if len(self._jobs) >= MAX_JOBS:
            raise Conflict(f"there are {MAX_JOBS} jobs already", hint="Remove jobs that are no longer needed.")
        await self._apply([Change(JOB, job.id, msgspec.json.encode(job), ABSENT)])
        self._jobs[job.id] = (job, 1)

    async def put(self, job: Job, beside: Iterable[Change] = ()) -> None:
        """Replace a job, and make the changes beside it in the same transaction. Raises: Conflict."""
        version = self._jobs[job.id][1]
        await self._apply([Change(JOB, job.id, msgspec.json.encode(job), version), *beside])
        self._jobs[job.id] = (job, version + 1)

    async def remove(self, job_id: str, beside: Iterable[Change] = ()) -> bool:
        """Delete a job with its claims and its scratch; its lines stay in the log. Say whether it was there."""
        if self._jobs.pop(job_id, None) is None:
            return False
        await self._apply([Change(JOB, job_id, None), Change(SCRATCH, job_id, None), *beside])
        await self._shelf.trim(CLAIM, prefix=f"{job_id}:", keep=0)
        return True

    async def reread(self, job_id: str) -> None:
        """Take up what somebody else wrote."""
        record = await self._shelf.get(JOB, job_id)
        if record is None:
            self._jobs.pop(job_id, None)
        else:
            self._jobs[job_id] = (_jobs.decode(record.body), record.version)

    # claims and the log

    async def is_claimed(self, job_id: str, at_ms: int) -> bool:
        """Say whether a time of a job has been taken."""
        return await self._shelf.get(CLAIM, claim_id(job_id, at_ms)) is not None

    async def write(self, changes: Sequence[Change]) -> None:
        """Make changes that touch no job."""
        await self._apply(changes)

    async def trim(self, job_id: str) -> None:
        """Cut a job's claims, and the log when it has grown."""
        await self._shelf.trim(CLAIM, prefix=f"{job_id}:", keep=KEEP_CLAIMS)
        self._untrimmed += 1
        if self._untrimmed > TRIM_EVERY:
            self._untrimmed = 0
            await self._shelf.trim(RUN, keep=KEEP_RUNS)

    async def runs(self) -> list[RunEntry]:
        """Return the log, the latest first."""
        records = await self._shelf.list(RUN, limit=KEEP_RUNS, last_first=True)
        return [_runs.decode(record.body) for record in records]

    # scratch

    async def scratch(self, job_id: str) -> Scratch | None:
        """Return a job's scratch; a removed one has no content and its last revision."""
        record = await self._shelf.get(SCRATCH, job_id)
        return None if record is None else _scratch.decode(record.body)

    async def set_scratch(self, job_id: str, content: str | None, seen: int | None) -> tuple[bool, Scratch]:
        """Write a job's scratch if its revision is the one seen. Return whether it was, and what is there now."""
        record = await self._shelf.get(SCRATCH, job_id)
        old = Scratch(None, 0, 0) if record is None else _scratch.decode(record.body)
        if seen is not None and seen != old.revision:
            return False, old
        new = Scratch(content, old.revision + 1, self._clock.now_ms())
        expected = ABSENT if record is None else record.version
        await self._apply([Change(SCRATCH, job_id, msgspec.json.encode(new), expected)])
        return True, new

    async def _apply(self, changes: Sequence[Change]) -> None:
        await self._shelf.apply(changes, self._clock.now_ms())


def put_claim(claim: Claim) -> Change:
    """Return the change that takes a time: it fails when somebody has it."""
    return Change(CLAIM, claim.id, msgspec.json.encode(claim), ABSENT)


def close_claim(claim: Claim) -> Change:
    """Return the change that says its run has ended."""
    return Change(CLAIM, claim.id, msgspec.json.encode(msgspec.structs.replace(claim, state="done")))


def log_line(entry: RunEntry) -> Change:
    """Return the change that adds a line to the log."""
    return Change(RUN, f"{entry.ts:016d}:{entry.job_id}:{entry.run_at_ms}", msgspec.json.encode(entry))
