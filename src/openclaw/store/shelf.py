"""The shelf: small records of the control plane (devices, jobs, approvals), by kind and id.

A body is the JSON of one Struct; only the room that owns the kind knows it. What is asked for often or in other orders
than by id gets tables of its own instead.

1. Several changes are one transaction: all happen or none.
2. Every change of a record raises its version; a change may insist on the version it has seen, or on absence.
"""

# ruff: noqa: S608  # statements are joined from this file's constants; every value is bound

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import apsw
import msgspec

from openclaw.base.audit import Entry
from openclaw.base.errors import Conflict
from openclaw.base.ids import TenantId
from openclaw.store.audit import append
from openclaw.store.thread import DatabaseThread
from openclaw.store.writer import Writer

TABLES = """
CREATE TABLE shelf (
  tenant TEXT NOT NULL,
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  version INTEGER NOT NULL,
  updated_at_ms INTEGER NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (tenant, kind, id)
) WITHOUT ROWID;
"""

ABSENT: Final = 0
"""As `expected`: the record must not be there yet."""

_OWN: Final = "tenant = ?1 AND kind = ?2"
_COLUMNS: Final = "id, body, version, updated_at_ms"
_PUT: Final = (
    "INSERT INTO shelf (tenant, kind, id, version, updated_at_ms, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
    " ON CONFLICT DO UPDATE SET version = excluded.version, updated_at_ms = excluded.updated_at_ms,"
    " body = excluded.body"
)


class Record(msgspec.Struct, frozen=True):
    """A record as it stands. `body` is JSON; `updated_at_ms` is Unix time."""

    id: str
    body: bytes
    version: int
    updated_at_ms: int


class Change(msgspec.Struct, frozen=True):
    """What to do with one record: put `body`, or delete it when that is None.

    `expected` is the version it must have now (ABSENT: none); None takes it as it is.
    """

    kind: str
    id: str
    body: bytes | None
    expected: int | None = None


class Shelf:
    """One tenant's records. Every write is durable when it returns."""

    def __init__(self, writer: Writer, reader: DatabaseThread, tenant: TenantId) -> None:
        self._writer = writer
        self._reader = reader
        self._tenant = tenant

    async def get(self, kind: str, record_id: str) -> Record | None:
        """Return a record, or None."""
        return await self._reader.submit(lambda db: _get(db, self._tenant, kind, record_id), "shelf_get")

    async def list(
        self, kind: str, *, prefix: str = "", after: str = "", limit: int = 1000, last_first: bool = False
    ) -> list[Record]:
        """Return records whose id begins with `prefix`, in the order of their ids.

        `after` goes on behind an id that was returned before, in the order asked for.
        """
        return await self._reader.submit(
            lambda db: _list(db, self._tenant, kind, prefix, after, max(limit, 0), last_first), "shelf_list"
        )

    async def apply(self, changes: Sequence[Change], now_ms: int, entries: Sequence[Entry] = ()) -> None:
        """Make every change, or none. Raises: Conflict naming the first record that is not as expected.

        `entries` become rows of the audit ledger exactly when the changes are made.
        """

        def job(db: apsw.Connection) -> Change | None:
            refused = _apply(db, self._tenant, changes, now_ms)
            if refused is None and entries:
                append(db, entries)
            return refused

        refused = await self._writer.submit(job, "shelf_apply")
        if refused is not None:
            raise Conflict(f"{refused.kind} {refused.id} was changed meanwhile", hint="Read it again and retry.")

    async def trim(self, kind: str, *, prefix: str = "", keep: int) -> int:
        """Delete the records of a prefix but the `keep` whose ids are last. Return how many went."""
        return await self._writer.submit(lambda db: _trim(db, self._tenant, kind, prefix, keep), "shelf_trim")


def _get(db: apsw.Connection, tenant: str, kind: str, record_id: str) -> Record | None:
    row = db.execute(f"SELECT {_COLUMNS} FROM shelf WHERE {_OWN} AND id = ?3", (tenant, kind, record_id)).fetchone()
    return None if row is None else Record(*row)


def _list(
    db: apsw.Connection, tenant: str, kind: str, prefix: str, after: str, limit: int, last_first: bool
) -> list[Record]:
    order, beyond = ("DESC", "<") if last_first else ("ASC", ">")
    statement = (
        f"SELECT {_COLUMNS} FROM shelf WHERE {_OWN} AND substr(id, 1, length(?3)) = ?3 AND id >= ?3"
        f" AND (?4 = '' OR id {beyond} ?4) ORDER BY id {order} LIMIT ?5"
    )
    return [Record(*row) for row in db.execute(statement, (tenant, kind, prefix, after, limit))]


def _apply(db: apsw.Connection, tenant: str, changes: Sequence[Change], now_ms: int) -> Change | None:
    """Return the change that was refused; nothing has been written then."""
    found: dict[tuple[str, str], int] = {}
    for change in changes:
        place = (change.kind, change.id)
        if place not in found:
            found[place] = _version(db, tenant, change)
        if change.expected is not None and change.expected != found[place]:
            return change
        found[place] = ABSENT if change.body is None else found[place] + 1
    for change in changes:
        if change.body is None:
            db.execute(f"DELETE FROM shelf WHERE {_OWN} AND id = ?3", (tenant, change.kind, change.id))
        else:
            version = _version(db, tenant, change) + 1
            db.execute(_PUT, (tenant, change.kind, change.id, version, now_ms, change.body))
    return None


def _version(db: apsw.Connection, tenant: str, change: Change) -> int:
    statement = f"SELECT version FROM shelf WHERE {_OWN} AND id = ?3"
    return int(db.execute(statement, (tenant, change.kind, change.id)).get or ABSENT)


def _trim(db: apsw.Connection, tenant: str, kind: str, prefix: str, keep: int) -> int:
    mine = f"{_OWN} AND substr(id, 1, length(?3)) = ?3 AND id >= ?3"
    statement = (
        f"DELETE FROM shelf WHERE {mine} AND id IN"
        f" (SELECT id FROM shelf WHERE {mine} ORDER BY id DESC LIMIT -1 OFFSET ?4) RETURNING 1"
    )
    return len(db.execute(statement, (tenant, kind, prefix, max(keep, 0))).fetchall())
