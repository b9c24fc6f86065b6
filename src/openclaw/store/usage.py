"""Sums of the usage ledger, made by the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final

import apsw
import msgspec

from openclaw.base.ids import OwnerId, TenantId
from openclaw.store.api import UsageBy, UsageTotal
from openclaw.store.budget import SUBJECT_SQL

_DIMENSIONS: Final[Mapping[UsageBy, str]] = {
    "agent": SUBJECT_SQL["agent"],
    "channel": SUBJECT_SQL["channel"],
    "principal": SUBJECT_SQL["principal"],
    "model": "provider || '/' || model",
    "provider": "provider",
    "purpose": "purpose",
    "session": "session_key",
    "day": "strftime('%Y-%m-%d', at_ms / 1000, 'unixepoch')",
}
_SUMS = (
    "COUNT(*) AS calls, SUM(error_code <> '') AS failed, SUM(input_tokens) AS tokens_in,"
    " SUM(output_tokens) AS tokens_out, SUM(cache_read_tokens) AS cache_read, SUM(cache_write_tokens) AS cache_write,"
    " SUM(COALESCE(usd_micros, 0)) AS cost, SUM(usd_micros IS NULL AND input_tokens + output_tokens > 0) AS unpriced"
)
_WITHIN = "FROM usage WHERE at_ms >= ?1 AND at_ms < ?2 AND tenant = ?3 AND (?4 IS NULL OR owner = ?4)"
_OBJECT = (
    "json_object('key', json_array({names}), 'calls', calls, 'failed', failed, 'usage', json_object("
    "'input_tokens', tokens_in, 'output_tokens', tokens_out, 'cache_read_tokens', cache_read,"
    " 'cache_write_tokens', cache_write), 'usd_micros', cost, 'unpriced', unpriced)"
)
_NEVER_MS = 2**62
_totals = msgspec.json.Decoder(list[UsageTotal])


def totals(
    db: apsw.Connection,
    tenant: TenantId,
    by: Sequence[UsageBy],
    since_ms: int,
    before_ms: int | None,
    owner: OwnerId | None,
    limit: int,
) -> list[UsageTotal]:
    """Return a total per group; see Store.usage_totals for the order."""
    found = db.execute(
        _query(tuple(by)), (since_ms, _NEVER_MS if before_ms is None else before_ms, tenant, owner, limit)
    ).get
    return _totals.decode(found) if found else []


@cache
def _query(by: tuple[UsageBy, ...]) -> str:
    """Return the statement; it is made of this file's constants alone."""
    names = ", ".join(f"k{number}" for number in range(len(by)))
    keys = ", ".join(f"{_DIMENSIONS[dimension]} AS k{number}" for number, dimension in enumerate(by))
    order = names if by[0] == "day" else f"cost DESC, tokens_in + tokens_out DESC, {names}"
    groups = f"SELECT {keys}, {_SUMS} {_WITHIN} GROUP BY {names}"
    rows = f"SELECT {_OBJECT.format(names=names)} AS row FROM ({groups}) ORDER BY {order} LIMIT ?5"  # noqa: S608  # constants; every value is bound
    return f"SELECT CAST('[' || group_concat(row, ',') || ']' AS BLOB) FROM ({rows})"  # noqa: S608  # same
