"""Paying for calls: nothing without budgets, the worst case before, the real cost after."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from openclaw.base.clock import ManualClock
from openclaw.base.errors import BudgetExceeded
from openclaw.base.message import user
from openclaw.base.model import ModelInfo, ModelRequest, Usage
from openclaw.config.schema import BudgetConfig
from openclaw.models.spend.caps import Budget, allowances, budgets_for
from openclaw.models.spend.purse import FREE, StorePurse
from openclaw.store.api import Spender
from openclaw.store.sqlite import SqliteStore
from tests.models.spend.test_caps import NOON, SPENDER

pytestmark = pytest.mark.anyio

DOLLAR = 1_000_000
DEAR = ModelInfo(id="dear", provider="p", max_output_tokens=1000, input_usd_micros=0, output_usd_micros=1000 * DOLLAR)
"""A thousandth of a dollar per token of the answer, so a dollar at most."""
FREE_MODEL = ModelInfo(id="free", provider="p", input_usd_micros=0, output_usd_micros=0)
UNKNOWN = ModelInfo(id="new", provider="p")
REQUEST = ModelRequest(model="dear", messages=(user("hi"),))


class NoStore(SqliteStore):
    """Fails when it is asked for anything."""

    def __init__(self) -> None:
        pass


class Place:
    """A purse with a store, a clock, and the notices it gave."""

    def __init__(self, store: SqliteStore, clock: ManualClock) -> None:
        self.store = store
        self.clock = clock
        self.told: list[str] = []
        self.budgets: tuple[BudgetConfig, ...] = (BudgetConfig(usd=2.5),)
        self.purse = StorePurse(store, clock, lambda: self.budgets, SPENDER, self._notice)

    def _notice(self, spender: Spender, budget: Budget, text: str) -> None:
        assert spender is SPENDER
        self.told.append(text)

    async def used(self) -> tuple[int, int]:
        (budget,) = budgets_for(self.budgets, SPENDER, self.clock.now_ms())
        return await self.store.spent(budget.cap)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    clock = ManualClock(NOON)
    store = await SqliteStore.open(tmp_path / "db", clock=clock)
    yield Place(store, clock)
    await store.close()


async def test_without_a_budget_nothing_is_asked_of_the_store() -> None:
    purse = StorePurse(NoStore(), ManualClock(), tuple, SPENDER)
    hold = await purse.reserve(UNKNOWN, REQUEST)
    await hold.settle(Usage(1, 1))
    await hold.release()
    others = (BudgetConfig(usd=1, scope="agent", subject="another"),)
    assert await StorePurse(NoStore(), ManualClock(), lambda: others, SPENDER).reserve(UNKNOWN, REQUEST) is FREE


async def test_a_free_model_needs_no_money(place: Place) -> None:
    place.budgets = (BudgetConfig(usd=0),)
    assert await place.purse.reserve(FREE_MODEL, REQUEST) is FREE


async def test_an_unknown_price_is_denied_while_a_budget_applies(place: Place) -> None:
    with pytest.raises(BudgetExceeded, match=r"price of p/new is unknown.*\$2\.50 a day") as caught:
        await place.purse.reserve(UNKNOWN, REQUEST)
    assert "models.providers.p.models" in caught.value.hint


async def test_the_worst_case_is_held_and_the_real_cost_paid(place: Place) -> None:
    hold = await place.purse.reserve(DEAR, REQUEST)
    assert await place.used() == (0, DOLLAR)
    await hold.settle(Usage(5, 250))
    assert await place.used() == (250_000, 0)


async def test_the_requests_own_limit_makes_the_worst_case_smaller(place: Place) -> None:
    await place.purse.reserve(DEAR, ModelRequest(model="dear", max_tokens=10))
    assert await place.used() == (0, 10_000)


async def test_a_call_whose_use_is_not_told_is_paid_in_full(place: Place) -> None:
    hold = await place.purse.reserve(DEAR, REQUEST)
    await hold.settle(Usage())
    assert await place.used() == (DOLLAR, 0)


async def test_a_released_hold_costs_nothing(place: Place) -> None:
    hold = await place.purse.reserve(DEAR, REQUEST)
    await hold.release()
    assert await place.used() == (0, 0)


async def test_a_refusal_says_when_the_money_comes_back(place: Place) -> None:
    for _ in range(2):
        await (await place.purse.reserve(DEAR, REQUEST)).settle(Usage(0, 1000))
    with pytest.raises(BudgetExceeded, match="the day's budget is used up") as caught:
        await place.purse.reserve(DEAR, REQUEST)
    error = caught.value
    assert error.retry_after_s == 12 * 3600
    assert "2026-11-21 00:00 UTC" in error.hint
    assert error.details["window"] == "day"
    place.clock.advance(12 * 3600)
    await place.purse.reserve(DEAR, REQUEST)


async def test_waiting_is_not_advised_for_a_call_that_never_fits(place: Place) -> None:
    place.budgets = (BudgetConfig(usd=0.5),)
    with pytest.raises(BudgetExceeded) as caught:
        await place.purse.reserve(DEAR, REQUEST)
    assert caught.value.retry_after_s is None


async def test_the_notice_is_given_once_a_window(place: Place) -> None:
    for _ in range(2):
        for _ in range(2):
            await (await place.purse.reserve(DEAR, REQUEST)).settle(Usage(0, 1000))
        await place.purse.reserve(DEAR, ModelRequest(model="dear", max_tokens=500))
        place.clock.advance(24 * 3600)
    assert len(place.told) == 2
    assert "80 % of the day's $2.50 for all calls" in place.told[0]
    assert "2026-11-21 00:00 UTC" in place.told[0]


async def test_a_hundred_calls_at_once_never_pass_the_cap_by_a_cent(place: Place) -> None:
    place.budgets = (BudgetConfig(usd=0.07), BudgetConfig(usd=0.05, scope="principal"))
    cent = ModelRequest(model="dear", max_tokens=10)

    async def call() -> int:
        try:
            hold = await place.purse.reserve(DEAR, cent)
        except BudgetExceeded:
            return 0
        await hold.settle(Usage(0, 10))
        return 1

    assert sum(await asyncio.gather(*(call() for _ in range(100)))) == 5
    left = await allowances(place.store, place.budgets, SPENDER, place.clock)
    assert [(one.scope, one.spent_usd_micros, one.left_usd_micros) for one in left] == [
        ("total", 50_000, 20_000),
        ("principal", 50_000, 0),
    ]


async def test_budgets_are_read_at_each_call(place: Place) -> None:
    place.budgets = ()
    assert await place.purse.reserve(DEAR, REQUEST) is FREE
    place.budgets = (BudgetConfig(usd=0.5),)
    with pytest.raises(BudgetExceeded):
        await place.purse.reserve(DEAR, REQUEST)
