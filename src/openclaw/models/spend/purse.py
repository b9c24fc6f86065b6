"""Pays for calls: the worst case is set aside before a call, the real cost settled after it.

1. No budget applies, or the model is free: nothing is asked of the store.
2. A budget applies and the price is unknown: the call is denied.
3. A hold that ends without knowing what was used is settled in full: the provider may have worked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from openclaw.base.clock import Clock
from openclaw.base.errors import BudgetExceeded
from openclaw.base.model import ModelInfo, ModelRequest, Usage
from openclaw.base.money import dollars
from openclaw.base.thinking import with_thought
from openclaw.config.schema import BudgetConfig
from openclaw.models.call import Hold
from openclaw.models.spend.caps import Budget, budgets_for, utc
from openclaw.models.spend.pricing import cost_usd_micros, worst_case_usd_micros
from openclaw.store.api import Reservation, Spender, Store
from openclaw.telemetry.metrics import METRICS

_refused = METRICS.counter("openclaw_budget_refusals", "Calls that a budget stopped.", ("scope", "window"))
_use = METRICS.level(
    "openclaw_budget_use_ratio", "Share of a cap spent or held, as of its last call.", ("scope", "subject", "window")
)


class Notice(Protocol):
    """Told once per cap and window that most of it is gone. Called on the loop; must not block or raise."""

    def __call__(self, spender: Spender, budget: Budget, text: str) -> None: ...


class StorePurse:
    """Implements models.call.Purse for one spender."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        budgets: Callable[[], Sequence[BudgetConfig]],
        spender: Spender,
        notice: Notice | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._budgets = budgets
        self._spender = spender
        self._notice = notice

    async def reserve(self, info: ModelInfo, request: ModelRequest) -> Hold:
        """See Purse.reserve. Cancels: what was set aside goes back."""
        configured = self._budgets()
        if not configured:
            return FREE
        now_ms = self._clock.now_ms()
        budgets = budgets_for(configured, self._spender, now_ms)
        if not budgets:
            return FREE
        usd_micros = worst_case_usd_micros(info, request, _longest(info, request))
        if usd_micros is None:
            _refused.inc(budgets[0].cap.scope, budgets[0].window)
            raise unknown_price(info, budgets[0])
        if usd_micros == 0:
            return FREE
        caps = [budget.cap for budget in budgets]
        try:
            reservation = await self._store.reserve(self._spender, usd_micros, caps, now_ms)
        except BudgetExceeded as error:
            raise self._refusal(error, budgets) from None
        for budget, used in zip(budgets, reservation.used_usd_micros, strict=True):
            cap = budget.cap
            _use.set(used / max(1, cap.limit_usd_micros), cap.scope, cap.subject, budget.window)
            if cap in reservation.notices and self._notice is not None:
                self._notice(self._spender, budget, notice_text(budget, used))
        return StoreHold(self._store, self._clock, info, reservation)

    def _refusal(self, error: BudgetExceeded, budgets: Sequence[Budget]) -> BudgetExceeded:
        """Add to the store's refusal what the budget knows of its window."""
        its = (error.details.get("scope"), error.details.get("subject"), error.details.get("sinceMs"))
        budget = next(each for each in budgets if (each.cap.scope, each.cap.subject, each.cap.since_ms) == its)
        _refused.inc(budget.cap.scope, budget.window)
        fits = error.details["neededUsdMicros"] <= budget.cap.limit_usd_micros
        return BudgetExceeded(
            f"the {budget.window}'s budget is used up: {error.message}",
            hint=f"Raise the cap under models.budgets, or wait until {utc(budget.ends_ms)}.",
            retry_after_s=(budget.ends_ms - self._clock.now_ms()) / 1000 if fits else None,
            details={**error.details, "window": budget.window, "endsMs": budget.ends_ms},
        )


class StoreHold:
    """Implements models.call.Hold over a reservation in the store."""

    def __init__(self, store: Store, clock: Clock, info: ModelInfo, reservation: Reservation) -> None:
        self._store = store
        self._clock = clock
        self._info = info
        self._reservation = reservation

    async def settle(self, usage: Usage) -> None:
        """See Hold.settle. A usage of nothing means that the provider did not tell: the hold is paid in full."""
        cost = cost_usd_micros(self._info, usage) if usage.total_tokens else None
        paid = self._reservation.usd_micros if cost is None else cost
        await self._store.settle(self._reservation.id, paid, self._clock.now_ms())

    async def release(self) -> None:
        """See Hold.release."""
        await self._store.release(self._reservation.id)


class FreeHold:
    """A hold on nothing."""

    async def settle(self, usage: Usage) -> None:
        """See Hold.settle."""

    async def release(self) -> None:
        """See Hold.release."""


FREE: Final = FreeHold()


def _longest(info: ModelInfo, request: ModelRequest) -> int:
    """Return the longest answer that a call can bring: some wires raise the limit to make room for thought."""
    most = info.max_output_tokens
    return with_thought(request.max_tokens, request.thinking, most) if request.max_tokens else most


def unknown_price(info: ModelInfo, budget: Budget) -> BudgetExceeded:
    """Return the refusal of a model that nobody knows the price of."""
    cap = budget.cap
    whose = f"{cap.scope} {cap.subject!r}" if cap.subject else cap.scope
    return BudgetExceeded(
        f"the price of {info.ref} is unknown, and a budget of {dollars(cap.limit_usd_micros)} a {budget.window} applies"
        f" for {whose}",
        hint=f"Set `cost` of {info.id} under models.providers.{info.provider}.models, or use a model with a price.",
        details={"scope": cap.scope, "subject": cap.subject, "window": budget.window, "model": info.ref},
    )


def notice_text(budget: Budget, used_usd_micros: int) -> str:
    """Return what a person is told once when most of a cap is gone."""
    cap = budget.cap
    whose = f"{cap.scope} {cap.subject}" if cap.subject else "all calls"
    percent = used_usd_micros * 100 // max(1, cap.limit_usd_micros)
    return (
        f"Budget notice: {percent} % of the {budget.window}'s {dollars(cap.limit_usd_micros)} for {whose} is spent or"
        f" set aside ({dollars(used_usd_micros)}). Calls stop at the cap; it starts anew at {utc(budget.ends_ms)}."
    )
