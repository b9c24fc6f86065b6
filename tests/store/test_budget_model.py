"""Counters against plain sums, over any order of reservations, settlements, releases, crashes and unreserved calls."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from openclaw.base.clock import ManualClock
from openclaw.base.errors import BudgetExceeded
from openclaw.base.ids import AgentId, OwnerId, RunId, TenantId
from openclaw.store.api import Cap, Spender
from openclaw.store.budget import subject_of
from openclaw.store.sqlite import SqliteStore
from tests.store.test_budget import usage_row

DAY = 86_400_000
spenders = st.builds(
    lambda tenant, owner, agent, channel: Spender(
        run_id=RunId(f"{owner}-{agent}"),
        tenant=TenantId(tenant),
        owner=OwnerId(owner),
        agent_id=AgentId(agent),
        channel=channel,
    ),
    st.sampled_from(["default", "other"]),
    st.sampled_from(["alice", "bob"]),
    st.sampled_from(["a", "b"]),
    st.sampled_from(["telegram", ""]),
)
limits = st.sampled_from([50, 200, 1000])
scopes = st.lists(st.sampled_from(["total", "tenant", "principal", "agent", "channel"]), max_size=4)


@dataclass
class _Entry:
    spender: Spender
    at_ms: int
    held: int
    settled: int | None = None


class BudgetMachine(RuleBasedStateMachine):
    """The model is a list; what counts against a cap is summed anew each time."""

    @initialize()
    def start(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.entries: dict[int, _Entry] = {}
        self.unreserved: list[_Entry] = []
        self.noticed: set[tuple[str, str, int, int]] = set()
        self.now = 40 * DAY
        self.caps: set[Cap] = set()
        self.open()

    def open(self) -> None:
        self.store = self.runner.run(SqliteStore.open(Path(self.folder.name) / "db", clock=ManualClock()))

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.runner.run(self.store.close())
            self.runner.close()
            self.folder.cleanup()

    def _sums(self, cap: Cap) -> tuple[int, int]:
        mine = [
            entry
            for entry in [*self.entries.values(), *self.unreserved]
            if entry.at_ms >= cap.since_ms and _subject(cap.scope, entry.spender) == cap.subject
        ]
        settled = sum(entry.settled or 0 for entry in mine)
        return settled, sum(entry.held for entry in mine if entry.settled is None)

    @rule(spender=spenders, amount=st.integers(0, 120), names=scopes, limit=limits, month=st.booleans())
    def reserve(self, spender: Spender, amount: int, names: list[str], limit: int, month: bool) -> None:
        day = self.now - self.now % DAY
        since = [day, 30 * DAY] if month else [day]
        caps = [
            msgspec.convert(
                {
                    "scope": name,
                    "subject": _subject(name, spender),
                    "since_ms": at,
                    "limit_usd_micros": limit,
                    "notice_usd_micros": limit * 8 // 10,
                },
                Cap,
            )
            for name in dict.fromkeys(names)
            for at in since
        ]
        self.caps.update(caps)
        before = [sum(self._sums(cap)) for cap in caps]
        fits = all(used + amount <= cap.limit_usd_micros for used, cap in zip(before, caps, strict=True))
        try:
            made = self.runner.run(self.store.reserve(spender, amount, caps, self.now))
        except BudgetExceeded:
            assert not fits
            return
        assert fits
        assert made.used_usd_micros == tuple(used + amount for used in before)
        self.entries[made.id] = _Entry(spender, self.now, amount)
        for cap in made.notices:
            told = (cap.scope, cap.subject, cap.since_ms, cap.notice_usd_micros)
            assert told not in self.noticed
            self.noticed.add(told)

    @rule(pick=st.integers(0, 10**6), cost=st.integers(0, 150))
    def settle(self, pick: int, cost: int) -> None:
        if self.entries:
            number = sorted(self.entries)[pick % len(self.entries)]
            self.runner.run(self.store.settle(number, cost, self.now))
            if self.entries[number].settled is None:
                self.entries[number].settled = cost

    @rule(pick=st.integers(0, 10**6))
    def release(self, pick: int) -> None:
        if self.entries:
            number = sorted(self.entries)[pick % len(self.entries)]
            self.runner.run(self.store.release(number))
            if self.entries[number].settled is None:
                self.entries[number].settled = 0

    @rule(spender=spenders, cost=st.integers(0, 60), own_run=st.booleans())
    def call(self, spender: Spender, cost: int, own_run: bool) -> None:
        """A call in the usage ledger; it is paid already when its run has a reservation."""
        run_id = spender.run_id if own_run else RunId("free")
        row = msgspec.structs.replace(
            usage_row(cost, at_ms=self.now),
            run_id=run_id,
            tenant=spender.tenant,
            owner=spender.owner,
            agent_id=spender.agent_id,
            channel=spender.channel,
        )
        self.runner.run(self.store.record_usage([row]))
        whose = (run_id, spender.tenant, spender.owner)
        paid = any((e.spender.run_id, e.spender.tenant, e.spender.owner) == whose for e in self.entries.values())
        if not paid:
            self.unreserved.append(_Entry(spender, self.now, 0, cost))

    @rule(hours=st.integers(1, 40))
    def time_passes(self, hours: int) -> None:
        self.now += hours * 3_600_000

    @rule()
    def crash(self) -> None:
        self.runner.run(self.store.close())
        self.open()
        still = [entry for entry in self.entries.values() if entry.settled is None]
        assert self.runner.run(self.store.reconcile(self.now)) == len(still)
        for entry in still:
            entry.settled = entry.held

    @invariant()
    def every_cap_shows_the_plain_sum(self) -> None:
        if hasattr(self, "store"):
            for cap in self.caps:
                assert self.runner.run(self.store.spent(cap)) == self._sums(cap)


def _subject(scope: str, spender: Spender) -> str:
    return subject_of(scope, spender.tenant, spender.owner, spender.agent_id, spender.channel)


TestBudget = BudgetMachine.TestCase
TestBudget.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
