"""What goes and what stays: by age, by number, never the newest, never a file that is no backup."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.errors import InvalidRequest, NotFound
from openclaw.ops.backup.create import name_of
from openclaw.ops.backup.destination import Directory
from openclaw.ops.backup.retention import Stored, stored, superfluous

DAY_MS = 86_400_000
NOW_MS = 1_800_000_000_000


def kept_for(days: int) -> Stored:
    found = stored(name_of(NOW_MS - days * DAY_MS, encrypted=False), 1)
    assert found is not None
    return found


def ages(found: list[Stored]) -> list[int]:
    return [(NOW_MS - each.at_ms) // DAY_MS for each in found]


@pytest.mark.parametrize(
    ("keep", "gone"),
    [("30d", [365, 40, 31]), ("1w", [365, 40, 31, 30, 8]), ("2", [365, 40, 31, 30, 8]), ("100", []), ("1y", [])],
)
def test_what_goes(keep: str, gone: list[int]) -> None:
    found = [kept_for(days) for days in (0, 1, 8, 30, 31, 40, 365)]
    assert ages(superfluous(found, keep, NOW_MS)) == gone


def test_the_newest_stays_whatever_its_age() -> None:
    assert superfluous([kept_for(900)], "1d", NOW_MS) == []


@given(st.lists(st.integers(0, 2_000), max_size=20), st.integers(1, 30))
def test_a_number_keeps_that_many(days: list[int], number: int) -> None:
    found = [kept_for(each) for each in days]
    assert len(found) - len(superfluous(found, str(number), NOW_MS)) == min(number, len(found))


@pytest.mark.parametrize("keep", ["", "0", "d", "-1", "30 days", "1.5d", "٣d", "9999999d"])
def test_a_word_that_means_nothing_deletes_nothing(keep: str) -> None:
    with pytest.raises(InvalidRequest):
        superfluous([kept_for(900), kept_for(901)], keep, NOW_MS)


@pytest.mark.parametrize(
    "name",
    [
        "notes.tar.gz",
        "openclaw-backup-20270101T000000Z-0a1b2c.tar.gz.part",
        "../openclaw-backup-20270101T000000Z-0a1b2c.tar.gz",
        "openclaw-backup-20271399T000000Z-0a1b2c.tar.gz",
        "openclaw-backup-20270101T000000Z-0a1b2c.tar.gz\n",
    ],
)
def test_a_file_that_is_no_backup_is_none(name: str) -> None:
    assert stored(name, 1) is None


def test_a_directory_keeps_lists_fetches_and_deletes(tmp_path: Path) -> None:
    folder = Directory(tmp_path / "kept")
    assert folder.list() == []
    archive = tmp_path / name_of(NOW_MS, encrypted=True)
    archive.write_bytes(b"sealed")
    where = Path(folder.put(archive))
    (tmp_path / "kept" / "notes.txt").write_text("mine")
    (tmp_path / "kept" / name_of(NOW_MS, encrypted=False)).symlink_to(archive)
    assert where.stat().st_mode & 0o777 == 0o600
    assert where.parent.stat().st_mode & 0o777 == 0o700
    (found,) = folder.list()
    assert (found.name, found.size, found.encrypted) == (archive.name, 6, True)
    folder.fetch(found.name, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"sealed"
    folder.delete(found.name)
    assert folder.list() == []
    with pytest.raises(NotFound):
        folder.fetch(found.name, tmp_path / "copy2")
