"""A copy of the store taken while others write to it, and what a copy must show before it is believed."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final
from urllib.parse import quote

import apsw

from openclaw.base.errors import NotFound
from openclaw.ops.backup.refused import refused
from openclaw.store.audit import is_kept, verify
from openclaw.store.connect import connect
from openclaw.store.fault import fault
from openclaw.store.schema import MIGRATIONS, migrate

_PAGES: Final = 2_048
"""Pages copied at a time (8 MB): between two the thread can be told to stop."""
_CACHE_KIB: Final = 512
_SHOWN: Final = 5
KNOWN_SCHEMA: Final = MIGRATIONS[-1].number


def copy_store(source: Path, target: Path, go_on: Callable[[], None] = lambda: None) -> int:
    """Copy the store as it is at one moment into a new file (0600); return its schema number.

    A connection of its own holds one read transaction over the whole copy: writers go on in the log, unseen and
    unhindered, and the copy never has to begin again. `go_on` may raise between pieces.

    Raises: NotFound (no store), Unavailable (disk, damage).
    """
    if not source.exists():
        raise NotFound(f"there is no store at {source}", hint="`openclaw up` makes one; there is nothing to back up.")
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    try:
        reader = connect(source, cache_kib=_CACHE_KIB)
        try:
            return _copied(reader, target, go_on)
        finally:
            reader.close()
    except apsw.Error as error:
        raise fault(error, f"copying {source}") from error


def _copied(reader: apsw.Connection, target: Path, go_on: Callable[[], None]) -> int:
    reader.pragma("query_only", True)
    copy = apsw.Connection(str(target))
    try:
        with reader:
            reader.execute("SELECT count(*) FROM sqlite_schema").fetchall()  # the moment that the copy is of
            with copy.backup("main", reader, "main") as work:
                while not work.done:
                    work.step(_PAGES)
                    go_on()
        copy.pragma("journal_mode", "delete")  # one file, whole without a log
        return int(copy.pragma("user_version"))
    finally:
        copy.close()


def check_store(path: Path, schema: int) -> str:
    """Look whether a copy is whole and holds nothing but what openclaw puts into a store.

    Opened read-only, with nothing in it believed: no view, trigger or function of the file's own runs.
    Return what is wrong with the chain of its audit ledger, "" for nothing: that is no reason not to restore it.

    Raises: InvalidRequest (BACKUP_INVALID).
    """
    try:
        db = apsw.Connection(
            f"file:{quote(str(path))}?immutable=1", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        )
    except apsw.Error as error:
        raise refused(f"its store cannot be opened ({error})") from None
    try:
        db.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
        db.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
        db.pragma("cell_size_check", True)
        found = int(db.pragma("user_version"))
        if found != schema:
            raise refused(f"its store has schema {found}, its manifest says {schema}")
        _check_schema(db)
        said = [str(row[0]) for row in db.execute(f"PRAGMA integrity_check({_SHOWN})")]
        if said != ["ok"]:
            raise refused(f"its store is damaged: {'; '.join(said)}")
        if any(True for _ in db.execute("PRAGMA foreign_key_check")):
            raise refused("its store has rows that refer to nothing")
        return verify(db).problem if is_kept(db) else ""
    except apsw.Error as error:
        raise refused(f"its store is damaged ({error})") from None
    finally:
        db.close()


def _check_schema(db: apsw.Connection) -> None:
    """What runs by itself (triggers) or stands for a table (views) must be ours, to the letter."""
    ours = _active_of_ours()
    for name, sql in db.execute("SELECT name, sql FROM sqlite_schema WHERE type IN ('trigger', 'view')"):
        if ours.get(name) != sql:
            raise refused(f"its store holds a trigger or view that is not openclaw's: {str(name)[:60]!a}")


@cache
def _active_of_ours() -> dict[str, str]:
    db = apsw.Connection(":memory:")
    try:
        migrate(db)
        found = db.execute("SELECT name, sql FROM sqlite_schema WHERE type IN ('trigger', 'view')").fetchall()
        return {str(name): str(sql) for name, sql in found}
    finally:
        db.close()
