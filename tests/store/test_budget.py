"""Money: caps hold to the micro-dollar, whatever is concurrent, late, repeated or killed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from openclaw.base.clock import ManualClock
from openclaw.base.errors import BudgetExceeded, InvalidRequest
from openclaw.base.ids import DEFAULT_TENANT, AgentId, OwnerId, RunId, SessionKey, TenantId
from openclaw.base.model import Usage
from openclaw.base.money import dollars
from openclaw.store.api import Cap, Spender, UsageRow
from openclaw.store.connect import connect, create_private
from openclaw.store.schema import MIGRATIONS, migrate
from openclaw.store.sqlite import SqliteStore
from tests.store.build import ALICE, KEY, answer, inbound, reply

pytestmark = pytest.mark.anyio

CENT = 10_000
DAY = 86_400_000
SPENDER = Spender(
    run_id=RunId("r1"), tenant=DEFAULT_TENANT, owner=OwnerId("alice"), agent_id=AgentId("default"), channel="telegram"
)
BY_BOB = msgspec.structs.replace(SPENDER, owner=OwnerId("bob"), run_id=RunId("r2"))


def total(limit: int, *, since_ms: int = 0, notice: int = 0) -> Cap:
    return Cap(scope="total", subject="", since_ms=since_ms, limit_usd_micros=limit, notice_usd_micros=notice)


def of_alice(limit: int, *, since_ms: int = 0) -> Cap:
    return Cap(scope="principal", subject="alice", since_ms=since_ms, limit_usd_micros=limit)


def usage_row(usd_micros: int | None, *, at_ms: int = 5, run_id: str = "free", owner: str = "alice") -> UsageRow:
    return UsageRow(
        at_ms=at_ms,
        run_id=RunId(run_id),
        session_key=SessionKey(""),
        agent_id=AgentId("default"),
        tenant=DEFAULT_TENANT,
        owner=OwnerId(owner),
        provider="p",
        model="m",
        purpose="probe",
        usage=Usage(1, 2),
        latency_ms=9,
        first_token_ms=8,
        usd_micros=usd_micros,
        channel="telegram",
    )


async def test_what_is_set_aside_is_replaced_by_what_it_cost(store: SqliteStore) -> None:
    cap = total(100)
    held = await store.reserve(SPENDER, 60, [cap], 1)
    assert held.used_usd_micros == (60,)
    assert await store.spent(cap) == (0, 60)
    await store.settle(held.id, 25, 2)
    assert await store.spent(cap) == (25, 0)


async def test_a_cap_may_be_reached_but_not_passed(store: SqliteStore) -> None:
    cap = total(100)
    await store.reserve(SPENDER, 100, [cap], 1)
    with pytest.raises(BudgetExceeded):
        await store.reserve(SPENDER, 1, [cap], 1)
    await store.reserve(SPENDER, 0, [cap], 1)


async def test_a_refusal_names_whose_cap_it_is_and_how_far_it_is_used(store: SqliteStore) -> None:
    cap = of_alice(5 * 1_000_000)
    paid = await store.reserve(SPENDER, 4_100_000, [cap], 1)
    await store.settle(paid.id, 4_100_000, 1)
    await store.reserve(SPENDER, 20 * CENT, [cap], 1)
    with pytest.raises(BudgetExceeded) as caught:
        await store.reserve(SPENDER, 1_000_000, [total(10**12), cap], 1)
    message = caught.value.message
    for part in ("$5.00", "principal 'alice'", "since 1970-01-01", "$4.10 is spent", "$0.20 is held", "$1.00"):
        assert part in message
    assert caught.value.details["spentUsdMicros"] == 4_100_000
    assert await store.spent(total(0)) == (4_100_000, 20 * CENT), "the refused call left nothing behind"


async def test_every_cap_must_hold_and_counts_only_its_own(store: SqliteStore) -> None:
    caps = [total(100), of_alice(50)]
    await store.reserve(SPENDER, 40, caps, 1)
    with pytest.raises(BudgetExceeded, match="principal 'alice'"):
        await store.reserve(SPENDER, 11, caps, 1)
    await store.reserve(BY_BOB, 60, [caps[0]], 1)
    assert await store.spent(caps[1]) == (0, 40)
    with pytest.raises(BudgetExceeded, match="for total"):
        await store.reserve(SPENDER, 1, caps, 1)


async def test_concurrent_calls_never_pass_a_cap_by_a_cent(store: SqliteStore) -> None:
    cap = total(7 * CENT)

    async def call(number: int) -> int:
        try:
            held = await store.reserve(SPENDER, CENT, [cap], number)
        except BudgetExceeded:
            return 0
        await asyncio.sleep(0)
        await store.settle(held.id, CENT - number % 3, number)
        return 1

    done = sum(await asyncio.gather(*(call(number) for number in range(100))))
    spent, held = await store.spent(cap)
    assert held == 0
    assert done >= 7
    assert spent <= 7 * CENT


async def test_a_settled_reservation_never_changes_again(store: SqliteStore) -> None:
    cap = total(100)
    held = await store.reserve(SPENDER, 60, [cap], 1)
    await store.settle(held.id, 10, 2)
    await store.settle(held.id, 60, 3)
    await store.release(held.id)
    assert await store.spent(cap) == (10, 0)
    assert await store.reconcile(4) == 0


async def test_a_released_reservation_costs_nothing(store: SqliteStore) -> None:
    cap = total(100)
    held = await store.reserve(SPENDER, 100, [cap], 1)
    await store.release(held.id)
    await store.settle(held.id, 100, 2)
    assert await store.spent(cap) == (0, 0)
    again = await store.reserve(SPENDER, 100, [cap], 3)
    assert again.id != held.id


async def test_a_call_that_cost_more_than_was_set_aside_is_counted_as_it_was(store: SqliteStore) -> None:
    cap = total(100)
    held = await store.reserve(SPENDER, 90, [cap], 1)
    await store.settle(held.id, 120, 2)
    assert await store.spent(cap) == (120, 0)


async def test_a_notice_comes_once_per_window(store: SqliteStore) -> None:
    day, month = total(300, since_ms=DAY, notice=80), total(1000, since_ms=0, notice=800)
    told = [(await store.reserve(SPENDER, 30, [day, month], DAY + at)).notices for at in range(3)]
    assert told == [(), (), (day,)]
    assert (await store.reserve(SPENDER, 5, [day, month], DAY + 3)).notices == ()
    tomorrow = msgspec.structs.replace(day, since_ms=2 * DAY)
    assert (await store.reserve(SPENDER, 79, [tomorrow, month], 2 * DAY)).notices == ()
    assert (await store.reserve(SPENDER, 1, [tomorrow, month], 2 * DAY)).notices == (tomorrow,)
    late = await store.reserve(SPENDER, 1, [day, month], 2 * DAY - 1)
    assert late.notices == (), "a call that comes late to yesterday's cap does not repeat it"


async def test_a_refused_reservation_gives_no_notice_away(store: SqliteStore) -> None:
    cap, small = total(100, notice=80), of_alice(85)
    with pytest.raises(BudgetExceeded):
        await store.reserve(SPENDER, 90, [cap, small], 1)
    assert (await store.reserve(SPENDER, 80, [cap, small], 1)).notices == (cap,)


async def test_a_window_begins_at_its_very_millisecond(store: SqliteStore) -> None:
    before = await store.reserve(SPENDER, 10, [total(100, since_ms=0)], DAY - 1)
    await store.reserve(SPENDER, 20, [total(100, since_ms=DAY)], DAY)
    assert await store.spent(total(100, since_ms=DAY)) == (0, 20)
    await store.settle(before.id, 5, DAY + 1)
    assert await store.spent(total(100, since_ms=DAY)) == (0, 20), "a call over midnight belongs to the day before"
    assert await store.spent(total(100, since_ms=0)) == (5, 20)


async def test_money_spent_before_a_cap_was_configured_counts(store: SqliteStore) -> None:
    await store.record_usage([usage_row(70), usage_row(10, owner="bob"), usage_row(None)])
    assert await store.spent(of_alice(100)) == (70, 0)
    with pytest.raises(BudgetExceeded):
        await store.reserve(SPENDER, 31, [of_alice(100)], 6)
    await store.record_usage([usage_row(20, at_ms=7)])
    assert await store.spent(of_alice(100)) == (90, 0)
    await store.reserve(SPENDER, 10, [of_alice(100)], 8)


async def test_a_reserved_call_is_not_counted_twice(store: SqliteStore) -> None:
    cap = total(100)
    await store.accept(inbound("r1"), 1, start=True)
    held = await store.reserve(SPENDER, 60, [cap], 2)
    await store.settle(held.id, 33, 3)
    step = msgspec.structs.replace(answer(), usd_micros=33, purpose="summary", channel="telegram")
    await store.commit_step(RunId("r1"), step, 4)
    assert await store.spent(cap) == (33, 0)
    assert await store.spent(of_alice(100)) == (33, 0), "also by a sum made later"
    row = (await store.usage_since(0))[0]
    assert (row.usd_micros, row.purpose, row.channel) == (33, "summary", "telegram")


async def test_what_a_crash_left_is_settled_in_full_and_stands_in_the_ledger(store: SqliteStore) -> None:
    cap = total(1000)
    await store.accept(inbound("r1"), 1, start=True)
    done = await store.reserve(SPENDER, 100, [cap], 1)
    await store.settle(done.id, 40, 2)
    await store.reserve(SPENDER, 200, [cap], 3)
    await store.reserve(BY_BOB, 300, [cap], 3)
    assert await store.reconcile(9) == 2
    assert await store.spent(cap) == (540, 0)
    rows = await store.usage_since(9)
    assert [(row.owner, row.usd_micros, row.error_code, row.session_key) for row in rows] == [
        ("alice", 200, "RUN_INTERRUPTED", KEY),
        ("bob", 300, "RUN_INTERRUPTED", ""),
    ]
    assert await store.reconcile(10) == 0
    assert await store.spent(of_alice(0)) == (240, 0)


async def test_a_cancelled_caller_gets_its_money_back(store: SqliteStore) -> None:
    cap = total(100)
    waiting = asyncio.ensure_future(store.reserve(SPENDER, 60, [cap], 1))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await store.ping()
    assert await store.spent(cap) == (0, 0)


async def test_owners_of_the_same_name_in_two_tenants_are_two(store: SqliteStore) -> None:
    elsewhere = msgspec.structs.replace(SPENDER, tenant=TenantId("elsewhere"))
    await store.reserve(elsewhere, 60, [], 1)
    assert await store.spent(of_alice(100)) == (0, 0)
    assert await store.spent(msgspec.structs.replace(of_alice(100), subject="elsewhere/alice")) == (0, 60)


@pytest.mark.parametrize(
    ("scope", "subject"),
    [("tenant", "default"), ("agent", "default"), ("channel", "telegram"), ("principal", "alice"), ("total", "")],
)
async def test_each_scope_has_its_own_subject(store: SqliteStore, scope: str, subject: str) -> None:
    cap = msgspec.convert({"scope": scope, "subject": subject, "since_ms": 0, "limit_usd_micros": 9}, Cap)
    other = msgspec.structs.replace(cap, subject="other")
    held = await store.reserve(SPENDER, 7, [cap], 1)
    assert await store.spent(cap) == (0, 7)
    await store.settle(held.id, 3, 2)
    assert await store.spent(cap) == (3, 0)
    if scope != "total":
        assert await store.spent(other) == (0, 0)


async def test_a_negative_amount_is_refused(store: SqliteStore) -> None:
    with pytest.raises(InvalidRequest):
        await store.reserve(SPENDER, -1, [total(100)], 1)
    with pytest.raises(InvalidRequest):
        await store.settle(1, -1, 1)


async def test_counters_of_windows_long_gone_are_deleted(store: SqliteStore, tmp_path: Path) -> None:
    for day in (1, 2, *range(32, 36)):
        await store.reserve(SPENDER, 1, [total(100, since_ms=day * DAY), total(100, since_ms=0)], day * DAY)
    db = connect(tmp_path / "openclaw.db", cache_kib=100)
    kept = [row[0] for row in db.execute("SELECT since_ms FROM spending ORDER BY since_ms").fetchall()]
    db.close()
    assert kept == [0, *(day * DAY for day in range(32, 36))]
    assert await store.spent(total(100, since_ms=2 * DAY)) == (0, 5), "made anew from the ledger"


async def test_a_file_of_the_first_schema_opens_with_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    create_private(path)
    db = connect(path, cache_kib=100)
    migrate(db, MIGRATIONS[:1])
    db.execute(
        "INSERT INTO usage (at_ms, run_id, session_key, agent_id, tenant, owner, provider, model, purpose,"
        " input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, latency_ms, first_token_ms)"
        " VALUES (1, 'r', 'k', 'a', 'default', 'alice', 'p', 'm', 'interactive', 1, 2, 0, 0, 3, 4)"
    )
    db.close()
    store = await SqliteStore.open(path, clock=ManualClock())
    (row,) = await store.usage_since(0)
    assert (row.usd_micros, row.channel, row.usage.output_tokens) == (None, "", 2)
    assert await store.spent(of_alice(100)) == (0, 0)
    await store.reserve(SPENDER, 5, [of_alice(100)], 2)
    await store.accept(inbound("r1"), 3, start=True)
    await store.finish_run(RunId("r1"), reply("r1"), answer(), 4)
    await store.close()


async def test_totals_group_the_ledger_as_asked(store: SqliteStore) -> None:
    rows = [
        usage_row(10, at_ms=1),
        usage_row(30, at_ms=DAY, owner="bob"),
        msgspec.structs.replace(usage_row(5, at_ms=DAY), model="n", error_code="MODEL_TIMEOUT"),
        usage_row(None, at_ms=2 * DAY),
    ]
    await store.record_usage(rows)
    by_owner = await store.usage_totals(["principal"])
    assert [(row.key, row.calls, row.usd_micros, row.unpriced) for row in by_owner] == [
        (("bob",), 1, 30, 0),
        (("alice",), 3, 15, 1),
    ]
    assert by_owner[1].usage == Usage(3, 6)
    assert [row.failed for row in by_owner] == [0, 1]
    days = await store.usage_totals(["day", "model"], since_ms=DAY)
    assert [row.key for row in days] == [("1970-01-02", "p/m"), ("1970-01-02", "p/n"), ("1970-01-03", "p/m")]
    assert [row.key for row in await store.usage_totals(["day"], before_ms=DAY)] == [("1970-01-01",)]
    assert [row.key for row in await store.usage_totals(["channel"], owner=ALICE.owner)] == [("telegram",)]
    assert await store.usage_totals(["agent"], owner=OwnerId("nobody")) == []
    with pytest.raises(InvalidRequest):
        await store.usage_totals([])


@pytest.mark.parametrize(
    ("usd_micros", "text"),
    [(0, "$0.00"), (CENT, "$0.01"), (1_234_567_890, "$1,234.56789"), (1, "$0.000001"), (-500_000, "-$0.50")],
)
def test_amounts_are_shown_exactly(usd_micros: int, text: str) -> None:
    assert dollars(usd_micros) == text
