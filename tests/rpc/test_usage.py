"""What calls used and cost, as both protocols tell it, and what is left."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from openclaw.base.clock import ManualClock
from openclaw.base.ids import DEFAULT_TENANT, AgentId, OwnerId, RunId, SessionKey
from openclaw.base.model import Usage
from openclaw.config.schema import BudgetConfig, ModelsConfig
from openclaw.store.api import Cap, Spender, UsageRow
from openclaw.store.sqlite import SqliteStore
from tests.rpc.support import CONFIG, Bench, FakePeer

pytestmark = pytest.mark.anyio

TODAY = "2027-01-15"
"""Of a ManualClock that nobody moved."""
READER = ("operator.read",)


def row(owner: str, usd_micros: int | None, *, days_ago: int = 0, model: str = "fake-1", code: str = "") -> UsageRow:
    return UsageRow(
        at_ms=ManualClock().now_ms() - days_ago * 86_400_000,
        run_id=RunId("r"),
        session_key=SessionKey("k"),
        agent_id=AgentId("default"),
        tenant=DEFAULT_TENANT,
        owner=OwnerId(owner),
        provider="fake",
        model=model,
        purpose="interactive",
        usage=Usage(100, 10, 20, 30),
        latency_ms=1,
        first_token_ms=1,
        usd_micros=usd_micros,
        channel="rpc",
        error_code=code,
    )


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = await SqliteStore.open(tmp_path / "db", clock=ManualClock())
    await opened.record_usage(
        [
            row("operator", 500_000),
            row("operator", 250_000, days_ago=2, code="MODEL_TIMEOUT"),
            row("alice", None, days_ago=2, model="new"),
            row("alice", 7, days_ago=400),
        ]
    )
    yield opened
    await opened.close()


@pytest.fixture
async def bench(store: SqliteStore) -> AsyncIterator[Bench]:
    budgets = (BudgetConfig(usd=5), BudgetConfig(usd=1, scope="principal", window="month"))
    config = msgspec.structs.replace(CONFIG, models=ModelsConfig(budgets=budgets))
    made = Bench(usage=store, config=config)
    yield made
    await made.close()


async def cost(bench: Bench, protocol: int = 4, params: dict[str, Any] | None = None) -> dict[str, Any]:
    answer = await bench.ask(FakePeer(protocol), "usage.cost", params)
    assert answer["ok"], answer
    payload: dict[str, Any] = answer["payload"]
    return payload


COUNTED = [
    *("input", "output", "cacheRead", "cacheWrite", "totalTokens"),
    *("totalCost", "inputCost", "outputCost", "cacheReadCost", "cacheWriteCost", "missingCostEntries"),
]


async def test_protocol_4_tells_every_day_of_the_last_thirty(bench: Bench) -> None:
    told = await cost(bench)
    assert list(told) == ["updatedAt", "days", "daily", "totals"]
    assert (told["days"], len(told["daily"])) == (30, 30)
    assert [told["daily"][0]["date"], told["daily"][-1]["date"]] == ["2026-12-17", TODAY]
    assert list(told["daily"][-1]) == ["date", *COUNTED]
    assert list(told["totals"]) == COUNTED
    assert told["daily"][-1]["totalCost"] == 0.5
    assert told["daily"][0]["totalTokens"] == 0
    totals = told["totals"]
    assert (totals["input"], totals["cacheRead"], totals["cacheWrite"], totals["output"]) == (150, 60, 90, 30)
    assert (totals["totalTokens"], totals["totalCost"], totals["missingCostEntries"]) == (330, 0.75, 1)


async def test_protocol_3_leaves_out_days_without_a_call(bench: Bench) -> None:
    told = await cost(bench, 3)
    assert list(told) == ["updatedAt", "days", "daily", "totals"]
    assert told["days"] == 31
    assert [day["date"] for day in told["daily"]] == ["2027-01-13", TODAY]
    assert list(told["daily"][0]) == ["date", *COUNTED]


async def test_a_range_of_days_may_be_asked_for(bench: Bench) -> None:
    told = await cost(bench, params={"days": 3})
    assert [day["date"] for day in told["daily"]] == ["2027-01-13", "2027-01-14", TODAY]
    asked = {"startDate": "2027-01-13", "endDate": "2027-01-14", "mode": "utc"}
    told = await cost(bench, params=asked)
    assert (told["days"], told["totals"]["totalCost"]) == (2, 0.25)


@pytest.mark.parametrize(
    "params",
    [
        {"days": 0},
        {"days": 367},
        {"startDate": "yesterday"},
        {"startDate": "2027-02-30"},
        {"startDate": "2027-01-16"},
        {"startDate": "2020-01-01"},
        {"startDate": "0001-01-01", "endDate": "0001-01-01", "days": 2, "more": 1},
        {"endDate": "0001-01-01"},
    ],
)
async def test_a_range_that_is_none_is_refused(bench: Bench, params: dict[str, Any]) -> None:
    answer = await bench.ask(FakePeer(), "usage.cost", params)
    assert answer["error"]["code"] == "INVALID_REQUEST", answer


async def test_the_parts_of_a_cost_go_by_the_prices_and_sum_up(bench: Bench) -> None:
    priced = msgspec.structs.replace(
        bench.deps.models.models()[0],
        input_usd_micros=1_000_000,
        output_usd_micros=5_000_000,
        cache_read_usd_micros=100_000,
    )
    bench.deps.models.models = lambda: [priced]  # type: ignore[method-assign]  # a stand-in of the tests' own
    day = (await cost(bench))["daily"][-1]
    parts = [day[name] for name in ("inputCost", "outputCost", "cacheReadCost", "cacheWriteCost")]
    assert sum(parts) == pytest.approx(day["totalCost"], abs=4e-6)
    assert parts[1] == pytest.approx(parts[0])
    assert parts[3] == pytest.approx(parts[2] * 15, rel=1e-4)


async def test_totals_are_grouped_as_asked(bench: Bench) -> None:
    answer = await bench.ask(FakePeer(), "usage.totals", {"by": "principal", "days": 7})
    told = answer["payload"]
    assert (told["by"], told["days"]) == ("principal", 7)
    assert [(each["key"], each["calls"], each["failed"], each["totalCost"]) for each in told["rows"]] == [
        ("operator", 2, 1, 0.75),
        ("alice", 1, 0, 0),
    ]
    wrong = await bench.ask(FakePeer(), "usage.totals", {"by": "colour"})
    assert "at /by" in wrong["error"]["message"]


async def test_who_is_no_admin_sees_the_calls_of_their_own_only(bench: Bench) -> None:
    peer = FakePeer(4, READER, owner="alice")
    told = (await bench.ask(peer, "usage.totals", {"by": "principal"}))["payload"]
    assert [each["key"] for each in told["rows"]] == ["alice"]
    assert (await bench.ask(peer, "usage.cost"))["payload"]["totals"]["totalCost"] == 0


async def test_status_tells_the_budgets_that_apply_to_the_caller(bench: Bench) -> None:
    answer = await bench.ask(FakePeer(4, READER), "usage.status")
    assert answer["payload"]["providers"] == []
    day, month = answer["payload"]["budgets"]
    assert (day["scope"], day["window"], day["spent"], day["left"]) == ("total", "day", 0.5, 4.5)
    assert (month["scope"], month["subject"], month["spent"], month["left"]) == ("principal", "operator", 0.75, 0.25)


async def test_status_without_budgets_has_the_shape_of_the_field() -> None:
    bench = Bench()
    answer = await bench.ask(FakePeer(3, READER), "usage.status", {})
    assert answer["payload"] == {"updatedAt": bench.clock.now_ms(), "providers": []}
    assert (await cost(bench))["totals"]["totalTokens"] == 0
    await bench.close()


async def said(bench: Bench, peer: FakePeer, run_id: str = "c1") -> str:
    bench.hub.join(peer)
    await bench.ask(peer, "chat.send", {"sessionKey": "main", "message": "/allowance", "idempotencyKey": run_id})
    final = [event for event in peer.events("chat") if event["state"] == "final"][-1]
    text: str = final["message"]["content"][0]["text"]
    return text


async def test_the_allowance_command_shows_what_is_left(bench: Bench, store: SqliteStore) -> None:
    spender = Spender(
        run_id=RunId("x"),
        tenant=DEFAULT_TENANT,
        owner=OwnerId("operator"),
        agent_id=AgentId("default"),
        channel="rpc",
    )
    cap = Cap(scope="total", subject="", since_ms=0, limit_usd_micros=10**9)
    await store.reserve(spender, 1_000_000, [cap], bench.clock.now_ms())
    lines = (await said(bench, FakePeer())).splitlines()
    assert lines[0] == (
        "all calls, this day: $3.50 left of $5.00 ($0.50 spent, $1.00 held for calls under way);"
        " starts anew at 2027-01-16 00:00 UTC"
    )
    assert lines[1].startswith("principal operator, this month: $0.00 left of $1.00")


async def test_the_allowance_command_says_when_no_budget_applies() -> None:
    bench = Bench()
    assert await said(bench, FakePeer()) == "No budget applies to your calls."
    await bench.close()
