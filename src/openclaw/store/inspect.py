"""A look at the database file from outside, which changes nothing: not even the files that SQLite puts beside it."""

from __future__ import annotations

from pathlib import Path

import apsw
import msgspec

from openclaw.store.connect import open_idle
from openclaw.store.schema import MIGRATIONS

MAX_PROBLEMS = 10
MAX_RECORDS = 5_000


class Inspection(msgspec.Struct, frozen=True):
    """What the file holds. `schema` is the number of its last migration, `known` that of this code."""

    schema: int
    known: int
    problems: tuple[str, ...] = ()
    """What SQLite's own check complains about."""


def inspect(path: Path) -> Inspection:
    """Check the file's integrity and its schema. A file that is no database is a problem, not an error."""
    known = MIGRATIONS[-1].number
    try:
        db = open_idle(path)
        try:
            schema = int(db.pragma("user_version"))
            rows = [str(row[0]) for row in db.execute(f"PRAGMA quick_check({MAX_PROBLEMS})")]
        finally:
            db.close()
    except apsw.Error as error:
        return Inspection(0, known, (str(error),))
    return Inspection(schema, known, tuple(row for row in rows if row != "ok"))


def records(path: Path, kind: str) -> list[bytes]:
    """Return the bodies of one kind of small records, of every tenant; none when the file cannot be read."""
    try:
        db = open_idle(path)
        try:
            found = db.execute("SELECT body FROM shelf WHERE kind = ? LIMIT ?", (kind, MAX_RECORDS))
            return [bytes(row[0]) for row in found]
        finally:
            db.close()
    except apsw.Error:
        return []
