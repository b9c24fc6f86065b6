"""Money set aside and spent: a ledger of reservations, and counters that make each check of a cap one lookup.

1. A reservation is open (a hold) until it is settled; a released one is settled at nothing. It never changes after.
2. What counts against a cap is every reservation of its subject made since the cap's `since_ms`, holds in full, and
   what the usage ledger knows to have cost money without a reservation (no cap applied then).
3. A counter is that sum, kept in the transactions that change it. It can be made anew from the ledgers at any time:
   that is how it begins, and why old ones may simply be deleted.
4. A reservation counts at the time it was made: a call over midnight belongs to the day before.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import apsw

from openclaw.base.errors import BudgetExceeded
from openclaw.base.ids import DEFAULT_TENANT, AgentId, OwnerId, TenantId
from openclaw.base.money import dollars
from openclaw.store.api import Cap, Reservation, Spender

TABLES = """
ALTER TABLE usage ADD COLUMN usd_micros INTEGER;
ALTER TABLE usage ADD COLUMN channel TEXT NOT NULL DEFAULT '';
ALTER TABLE usage ADD COLUMN reserved INTEGER NOT NULL DEFAULT 0;
CREATE INDEX usage_unreserved ON usage (at_ms) WHERE reserved = 0 AND usd_micros IS NOT NULL;

CREATE TABLE reservations (
  id INTEGER PRIMARY KEY,
  run_id TEXT NOT NULL,
  tenant TEXT NOT NULL,
  owner TEXT NOT NULL,
  agent_id TEXT NOT NULL,
  channel TEXT NOT NULL,
  usd_micros INTEGER NOT NULL,
  settled_usd_micros INTEGER,
  at_ms INTEGER NOT NULL,
  settled_at_ms INTEGER
);
CREATE INDEX reservations_in_time ON reservations (at_ms);
CREATE INDEX reservations_by_owner ON reservations (owner, at_ms);
CREATE INDEX reservations_by_run ON reservations (run_id);
CREATE INDEX reservations_open ON reservations (id) WHERE settled_usd_micros IS NULL;

CREATE TABLE spending (
  scope TEXT NOT NULL,
  subject TEXT NOT NULL,
  since_ms INTEGER NOT NULL,
  settled_usd_micros INTEGER NOT NULL,
  held_usd_micros INTEGER NOT NULL,
  noticed_usd_micros INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (scope, subject, since_ms)
) WITHOUT ROWID;
"""

STALE_MS = (31 * 24 + 36) * 3_600_000
"""A counter this much older than the newest of its subject is of a window that has ended, the longest being a month;
the hours more are for a clock that crosses midnight between two calls. Dropped sooner, it would forget its notice."""

SUBJECT_SQL = {
    "total": "''",
    "tenant": "tenant",
    "principal": f"iif(tenant = '{DEFAULT_TENANT}', owner, tenant || '/' || owner)",
    "agent": "agent_id",
    "channel": "channel",
}
"""The subject of a row of `reservations` or `usage` in each scope; the same as `subject_of`."""

_COUNTER = (
    "SELECT settled_usd_micros, held_usd_micros, noticed_usd_micros FROM spending"
    " WHERE scope = ? AND subject = ? AND since_ms = ?"
)
_PUT_COUNTER = (
    "INSERT INTO spending (scope, subject, since_ms, settled_usd_micros, held_usd_micros) VALUES (?, ?, ?, ?, ?)"
)
_DROP_STALE = "DELETE FROM spending WHERE scope = ? AND subject = ? AND since_ms = ?"
_SIBLINGS = "SELECT since_ms FROM spending WHERE scope = ? AND subject = ?"
_NOTICE = (
    "UPDATE spending SET noticed_usd_micros = MAX(noticed_usd_micros, ?4)"
    " WHERE scope = ?1 AND subject = ?2 AND since_ms = ?3"
)
_COUNT = (
    "UPDATE spending SET settled_usd_micros = settled_usd_micros + ?1, held_usd_micros = held_usd_micros + ?2"
    " WHERE since_ms <= ?3 AND (scope, subject) IN"
    " (VALUES ('total', ''), ('tenant', ?4), ('principal', ?5), ('agent', ?6), ('channel', ?7))"
)
_INSERT = (
    "INSERT INTO reservations (run_id, tenant, owner, agent_id, channel, usd_micros, at_ms)"
    " VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id"
)
_SETTLE = (
    "UPDATE reservations SET settled_usd_micros = ?2, settled_at_ms = ?3 WHERE id = ?1 AND settled_usd_micros IS NULL"
    " RETURNING usd_micros, at_ms, tenant, owner, agent_id, channel"
)
_RESERVED_SUM = (
    "SELECT COALESCE(SUM(settled_usd_micros), 0),"
    " COALESCE(SUM(CASE WHEN settled_usd_micros IS NULL THEN usd_micros END), 0)"
    " FROM reservations WHERE at_ms >= ?1 AND "
)
_UNRESERVED_SUM = (
    "SELECT COALESCE(SUM(usd_micros), 0) FROM usage WHERE at_ms >= ?1 AND reserved = 0 AND usd_micros IS NOT NULL AND "
)
# What a crash left has no line in the usage ledger, as its step was never committed: without one the two would differ.
_LEDGER_OPEN = (
    "INSERT INTO usage (at_ms, run_id, session_key, agent_id, tenant, owner, provider, model, purpose, input_tokens,"
    " output_tokens, cache_read_tokens, cache_write_tokens, latency_ms, first_token_ms, error_code, usd_micros,"
    " channel, reserved) SELECT ?1, run_id, COALESCE((SELECT session_key FROM runs"
    " WHERE runs.run_id = reservations.run_id AND runs.owner = reservations.owner"
    " AND runs.tenant = reservations.tenant), ''), agent_id, tenant, owner, '', '', 'reconciled', 0, 0, 0, 0, 0, 0,"
    " 'RUN_INTERRUPTED', usd_micros, channel, 1 FROM reservations WHERE settled_usd_micros IS NULL ORDER BY id"
)
_SETTLE_OPEN = (
    "UPDATE reservations SET settled_usd_micros = usd_micros, settled_at_ms = ? WHERE settled_usd_micros IS NULL"
)
_COUNT_OPEN = (
    "UPDATE spending SET settled_usd_micros = settled_usd_micros + held_usd_micros, held_usd_micros = 0"
    " WHERE held_usd_micros <> 0"
)


def subject_of(scope: str, tenant: TenantId, owner: OwnerId, agent_id: AgentId, channel: str) -> str:
    """Return whom a call counts for in a scope. Owners of the default tenant go by their bare name."""
    match scope:
        case "total":
            return ""
        case "tenant":
            return tenant
        case "principal":
            return owner if tenant == DEFAULT_TENANT else f"{tenant}/{owner}"
        case "agent":
            return agent_id
        case _:
            return channel


def reserve(
    db: apsw.Connection, spender: Spender, usd_micros: int, caps: Sequence[Cap], now_ms: int
) -> Reservation | BudgetExceeded:
    """Set money aside, or return the refusal: returned, not raised, so that the counters made on the way are kept."""
    notices: list[Cap] = []
    used: list[int] = []
    for cap in caps:
        settled, held, noticed = _counter(db, cap, caps)
        after = settled + held + usd_micros
        if after > cap.limit_usd_micros:
            return exceeded(cap, settled, held, usd_micros)
        used.append(after)
        if noticed < cap.notice_usd_micros <= after:
            notices.append(cap)
    for cap in notices:
        db.execute(_NOTICE, (cap.scope, cap.subject, cap.since_ms, cap.notice_usd_micros))
    whose = (spender.tenant, spender.owner, spender.agent_id, spender.channel)
    new_id = db.execute(_INSERT, (spender.run_id, *whose, usd_micros, now_ms)).get
    count(db, 0, usd_micros, now_ms, *whose)
    return Reservation(int(new_id), usd_micros, tuple(notices), tuple(used))


def settle(db: apsw.Connection, reservation_id: int, usd_micros: int, now_ms: int | None) -> bool:
    """End a hold by what it cost. Say whether it was open."""
    found = db.execute(_SETTLE, (reservation_id, usd_micros, now_ms)).get
    if found is None:
        return False
    held, at_ms, tenant, owner, agent_id, channel = found
    count(db, usd_micros, -held, at_ms, tenant, owner, agent_id, channel)
    return True


def reconcile(db: apsw.Connection, now_ms: int) -> int:
    """Settle every hold in full, with a line in the usage ledger for each. Return how many there were."""
    db.execute(_LEDGER_OPEN, (now_ms,))
    if db.changes() == 0:
        return 0
    db.execute(_SETTLE_OPEN, (now_ms,))
    settled = db.changes()
    db.execute(_COUNT_OPEN)
    return settled


def spent(db: apsw.Connection, cap: Cap) -> tuple[int, int]:
    """Return (settled, held) of a cap, from its counter or, before there is one, from the ledgers."""
    found = db.execute(_COUNTER, (cap.scope, cap.subject, cap.since_ms)).get
    return (found[0], found[1]) if found else _sums(db, cap)


def count(
    db: apsw.Connection,
    settled: int,
    held: int,
    at_ms: int,
    tenant: TenantId,
    owner: OwnerId,
    agent_id: AgentId,
    channel: str,
) -> None:
    """Add to every counter that a change at `at_ms` belongs to."""
    principal = subject_of("principal", tenant, owner, agent_id, channel)
    db.execute(_COUNT, (settled, held, at_ms, tenant, principal, agent_id, channel))


def exceeded(cap: Cap, settled: int, held: int, usd_micros: int) -> BudgetExceeded:
    """Return the refusal that says whose cap it is and how far it is used."""
    whose = f"{cap.scope} {cap.subject!r}" if cap.subject else cap.scope
    since = datetime.fromtimestamp(cap.since_ms // 1000, UTC).date()
    return BudgetExceeded(
        f"the cap of {dollars(cap.limit_usd_micros)} for {whose} since {since} would be passed: {dollars(settled)} is"
        f" spent, {dollars(held)} is held for calls under way, and this call may cost {dollars(usd_micros)}",
        details={
            "scope": cap.scope,
            "subject": cap.subject,
            "sinceMs": cap.since_ms,
            "capUsdMicros": cap.limit_usd_micros,
            "spentUsdMicros": settled,
            "heldUsdMicros": held,
            "neededUsdMicros": usd_micros,
        },
    )


def _counter(db: apsw.Connection, cap: Cap, caps: Sequence[Cap]) -> tuple[int, int, int]:
    """Return (settled, held, noticed) of a cap's counter, made from the ledgers when it is the first time."""
    found = db.execute(_COUNTER, (cap.scope, cap.subject, cap.since_ms)).get
    if found:
        return found[0], found[1], found[2]
    settled, held = _sums(db, cap)
    db.execute(_PUT_COUNTER, (cap.scope, cap.subject, cap.since_ms, settled, held))
    _drop_stale(db, cap, caps)
    return settled, held, 0


def _drop_stale(db: apsw.Connection, fresh: Cap, caps: Sequence[Cap]) -> None:
    used = {cap.since_ms for cap in caps if (cap.scope, cap.subject) == (fresh.scope, fresh.subject)}
    siblings: list[Any] = db.execute(_SIBLINGS, (fresh.scope, fresh.subject)).fetchall()
    for (since_ms,) in siblings:
        if since_ms not in used and since_ms < fresh.since_ms - STALE_MS:
            db.execute(_DROP_STALE, (fresh.scope, fresh.subject, since_ms))


def _sums(db: apsw.Connection, cap: Cap) -> tuple[int, int]:
    of_subject = f"{SUBJECT_SQL[cap.scope]} = ?2"
    settled, held = db.execute(_RESERVED_SUM + of_subject, (cap.since_ms, cap.subject)).get
    unreserved = db.execute(_UNRESERVED_SUM + of_subject, (cap.since_ms, cap.subject)).get
    return settled + unreserved, held
