"""The desk of approvals over a real store: one end each, whoever comes, and after a restart too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.clock import ManualClock
from openclaw.base.errors import Conflict, InvalidRequest, NotFound, OpenClawError, TooLarge, Unavailable
from openclaw.base.ids import DEFAULT_TENANT, OwnerId, TenantId
from openclaw.base.principal import Limits, Principal
from openclaw.base.tasks import TaskSet
from openclaw.policy import approvals as desk_module
from openclaw.policy import grant as grant_module
from openclaw.policy.approval import Approval, answered, cut_off, decided, expired, may_review, unheard
from openclaw.policy.approvals import KIND, MAX_PENDING, MAX_REQUEST_BYTES, MAX_WAIT_MS, Approvals, NewApproval
from openclaw.store.audit import Wanted
from openclaw.store.shelf import Change
from openclaw.store.sqlite import SqliteStore

pytestmark = pytest.mark.anyio

SCOPES = frozenset(("operator.approvals",))
ANN = Principal(owner=OwnerId("ann"), scopes=SCOPES)
BEN = Principal(owner=OwnerId("ben"), scopes=SCOPES)
ROOT = Principal(owner=OwnerId("root"), scopes=frozenset(("operator.admin",)))


def command(text: str = "ls", **more: Any) -> NewApproval:
    """A command that wants to run."""
    new = NewApproval(kind="exec", request={"command": text}, timeout_ms=60_000)
    return msgspec.structs.replace(new, **more)


class House:
    """A store on disk; `desk` is what one life of the gateway has."""

    def __init__(self, store: SqliteStore, clock: ManualClock) -> None:
        self.store = store
        self.clock = clock
        self.told: list[Approval] = []
        self.tasks = TaskSet("test")
        self.desk: Approvals

    async def start(self) -> None:
        self.desk = Approvals(self.store.shelf, self.clock)
        await self.desk.open()
        self.desk.observe(self.told.append)

    async def restart(self) -> None:
        await self.desk.close()
        await self.start()

    def waiting(self, approval: Approval) -> asyncio.Task[Approval]:
        return self.tasks.spawn(self.desk.wait(ANN, approval.id), "wait")


@asynccontextmanager
async def _house(path: Path) -> AsyncIterator[House]:
    clock = ManualClock()
    store = await SqliteStore.open(path / "db.sqlite", clock=clock)
    house = House(store, clock)
    await house.start()
    try:
        yield house
    finally:
        await house.tasks.close()
        await house.desk.close()
        await store.close()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with _house(tmp_path) as made:
        yield made


async def test_a_decision_ends_a_request_for_everybody_who_waits(house: House) -> None:
    asked = await house.desk.request(ANN, command(agent_id="main", session_key="agent:main:main"))
    waiters = [house.waiting(asked) for _ in range(3)]
    await asyncio.sleep(0)
    ended = await house.desk.decide(ANN, asked.id, "allow-once", by="phone")
    assert [await waiter for waiter in waiters] == [ended] * 3
    assert (ended.status, ended.reason, ended.decision, ended.resolved_by) == ("allowed", "user", "allow-once", "phone")
    assert (ended.owner, ended.agent_id, ended.session_key) == ("ann", "main", "agent:main:@ann:main")
    assert [row.status for row in house.told] == ["pending", "allowed"]
    assert await house.desk.wait(ANN, asked.id) == ended


async def test_each_request_and_its_end_are_rows_of_the_ledger_without_what_was_asked(house: House) -> None:
    asked = await house.desk.request(ANN, command(agent_id="main", request={"command": "curl canary-9d1e"}))
    await house.desk.decide(ANN, asked.id, "allow-once", by="phone")
    expires = await house.desk.request(ANN, command(timeout_ms=5_000))
    waiter = house.waiting(expires)
    await asyncio.sleep(0)
    house.clock.advance(6)
    await waiter
    unheard = await house.desk.request(ANN, command(), lambda _: False)
    left = await house.desk.request(ANN, command())
    await house.restart()
    rows = await house.store.audit.query(Wanted(kinds=("approval",), last_first=False))
    assert [(row.entry.action, row.entry.answer, row.entry.rule, row.entry.target) for row in rows] == [
        ("approval asked", "ask", "", asked.id),
        ("approval allowed", "allow", "approval.user", asked.id),
        ("approval asked", "ask", "", expires.id),
        ("approval expired", "deny", "approval.timeout", expires.id),
        ("approval denied", "deny", "approval.no-route", unheard.id),
        ("approval asked", "ask", "", left.id),
        ("approval cancelled", "deny", "approval.gateway-restart", left.id),
    ]
    assert rows[1].entry.facts == {"kind": "exec", "by": "phone", "decision": "allow-once"}
    assert "canary" not in str(rows)


async def test_of_many_who_decide_at_once_one_wins(house: House) -> None:
    asked = await house.desk.request(ANN, command())
    outcomes: list[str] = []
    lost: list[str] = []

    async def decide(decision: Any) -> None:
        try:
            ended = await house.desk.decide(ANN, asked.id, decision)
        except Conflict as error:
            lost.append(error.message)
        else:
            outcomes.append(str(ended.decision))

    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(decide, "deny" if number % 2 else "allow-once")
    assert len(outcomes) == 1
    assert lost == ["approval already resolved"] * 19
    assert (await house.desk.get(ANN, asked.id)).decision == outcomes[0]
    assert len(house.told) == 2


async def test_a_request_ends_with_its_time_and_cannot_be_decided_then(house: House) -> None:
    asked = await house.desk.request(ANN, command())
    waiter = house.waiting(asked)
    await asyncio.sleep(0)
    house.clock.advance(59)
    await asyncio.sleep(0)
    assert not waiter.done()
    house.clock.advance(1)
    ended = await waiter
    assert (ended.status, ended.reason, ended.decision) == ("expired", "timeout", None)
    with pytest.raises(NotFound, match="unknown or expired approval id"):
        await house.desk.decide(ANN, asked.id, "allow-once")


async def test_a_decision_that_comes_at_the_last_moment_races_the_clock_and_one_holds(house: House) -> None:
    for _ in range(20):
        asked = await house.desk.request(ANN, command())
        waiter = house.waiting(asked)
        await asyncio.sleep(0)
        house.clock.advance(59.999)
        deciding = house.tasks.spawn(house.desk.decide(ANN, asked.id, "allow-once"), "decide")
        await asyncio.sleep(0)
        house.clock.advance(1)
        ended = await waiter
        kept = await house.desk.get(ANN, asked.id)
        assert kept == ended
        try:
            assert await deciding == ended
        except OpenClawError:
            assert ended.status == "expired"


async def test_time_that_is_over_counts_before_the_clock_has_rung(house: House) -> None:
    asked = await house.desk.request(ANN, command())
    house.clock.advance(60)  # the sleeper has not run yet
    assert house.desk.pending(ANN, "exec") == []
    with pytest.raises(NotFound):
        await house.desk.decide(ANN, asked.id, "allow-once")


async def test_what_was_pending_is_cancelled_by_a_restart_and_what_was_decided_stays(house: House) -> None:
    left = await house.desk.request(ANN, command("left", id="once"))
    done = await house.desk.request(ANN, command("done"))
    await house.desk.decide(ANN, done.id, "deny")
    await house.restart()
    assert house.desk.pending(ANN, "exec") == []
    cancelled = await house.desk.wait(ANN, left.id)
    assert (cancelled.status, cancelled.reason, cancelled.decision) == ("cancelled", "gateway-restart", None)
    assert (await house.desk.get(ANN, done.id)).decision == "deny"
    with pytest.raises(Conflict):
        await house.desk.decide(ANN, left.id, "allow-once")
    with pytest.raises(Conflict, match="approval id already used"):
        await house.desk.request(ANN, command(id="once"))


async def test_nobody_to_ask_denies_at_once_and_leaves_a_row(house: House) -> None:
    asked = await house.desk.request(ANN, command(), reachable=lambda _: False)
    assert (asked.status, asked.reason) == ("denied", "no-route")
    assert await house.desk.wait(ANN, asked.id) == asked
    assert house.told == []
    with pytest.raises(Conflict):
        await house.desk.decide(ANN, asked.id, "allow-once")
    await house.restart()
    assert (await house.desk.get(ANN, asked.id)).reason == "no-route"


async def test_a_foreign_owner_neither_sees_nor_decides_nor_waits_but_an_admin_does(house: House) -> None:
    asked = await house.desk.request(ANN, command())
    assert house.desk.pending(BEN, "exec") == []
    for attempt in (
        house.desk.decide(BEN, asked.id, "deny"),
        house.desk.get(BEN, asked.id),
        house.desk.wait(BEN, asked.id),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert house.desk.pending(ROOT, "exec") == [asked]
    await house.desk.decide(ROOT, asked.id, "allow-once")
    assert (await house.desk.history(BEN))[0] == []
    assert [row.id for row in (await house.desk.history(ROOT))[0]] == [asked.id]


async def test_an_approver_whom_a_role_shows_everybodys_sessions_decides_but_answers_no_questions(house: House) -> None:
    lead = Principal(owner=OwnerId("lead"), scopes=BEN.scopes, limits=Limits(sessions="all"))
    asked = await house.desk.request(ANN, command())
    assert house.desk.pending(lead, "exec") == [asked]
    assert (await house.desk.decide(lead, asked.id, "allow-once")).status == "allowed"
    asking = await house.desk.request(ANN, command(kind="question"))
    assert house.desk.pending(lead, "question") == []
    with pytest.raises(NotFound):
        await house.desk.get(lead, asking.id)


async def test_a_foreign_tenant_is_foreign_even_as_admin(house: House) -> None:
    asked = await house.desk.request(ANN, command())
    stranger = Principal(tenant=TenantId("other"), owner=ANN.owner, scopes=frozenset(("operator.admin",)))
    with pytest.raises(NotFound):
        await house.desk.decide(stranger, asked.id, "allow-once")


async def test_only_the_named_devices_decide(house: House) -> None:
    asked = await house.desk.request(ANN, command(reviewers=("phone",)))
    with pytest.raises(NotFound):
        await house.desk.decide(ANN, asked.id, "allow-once")
    with pytest.raises(NotFound):
        await house.desk.decide(ROOT, asked.id, "allow-once")
    phone = msgspec.structs.replace(ANN, device="phone")
    assert house.desk.pending(phone, "exec") == [asked]
    assert (await house.desk.decide(phone, asked.id, "allow-once")).status == "allowed"


async def test_a_kind_is_decided_as_that_kind_only(house: House) -> None:
    asked = await house.desk.request(ANN, command())
    with pytest.raises(NotFound):
        await house.desk.decide(ANN, asked.id, "allow-once", kind="plugin")
    with pytest.raises(NotFound):
        await house.desk.answer(ANN, asked.id, None)


async def test_a_decision_that_is_not_offered_is_refused_and_deny_is_always_offered(house: House) -> None:
    asked = await house.desk.request(ANN, command(offered=("allow-once",)))
    with pytest.raises(InvalidRequest, match="allow-always is not offered"):
        await house.desk.decide(ANN, asked.id, "allow-always")
    assert (await house.desk.decide(ANN, asked.id, "deny")).status == "denied"


async def test_what_asked_can_take_it_back(house: House) -> None:
    asked = await house.desk.request(ANN, command())
    waiter = house.waiting(asked)
    await asyncio.sleep(0)
    await house.desk.cancel(asked.id)
    assert (await waiter).reason == "run-aborted"
    await house.desk.cancel(asked.id)


async def test_ids_are_the_askers_or_short_and_never_used_twice(house: House) -> None:
    assert (await house.desk.request(ANN, command(id="mine"))).id == "@ann:mine"
    with pytest.raises(Conflict, match="approval id already pending"):
        await house.desk.request(ANN, command(id="mine"))
    his = await house.desk.request(BEN, command(id="mine"))
    assert (await house.desk.get(BEN, "mine")).id == his.id, "what an id is to one says nothing to another"
    assert len((await house.desk.request(ANN, command())).id) == 8


async def test_pending_requests_their_size_and_their_time_are_bounded(house: House) -> None:
    for _ in range(MAX_PENDING):
        await house.desk.request(ANN, command())
    with pytest.raises(Unavailable):
        await house.desk.request(ANN, command())
    house.clock.advance(60)
    await asyncio.gather(*house.desk._tasks._tasks)
    with pytest.raises(TooLarge):
        await house.desk.request(ANN, command("x" * MAX_REQUEST_BYTES))
    asked = await house.desk.request(ANN, command(timeout_ms=2**60))
    assert asked.expires_at_ms - asked.created_at_ms == MAX_WAIT_MS


async def test_the_oldest_that_ended_go_and_an_open_one_stays(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "KEPT", 10)
    monkeypatch.setattr(desk_module, "TRIM_EVERY", 5)
    first = await house.desk.request(ANN, command(id="first"), reachable=lambda _: False)
    house.clock.advance(1)
    still_open = await house.desk.request(ANN, command(timeout_ms=MAX_WAIT_MS))
    for _ in range(40):
        house.clock.advance(0.01)
        await house.desk.request(ANN, command(), reachable=lambda _: False)
    with pytest.raises(NotFound):
        await house.desk.get(ANN, first.id)
    assert (await house.desk.decide(ANN, still_open.id, "deny")).status == "denied"
    assert len(await house.store.shelf.list(KIND)) <= 16
    assert len(house.desk._places) <= 16


async def test_history_is_read_page_by_page_without_questions(house: House) -> None:
    for number in range(7):
        house.clock.advance(1)
        await house.desk.request(ANN, command(id=f"e{number}"), reachable=lambda _: False)
    question = NewApproval(kind="question", request={}, timeout_ms=1000, id="q")
    await house.desk.answer(ANN, (await house.desk.request(ANN, question)).id, None)
    rows, cursor = await house.desk.history(ANN, limit=5)
    assert [row.id for row in rows] == [f"@ann:e{number}" for number in (6, 5, 4, 3, 2)]
    rows, cursor = await house.desk.history(ANN, limit=5, cursor=cursor)
    assert ([row.id for row in rows], cursor) == (["@ann:e1", "@ann:e0"], "")
    assert await house.desk.history(ANN, kind="plugin") == ([], "")


async def test_a_store_that_fails_gives_no_decision_but_time_still_ends_the_wait(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    asked = await house.desk.request(ANN, command())
    waiter = house.waiting(asked)
    await asyncio.sleep(0)
    await house.store.close()
    with pytest.raises(Unavailable):
        await house.desk.decide(ANN, asked.id, "allow-once")
    assert not waiter.done()
    house.clock.advance(60)
    assert (await waiter).status == "expired"
    assert "approval_unwritten" in caplog.text


GRANT = {"kind": "standing-grant", "automation": "nightly", "command": "make", "expiresInDays": 7}


async def test_a_standing_grant_comes_with_its_decision_and_can_be_taken_back(house: House) -> None:
    asked = await house.desk.request(ANN, command(agent_id="main", request={"command": "make", "scope": GRANT}))
    await house.desk.decide(ANN, asked.id, "allow-always", grant_days=2)
    await house.restart()
    grants = house.desk.grants
    (grant,) = await grants.list(ANN, 10)
    assert (grant.automation, grant.command, grant.agent_id, grant.approval_id) == ("nightly", "make", "main", asked.id)
    assert grant.expires_at_ms - grant.created_at_ms == 2 * 86_400_000
    assert await grants.list(BEN, 10) == []
    assert await grants.revoke(BEN, grant.id, "ben") == "not-found"
    assert await grants.revoke(ANN, grant.id, "ann") == "revoked"
    assert await grants.revoke(ANN, grant.id, "ann") == "already-revoked"
    assert (await grants.list(ANN, 10))[0].revoked_by == "ann"


async def test_no_grant_comes_of_allowing_once_of_a_lost_race_or_of_a_plain_command(house: House) -> None:
    for request, decision in (
        ({"command": "make", "scope": GRANT}, "allow-once"),
        ({"command": "make"}, "allow-always"),
    ):
        asked = await house.desk.request(ANN, command(agent_id="main", request=request))
        await house.desk.decide(ANN, asked.id, decision)  # type: ignore[arg-type]  # literals
    raced = await house.desk.request(ANN, command(agent_id="main", request={"command": "make", "scope": GRANT}))
    record = await house.store.shelf.get(KIND, raced.place)
    assert record is not None
    elsewhere = msgspec.json.encode(decided(raced, "deny", "replica", house.clock.now_ms()))
    await house.store.shelf.apply([Change(KIND, raced.place, elsewhere, 1)], 1)
    with pytest.raises(Conflict):
        await house.desk.decide(ANN, raced.id, "allow-always")
    assert await house.desk.grants.list(ROOT, 10) == []


async def test_grants_are_bounded_and_dead_ones_make_room(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grant_module, "MAX_GRANTS", 2)

    async def grant() -> None:
        asked = await house.desk.request(ANN, command(agent_id="main", request={"command": "make", "scope": GRANT}))
        await house.desk.decide(ANN, asked.id, "allow-always")

    await grant()
    await grant()
    with pytest.raises(Unavailable):
        await grant()
    (first, _) = await house.desk.grants.list(ANN, 2)
    await house.desk.grants.revoke(ANN, first.id, "ann")
    await grant()
    assert first.id not in {each.id for each in await house.desk.grants.list(ANN, 10)}


NOW = 1_000_000
Step = Callable[[Approval, int], Approval]
STEPS: dict[str, Step] = {
    "allow": lambda row, now: decided(row, "allow-once", "p", now),
    "deny": lambda row, now: decided(row, "deny", "p", now),
    "answer": lambda row, now: answered(row, {"q": ("a",)}, "p", now),
}


@given(
    steps=st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 2000)), max_size=6),
    life=st.integers(1, 2000),
)
def test_whatever_is_tried_a_row_ends_once_and_only_in_its_time(steps: list[tuple[str, int]], life: int) -> None:
    row = Approval(
        id="a",
        kind="exec",
        tenant=DEFAULT_TENANT,
        owner=OwnerId("ann"),
        request={},
        created_at_ms=NOW,
        expires_at_ms=NOW + life,
    )
    now = NOW
    for name, pause in steps:
        now += pause
        try:
            after = STEPS[name](row, now)
        except (NotFound, Conflict):
            assert row.status != "pending" or now >= row.expires_at_ms
        else:
            assert row.status == "pending"
            assert now < row.expires_at_ms
            assert (after.status, after.reason, after.resolved_at_ms) != ("pending", "", 0)
            row = after
    assert msgspec.json.decode(msgspec.json.encode(row), type=Approval) == row


@pytest.mark.parametrize("end", [expired, unheard, lambda row, now: cut_off(row, "run-aborted", now)])
def test_an_end_without_a_person_never_allows(end: Step) -> None:
    row = Approval(
        id="a",
        kind="exec",
        tenant=DEFAULT_TENANT,
        owner=OwnerId("ann"),
        request={},
        created_at_ms=NOW,
        expires_at_ms=NOW + 1,
    )
    ended = end(row, NOW)
    assert ended.decision in (None, "deny")
    assert not may_review(BEN, ended)
