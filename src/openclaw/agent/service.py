"""The study's counter: takes messages in durably, runs them lane by lane, answers questions about sessions."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from openclaw.agent.announced import Announced
from openclaw.agent.api import AgentInfo, CompactedSession, Owned, Run, RunObserver
from openclaw.agent.asking import Workshop
from openclaw.agent.condensing import condense, stand_in
from openclaw.agent.directory import Directory, problem_of
from openclaw.agent.ended import log_ended
from openclaw.agent.lane import Lanes
from openclaw.agent.live import LiveRun, RepeatedRun, ended_run, retrieved
from openclaw.agent.recovery import recovery
from openclaw.agent.register import Register, within
from openclaw.agent.runner import NotAdmitted, Runner, reply_for
from openclaw.agent.session_key import parse_key
from openclaw.agent.taint import brought_in
from openclaw.agent.turn import EndState
from openclaw.base import own_names
from openclaw.base.bounded import BoundedMap
from openclaw.base.errors import (
    Conflict,
    Forbidden,
    InternalError,
    InvalidRequest,
    LaneBusy,
    NotFound,
    OpenClawError,
    RunAborted,
    RunInterrupted,
    Unavailable,
)
from openclaw.base.ids import OPERATOR, AgentId, OwnerId, RunId, SessionId, SessionKey
from openclaw.base.message import Message, TextPart, assistant
from openclaw.base.principal import Principal
from openclaw.base.run import Inbound, Reply
from openclaw.base.tasks import TaskSet
from openclaw.base.thinking import Thinking
from openclaw.policy.egress.way import on_behalf
from openclaw.store.api import EVERY_SESSION, NewStep, RunRow, SessionRow, StepRow
from openclaw.telemetry.metrics import METRICS

_log = logging.getLogger("openclaw.agent")
_runs = METRICS.counter("openclaw_runs", "Runs by how they ended.", ("agent", "state"))
_run_seconds = METRICS.histogram("openclaw_run_seconds", "Time from acceptance to the reply.", ("agent",))

MAX_MESSAGE_CHARS = 2_000_000
ENDED_KEPT = 256
"""Ended runs kept in memory for late readers and repeated ids; older ones come from the archive."""
ENDED_CHARS = 64_000
"""Longer answers come from the archive at once: what is kept in memory stays under 20 MB."""
STOP_GRACE_S = 2.0


class Study:
    """Implements AgentService. Made by gateway.build; `resume` once at start, `stop` once at the end."""

    def __init__(self, *, directory: Directory, shop: Workshop) -> None:
        self._directory = directory
        self._shop = shop
        self._store = shop.store
        self._models = shop.models
        self._clock = shop.clock
        self._announced = Announced(shop.announcements)
        self._tasks = TaskSet("agent", limit=50_000)
        self._lanes = Lanes(self._start, self._cap_of, directory.total_cap)
        self._live: dict[RunId, LiveRun] = {}
        self._ended: BoundedMap[RunId, LiveRun] = BoundedMap("ended_runs", ENDED_KEPT)
        self._observers: list[RunObserver] = []
        self._draining = False
        self.shed: Callable[[], OpenClawError | None] = lambda: None
        """Says why no new work is taken in, None while it is."""
        self.overlooks: Callable[[Principal, str, str], Awaitable[None]] = _nobody_minds
        """Told before somebody sees what is somebody else's: what, and which. What it raises keeps it from them."""
        self.register = Register(self, shop.store, shop.clock)

    # agents

    def agents(self) -> list[AgentInfo]:
        """Every configured agent, the default first."""
        return [
            AgentInfo(
                id=spec.id,
                name=spec.name,
                model=spec.model.primary or self._models.default_ref(),
                workspace=str(spec.workspace),
                default=spec.id == self._directory.default,
                tools=tuple(tool.name for tool in spec.toolbox.specs()),
                problem=problem_of(spec, self._models),
                thinking=spec.thinking,
            )
            for spec in self._directory.specs()
        ]

    def default_agent(self) -> AgentId:
        """The agent that answers when none is named."""
        return self._directory.default

    def resolve_agent(self, name: str) -> AgentId:
        """Return the agent for a name; `default` and "" mean the default agent. Raises: NotFound."""
        return self._directory.resolve(name)

    def resolve_key(self, principal: Principal, raw: str, agent_id: AgentId | None = None) -> SessionKey:
        """Return the key of the session that the principal calls so. Raises: InvalidRequest, NotFound."""
        return own_names.kept_key(principal, parse_key(raw, agent_id or self._directory.default)[1])

    def directory(self) -> Directory:
        """The agents of this moment."""
        return self._directory

    def reload(self, directory: Directory) -> None:
        """Use other agents from the next run on; runs that are going keep theirs."""
        self._directory = directory
        self._lanes.total_cap = directory.total_cap

    def observe(self, observer: RunObserver) -> None:
        """Tell an observer every event from now on."""
        self._observers.append(observer)

    # intake

    async def submit(self, inbound: Inbound) -> Run:
        """Accept a message: it is durable when this returns. A repeated run id gets the first run."""
        if self._draining:
            raise Unavailable("the gateway is shutting down", retry_after_s=5)
        if full := self.shed():
            raise full
        self._check(inbound)
        if self._lanes.lane(inbound.session_key) is not None:
            await self._expect_own_lane(inbound)
        known = self._live.get(inbound.run_id) or self._ended.get(inbound.run_id)
        if known is not None:
            return await self._repeat(known, inbound)
        inbound, announced = self._announced.joined(brought_in(inbound))
        run = LiveRun(inbound, self._clock.now_ms(), self._observers)
        run.announced = announced
        queue = self._directory.require(inbound.agent_id).queue
        try:
            decision, victim = self._lanes.admit(run, inbound.lane_mode or queue.mode, queue.cap, queue.drop)
        except OpenClawError:
            self._announced.give_back(run)
            raise
        run.accepted = asyncio.get_running_loop().create_future()
        run.accepted.add_done_callback(retrieved)
        self._live[run.id] = run
        if victim is not None:
            if decision.keep_summary:
                run.dropped_note = _dropped_note(victim)
            self._tasks.spawn(self._end_unstarted(victim, LaneBusy("dropped: newer messages arrived")), "drop")
        if decision.action == "interrupt":
            self._interrupt(run)
        if decision.action == "start" and self._lanes.may_start(run):
            self._lanes.begin(run)
        else:
            self._tasks.spawn(self._accept_waiting(run), "accept")
        first = await asyncio.shield(run.accepted)
        return run if first is run else RepeatedRun(first)

    async def _expect_own_lane(self, inbound: Inbound) -> None:
        """Refuse a message for a session of somebody else before it can touch what runs or waits there.

        The archive would refuse it too, but a moment later: a run might be interrupted, dropped or steered by then.
        Raises: NotFound, as for a session that is not there.
        """
        mine = inbound.principal
        for run in self._lanes.members(inbound.session_key):
            if run.session is None and run.accepted is not None and run.whose != (mine.tenant, mine.owner):
                await asyncio.wait((run.accepted,))  # it may be this one that has no business here
        for run in self._lanes.members(inbound.session_key):
            if run.whose != (mine.tenant, mine.owner) and (run.session is not None or run.accepted is None):
                raise NotFound(f"no session {inbound.session_key!r}")

    def _check(self, inbound: Inbound) -> None:
        self._directory.require(inbound.agent_id)
        own_names.expect_own(inbound.principal, inbound.session_key)
        caller = inbound.principal
        if not caller.may_talk_to(inbound.agent_id):
            raise Forbidden(f"none of your roles may talk to the agent '{inbound.agent_id}'")
        if not inbound.message.parts:
            raise InvalidRequest("the message is empty")
        if sum(len(part.text) for part in inbound.message.parts if isinstance(part, TextPart)) > MAX_MESSAGE_CHARS:
            raise InvalidRequest(f"the message is longer than {MAX_MESSAGE_CHARS} characters")
        if not 0 < len(inbound.run_id) - len(own_names.mark(inbound.principal.owner)) <= 256:
            raise InvalidRequest("a run id has 1 to 256 characters")
        if inbound.model is not None:
            self.check_model(caller, inbound.model)

    async def _repeat(self, known: LiveRun, inbound: Inbound) -> Run:
        mine, theirs = inbound.principal, known.inbound.principal
        if (mine.owner, mine.tenant) != (theirs.owner, theirs.tenant):
            raise Conflict("this run id is taken")
        if known.accepted is not None:
            known = await asyncio.shield(known.accepted)
        return RepeatedRun(known)

    async def _accept(self, run: LiveRun, *, start: bool) -> bool:
        """Make the message durable. Return False when there is nothing to run (a repeat, or a failure)."""
        assert run.accepted is not None
        try:
            accepted = await self._store.accept(run.inbound, run.accepted_at_ms, start=start)
        except OpenClawError as error:
            self._announced.give_back(run)
            run.settle(error)
            return False
        except Exception as error:
            self._announced.give_back(run)
            _log.exception("accept_failed", extra={"fields": {"run": run.id}})
            run.settle(InternalError("the message could not be stored"))
            raise error from None
        if accepted.duplicate is not None:
            self._announced.give_back(run)
            run.settle(self._first_of(accepted.duplicate))
            return False
        run.session = accepted.session
        run.in_transcript = start
        run.accepted_seq = accepted.seq
        for observer in self._observers:
            observer.on_run_accepted(run, accepted.session)
        run.settle(run)
        if run.stop_reason is not None and run.task is not None and run.task is not asyncio.current_task():
            run.task.cancel()  # it was stopped before it could be cancelled
        await self._announced.let_go(run)
        return True

    def _first_of(self, row: RunRow) -> LiveRun:
        if row.reply is not None:
            return ended_run(row.inbound, row.reply)
        reply = _bare_reply(row.inbound, row.session_id, "error", RunInterrupted("the run was interrupted"))
        return ended_run(row.inbound, reply)

    async def _accept_waiting(self, run: LiveRun) -> None:
        try:
            durable = await self._accept(run, start=False)
        except BaseException:
            self._forget(run, had_slot=False)
            raise
        if not durable:
            self._forget(run, had_slot=False)
            return
        if run.stop_reason is not None:
            self._lanes.leave(run, had_slot=False)
            await self._end_unstarted(run, RunAborted(f"stopped ({run.stop_reason})"))
            return
        lane = self._lanes.lane(run.inbound.session_key)
        if lane is not None and lane.running is run:
            self._lanes.begin(run)

    def _interrupt(self, run: LiveRun) -> None:
        for other in self._lanes.members(run.inbound.session_key):
            if other is not run:
                self._stop_run(other, "interrupted by a newer message")

    # running

    def _cap_of(self, agent_id: AgentId) -> int:
        spec = self._directory.get(agent_id)
        return spec.max_concurrent if spec else 0

    def _start(self, run: LiveRun) -> None:
        if self._tasks.closed:
            return  # whoever comes next after a run that was parked is parked too
        run.task = self._tasks.spawn(self._run(run), "run")

    async def _run(self, run: LiveRun) -> None:
        reply: Reply | None = None
        try:
            run.begun = True
            if run.inbound.stateless and not run.durable and self._directory.get(run.inbound.agent_id):
                # Nothing of the archive is needed to ask the model: the commit and the model's first word overlap.
                reply = await self._drive(run, self._tasks.spawn(self._accept(run, start=True), "accept"))
            elif not run.durable and not await self._accept(run, start=True):
                return
            else:
                reply = await (self._drive(run) if run.stop_reason is None else self._cancelled(run))
        except NotAdmitted:
            return
        except asyncio.CancelledError:
            reply = await self._cancelled(run)
        finally:
            if reply is not None:
                self._end(run, reply)
            self._forget(run, had_slot=True)

    async def _drive(self, run: LiveRun, admitted: Awaitable[bool] | None = None) -> Reply:
        spec = self._directory.get(run.inbound.agent_id)
        if spec is None:
            assert run.session is not None
            error = InvalidRequest(f"the agent '{run.inbound.agent_id}' is no longer configured")
            reply = _bare_reply(run.inbound, run.session.id, "error", error)
            await self._store.finish_run(run.id, reply, None, self._clock.now_ms())
            return reply
        if (run.inbound.lane_mode or spec.queue.mode) == "collect":
            run.joined.extend(self._lanes.take_waiting(run.inbound.session_key))
        return await Runner(run, spec, self._shop, admitted).drive()

    async def _cancelled(self, run: LiveRun) -> Reply | None:
        """Stopped before the runner had it, or parked by a shutdown: then it stays open in the archive."""
        session_id = run.session.id if run.session else SessionId("")
        if run.stop_reason is None or run.session is None:
            if run.accepted is not None and not run.accepted.done():
                run.settle(Unavailable("the gateway is shutting down", retry_after_s=5))
                return None
            error: OpenClawError = RunInterrupted("the gateway is restarting; the run goes on afterwards")
            return _bare_reply(run.inbound, session_id, "error", error)
        task = asyncio.current_task()
        while task is not None and task.uncancel() > 0:
            pass
        reply = _bare_reply(run.inbound, session_id, "aborted", RunAborted(f"stopped ({run.stop_reason})"))
        await self._store.finish_run(run.id, reply, None, self._clock.now_ms())
        return reply

    def _end(self, run: LiveRun, reply: Reply) -> None:
        for member in (run, *run.joined):
            mine = reply if member is run else reply_for(member, reply)
            member.started_at_ms = run.started_at_ms
            member.end(mine)
            _runs.inc(reply.agent_id, reply.state)
            log_ended(member.inbound, mine)
            if member is not run:
                self._retire(member)
        if reply.ended_at_ms:
            _run_seconds.observe((reply.ended_at_ms - run.accepted_at_ms) / 1000, reply.agent_id)

    def _retire(self, run: LiveRun) -> None:
        self._live.pop(run.id, None)
        if run.reply is not None:
            run.compact()
            if len(run.reply.text) <= ENDED_CHARS:
                self._ended.put(run.id, run)

    def _forget(self, run: LiveRun, *, had_slot: bool) -> None:
        for member in run.joined:
            self._lanes.alive_count -= 1
            self._retire(member)
        self._retire(run)
        self._lanes.leave(run, had_slot=had_slot)

    async def _end_unstarted(self, run: LiveRun, error: OpenClawError) -> None:
        """End a run that waited: tell its sender, durably."""
        if run.accepted is not None:
            try:
                await asyncio.shield(run.accepted)
            except OpenClawError:
                return
        if run.reply is not None or run.session is None:
            return
        state: EndState = "aborted" if isinstance(error, RunAborted) else "error"
        reply = _bare_reply(run.inbound, run.session.id, state, error)
        await self._store.finish_run(run.id, reply, None, self._clock.now_ms())
        self._end(run, reply)
        self._retire(run)

    # stopping

    async def abort(
        self, key: SessionKey, principal: Principal, run_id: RunId | None = None, reason: str = "rpc"
    ) -> list[RunId]:
        """Stop the session's run (or that one) and its queue. Return the ids stopped."""
        stopped: list[RunId] = []
        for run in reversed(self._lanes.members(key)):  # those that wait first, so that none of them starts
            theirs = run.inbound.principal
            mine = principal.tenant == theirs.tenant and principal.rows_of in (None, theirs.owner)
            wanted = run_id is None or run_id in (run.id, *(other.id for other in run.joined))
            if mine and wanted and self._stop_run(run, reason):
                stopped.append(run.id)
        return stopped[::-1]

    def _stop_run(self, run: LiveRun, reason: str) -> bool:
        if not run.stop(reason):
            return False
        if run.task is None and run.durable:
            self._lanes.leave(run, had_slot=False)
            self._tasks.spawn(self._end_unstarted(run, RunAborted(f"stopped ({reason})")), "abort")
        return True

    async def resume(self) -> tuple[int, int]:
        """Take up what a crash left open. Return how many runs go on and how many are reported as interrupted."""
        resumed = reported = 0
        for row in await self._store.open_runs():
            if recovery(row) == "resume" and self._directory.get(row.inbound.agent_id) is not None:
                await self._resume(row)
                resumed += 1
            else:
                await self._report(row)
                reported += 1
        return resumed, reported

    async def _resume(self, row: RunRow) -> None:
        run = LiveRun(row.inbound, row.accepted_at_ms, self._observers)
        run.resumed = True
        run.session = await self._store.session(row.session_key)
        if run.session is None:
            return
        self._live[run.id] = run
        decision, _ = self._lanes.admit(run, "followup", cap=1_000_000, drop="reject-new")
        if decision.action == "start":
            self._lanes.begin(run)

    async def _report(self, row: RunRow) -> None:
        error = RunInterrupted("the gateway stopped before this message was answered")
        reply = _bare_reply(row.inbound, row.session_id, "error", error)
        note = NewStep(kind="notice", messages=(assistant(f"[{error.message}]"),), finish_reason="error")
        await self._store.finish_run(row.id, reply, note, self._clock.now_ms())
        _runs.inc(row.inbound.agent_id, "error")

    async def stop(self, grace_s: float) -> None:
        """Take nothing more in; let runs end within the grace, then park them: they go on at the next start."""
        self._draining = True
        deadline = self._clock.monotonic_s() + grace_s
        while self._lanes.running_count and self._clock.monotonic_s() < deadline:
            await self._clock.sleep(0.02)
        await self._tasks.close(STOP_GRACE_S)

    # questions

    def load(self, principal: Principal) -> tuple[int, int]:
        """How many runs go and how many messages wait: of everybody for the operator, else one's own."""
        if principal.rows_of in (None, OPERATOR):
            return self.running(), self.queued()
        mine = [run.state for run in self._live.values() if run.whose == (principal.tenant, principal.owner)]
        return mine.count("running"), mine.count("queued")

    def live_run(self, run_id: RunId) -> Run | None:
        """Return a run that is queued or running, or ended a short while ago."""
        return self._live.get(run_id) or self._ended.get(run_id)

    async def past_run(self, run_id: RunId, owner: OwnerId | None = None) -> RunRow | None:
        """Return a run from the archive."""
        return await self._store.run(run_id, owner)

    async def session(self, key: SessionKey, principal: Principal) -> SessionRow | None:
        """Return a session that the principal may see, or None."""
        if not principal.may_talk_to(key.split(":")[1]):
            return None
        row = await self._store.session(key, principal.looks_at)
        if row is not None and row.owner != principal.owner:
            await self.overlooks(principal, "session", key)
        return row

    async def sessions(self, principal: Principal, **filters: Any) -> tuple[list[SessionRow], int]:
        """Return the sessions that the principal may see, latest first, and how many match."""
        if principal.limits is not None:
            filters["wanted"] = within(principal.limits, filters.get("wanted", EVERY_SESSION))
        rows, count = await self._store.sessions(owner=principal.looks_at, **filters)
        await self.overlooked(principal, rows)
        return rows, count

    async def overlooked(self, principal: Principal, rows: Iterable[Owned], what: str = "session") -> None:
        """Note that a list of sessions, or what else, is looked at with some of other people's. Raises: Unavailable."""
        if any(row.owner != principal.owner for row in rows):
            await self.overlooks(principal, what, "*")

    async def history(
        self, key: SessionKey, principal: Principal, limit: int = 200, before_seq: int | None = None
    ) -> list[StepRow]:
        """Return the last steps of the session (before `before_seq`), oldest first; [] when there is none."""
        session = await self.session(key, principal)
        return [] if session is None else await self._store.steps(session.id, limit=limit, before_seq=before_seq)

    async def reset_session(self, key: SessionKey, principal: Principal) -> SessionRow:
        """Abort what runs, then start afresh. Raises: NotFound."""
        await self.quiet(key, principal, "reset")
        row = await self._store.reset_session(key, self._clock.now_ms(), principal.rows_of)
        self.changed(row, "reset")
        return row

    async def delete_session(self, key: SessionKey, principal: Principal) -> bool:
        """Abort what runs, then delete. Say whether it was there."""
        await self.quiet(key, principal, "delete")
        session = await self.session(key, principal)
        gone = await self._store.delete_session(key, principal.rows_of)
        if gone and session is not None:
            self.changed(session, "delete")
        return gone

    async def patch_session(
        self,
        key: SessionKey,
        principal: Principal,
        *,
        label: str | None = None,
        model: str | None = None,
        thinking: Thinking | None = None,
    ) -> SessionRow:
        """Change a session's label, model or thinking. Raises: NotFound, ModelUnavailable, ModelNotFound, Forbidden."""
        if model:
            self.check_model(principal, model)
        row = await self._store.patch_session(key, label=label, model=model, thinking=thinking, owner=principal.rows_of)
        self.changed(row, "patch")
        return row

    async def inject(self, key: SessionKey, principal: Principal, message: Message) -> int:
        """Append a message from outside any run. Return its seq. Raises: NotFound."""
        session = await self._store.session(key, principal.rows_of)
        if session is None:
            raise NotFound(f"no session {key!r}")
        seq = await self._store.append_notice(key, message, self._clock.now_ms())
        self.changed(session, "inject")
        return seq

    async def compact_session(self, key: SessionKey, principal: Principal) -> CompactedSession:
        """Summarise everything but the last exchange; when no model can, drop it. Nothing runs meanwhile."""
        session = await self._store.session(key, principal.rows_of)
        if session is None:
            raise NotFound(f"no session {key!r}")
        if self._draining:
            raise Unavailable("the gateway is shutting down", retry_after_s=5)
        holder = stand_in(session, principal.scopes, self._clock.now_ms())
        if self._lanes.lane(key) is not None:
            raise LaneBusy(f"session {key} is busy: a run is going", retry_after_s=5)
        self._lanes.admit(holder, "reject", 0, "reject-new")
        holder.begun = True
        holder.task = task = self._tasks.spawn(self._condense(holder.inbound, session), "compact")
        task.add_done_callback(lambda _: self._let_go(holder))  # even when it is cancelled before its first step
        await asyncio.wait((task,))
        if task.cancelled():
            reason = holder.stop_reason
            raise RunAborted(f"stopped ({reason})") if reason else Unavailable("the gateway is shutting down")
        outcome = task.result()
        if isinstance(outcome, OpenClawError):
            raise outcome
        return outcome

    async def _condense(self, inbound: Inbound, session: SessionRow) -> CompactedSession | OpenClawError:
        try:
            with on_behalf(inbound):
                compacted = await condense(self._shop, self._directory.require(inbound.agent_id), inbound)
        except OpenClawError as error:
            return error
        if compacted.compacted:
            self.changed(session, "compact")
        return compacted

    def _let_go(self, holder: LiveRun) -> None:
        with contextlib.suppress(RuntimeError):  # closing: what waits behind it goes on at the next start
            self._lanes.leave(holder, had_slot=False)

    async def quiet(self, key: SessionKey, principal: Principal, reason: str) -> None:
        """Stop what runs in a session and wait for it, a short while."""
        members = self._lanes.members(key)
        await self.abort(key, principal, reason=reason)
        tasks = [run.task for run in members if run.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_GRACE_S)

    def changed(self, session: SessionRow, reason: str) -> None:
        """Tell the observers that a session was made or changed."""
        for observer in self._observers:
            observer.on_session_changed(session, reason)

    def check_model(self, principal: Principal, ref: str) -> None:
        """Raises: ModelUnavailable, ModelNotFound; Forbidden for one that no role of the caller allows."""
        if ref and not principal.may_call(ref):
            raise Forbidden(f"none of your roles may use the model {ref[:128]}")
        self._models.resolve(ref)

    def runs_of(self, key: SessionKey) -> list[RunId]:
        """Return the runs of a session that are going or waiting, the running one first."""
        return [run.id for run in self._lanes.members(key)]

    def running(self) -> int:
        """How many runs are going."""
        return self._lanes.running_count

    def queued(self) -> int:
        """How many messages wait in lanes."""
        return self._lanes.alive_count - self._lanes.running_count


async def _nobody_minds(principal: Principal, what: str, target: str) -> None:
    """Stands in until the gateway has a ledger."""


def _dropped_note(victim: LiveRun) -> str:
    first_line = victim.inbound.message.text.strip().splitlines()[:1]
    return f"[An earlier message was dropped because the queue was full: {''.join(first_line)[:120]}]"


def _bare_reply(inbound: Inbound, session_id: SessionId, state: EndState, error: OpenClawError) -> Reply:
    return Reply(
        run_id=inbound.run_id,
        session_key=inbound.session_key,
        session_id=session_id,
        agent_id=inbound.agent_id,
        state=state,
        finish_reason="aborted" if state == "aborted" else "error",
        error=error.as_dict(),
    )
