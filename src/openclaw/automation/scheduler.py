"""Runs jobs at their times: one timer for all of them, and each time of a job at most once.

Rules
1. A time is claimed on the shelf, together with the job's next time, before its run begins. Who finds it claimed does
   not run it. The run's id is made of job and time, so the study would run it once even so.
2. A claim that a crash left open is taken up again under the same run id: the study resumes the run, or has its answer,
   or never saw it. What is older than `cron.maxMissedAgeMs` is recorded as skipped instead.
3. Times that passed while the gateway was down make one run, or none where the job or the configuration says so;
   after a start they begin CATCH_UP_STEP_MS apart.
4. A job never runs beside itself, and at most `cron.maxConcurrentRuns` run at once: what waits for them runs once.
5. A system event is queued in the transaction that claims its time: nothing can come between.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Final, Literal

import msgspec

from openclaw.agent.api import AgentService
from openclaw.automation.alarm import Alarm
from openclaw.automation.book import Book, Claim, Scratch, close_claim, log_line, put_claim
from openclaw.automation.job import (
    AgentTurn,
    Job,
    JobChange,
    RunEntry,
    SystemEvent,
    anchored,
    check_job,
    principal_of,
    session_of,
)
from openclaw.automation.outcome import after_run, entry_of
from openclaw.automation.schedule import Cron, check, next_ms
from openclaw.automation.system_event import Queuing, SystemEvents
from openclaw.base.clock import Clock
from openclaw.base.errors import Conflict, InvalidRequest, OpenClawError
from openclaw.base.ids import AgentId, RunId, SessionKey
from openclaw.base.message import user
from openclaw.base.run import Inbound, Reply
from openclaw.base.tasks import TaskSet, supervise
from openclaw.config.schema import Config
from openclaw.store.shelf import Change
from openclaw.telemetry.metrics import METRICS

_log = logging.getLogger("openclaw.cron")
_runs = METRICS.counter("openclaw_cron_runs", "Times of jobs by what became of them.", ("status",))
_run_seconds = METRICS.histogram("openclaw_cron_run_seconds", "Time of a job's run.")

CATCH_UP_STEP_MS: Final = 5_000
JUMP_MS: Final = 60_000
"""Waking this much later than asked means that the machine slept: what passed meanwhile was missed."""
TRIES: Final = 3

RunMode = Literal["due", "force", "if-enabled"]


class Started(msgspec.Struct, frozen=True):
    """What came of asking for a run now: its id, or why there is none."""

    run_id: str = ""
    reason: str = ""


class Scheduler:
    """The jobs and their timer. `start` once the study runs, `pause` before it drains, `close` at the end."""

    def __init__(
        self,
        book: Book,
        events: SystemEvents,
        agent: AgentService,
        clock: Clock,
        config: Callable[[], Config],
        tell: Callable[[JobChange], None],
        wake: Callable[[AgentId, SessionKey], None],
    ) -> None:
        self._book = book
        self._events = events
        self._agent = agent
        self._clock = clock
        self._config = config
        self._tell = tell
        self._wake = wake
        self._tasks = TaskSet("cron")
        self._alarm = Alarm(clock, self._tasks)
        self._lock = asyncio.Lock()
        """Held while a job is read, changed and written; never while it runs."""
        self._running: dict[str, Claim] = {}
        self._missed: dict[str, int] = {}
        """Jobs that missed a time, and when each may make up for it."""
        self._armed_ms: int | None = None
        self._was_enabled = True
        self._zone = ""
        self._paused = True

    # life

    async def start(self) -> None:
        """Take up what a crash left open and begin to keep time. Raises: Unavailable."""
        left = await self._book.load()
        self._paused = False
        self._was_enabled = self._config().cron.enabled
        self._zone = self._default_tz()
        for claim in left:
            await self._take_up(claim)
        await self._settle()
        self._plan_catch_up()
        self._tasks.spawn(supervise("cron", self._keep_time, self._clock.sleep), "timer")

    def pause(self) -> None:
        """Begin nothing more. Runs that are going may end."""
        self._paused = True
        self._alarm.set(None)

    async def close(self) -> None:
        """Let go of everything; runs that are still going are taken up at the next start."""
        self._paused = True
        await self._tasks.close()

    async def reloaded(self) -> None:
        """Look again: the configuration has changed."""
        config = self._config()
        if config.cron.enabled and not self._was_enabled:
            self._plan_catch_up()
        self._was_enabled = config.cron.enabled
        if self._zone != self._default_tz():
            self._zone = self._default_tz()
            await self._plan_in_zone()
        self._alarm.ring()

    async def _plan_in_zone(self) -> None:
        """Another default zone moves the jobs that name none."""
        async with self._lock:
            for job in self._book.jobs():
                if job.enabled and isinstance(job.schedule, Cron) and not job.schedule.tz:
                    due_ms = self._due_after(job, self._clock.now_ms())
                    await self._book.put(job.with_state(next_run_at_ms=due_ms))

    async def _take_up(self, claim: Claim) -> None:
        job = self._book.get(claim.job_id)
        if job is None:
            await self._book.write([close_claim(claim)])
            return
        self._running[job.id] = claim
        if not isinstance(job.payload, AgentTurn):  # it was changed while it ran; the study ends the run by itself
            now_ms = self._clock.now_ms()
            await self._finish(job, claim, entry_of(job, claim, now_ms, "error", error="interrupted by a crash"))
            return
        too_old = self._clock.now_ms() - claim.started_at_ms > self._config().cron.max_missed_age_ms
        if too_old and await self._agent.past_run(RunId(claim.run_id)) is None:
            await self._finish(job, claim, entry_of(job, claim, self._clock.now_ms(), "skipped", error=_TOO_OLD))
            return
        self._tasks.spawn(self._drive(job, claim), f"run {job.id}")

    async def _settle(self) -> None:
        """Give a time to jobs that should have one: their zone was unknown to the machine."""
        for job in self._book.jobs():
            if job.enabled and job.state.next_run_at_ms is None and job.id not in self._running:
                due_ms = self._due_after(job, self._clock.now_ms())
                if due_ms is not None:
                    await self._book.put(job.with_state(next_run_at_ms=due_ms))

    # time

    async def _keep_time(self) -> None:
        while True:
            now_ms = self._clock.now_ms()
            if self._armed_ms is not None and now_ms > self._armed_ms + JUMP_MS:
                self._plan_catch_up()
            await self._begin_due(now_ms)
            self._arm()
            await self._alarm.wait()

    def _plan_catch_up(self) -> None:
        now_ms = self._clock.now_ms()
        late = sorted(
            (job.state.next_run_at_ms, job.id)
            for job in self._book.jobs()
            if job.enabled and job.state.next_run_at_ms is not None and job.state.next_run_at_ms < now_ms
        )
        self._missed = {job_id: now_ms + place * CATCH_UP_STEP_MS for place, (_, job_id) in enumerate(late)}

    def _waiting(self) -> list[tuple[int, Job]]:
        """Return jobs that wait for a time, with the time at which they may begin, the earliest first."""
        if self._paused or not self._config().cron.enabled:
            return []
        found = [
            (max(job.state.next_run_at_ms, self._missed.get(job.id, 0)), job)
            for job in self._book.jobs()
            if job.enabled and job.state.next_run_at_ms is not None and job.id not in self._running
        ]
        return sorted(found, key=lambda each: (each[0], each[1].id))

    def _arm(self) -> None:
        waiting = self._waiting()
        full = len(self._running) >= self._config().cron.max_concurrent_runs
        self._armed_ms = waiting[0][0] if waiting and not full else None
        if not self._paused:
            self._alarm.set(self._armed_ms)

    async def _begin_due(self, now_ms: int) -> None:
        for begin_ms, job in self._waiting():
            if begin_ms > now_ms or len(self._running) >= self._config().cron.max_concurrent_runs:
                return
            async with self._lock:
                current = self._book.get(job.id)
                if current is not job or job.state.next_run_at_ms is None or self._paused:
                    continue  # it was changed while an earlier one began
                missed = self._missed.pop(job.id, None) is not None
                if missed and (why := self._not_made_up(job, now_ms)):
                    await self._skip(job, now_ms, why)
                else:
                    await self._begin(job, job.state.next_run_at_ms, now_ms)

    def _not_made_up(self, job: Job, now_ms: int) -> str:
        """Return why a missed time is not made up for, or an empty text."""
        settings = self._config().cron
        rule = job.missed or ("skip" if settings.skip_missed_jobs else "once")
        if rule == "skip":
            return "missed while the gateway was down"
        late_ms = now_ms - (job.state.next_run_at_ms or now_ms)
        return _TOO_OLD if late_ms > settings.max_missed_age_ms else ""

    def _due_after(self, job: Job, after_ms: int) -> int | None:
        try:
            return next_ms(job.schedule, after_ms, job_id=job.id, default_tz=self._default_tz())
        except InvalidRequest as error:  # a zone that this machine does not know
            _log.warning("cron_not_scheduled", extra={"fields": {"job": job.id, "why": error.message}})
            return None

    def _after(self, job: Job, entry: RunEntry) -> Job | None:
        return after_run(job, entry, lambda after_ms: self._due_after(job, after_ms))

    def _default_tz(self) -> str:
        return self._config().agents.defaults.user_timezone

    # one time of one job

    def _claim(self, job: Job, at_ms: int, now_ms: int, run_id: str) -> Claim:
        agent_id = AgentId(job.agent_id) if job.agent_id else self._agent.default_agent()
        return Claim(job.id, at_ms, run_id, session_of(job, agent_id, at_ms), now_ms)

    async def _skip(self, job: Job, now_ms: int, why: str) -> None:
        assert job.state.next_run_at_ms is not None
        claim = self._claim(job, job.state.next_run_at_ms, now_ms, "")
        moved = job.with_state(next_run_at_ms=self._due_after(job, now_ms))
        entry = msgspec.structs.replace(entry_of(job, claim, now_ms, "skipped", error=why), session_key=None)
        after = self._after(moved, entry)
        assert after is not None, "only a good run deletes its job"
        closed = msgspec.structs.replace(claim, state="done")
        with contextlib.suppress(Conflict):
            await self._book.put(after, [put_claim(closed), log_line(entry)])
            self._told(after, entry)

    async def _begin(self, job: Job, at_ms: int, now_ms: int, *, run_id: str = "", due: bool = True) -> bool:
        """Claim a time and begin its run. Say whether it was still free."""
        claim = self._claim(job, at_ms, now_ms, run_id or f"cron:{job.id}:{at_ms}")
        due_ms = self._due_after(job, max(now_ms, at_ms)) if due else job.state.next_run_at_ms
        moved = job.with_state(next_run_at_ms=due_ms, running_at_ms=now_ms)
        if isinstance(job.payload, SystemEvent):
            return await self._announce(moved, claim, job.payload)
        try:
            await self._book.put(moved, [put_claim(claim)])
        except Conflict:
            await self._lost(job.id, at_ms)
            return False
        self._running[job.id] = claim
        self._tell(JobChange("started", moved, claim.started_at_ms))
        self._tasks.spawn(self._drive(moved, claim), f"run {job.id}")
        return True

    async def _lost(self, job_id: str, at_ms: int) -> None:
        """Somebody else has the time, or changed the job: go on from what is there now."""
        await self._book.reread(job_id)
        job = self._book.get(job_id)
        if job is not None and job.state.next_run_at_ms == at_ms and await self._book.is_claimed(job_id, at_ms):
            await self._book.put(job.with_state(next_run_at_ms=self._due_after(job, at_ms)))

    async def _announce(self, job: Job, claim: Claim, payload: SystemEvent) -> bool:
        """A system event needs no run: claim, line and log are one transaction."""
        key, now_ms = SessionKey(claim.session_key), claim.started_at_ms
        entry = entry_of(job, claim, now_ms, "ok")
        queuing = Queuing()
        try:
            queuing = self._events.prepare(key, payload.text, job.owner.tenant, job.owner.owner)
        except OpenClawError as error:
            entry = entry_of(job, claim, now_ms, "error", error=error.message)
        after = self._after(job, entry)
        done = put_claim(msgspec.structs.replace(claim, state="done"))
        changes: list[Change] = [done, log_line(entry), *queuing.changes]
        try:
            await (self._book.put(after, changes) if after else self._book.remove(job.id, changes))
        except Conflict:
            await self._lost(job.id, claim.at_ms)
            return False
        self._events.queued(queuing)
        self._told(after or job, entry)
        if after is None:
            self._tell(JobChange("removed", job))
        else:
            await self._book.trim(job.id)
        if entry.status == "ok" and job.wake_mode == "now":
            self._wake(AgentId(key.split(":", 2)[1]), key)
        return True

    async def _drive(self, job: Job, claim: Claim) -> None:
        reply: Reply | None = None
        error = ""
        try:
            run = await self._agent.submit(_inbound(job, claim))
            reply = await run.result()
            if reply.state != "ok":
                error = str((reply.error or {}).get("message") or reply.state)
        except OpenClawError as refused:
            error = refused.message
        except Exception:  # noqa: BLE001  # the run's supervisor: a job that breaks must not stay marked as running
            _log.exception("cron_run_broke", extra={"fields": {"job": job.id, "run": claim.run_id}})
            error = "something broke inside the gateway; its log has the trace"
        if self._paused and error:
            return  # parked by the shutdown: the claim stays open, and the next start takes it up
        entry = entry_of(job, claim, self._clock.now_ms(), "error" if error else "ok", error=error, reply=reply)
        await self._finish(job, claim, entry)

    async def _finish(self, job: Job, claim: Claim, entry: RunEntry) -> None:
        async with self._lock:
            try:
                left = await self._record(job, claim, entry)
            finally:
                self._running.pop(job.id, None)
        self._told(left or job, entry)
        if left is None:
            self._tell(JobChange("removed", job))
        else:
            await self._book.trim(job.id)
        self._alarm.ring()

    async def _record(self, job: Job, claim: Claim, entry: RunEntry) -> Job | None:
        """Write a run's end: claim, log and job together. Return the job as it is now, None when it is gone."""
        for _ in range(TRIES):
            current = self._book.get(job.id)
            after = self._after(current, entry) if current else None
            due_ms = after.state.next_run_at_ms if after else None
            changes = [close_claim(claim), log_line(msgspec.structs.replace(entry, next_run_at_ms=due_ms))]
            try:
                if after is not None:
                    await self._book.put(after, changes)
                elif current is not None:
                    await self._book.remove(job.id, changes)
                else:
                    await self._book.write(changes[1:])
            except Conflict:
                await self._book.reread(job.id)
                continue
            return after
        raise Conflict(f"job {job.id} is being changed by somebody else")

    def _told(self, job: Job, entry: RunEntry) -> None:
        _runs.inc(entry.status)
        _run_seconds.observe((entry.duration_ms or 0) / 1000)
        fields = {"job": job.id, "name": job.name, "status": entry.status, "run": entry.run_id, "error": entry.error}
        level = logging.WARNING if entry.status == "error" else logging.INFO
        _log.log(level, "cron_run_finished", extra={"fields": fields})
        self._tell(JobChange("finished", job, entry.run_at_ms, entry))

    # the counter's questions

    def jobs(self) -> list[Job]:
        """Return every job, the oldest first."""
        return self._book.jobs()

    def job(self, job_id: str) -> Job:
        """Return a job. Raises: InvalidRequest."""
        job = self._book.get(job_id)
        if job is None:
            raise no_job(job_id)
        return job

    def next_wake_ms(self) -> int | None:
        """Return when the next job is due, or None."""
        waiting = self._waiting()
        return waiting[0][0] if waiting else None

    async def add(self, job: Job) -> Job:
        """Keep a new job. Raises: InvalidRequest, NotFound for an unknown agent, Conflict when there are too many."""
        made = self._planned(job)
        async with self._lock:
            await self._book.add(made)
        self._changed("added", made)
        return made

    async def update(self, job_id: str, change: Callable[[Job], Job]) -> Job:
        """Change a job. Raises: InvalidRequest."""
        async with self._lock:
            old = self.job(job_id)
            new = change(old)
            if (new.schedule, new.enabled) != (old.schedule, old.enabled):
                new = new.with_state(next_run_at_ms=None, consecutive_errors=None)
            new = self._planned(msgspec.structs.replace(new, updated_at_ms=self._clock.now_ms()))
            await self._book.put(new)
            self._missed.pop(job_id, None)
        self._changed("updated", new)
        return new

    async def remove(self, job_id: str) -> None:
        """Delete a job; a run that is going ends as it would. Raises: InvalidRequest."""
        async with self._lock:
            job = self.job(job_id)
            await self._book.remove(job_id)
        self._changed("removed", job)

    async def run(self, job_id: str, mode: RunMode = "force") -> Started:
        """Run a job now, beside its schedule (`force`), or only when it is due. Raises: InvalidRequest."""
        async with self._lock:
            job, now_ms = self.job(job_id), self._clock.now_ms()
            due_ms = job.state.next_run_at_ms
            if job.id in self._running:
                return Started(reason="already-running")
            if mode == "if-enabled" and not job.enabled:
                return Started(reason="disabled")
            if mode == "due":
                if not job.enabled or due_ms is None or due_ms > now_ms:
                    return Started(reason="not-due")
                begun = await self._begin(job, due_ms, now_ms)
                return Started(f"cron:{job.id}:{due_ms}") if begun else Started(reason="already-running")
            run_id = f"manual:{job.id}:{now_ms}:1"
            begun = await self._begin(job, now_ms, now_ms, run_id=run_id, due=False)
            return Started(run_id) if begun else Started(reason="already-running")

    async def runs(self) -> Sequence[RunEntry]:
        """Return the run log, the latest first."""
        return await self._book.runs()

    async def scratch(self, job_id: str) -> Scratch | None:
        """Return a job's scratch. Raises: InvalidRequest."""
        return await self._book.scratch(self.job(job_id).id)

    async def set_scratch(self, job_id: str, content: str | None, seen: int | None) -> tuple[bool, Scratch]:
        """Write a job's scratch if its revision is the one seen. Raises: InvalidRequest."""
        async with self._lock:
            return await self._book.set_scratch(self.job(job_id).id, content, seen)

    def _planned(self, job: Job) -> Job:
        """Return the job checked, anchored and with its next time."""
        check_job(job)
        check(job.schedule, default_tz=self._default_tz())
        job = self._placed(job)
        job = msgspec.structs.replace(job, schedule=anchored(job.schedule, self._clock.now_ms()))
        if not job.enabled:
            return job.with_state(next_run_at_ms=None)
        if job.state.next_run_at_ms is None:
            due_ms = self._due_after(job, self._clock.now_ms())
            if due_ms is None:
                raise InvalidRequest("the job's time has passed", hint="Give it a time that is still to come.")
            return job.with_state(next_run_at_ms=due_ms)
        return job

    def _placed(self, job: Job) -> Job:
        """Return the job with whole session keys. Raises: InvalidRequest, NotFound for an unknown agent."""
        agent_id = self._agent.resolve_agent(job.agent_id) if job.agent_id else None
        if job.session_key:
            key = self._agent.resolve_key(principal_of(job.owner), job.session_key, agent_id)
            job = msgspec.structs.replace(job, session_key=key)
        named = session_of(job, agent_id or self._agent.default_agent(), 0)
        key = self._agent.resolve_key(principal_of(job.owner), named)
        speaker = self._agent.resolve_agent(key.split(":", 2)[1])
        if agent_id not in (None, speaker):
            raise InvalidRequest(f"session {key} is not of agent {agent_id}")
        return job

    def _changed(self, action: Literal["added", "updated", "removed"], job: Job) -> None:
        self._tell(JobChange(action, job))
        self._alarm.ring()


def no_job(job_id: str) -> InvalidRequest:
    """Return the refusal of an unknown job; not a NotFound, for clients read exactly these details."""
    return InvalidRequest(
        f"no job {job_id[:100]!r}: list the jobs and use the id of one",
        details={"code": "CRON_JOB_NOT_FOUND", "jobId": job_id},
    )


_TOO_OLD: Final = "missed too long ago"


def _inbound(job: Job, claim: Claim) -> Inbound:
    payload = job.payload
    assert isinstance(payload, AgentTurn), "a system event has no run"
    key = SessionKey(claim.session_key)
    return Inbound(
        run_id=RunId(claim.run_id),
        session_key=key,
        agent_id=AgentId(key.split(":", 2)[1]),
        message=user(payload.message),
        principal=principal_of(job.owner),
        source="cron",
        ephemeral=job.session_target == "isolated",
        stream=True,
        model=payload.model or None,
        thinking=payload.thinking,
        timeout_s=payload.timeout_seconds or None,
    )
