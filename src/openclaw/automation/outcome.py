"""What a run leaves behind: its line in the log, and the job's state after it. Pure.

Rules
1. A job with one time is spent by the run of that time: a good one deletes it if it says so, else it stays, but off.
2. Each failure in a row makes a recurring job wait longer: the next time is the first of its schedule behind the pause.
3. A skipped time is no failure and no success: the count of failures stays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from openclaw.automation.book import Claim
from openclaw.automation.job import MAX_ERROR_CHARS, Job, RunEntry, Status
from openclaw.automation.schedule import At
from openclaw.base.run import Reply

PAUSES_S: Final = (30, 60, 300, 900, 3_600)
"""Waits after the first failure, the second, …; the last one goes on."""
MAX_SUMMARY_CHARS: Final = 2_000


def pause_ms(failures: int) -> int:
    """Return how long a job waits after so many failures in a row."""
    return PAUSES_S[min(max(failures, 1), len(PAUSES_S)) - 1] * 1000


def entry_of(
    job: Job, claim: Claim, now_ms: int, status: Status, *, error: str = "", reply: Reply | None = None
) -> RunEntry:
    """Return the log's line for the end of a run, or for a time that was not run."""
    return RunEntry(
        ts=now_ms,
        job_id=job.id,
        job_name=job.name,
        status=status,
        run_at_ms=claim.started_at_ms,
        run_id=claim.run_id,
        error=error[:MAX_ERROR_CHARS] or None,
        summary=(reply.text[:MAX_SUMMARY_CHARS] or None) if reply else None,
        duration_ms=max(0, now_ms - claim.started_at_ms),
        session_id=(reply.session_id or None) if reply else None,
        session_key=claim.session_key or None,
        model=(reply.model or None) if reply else None,
        provider=(reply.provider or None) if reply else None,
        tenant=job.owner.tenant,
        owner=job.owner.owner,
    )


def after_run(job: Job, entry: RunEntry, due_after: Callable[[int], int | None]) -> Job | None:
    """Return the job after a run, or None when it is to be deleted. `due_after` is the job's next time after one."""
    errors = job.state.consecutive_errors or 0
    if entry.status != "skipped":
        errors = errors + 1 if entry.status == "error" else 0
    spent = isinstance(job.schedule, At) and job.state.next_run_at_ms is None
    if spent and entry.status == "ok" and job.delete_after_run:
        return None
    due_ms = job.state.next_run_at_ms
    if job.enabled and not isinstance(job.schedule, At) and entry.status == "error":
        due_ms = due_after(entry.ts + pause_ms(errors) - 1)
    done = job.with_state(
        next_run_at_ms=due_ms,
        running_at_ms=None,
        last_run_at_ms=entry.run_at_ms,
        last_status=entry.status,
        last_error=entry.error,
        last_duration_ms=entry.duration_ms,
        consecutive_errors=errors or None,
    )
    return msgspec.structs.replace(done, enabled=False) if spent else done
