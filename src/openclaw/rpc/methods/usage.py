"""usage.cost, usage.totals, usage.status: what calls used and cost, and what is left of the budgets.

Days are those of UTC. Whoever is no admin sees the calls of their own only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Final, Literal, get_args

from msgspec import Meta

from openclaw.base.errors import InvalidRequest
from openclaw.base.model import ModelInfo
from openclaw.base.money import USD_MICROS
from openclaw.protocol.validate import Params
from openclaw.rpc.allowance import allowance, allowance_row
from openclaw.rpc.method import MethodSpec
from openclaw.rpc.peer import Peer
from openclaw.rpc.room import Room
from openclaw.store.api import UsageBy, UsageTotal

DEFAULT_DAYS: Final = 30
MAX_DAYS: Final = 366
MAX_ROWS: Final = 10_000

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
    first, last = _range(room, params)
    totals = await _totals(room, peer, ("day", "model"), first, last)
    prices = {model.ref: model for model in room.deps.models.models()}
    sums = {
        (first + timedelta(number)).isoformat(): dict.fromkeys(_COUNTED, 0) for number in range((last - first).days + 1)
    }
    for total in totals:
        day, ref = total.key
        _add(sums[day], _counted(total, prices.get(ref)))
    return {
        "updatedAt": room.deps.clock.now_ms(),
        "days": len(sums),
        "daily": [{"date": day, **_shown(counted)} for day, counted in sums.items()],
        "totals": _shown(_sum(sums.values())),
    }


async def usage_totals(room: Room, peer: Peer, params: UsageTotalsParams) -> dict[str, Any]:
    """Return calls, tokens and money per group, the dearest first."""
    today = _today(room)
    totals = await _totals(room, peer, (params.by,), today - timedelta(params.days - 1), today)
    prices = {model.ref: model for model in room.deps.models.models()}
    rows = [
        {
            "key": total.key[0],
            "calls": total.calls,
            "failed": total.failed,
            **_shown(_counted(total, prices.get(total.key[0]))),
        }
        for total in totals
    ]
    return {"updatedAt": room.deps.clock.now_ms(), "by": params.by, "days": params.days, "rows": rows}


async def usage_status(room: Room, peer: Peer, params: UsageStatusParams) -> dict[str, Any]:
    """Return the quotas that providers tell of (none does here) and the budgets that apply to the caller."""
    answer: dict[str, Any] = {"updatedAt": room.deps.clock.now_ms(), "providers": []}
    found = await allowance(room, peer.principal, room.deps.agent.resolve_agent(params.agent_id))
    if found:
        answer["budgets"] = [allowance_row(one) for one in found]
    return answer


def _today(room: Room) -> date:
    return datetime.fromtimestamp(room.deps.clock.now_ms() / 1000, UTC).date()


def _range(room: Room, params: UsageCostParams) -> tuple[date, date]:
    """Return the first and the last day asked for."""
    try:
        last = date.fromisoformat(params.end_date) if params.end_date else _today(room)
        first = date.fromisoformat(params.start_date) if params.start_date else last - timedelta(params.days - 1)
    except (ValueError, OverflowError) as error:
        raise InvalidRequest(f"invalid usage.cost params: {error}") from error
    if not 0 <= (last - first).days < MAX_DAYS:
        raise InvalidRequest(
            f"invalid usage.cost params: from {first} to {last} is not within {MAX_DAYS} days, first to last"
        )
    return first, last


async def _totals(room: Room, peer: Peer, by: tuple[UsageBy, ...], first: date, last: date) -> list[UsageTotal]:
    ledger = room.deps.ledger
    if ledger is None:
        return []
    owner = None if room.is_admin(peer) else peer.principal.owner
    since_ms, before_ms = _ms(first), _ms(last) + 86_400_000
    return await ledger.usage_totals(by, since_ms=since_ms, before_ms=before_ms, owner=owner, limit=MAX_ROWS)


def _ms(day: date) -> int:
    return (day - date(1970, 1, 1)).days * 86_400_000


_TOKENS: Final = ("input", "output", "cacheRead", "cacheWrite")
_MONEY: Final = ("totalCost", *(f"{name}Cost" for name in _TOKENS))
_COUNTED: Final = (*_TOKENS, "totalTokens", *_MONEY, "missingCostEntries")


def _counted(total: UsageTotal, info: ModelInfo | None) -> dict[str, int]:
    """Return a total as counted, money in USD micros: the whole is the ledger's, its parts go by today's prices."""
    usage = total.usage
    read, write = usage.cache_read_tokens, usage.cache_write_tokens
    tokens = {
        "input": max(0, usage.input_tokens - read - write),
        "output": usage.output_tokens,
        "cacheRead": read,
        "cacheWrite": write,
    }
    counted = {**tokens, "totalTokens": usage.total_tokens, "totalCost": total.usd_micros}
    weights = {name: number * price for (name, number), price in zip(tokens.items(), _prices(info), strict=True)}
    whole = sum(weights.values())
    for name, weight in weights.items():
        counted[f"{name}Cost"] = total.usd_micros * weight // whole if whole else 0
    counted["missingCostEntries"] = total.unpriced
    return counted


def _prices(info: ModelInfo | None) -> tuple[int, int, int, int]:
    """Return the prices of plain input, output, cache reads and cache writes."""
    if info is None:
        return 0, 0, 0, 0
    into = info.input_usd_micros or 0
    read, write = info.cache_read_usd_micros, info.cache_write_usd_micros
    return into, info.output_usd_micros or 0, into if read is None else read, into if write is None else write


def _add(into: dict[str, int], more: Mapping[str, int]) -> None:
    for name, number in more.items():
        into[name] += number


def _sum(rows: Iterable[Mapping[str, int]]) -> dict[str, int]:
    whole = dict.fromkeys(_COUNTED, 0)
    for row in rows:
        _add(whole, row)
    return whole


def _shown(counted: Mapping[str, int]) -> dict[str, float]:
    """Return counted numbers with money in USD."""
    return {name: number / USD_MICROS if name in _MONEY else number for name, number in counted.items()}


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
