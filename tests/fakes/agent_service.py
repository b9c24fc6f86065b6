"""A study in memory: runs go only as far as the test drives them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence

import msgspec

from openclaw.agent.api import AgentInfo, CompactedSession, Found, Mark, Owned, Run, RunObserver
from openclaw.base.clock import Clock, ManualClock
from openclaw.base.errors import Conflict, InvalidRequest, LaneBusy, ModelUnavailable, NotFound
from openclaw.base.ids import AgentId, OwnerId, RunId, SessionId, SessionKey
from openclaw.base.message import Message, assistant
from openclaw.base.model import TextDelta, Usage
from openclaw.base.principal import Principal
from openclaw.base.run import Inbound, Reply, RunEnded, RunEvent, RunStarted, RunState
from openclaw.base.thinking import Thinking
from openclaw.store.api import RunRow, SessionFilter, SessionMarks, SessionRow, StepRow


class FakeRun:
    """A run that the test starts, feeds and ends; with `answer` set it does so by itself at submit."""

    def __init__(self, service: FakeAgentService, inbound: Inbound, session: SessionRow) -> None:
        self._service = service
        self._ended = asyncio.Event()
        self._events: list[RunEvent] = []
        self.id = inbound.run_id
        self.inbound = inbound
        self.session = session
        self.state: RunState = "queued"
        self.accepted_at_ms = service.clock.now_ms()
        self.started_at_ms = 0
        self.duplicate = False
        self.text = ""
        self.reply: Reply | None = None

    def emit(self, *events: RunEvent) -> None:
        """Tell the observers a batch of events."""
        self._events += events
        self.text += "".join(event.text for event in events if isinstance(event, TextDelta))
        for observer in self._service.observers:
            observer.on_run_events(self, events)

    def start(self) -> None:
        """Leave the queue."""
        self.state = "running"
        self.started_at_ms = self._service.clock.now_ms()
        self.emit(RunStarted("fake-1", "fake", self.started_at_ms))

    def say(self, *texts: str) -> None:
        """Emit the texts as one batch of deltas."""
        self.emit(*(TextDelta(text) for text in texts))

    def end(self, state: RunState = "ok", error: dict[str, object] | None = None) -> None:
        """End the run and keep its messages in the session."""
        self.state = state
        now_ms = self._service.clock.now_ms()
        self.reply = Reply(
            run_id=self.id,
            session_key=self.inbound.session_key,
            session_id=self.session.id,
            agent_id=self.inbound.agent_id,
            state=state,
            text=self.text,
            finish_reason={"ok": "stop", "aborted": "aborted"}.get(state, "error"),  # type: ignore[arg-type]  # literals
            usage=Usage(10, 20),
            model="fake-1",
            provider="fake",
            error=error,
            accepted_at_ms=self.accepted_at_ms,
            started_at_ms=self.started_at_ms,
            ended_at_ms=now_ms,
        )
        self._service.add_step(self.session, self.id, "model", self.text)
        self.emit(RunEnded(self.reply))
        self._ended.set()

    async def events(self) -> AsyncIterator[Sequence[RunEvent]]:
        """Yield everything so far, once."""
        yield tuple(self._events)

    async def result(self) -> Reply:
        """Wait for the end."""
        await self._ended.wait()
        assert self.reply is not None
        return self.reply


class _Repeat:
    """The same run as seen by a repeated submit."""

    def __init__(self, run: FakeRun) -> None:
        self._run = run
        self.duplicate = True

    def __getattr__(self, name: str) -> object:
        return getattr(self._run, name)


class FakeRegister:
    """Implements SessionRegister over the fake's table, as far as the counter's tests go."""

    def __init__(self, service: FakeAgentService) -> None:
        self._service = service

    async def create(self, key: SessionKey, agent_id: AgentId, principal: Principal) -> SessionRow:
        return self._service.table.get(key) or self._service.make_session(key, principal.owner)

    async def mark(
        self,
        key: SessionKey,
        principal: Principal,
        *,
        label: str | None = None,
        model: str | None = None,
        thinking: Thinking | None = None,
        marks: Mapping[str, Mark] | None = None,
        expected: SessionId | None = None,
    ) -> SessionRow:
        row = await self._service.patch_session(key, principal, label=label, model=model, thinking=thinking)
        if expected not in (None, row.id):
            raise Conflict(f"session {key} changed meanwhile")
        kept = {**msgspec.to_builtins(row.marks), **(marks or {})}
        kept = {name: value for name, value in kept.items() if value is not None}
        row = msgspec.structs.replace(row, marks=msgspec.convert(kept, SessionMarks))
        self._service.table[key] = row
        return row

    async def find(
        self,
        principal: Principal,
        wanted: SessionFilter,
        *,
        agent_id: AgentId | None = None,
        active_since_ms: int = 0,
        limit: int = 100,
        offset: int = 0,
    ) -> tuple[list[SessionRow], int]:
        rows, _ = await self._service.sessions(principal, agent_id=agent_id, limit=1_000_000)
        rows = [row for row in rows if wanted.archived in (None, bool(row.marks.archived_at_ms))]
        rows = [row for row in rows if wanted.label in (None, row.label)]
        rows = [row for row in rows if (wanted.search or "").lower() in f"{row.key} {row.label}".lower()]
        return rows[offset : offset + limit], len(rows)

    async def fork(self, key: SessionKey, to_key: SessionKey, principal: Principal, before_seq: int) -> SessionRow:
        source = self._service.table[key]
        row = self._service.make_session(to_key, source.owner)
        self._service.transcripts[row.id] = self._before(source, before_seq)
        return row

    async def rewind(self, key: SessionKey, principal: Principal, before_seq: int) -> SessionRow:
        kept = self._before(self._service.table[key], before_seq)
        row = await self._service.reset_session(key, principal)
        self._service.transcripts[row.id] = kept
        return row

    def _before(self, row: SessionRow, seq: int) -> list[StepRow]:
        return [step for step in self._service.transcripts.get(row.id, []) if step.seq < seq]

    async def search(
        self,
        principal: Principal,
        text: str,
        *,
        keys: Sequence[SessionKey] = (),
        agent_id: AgentId | None = None,
        wanted: SessionFilter | None = None,
        limit: int = 25,
    ) -> list[Found]:
        return []

    async def regroup(self, principal: Principal, name: str, to: str | None) -> int:
        return 0

    async def grouped(self, principal: Principal) -> dict[str, int]:
        return {}

    async def step(self, key: SessionKey, principal: Principal, session_id: str, seq: int) -> StepRow | None:
        row = self._service.table.get(key)
        steps = self._service.transcripts.get(row.id, []) if row is not None and row.id == session_id else []
        return next((step for step in steps if step.seq == seq), None)

    def runs(self, key: SessionKey) -> list[RunId]:
        live = [run for run in self._service.runs.values() if run.inbound.session_key == key]
        return [run.id for run in live if run.state in ("queued", "running")]


class FakeAgentService:
    """Implements AgentService. `answer`, when set, is said by every run at once; else the test drives `runs`."""

    def __init__(self, clock: Clock | None = None, answer: str | None = None) -> None:
        self.clock = clock or ManualClock()
        self.answer = answer
        self.folder = ""
        """Holds the agents' workspaces."""
        self.runs: dict[RunId, FakeRun] = {}
        self.table: dict[SessionKey, SessionRow] = {}
        self.transcripts: dict[SessionId, list[StepRow]] = {}
        self.observers: list[RunObserver] = []
        self.compaction: Callable[[SessionKey], Awaitable[CompactedSession]] | None = None
        """What compact_session does; None: there is nothing to compact."""
        self.register = FakeRegister(self)
        self._count = 0

    def agents(self) -> list[AgentInfo]:
        return [
            AgentInfo(id=AgentId("main"), name="main", model="fake/fake-1", workspace=f"{self.folder}/w", default=True),
            AgentInfo(id=AgentId("bob"), name="Bob", model="fake/fake-1", workspace=f"{self.folder}/b", default=False),
        ]

    def default_agent(self) -> AgentId:
        return AgentId("main")

    def resolve_agent(self, name: str) -> AgentId:
        if name in ("", "default"):
            return AgentId("main")
        if name not in ("main", "bob"):
            raise NotFound(f"no agent {name}")
        return AgentId(name)

    def resolve_key(self, principal: Principal, raw: str, agent_id: AgentId | None = None) -> SessionKey:
        if not raw.strip() or not raw.isprintable():
            raise InvalidRequest("not a session key")
        if raw.startswith("agent:"):
            if raw.count(":") < 2 or not raw.split(":", 2)[2]:
                raise InvalidRequest("not a session key")
            return SessionKey(raw)
        return SessionKey(f"agent:{agent_id or 'main'}:{raw}")

    def make_session(self, key: SessionKey, owner: OwnerId) -> SessionRow:
        """Make a session under a fresh id."""
        self._count += 1
        now_ms = self.clock.now_ms()
        row = SessionRow(
            key=key,
            id=SessionId(f"session-{self._count}"),
            agent_id=AgentId(key.split(":")[1]),
            tenant=Principal().tenant,
            owner=owner,
            created_at_ms=now_ms,
            updated_at_ms=now_ms,
        )
        self.table[key] = row
        return row

    def add_step(self, session: SessionRow, run_id: RunId, kind: str, text: str) -> None:
        """Append a model answer to a transcript."""
        steps = self.transcripts.setdefault(session.id, [])
        steps.append(
            StepRow(
                session_id=session.id,
                seq=len(steps) + 1,
                run_id=run_id,
                kind=kind,  # type: ignore[arg-type]  # a literal
                messages=(assistant(text),),
                at_ms=self.clock.now_ms(),
                usage=Usage(10, 20),
                model="fake-1",
                provider="fake",
                finish_reason="stop",
            )
        )

    async def submit(self, inbound: Inbound) -> Run:
        known = self.runs.get(inbound.run_id)
        if known is not None:
            return _Repeat(known)  # type: ignore[return-value]  # it hands everything on
        self.resolve_agent(inbound.agent_id)
        session = self.table.get(inbound.session_key) or self.make_session(inbound.session_key, inbound.principal.owner)
        run = self.runs[inbound.run_id] = FakeRun(self, inbound, session)
        step = StepRow(
            session_id=session.id,
            seq=1,
            run_id=run.id,
            kind="inbound",
            messages=(inbound.message,),
            at_ms=self.clock.now_ms(),
        )
        self.transcripts.setdefault(session.id, []).append(step)
        for observer in self.observers:
            observer.on_run_accepted(run, session)
        if self.answer is not None:
            run.start()
            run.say(self.answer)
            run.end()
        return run

    def live_run(self, run_id: RunId) -> Run | None:
        return self.runs.get(run_id)

    async def past_run(self, run_id: RunId, owner: OwnerId | None = None) -> RunRow | None:
        return None

    async def abort(
        self, key: SessionKey, principal: Principal, run_id: RunId | None = None, reason: str = "rpc"
    ) -> list[RunId]:
        stopped = []
        for run in self.runs.values():
            if run.inbound.session_key == key and run.state in ("queued", "running") and run_id in (None, run.id):
                run.end("aborted", {"code": "RUN_ABORTED", "message": "aborted", "details": {"reason": reason}})
                stopped.append(run.id)
        return stopped

    async def session(self, key: SessionKey, principal: Principal) -> SessionRow | None:
        return self.table.get(key)

    async def sessions(
        self,
        principal: Principal,
        *,
        agent_id: AgentId | None = None,
        active_since_ms: int = 0,
        include_ephemeral: bool = False,
        limit: int = 100,
        offset: int = 0,
    ) -> tuple[list[SessionRow], int]:
        rows = [row for row in self.table.values() if agent_id in (None, row.agent_id)]
        return rows[offset : offset + limit], len(rows)

    async def history(
        self, key: SessionKey, principal: Principal, limit: int = 200, before_seq: int | None = None
    ) -> list[StepRow]:
        row = self.table.get(key)
        steps = [] if row is None else self.transcripts.get(row.id, [])
        return [step for step in steps if before_seq is None or step.seq < before_seq][-limit:]

    async def reset_session(self, key: SessionKey, principal: Principal) -> SessionRow:
        if key not in self.table:
            raise NotFound(f"no session {key}")
        row = self.make_session(key, principal.owner)
        for observer in self.observers:
            observer.on_session_changed(row, "reset")
        return row

    async def delete_session(self, key: SessionKey, principal: Principal) -> bool:
        return self.table.pop(key, None) is not None

    async def patch_session(
        self,
        key: SessionKey,
        principal: Principal,
        *,
        label: str | None = None,
        model: str | None = None,
        thinking: Thinking | None = None,
    ) -> SessionRow:
        row = self.table.get(key)
        if row is None:
            raise NotFound(f"no session {key}")
        if model and not model.startswith("fake/"):
            raise ModelUnavailable(f"no model {model}")
        row = msgspec.structs.replace(
            row,
            label=row.label if label is None else label,
            model=row.model if model is None else model,
            thinking=row.thinking if thinking is None else thinking,
        )
        self.table[key] = row
        return row

    async def compact_session(self, key: SessionKey, principal: Principal) -> CompactedSession:
        row = self.table.get(key)
        if row is None:
            raise NotFound(f"no session {key}")
        if any(run.session.key == key and run.reply is None for run in self.runs.values()):
            raise LaneBusy(f"session {key} is busy: a run is going")
        if self.compaction is not None:
            return await self.compaction(key)
        return CompactedSession(key=key, compacted=False, reason="nothing to summarise before the last exchange")

    async def inject(self, key: SessionKey, principal: Principal, message: Message) -> int:
        row = self.table.get(key)
        if row is None:
            raise NotFound(f"no session {key}")
        self.add_step(row, RunId(""), "notice", message.text)
        return len(self.transcripts[row.id])

    def running(self) -> int:
        return sum(run.state == "running" for run in self.runs.values())

    def queued(self) -> int:
        return sum(run.state == "queued" for run in self.runs.values())

    async def overlooked(self, principal: Principal, rows: Iterable[Owned], what: str = "session") -> None:
        """Nobody minds."""

    def load(self, principal: Principal) -> tuple[int, int]:
        return self.running(), self.queued()

    def observe(self, observer: RunObserver) -> None:
        self.observers.append(observer)
