"""An act that a door asks about waits for one person's answer, and holds no longer than that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from openclaw.base.clock import ManualClock
from openclaw.base.errors import PolicyDenied, Unavailable
from openclaw.base.ids import OwnerId
from openclaw.base.principal import Principal
from openclaw.base.tasks import TaskSet
from openclaw.policy.approval import Approval, Decision
from openclaw.policy.approvals import Approvals
from openclaw.policy.consent import WAIT_MS, Consent
from openclaw.policy.content_door import KIND, content_verdict
from openclaw.policy.gatekeeper import Ask, Verdict
from openclaw.policy.known_hosts import MAX_HOSTS, KnownHosts
from tests.fakes.doors import LedgerRows, gatekeeper
from tests.fakes.memory_shelf import MemoryShelf

pytestmark = pytest.mark.anyio

ANN = Principal(owner=OwnerId("ann"), scopes=frozenset(("operator.approvals",)))
FACTS = {"wish": "outward", "source": "web_fetch", "detail": '{"text": "hello"}'}
ASK = Ask(
    kind=KIND, principal=ANN, action="tool mail", target="mail", facts=FACTS, tainted=True, agent="main", session="s"
)


class Desk:
    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.rows = LedgerRows()
        self.gate = gatekeeper({KIND: content_verdict}, self.rows, clock)
        self.approvals = Approvals(MemoryShelf(), clock)
        self.told: list[Approval] = []
        self.somebody = True
        self.gate.consent = Consent(self.approvals, lambda _: self.somebody)
        self.tasks = TaskSet("test")

    async def asked(self) -> tuple[asyncio.Task[Verdict], Approval]:
        task = self.tasks.spawn(self.gate.require(ASK), "require")
        while not self.told:  # noqa: ASYNC110  # the loop turns until the request is told
            await asyncio.sleep(0)
        return task, self.told[0]


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    here = Desk(ManualClock())
    await here.approvals.open()
    here.approvals.observe(here.told.append)
    yield here
    await here.tasks.close()
    await here.approvals.close()


@pytest.mark.parametrize(("decision", "answers"), [("allow-once", ["ask", "allow"]), ("deny", ["ask", "deny"])])
async def test_the_answer_is_in_the_ledger_before_the_act(desk: Desk, decision: Decision, answers: list[str]) -> None:
    task, approval = await desk.asked()
    await desk.approvals.decide(ANN, approval.id, decision)
    if decision == "deny":
        with pytest.raises(PolicyDenied, match="it was refused"):
            await task
    else:
        assert (await task).rule_id == "approval.allow-once"
        assert desk.rows.entries[-1].reason == f"approval {approval.id}"
    assert [row.answer for row in desk.rows.entries] == answers
    assert all(row.tainted for row in desk.rows.entries)


async def test_who_decides_sees_what_why_and_where_from(desk: Desk) -> None:
    task, approval = await desk.asked()
    request = approval.request
    assert request["tainted"] is True
    assert request["detail"] == FACTS["detail"]
    assert "web_fetch" in request["description"]
    assert approval.offered == ("allow-once", "deny")
    await desk.approvals.decide(ANN, approval.id, "deny")
    with pytest.raises(PolicyDenied):
        await task


async def test_with_nobody_to_ask_it_is_denied_at_once_and_says_so(desk: Desk) -> None:
    desk.somebody = False
    with pytest.raises(PolicyDenied, match="needs an approval, and no approver is connected"):
        await desk.gate.require(ASK)
    assert [row.answer for row in desk.rows.entries] == ["ask", "deny"]


async def test_without_a_desk_what_would_be_asked_is_denied(desk: Desk) -> None:
    desk.gate.consent = None
    with pytest.raises(PolicyDenied):
        await desk.gate.require(ASK)


async def test_no_answer_in_time_is_a_no(desk: Desk) -> None:
    task, _ = await desk.asked()
    await anyio.wait_all_tasks_blocked()
    desk.clock.advance(WAIT_MS / 1000 + 1)
    with pytest.raises(PolicyDenied, match="nobody answered in time"):
        await task


async def test_a_run_that_is_stopped_takes_its_request_back(desk: Desk) -> None:
    task, approval = await desk.asked()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await desk.approvals.get(ANN, approval.id)).reason == "run-aborted"


async def test_an_answer_that_cannot_be_written_allows_nothing(desk: Desk) -> None:
    task, approval = await desk.asked()
    desk.rows.full = True
    await desk.approvals.decide(ANN, approval.id, "allow-once")
    with pytest.raises(Unavailable):
        await task


async def test_hosts_are_known_per_agent_for_good_or_for_one_run_and_are_bounded() -> None:
    shelf: Any = MemoryShelf()
    hosts = KnownHosts(shelf, ManualClock())
    await hosts.remember("main", "a.example:443")
    hosts.lend("run1", "b.example:443")
    assert hosts.knows("main", "run9", "a.example:443")
    assert not hosts.knows("other", "run9", "a.example:443")
    assert hosts.knows("main", "run1", "b.example:443")
    assert not hosts.knows("main", "run2", "b.example:443")
    again = KnownHosts(shelf, ManualClock())
    await again.load()
    assert again.knows("main", "run9", "a.example:443")
    assert not again.knows("main", "run1", "b.example:443")
    for number in range(MAX_HOSTS):
        await hosts.remember("main", f"h{number}.example:443")
    assert not hosts.knows("main", "run9", "a.example:443")
    assert len(shelf.records) == MAX_HOSTS
