"""Tokens and money of model calls, counted for `usage.*` and `sessions.usage`. Days are those of UTC."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Final

from openclaw.base.errors import InvalidRequest
from openclaw.base.model import ModelInfo
from openclaw.base.money import USD_MICROS
from openclaw.rpc.peer import Peer
from openclaw.rpc.room import Room
from openclaw.store.api import UsageBy, UsageTotal

DEFAULT_DAYS: Final = 30
MAX_DAYS: Final = 366
MAX_ROWS: Final = 10_000


def today(room: Room) -> date:
    """Return the day it is, by UTC."""
    return datetime.fromtimestamp(room.deps.clock.now_ms() / 1000, UTC).date()


def day_range(room: Room, method: str, start: str, end: str, days: int) -> tuple[date, date]:
    """Return the first and the last day asked for."""
    try:
        last = date.fromisoformat(end) if end else today(room)
        first = date.fromisoformat(start) if start else last - timedelta(days - 1)
    except (ValueError, OverflowError) as error:
        raise InvalidRequest(f"invalid {method} params: {error}") from error
    if not 0 <= (last - first).days < MAX_DAYS:
        raise InvalidRequest(
            f"invalid {method} params: from {first} to {last} is not within {MAX_DAYS} days, first to last"
        )
    return first, last


async def totals_of(room: Room, peer: Peer, by: tuple[UsageBy, ...], first: date, last: date) -> list[UsageTotal]:
    """Return what the caller may see of the calls from one day to another, both included, by those dimensions."""
    usage = room.deps.usage
    if usage is None:
        return []
    owner = peer.principal.rows_of
    since_ms, before_ms = _ms(first), _ms(last) + 86_400_000
    return await usage.usage_totals(by, since_ms=since_ms, before_ms=before_ms, owner=owner, limit=MAX_ROWS)


def _ms(day: date) -> int:
    return (day - date(1970, 1, 1)).days * 86_400_000


_TOKENS: Final = ("input", "output", "cacheRead", "cacheWrite")
_MONEY: Final = ("totalCost", *(f"{name}Cost" for name in _TOKENS))
COUNTED: Final = (*_TOKENS, "totalTokens", *_MONEY, "missingCostEntries")


def counted_total(total: UsageTotal, info: ModelInfo | None) -> dict[str, int]:
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


def add(into: dict[str, int], more: Mapping[str, int]) -> None:
    """Add counted numbers to others."""
    for name, number in more.items():
        into[name] += number


def summed(rows: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Return the sum of counted numbers."""
    whole = dict.fromkeys(COUNTED, 0)
    for row in rows:
        add(whole, row)
    return whole


def shown(counted: Mapping[str, int]) -> dict[str, float]:
    """Return counted numbers with money in USD."""
    return {name: number / USD_MICROS if name in _MONEY else number for name, number in counted.items()}
