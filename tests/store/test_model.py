"""The store against a model of a few lines, over any order of calls."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from openclaw.base.clock import ManualClock
from openclaw.base.errors import Conflict, NotFound, OpenClawError
from openclaw.base.ids import RunId, SessionKey
from openclaw.base.principal import Principal
from openclaw.base.run import RunState
from openclaw.store.api import NewStep
from openclaw.store.sqlite import SqliteStore
from tests.store.build import ALICE, BOB, answer, inbound, reply, tool_step

T = TypeVar("T")
KEYS = ("agent:default:a", "agent:default:b")
RUNS = ("r1", "r2", "r3", "r4")


@dataclass
class _Session:
    owner: str
    transcript: list[str] = field(default_factory=list)
    past: list[list[str]] = field(default_factory=list)
    tokens: int = 0


@dataclass
class _Run:
    owner: str
    key: str
    transcript: list[str]
    state: str
    attempts: int
    in_transcript: bool


class _Model:
    def __init__(self) -> None:
        self.sessions: dict[str, _Session] = {}
        self.runs: dict[tuple[str, str], _Run] = {}
        self.ledger: list[str] = []

    def accept(self, run_id: str, key: str, owner: str, start: bool) -> bool:
        """Say whether it is a duplicate."""
        if (run_id, owner) in self.runs:
            return True
        if any(other == run_id and run.state in ("queued", "running") for (other, _), run in self.runs.items()):
            raise Conflict("")
        session = self.sessions.setdefault(key, _Session(owner))
        if session.owner != owner:
            raise NotFound("")
        self.runs[run_id, owner] = _Run(owner, key, session.transcript, "queued", 0, False)
        if start:
            self.begin(run_id)
        return False

    def _open(self, run_id: str) -> _Run:
        found = [run for (other, _), run in self.runs.items() if other == run_id]
        for run in found:
            if run.state in ("queued", "running"):
                return run
        raise Conflict("") if found else NotFound("")

    def begin(self, run_id: str) -> int:
        run = self._open(run_id)
        run.state = "running"
        run.attempts += 1
        if not run.in_transcript:
            run.in_transcript = True
            run.transcript.append(run_id)
        return run.attempts

    def step(self, run_id: str, tokens: int) -> int:
        run = self._open(run_id)
        if run.state == "queued":
            raise Conflict("")
        return self._append(run, run_id, tokens)

    def _append(self, run: _Run, run_id: str, tokens: int) -> int:
        run.transcript.append(run_id)
        self.ledger.append(run_id)
        session = self.sessions[run.key]
        if session.transcript is run.transcript:
            session.tokens += tokens
        return len(run.transcript)

    def finish(self, run_id: str, state: str, tokens: int | None) -> int:
        run = self._open(run_id)
        run.state = state
        return 0 if tokens is None else self._append(run, run_id, tokens)

    def reset(self, key: str, owner: str | None) -> None:
        session = self.sessions.get(key)
        if session is None or owner not in (None, session.owner):
            raise NotFound("")
        session.past.append(session.transcript)
        session.transcript, session.tokens = [], 0

    def delete(self, key: str, owner: str | None) -> bool:
        session = self.sessions.get(key)
        if session is None or owner not in (None, session.owner):
            return False
        del self.sessions[key]
        self.runs = {run_id: run for run_id, run in self.runs.items() if run.key != key}
        return True


owners = st.sampled_from([ALICE, BOB])
keys = st.sampled_from(KEYS)
run_ids = st.sampled_from(RUNS)


class StoreMachine(RuleBasedStateMachine):
    """Does the same to both, and compares every answer and then all there is."""

    @initialize()
    def start(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.model = _Model()
        self.now = 0
        self.open()

    def open(self) -> None:
        path = Path(self.folder.name) / "db"
        self.store = self.runner.run(SqliteStore.open(path, clock=ManualClock()))

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.runner.run(self.store.close())
            self.runner.close()
            self.folder.cleanup()

    def _same(self, real: Coroutine[Any, Any, T], model: Any, *args: object) -> T | None:
        """Run both; the same kind of error on both sides is the same answer."""
        expected: Any = None
        refused: type[OpenClawError] | None = None
        try:
            expected = model(*args)
        except OpenClawError as error:
            refused = type(error)
        try:
            got = self.runner.run(real)
        except OpenClawError as error:
            if type(error) is not refused:
                raise
            return None
        assert refused is None, f"the store should have refused with {refused}"
        if isinstance(got, (int, bool)):
            assert got == expected
        return got

    @rule(run_id=run_ids, key=keys, principal=owners, start=st.booleans())
    def accept(self, run_id: str, key: str, principal: Principal, start: bool) -> None:
        self.now += 1
        sent = inbound(run_id, key=key, principal=principal)
        known = (run_id, principal.owner) in self.model.runs
        accepted = self._same(
            self.store.accept(sent, self.now, start=start), self.model.accept, run_id, key, principal.owner, start
        )
        if accepted is not None:
            assert (accepted.duplicate is not None) == known

    @rule(run_id=run_ids)
    def begin(self, run_id: str) -> None:
        self._same(self.store.begin_run(RunId(run_id), self.now), self.model.begin, run_id)

    @rule(run_id=run_ids)
    def step(self, run_id: str) -> None:
        self._same(self.store.commit_step(RunId(run_id), tool_step(), self.now), self.model.step, run_id, 3)

    @rule(run_id=run_ids, state=st.sampled_from(["ok", "error", "aborted"]), last=st.sampled_from([answer(), None]))
    def finish(self, run_id: str, state: RunState, last: NewStep | None) -> None:
        self._same(
            self.store.finish_run(RunId(run_id), reply(run_id, state=state), last, self.now),
            self.model.finish,
            run_id,
            state,
            None if last is None else 10,
        )

    @rule(key=keys, principal=st.one_of(st.none(), owners))
    def reset(self, key: str, principal: Principal | None) -> None:
        owner = principal.owner if principal else None
        self._same(self.store.reset_session(SessionKey(key), self.now, owner), self.model.reset, key, owner)

    @rule(key=keys, principal=st.one_of(st.none(), owners))
    def delete(self, key: str, principal: Principal | None) -> None:
        owner = principal.owner if principal else None
        self._same(self.store.delete_session(SessionKey(key), owner), self.model.delete, key, owner)

    @rule()
    def restart(self) -> None:
        self.runner.run(self.store.close())
        self.open()

    @invariant()
    def all_is_the_same(self) -> None:
        if hasattr(self, "store"):
            self.runner.run(self._compare())

    async def _compare(self) -> None:
        rows, count = await self.store.sessions()
        assert {row.key: (row.owner, row.input_tokens) for row in rows} == {
            key: (session.owner, session.tokens) for key, session in self.model.sessions.items()
        }
        assert count == len(self.model.sessions)
        for row in rows:
            steps = await self.store.steps(row.id)
            assert [step.run_id for step in steps] == self.model.sessions[row.key].transcript
            assert [step.seq for step in steps] == list(range(1, len(steps) + 1))
        for run_id in RUNS:
            for principal in (ALICE, BOB):
                await self._compare_run(run_id, principal)
        assert [row.run_id for row in await self.store.usage_since(0)] == self.model.ledger
        assert len(await self.store.open_runs()) == sum(
            run.state in ("queued", "running") for run in self.model.runs.values()
        )

    async def _compare_run(self, run_id: str, principal: Principal) -> None:
        row = await self.store.run(RunId(run_id), principal.owner)
        expected = self.model.runs.get((run_id, principal.owner))
        if row is None or expected is None:
            assert row is None
            assert expected is None
            return
        assert (row.state, row.attempts, row.session_key) == (expected.state, expected.attempts, expected.key)
        assert row.inbound == inbound(run_id, key=expected.key, principal=principal)
        assert (row.reply is not None) == (expected.state not in ("queued", "running"))


TestStore = StoreMachine.TestCase
TestStore.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
