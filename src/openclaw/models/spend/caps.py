"""Which caps apply to a call: the configured budgets, whom the call is for, and the time. Pure.

1. Windows are those of UTC: a day from midnight, a month from the first. A call belongs to the one it is reserved in.
2. A budget without a subject is a cap for each one of its scope; with a subject, for that one alone.
3. A call without a channel is in no channel: no cap of that scope applies to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal, Protocol, TypeAlias

import msgspec

from openclaw.base.clock import Clock
from openclaw.base.money import USD_MICROS
from openclaw.base.principal import Limits
from openclaw.base.run import Inbound
from openclaw.config.schema import BudgetConfig
from openclaw.store.api import Cap, Spender
from openclaw.store.budget import subject_of

Window: TypeAlias = Literal["day", "month"]

DAY_MS = 86_400_000
MOST_USD = 1e12
"""More than anybody has, and it fits the database's integers."""


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """A configured budget as it applies to one spender now."""

    cap: Cap
    window: Window
    ends_ms: int


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """What is left of a cap. Amounts in USD micros; `held` is for calls under way."""

    scope: str
    subject: str
    window: Window
    ends_ms: int
    limit_usd_micros: int
    spent_usd_micros: int
    held_usd_micros: int

    @property
    def left_usd_micros(self) -> int:
        """What the next call may cost at most."""
        return max(0, self.limit_usd_micros - self.spent_usd_micros - self.held_usd_micros)


def budgets_of(configured: Sequence[BudgetConfig], limits: Limits | None) -> tuple[BudgetConfig, ...]:
    """Return the budgets of a caller's calls: the configured ones, and what its roles let it spend in a day."""
    usd = limits.usd_per_day if limits is not None else 0
    own = (BudgetConfig(usd=usd, scope="principal"),) if usd else ()
    return (*configured, *own)


def spender_of(inbound: Inbound) -> Spender:
    """Return whom a message's calls are for. A channel is known by its session key, any other door by its name."""
    channel: str = inbound.source
    if channel == "channel":
        channel = inbound.session_key.split(":", 3)[2]
    return Spender(
        run_id=inbound.run_id,
        tenant=inbound.principal.tenant,
        owner=inbound.principal.owner,
        agent_id=inbound.agent_id,
        channel=channel,
    )


def budgets_for(budgets: Sequence[BudgetConfig], spender: Spender, now_ms: int) -> tuple[Budget, ...]:
    """Return the budgets that apply to a call of this spender now, in the order configured."""
    found = []
    for budget in budgets:
        subject = subject_of(budget.scope, spender.tenant, spender.owner, spender.agent_id, spender.channel)
        if budget.scope == "total" or (subject and budget.subject in ("", subject)):
            found.append(_applied(budget, subject, now_ms))
    return tuple(found)


def _applied(budget: BudgetConfig, subject: str, now_ms: int) -> Budget:
    since_ms, ends_ms = window(budget.window, now_ms)
    limit = round(min(budget.usd, MOST_USD) * USD_MICROS)
    cap = Cap(
        scope=budget.scope,
        subject=subject,
        since_ms=since_ms,
        limit_usd_micros=limit,
        notice_usd_micros=max(1, -(-limit * budget.notice_percent // 100)),
    )
    return Budget(cap=cap, window=budget.window, ends_ms=ends_ms)


def window(kind: Window, now_ms: int) -> tuple[int, int]:
    """Return when the window that holds `now_ms` begins and ends, in Unix ms."""
    if kind == "day":
        since_ms = now_ms - now_ms % DAY_MS
        return since_ms, since_ms + DAY_MS
    first = datetime.fromtimestamp(now_ms // 1000, UTC).replace(day=1, hour=0, minute=0, second=0)
    after = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    return int(first.timestamp()) * 1000, int(after.timestamp()) * 1000


def utc(at_ms: int) -> str:
    """Return a time as `2026-11-20 00:00 UTC`."""
    return f"{datetime.fromtimestamp(at_ms // 1000, UTC):%Y-%m-%d %H:%M} UTC"


class Ledger(Protocol):
    """The part of the store that knows what is spent."""

    async def spent(self, cap: Cap) -> tuple[int, int]:
        """See Store.spent."""
        ...


async def allowances(
    ledger: Ledger, budgets: Sequence[BudgetConfig], spender: Spender, clock: Clock
) -> list[Allowance]:
    """Return what is left of each budget that applies to a spender."""
    found = []
    for budget in budgets_for(budgets, spender, clock.now_ms()):
        cap = budget.cap
        spent, held = await ledger.spent(cap)
        found.append(
            Allowance(
                scope=cap.scope,
                subject=cap.subject,
                window=budget.window,
                ends_ms=budget.ends_ms,
                limit_usd_micros=cap.limit_usd_micros,
                spent_usd_micros=spent,
                held_usd_micros=held,
            )
        )
    return found
