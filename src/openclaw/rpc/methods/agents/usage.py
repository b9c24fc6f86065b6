"""usage.cost, usage.totals, usage.status: what calls used and cost, and what is left of the budgets.

Days are those of UTC. Whoever is no admin sees the calls of their own only.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal, get_args

from msgspec import Meta

from openclaw.protocol.validate import Params
from openclaw.rpc.allowance import allowance, allowance_row
from openclaw.rpc.counting import (
    COUNTED,
    DEFAULT_DAYS,
    MAX_DAYS,
    add,
    counted_total,
    day_range,
    shown,
    summed,
    today,
    totals_of,
)
from openclaw.rpc.method import MethodSpec
from openclaw.rpc.peer import Peer
from openclaw.rpc.room import Room
from openclaw.store.api import UsageBy

Days = Annotated[int, Meta(ge=1, le=MAX_DAYS)]
IsoDate = Annotated[str, Meta(pattern=r"^(\d{4}-\d{2}-\d{2})?$")]


class UsageCostParams(Params, frozen=True):
    """The last `days`, or from `startDate` to `endDate`. `mode` and `utcOffset` are accepted; days are UTC's."""

    days: Days = DEFAULT_DAYS
    start_date: IsoDate = ""
    end_date: IsoDate = ""
    mode: Literal["", "utc", "gateway", "specific"] = ""
    utc_offset: str = ""


class UsageTotalsParams(Params, frozen=True):
    """`by` says what calls are grouped by."""

    by: UsageBy = "day"
    days: Days = DEFAULT_DAYS


class UsageStatusParams(Params, frozen=True):
    """`agentId`: whose budgets, with the caller's own and everybody's; default the default agent's."""

    agent_id: str = ""


async def usage_cost(room: Room, peer: Peer, params: UsageCostParams) -> dict[str, Any]:
    """Return tokens and money of each day, and of all of them."""
    first, last = day_range(room, "usage.cost", params.start_date, params.end_date, params.days)
    totals = await totals_of(room, peer, ("day", "model"), first, last)
    prices = {model.ref: model for model in room.deps.models.models()}
    sums = {
        (first + timedelta(number)).isoformat(): dict.fromkeys(COUNTED, 0) for number in range((last - first).days + 1)
    }
    for total in totals:
        day, ref = total.key
        add(sums[day], counted_total(total, prices.get(ref)))
    return {
        "updatedAt": room.deps.clock.now_ms(),
        "days": len(sums),
        "daily": [{"date": day, **shown(counted)} for day, counted in sums.items()],
        "totals": shown(summed(sums.values())),
    }


async def usage_totals(room: Room, peer: Peer, params: UsageTotalsParams) -> dict[str, Any]:
    """Return calls, tokens and money per group, the dearest first."""
    last = today(room)
    totals = await totals_of(room, peer, (params.by,), last - timedelta(params.days - 1), last)
    prices = {model.ref: model for model in room.deps.models.models()}
    rows = [
        {
            "key": total.key[0],
            "calls": total.calls,
            "failed": total.failed,
            **shown(counted_total(total, prices.get(total.key[0]))),
        }
        for total in totals
    ]
    return {"updatedAt": room.deps.clock.now_ms(), "by": params.by, "days": params.days, "rows": rows}


async def usage_status(room: Room, peer: Peer, params: UsageStatusParams) -> dict[str, Any]:
    """Return the quotas that providers tell of (none does here) and the budgets that apply to the caller."""
    answer: dict[str, Any] = {"updatedAt": room.deps.clock.now_ms(), "providers": []}
    found = await allowance(room, peer.principal, room.agent(peer.principal, params.agent_id))
    if found:
        answer["budgets"] = [allowance_row(one) for one in found]
    return answer


METHODS = (
    MethodSpec(
        "usage.cost",
        UsageCostParams,
        "operator.read",
        usage_cost,
        "Says what the model calls of each day (UTC) used and cost in USD; without admin rights, the caller's own. "
        "`input` is without cached tokens. `missingCostEntries` counts calls whose price is unknown. Protocol 3 leaves "
        "out days without a call.",
        "`{updatedAt, days, daily: [{date, input, output, cacheRead, cacheWrite, totalTokens, totalCost, inputCost, "
        "outputCost, cacheReadCost, cacheWriteCost, missingCostEntries}], totals}`",
    ),
    MethodSpec(
        "usage.totals",
        UsageTotalsParams,
        "operator.read",
        usage_totals,
        f"Says what model calls used and cost by {', '.join(get_args(UsageBy))}: the dearest first, days in order.",
        "`{updatedAt, by, days, rows[]}`: rows as in usage.cost with `key`, `calls` and `failed`; only a row of one "
        "model has the parts of its cost.",
    ),
    MethodSpec(
        "usage.status",
        UsageStatusParams,
        "operator.read",
        usage_status,
        "Says what is left: of the quotas that providers tell of, and of the budgets that apply to the caller.",
        "`{updatedAt, providers[], budgets?: [{scope, subject, window, endsAt, limit, spent, held, left}]}`, in USD.",
    ),
)
