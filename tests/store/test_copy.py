"""No upgrade of the store without a way back, and a rehearsal that leaves the store alone."""

from __future__ import annotations

import hashlib
import shutil
from collections import namedtuple
from pathlib import Path

import apsw
import pytest

from openclaw.base.clock import ManualClock
from openclaw.base.errors import ConfigError
from openclaw.store.copy import SNAPSHOTS_KEPT, rehearse, snapshot_before
from openclaw.store.schema import MIGRATIONS, Migration, migrate
from openclaw.store.sqlite import SqliteStore

pytestmark = pytest.mark.anyio
LAST = MIGRATIONS[-1].number


def older(path: Path, number: int) -> Path:
    """Make a store as an older openclaw left it."""
    path.parent.mkdir(exist_ok=True)
    db = apsw.Connection(str(path))
    db.pragma("journal_mode", "wal")
    migrate(db, [each for each in MIGRATIONS if each.number <= number])
    db.execute("INSERT INTO meta (name, value) VALUES ('mark', 'kept')").fetchall()
    db.close()
    return path


def snapshots(state: Path) -> list[Path]:
    return sorted(state.glob("snapshots/*"))


def version(path: Path) -> int:
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        assert db.execute("SELECT value FROM meta WHERE name = 'mark'").get == "kept"
        return int(db.pragma("user_version"))
    finally:
        db.close()


async def test_opening_an_older_store_leaves_a_snapshot_of_it(tmp_path: Path) -> None:
    path = older(tmp_path / "openclaw.db", LAST - 1)
    store = await SqliteStore.open(path, clock=ManualClock())
    await store.close()
    (snapshot,) = snapshots(tmp_path)
    assert (version(snapshot), version(path)) == (LAST - 1, LAST)
    assert snapshot.stat().st_mode & 0o077 == 0
    again = await SqliteStore.open(path, clock=ManualClock())
    await again.close()
    assert len(snapshots(tmp_path)) == 1


async def test_a_fresh_store_leaves_none(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "openclaw.db", clock=ManualClock())
    await store.close()
    assert not (tmp_path / "snapshots").exists()


def test_only_the_newest_snapshots_are_kept(tmp_path: Path) -> None:
    path = older(tmp_path / "openclaw.db", 1)
    db = apsw.Connection(str(path))
    taken = [snapshot_before(db, path) for _ in range(SNAPSHOTS_KEPT + 2)]
    db.close()
    assert snapshots(tmp_path) == [each for each in taken[-SNAPSHOTS_KEPT:] if each]


def test_without_room_for_the_snapshot_there_is_no_upgrade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = older(tmp_path / "openclaw.db", 1)
    usage = namedtuple("usage", "total used free")  # the shape that shutil gives
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1, 1, 1))
    db = apsw.Connection(str(path))
    with pytest.raises(ConfigError):
        snapshot_before(db, path)
    db.close()
    assert version(path) == 1


def test_a_rehearsal_says_what_would_run_and_changes_nothing(tmp_path: Path) -> None:
    path = older(tmp_path / "state" / "openclaw.db", LAST - 2)
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    folder = tmp_path / "copy"
    folder.mkdir()
    found = rehearse(path, folder)
    assert (found.found, found.known, found.steps) == (LAST - 2, LAST, (LAST - 1, LAST))
    assert (found.older_ok, found.problems) == (True, ())
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
    assert version(path) == LAST - 2


def test_a_rehearsal_tells_when_older_code_could_not_go_back(tmp_path: Path) -> None:
    path = older(tmp_path / "openclaw.db", LAST)
    breaking = (*MIGRATIONS, Migration(LAST + 1, "CREATE TABLE x (y);", compatible_from=LAST + 1))
    folder = tmp_path / "copy"
    folder.mkdir()
    assert rehearse(path, folder, breaking).older_ok is False


def test_a_rehearsal_without_a_store_has_nothing_to_say(tmp_path: Path) -> None:
    found = rehearse(tmp_path / "openclaw.db", tmp_path)
    assert (found.found, found.older_ok, found.bytes) == (0, True, 0)


def test_a_damaged_store_is_told_of(tmp_path: Path) -> None:
    path = older(tmp_path / "openclaw.db", LAST)
    db = apsw.Connection(str(path))
    db.execute("PRAGMA writable_schema = 1")
    db.execute("UPDATE sqlite_schema SET rootpage = 2 WHERE name = 'usage'")
    db.close()
    folder = tmp_path / "copy"
    folder.mkdir()
    assert rehearse(path, folder).problems
