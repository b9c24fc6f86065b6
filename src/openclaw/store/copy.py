"""Copies of the database: one before each upgrade of its schema, and one to rehearse the upgrade on.

A copy is made page by page inside SQLite, so it is whole whatever is being written meanwhile.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import apsw
import msgspec

from openclaw.base.errors import ConfigError
from openclaw.store.connect import WRITER_CACHE_KIB, connect, create_private
from openclaw.store.schema import MIGRATIONS, Migration, migrate

SNAPSHOTS_KEPT: Final = 3
_SNAPSHOT: Final = re.compile(r"store-schema(\d+)-(\d+)\.db")
_MARGIN: Final = 16 << 20


class Rehearsal(msgspec.Struct, frozen=True, rename="camel"):
    """What opening a store with this code would do to it.

    Shape: `found` is the schema on disk, 0 = there is none; `steps` are the numbers that would run; `older_ok` says
    whether code that knows no more than `found` could use the result; `problems` is what the integrity check says.
    """

    found: int
    known: int
    steps: tuple[int, ...]
    older_ok: bool
    problems: tuple[str, ...]
    bytes: int


def copy_database(source: apsw.Connection, target: Path) -> None:
    """Copy a database that may be in use to a new file (0600). Raises: apsw.Error, OSError."""
    create_private(target)
    copied = apsw.Connection(str(target))
    try:
        with copied.backup("main", source, "main") as backup:
            while not backup.done:
                backup.step(4096)
        copied.pragma("journal_mode", "delete")  # one file, no -wal beside it
    finally:
        copied.close()


def snapshot_before(db: apsw.Connection, db_path: Path, migrations: Sequence[Migration] = MIGRATIONS) -> Path | None:
    """Copy a store to `snapshots/` when migrating would change it. Return the copy's path, None when nothing was due.

    Raises: ConfigError when there is no room for the copy: no upgrade without a way back.
    """
    found = int(db.pragma("user_version"))
    if not 0 < found < migrations[-1].number:
        return None
    folder = db_path.parent / "snapshots"
    folder.mkdir(mode=0o700, exist_ok=True)
    needed = int(db.pragma("page_count")) * int(db.pragma("page_size"))
    if shutil.disk_usage(folder).free < needed + _MARGIN:
        raise ConfigError(
            f"the store must be upgraded, and its snapshot needs {needed:,} bytes that {folder} does not have",
            hint="Free disk space and start again; the store was not changed.",
        )
    kept = sorted(_taken(folder))
    number = kept[-1][0] + 1 if kept else 1
    target = folder / f"store-schema{found}-{number:04}.db"
    whole = target.with_suffix(".tmp")
    whole.unlink(missing_ok=True)
    copy_database(db, whole)
    whole.replace(target)
    for _, old in kept[: max(0, len(kept) + 1 - SNAPSHOTS_KEPT)]:
        old.unlink(missing_ok=True)
    return target


def _taken(folder: Path) -> list[tuple[int, Path]]:
    return [(int(match[2]), path) for path in folder.iterdir() if (match := _SNAPSHOT.fullmatch(path.name))]


def rehearse(db_path: Path, folder: Path, migrations: Sequence[Migration] = MIGRATIONS) -> Rehearsal:
    """Migrate a copy of the store in an empty folder, which the caller removes. The store itself is only read.

    Raises: ConfigError for a store of a newer openclaw that this one cannot use; apsw.Error, OSError.
    """
    known = migrations[-1].number
    if not db_path.exists():
        return Rehearsal(0, known, tuple(each.number for each in migrations), True, (), 0)
    target = folder / db_path.name
    source = apsw.Connection(str(db_path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        source.set_busy_timeout(5000)
        copy_database(source, target)
    finally:
        source.close()
    size = target.stat().st_size
    db = connect(target, cache_kib=WRITER_CACHE_KIB)
    try:
        found = migrate(db, migrations)
        needs = int(db.execute("SELECT value FROM meta WHERE name = 'compatible_from'").get or known)
        problems = _damage(db)
    finally:
        db.close()
    steps = tuple(each.number for each in migrations if each.number > found)
    return Rehearsal(found, known, steps, needs <= max(found, 1), problems, size)


def _damage(db: apsw.Connection) -> tuple[str, ...]:
    try:
        said = [str(row[0]) for row in db.execute("PRAGMA integrity_check(20)").fetchall()]
        broken = db.execute("PRAGMA foreign_key_check").fetchall()
    except apsw.CorruptError as error:
        return (str(error),)
    return (*(line for line in said if line != "ok"), *(f"foreign key: {row}" for row in broken[:20]))
