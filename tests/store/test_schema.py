"""Migrations: older files gain what is new, newer files open where that is safe."""

from __future__ import annotations

import stat
from pathlib import Path

import apsw
import pytest

from openclaw.base.clock import ManualClock
from openclaw.base.errors import ConfigError, Unavailable
from openclaw.store.connect import connect, create_private
from openclaw.store.schema import MIGRATIONS, Migration, migrate
from openclaw.store.sqlite import SqliteStore
from tests.store.build import answer, inbound, reply

pytestmark = pytest.mark.anyio

LAST = MIGRATIONS[-1].number
ADDS = Migration(
    LAST + 1,
    "ALTER TABLE sessions ADD COLUMN colour TEXT NOT NULL DEFAULT 'grey'; CREATE TABLE extra (name TEXT PRIMARY KEY);",
)
BREAKS = Migration(LAST + 1, "ALTER TABLE sessions RENAME COLUMN label TO title;", compatible_from=LAST + 1)


async def _used(path: Path) -> None:
    store = await SqliteStore.open(path, clock=ManualClock())
    await store.accept(inbound("r1"), 1, start=True)
    await store.finish_run(inbound("r1").run_id, reply("r1"), answer(), 2)
    await store.close()


def _migrate(path: Path, *more: Migration) -> None:
    db = connect(path, cache_kib=100)
    migrate(db, (*MIGRATIONS, *more))
    db.close()


async def test_an_older_file_gains_the_new_columns_and_keeps_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "db"
    await _used(path)
    _migrate(path, ADDS)
    db = connect(path, cache_kib=100)
    assert db.pragma("user_version") == LAST + 1
    assert db.execute("SELECT colour, input_tokens FROM sessions").get == ("grey", 10)
    db.close()


async def test_a_newer_additive_file_is_opened_and_written_by_older_code(tmp_path: Path) -> None:
    path = tmp_path / "db"
    await _used(path)
    _migrate(path, ADDS)
    store = await SqliteStore.open(path, clock=ManualClock())
    await store.accept(inbound("r2"), 3, start=True)
    assert await store.run(inbound("r1").run_id) is not None
    assert await store.run(inbound("r2").run_id) is not None
    await store.close()


async def test_a_newer_file_that_is_not_additive_is_refused_with_a_way_out(tmp_path: Path) -> None:
    path = tmp_path / "db"
    await _used(path)
    _migrate(path, BREAKS)
    for _ in range(2):  # and the lock was let go
        with pytest.raises(ConfigError, match=f"schema {LAST + 1}") as caught:
            await SqliteStore.open(path, clock=ManualClock())
        assert "Upgrade" in caught.value.hint


async def test_a_foreign_newer_file_is_refused(tmp_path: Path) -> None:
    db = apsw.Connection(str(tmp_path / "db"))
    db.pragma("user_version", 99)
    db.close()
    with pytest.raises(ConfigError):
        await SqliteStore.open(tmp_path / "db", clock=ManualClock())


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    create_private(tmp_path / "db")
    db = connect(tmp_path / "db", cache_kib=100)
    migrate(db)
    with pytest.raises(apsw.SQLError):
        migrate(db, (*MIGRATIONS, Migration(LAST + 1, "CREATE TABLE half (a); CREATE TABLE sessions (b);")))
    assert db.pragma("user_version") == LAST
    assert not db.table_exists(None, "half")
    db.close()


async def test_a_file_that_is_no_database_is_reported_as_damaged(tmp_path: Path) -> None:
    (tmp_path / "db").write_bytes(b"not a database, but long enough to have a header" * 100)
    with pytest.raises(Unavailable, match="damaged"):
        await SqliteStore.open(tmp_path / "db", clock=ManualClock())


def _modes(folder: Path) -> dict[str, int]:
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}


async def test_only_the_owner_may_read_the_files(tmp_path: Path) -> None:
    path = tmp_path / "db"
    path.touch(mode=0o644)
    store = await SqliteStore.open(path, clock=ManualClock())
    await store.ping()
    assert _modes(tmp_path) == dict.fromkeys(("db", "db-wal", "db-shm", "openclaw.lock"), 0o600)
    await store.close()
