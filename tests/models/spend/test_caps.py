"""Which budgets apply to whom, and when their windows begin."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.ids import DEFAULT_TENANT, AgentId, OwnerId, RunId, TenantId
from openclaw.config.schema import BudgetConfig
from openclaw.models.spend.caps import DAY_MS, Window, budgets_for, window
from openclaw.store.api import Spender

SPENDER = Spender(
    run_id=RunId("r"), tenant=DEFAULT_TENANT, owner=OwnerId("alice"), agent_id=AgentId("main"), channel="telegram"
)


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


NOON = ms("2026-11-20T12:00:00+00:00")


@pytest.mark.parametrize(
    ("kind", "now", "since", "ends"),
    [
        ("day", "2026-11-20T00:00:00+00:00", "2026-11-20T00:00:00+00:00", "2026-11-21T00:00:00+00:00"),
        ("day", "2026-11-20T23:59:59.999+00:00", "2026-11-20T00:00:00+00:00", "2026-11-21T00:00:00+00:00"),
        ("day", "2026-11-20T23:30:00-05:00", "2026-11-21T00:00:00+00:00", "2026-11-22T00:00:00+00:00"),
        ("month", "2026-12-31T23:59:59.999+00:00", "2026-12-01T00:00:00+00:00", "2027-01-01T00:00:00+00:00"),
        ("month", "2027-01-01T00:00:00+00:00", "2027-01-01T00:00:00+00:00", "2027-02-01T00:00:00+00:00"),
        ("month", "2028-02-29T12:00:00+00:00", "2028-02-01T00:00:00+00:00", "2028-03-01T00:00:00+00:00"),
    ],
)
def test_windows_are_those_of_utc(kind: Window, now: str, since: str, ends: str) -> None:
    assert window(kind, ms(now)) == (ms(since), ms(ends))


@given(st.sampled_from(["day", "month"]), st.integers(0, ms("2200-01-01T00:00:00+00:00")))
def test_a_moment_is_in_exactly_one_window(kind: Window, now_ms: int) -> None:
    since_ms, ends_ms = window(kind, now_ms)
    assert since_ms <= now_ms < ends_ms
    assert window(kind, ends_ms)[0] == ends_ms
    assert window(kind, since_ms - 1)[1] == since_ms or since_ms == 0
    assert datetime.fromtimestamp(since_ms / 1000, UTC).hour == 0
    assert kind == "month" or ends_ms - since_ms == DAY_MS


def test_a_budget_without_a_subject_is_one_for_each() -> None:
    each = BudgetConfig(usd=5, scope="principal")
    bob = msgspec.structs.replace(SPENDER, owner=OwnerId("bob"))
    elsewhere = msgspec.structs.replace(SPENDER, tenant=TenantId("t2"))
    subjects = [budgets_for([each], who, NOON)[0].cap.subject for who in (SPENDER, bob, elsewhere)]
    assert subjects == ["alice", "bob", "t2/alice"]


@pytest.mark.parametrize(
    ("scope", "subject", "applies"),
    [
        ("total", "", True),
        ("total", "whatever", True),
        ("principal", "alice", True),
        ("principal", "bob", False),
        ("agent", "main", True),
        ("agent", "other", False),
        ("tenant", "default", True),
        ("channel", "telegram", True),
        ("channel", "slack", False),
    ],
)
def test_a_budget_with_a_subject_is_for_that_one(scope: str, subject: str, applies: bool) -> None:
    budget = msgspec.convert({"usd": 1, "scope": scope, "subject": subject}, BudgetConfig)
    assert bool(budgets_for([budget], SPENDER, NOON)) is applies


def test_a_call_without_a_channel_is_under_no_cap_of_channels() -> None:
    silent = msgspec.structs.replace(SPENDER, channel="")
    assert budgets_for([BudgetConfig(usd=1, scope="channel")], silent, NOON) == ()


def test_amounts_become_whole_micros_and_the_notice_is_rounded_up() -> None:
    (budget,) = budgets_for([BudgetConfig(usd=0.1, notice_percent=33)], SPENDER, NOON)
    assert (budget.cap.limit_usd_micros, budget.cap.notice_usd_micros) == (100_000, 33_000)
    (tiny,) = budgets_for([BudgetConfig(usd=0.000001, notice_percent=80)], SPENDER, NOON)
    assert (tiny.cap.limit_usd_micros, tiny.cap.notice_usd_micros) == (1, 1)
    (endless,) = budgets_for([BudgetConfig(usd=float("inf"))], SPENDER, NOON)
    assert endless.cap.limit_usd_micros < 2**63
