"""Quotas measure every room, take the oldest first, and never what is in use."""

from __future__ import annotations

import ast
import importlib
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import openclaw
from openclaw.config.schema import QuotaConfig
from openclaw.ops.quotas import OTHER, ROOMS, SETTLED_S, TEMPORARY_S, in_use, prune, room_of, sizes

SOURCE = Path(openclaw.__file__).parent
NOW_S = 2_000_000_000.0
OLD_S = NOW_S - 10 * SETTLED_S
NONE = QuotaConfig(logs_bytes=0, snapshots_bytes=0, trash_bytes=0, backups_bytes=0, media_bytes=0)


def put(path: Path, size: int, at_s: float = OLD_S) -> Path:
    """Write a file that was changed then."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    os.utime(path, (at_s, at_s))
    return path


def settle(*folders: Path, at_s: float = OLD_S) -> None:
    for folder in folders:
        os.utime(folder, (at_s, at_s))


def test_every_room_is_measured(tmp_path: Path) -> None:
    put(tmp_path / "openclaw.db", 10)
    put(tmp_path / "openclaw.db-wal", 5)
    put(tmp_path / "logs/openclaw.log", 7)
    put(tmp_path / "media/2026/a.png", 3)
    put(tmp_path / "somebody.else", 100)
    put(tmp_path / "workspace-second/a", 1)
    found = {size.room: size for size in sizes(tmp_path, QuotaConfig())}
    assert set(found) == {room.name for room in ROOMS}
    assert (found["store"].bytes, found["store"].files, found["store"].cap) == (15, 2, None)
    assert (found["logs"].bytes, found["media"].bytes) == (7, 3)
    assert found["trash"].bytes == 0
    assert (found["other"].bytes, found["workspace"].bytes) == (100, 1)
    assert found["store"].kept == "transcripts until deleted, ledger 400 d, audit 90 d"
    assert not any(size.over for size in found.values())


def test_the_oldest_go_first_and_only_as_many_as_must(tmp_path: Path) -> None:
    files = [put(tmp_path / f"trash/{number}", 10, OLD_S + number) for number in range(5)]
    gone = prune(tmp_path, msgspec.structs.replace(NONE, trash_bytes=30), now_s=NOW_S)
    assert [each.path for each in gone] == ["trash/0", "trash/1"]
    assert [path.exists() for path in files] == [False, False, True, True, True]


def test_what_is_protected_newest_or_fresh_stays(tmp_path: Path) -> None:
    current = put(tmp_path / "logs/openclaw.log", 10)
    rotated = put(tmp_path / "logs/openclaw.log.1", 10)
    good = put(tmp_path / "snapshots/last-good.json", 10)
    record = put(tmp_path / "snapshots/changes/20260101-000000-abcd.json", 10)
    settle(record.parent)
    put(tmp_path / "snapshots/newer", 10, OLD_S + 1)
    older, newest = put(tmp_path / "backups/a.tar", 10), put(tmp_path / "backups/b.tar", 10, OLD_S + 1)
    fresh = put(tmp_path / "trash/fresh", 10, NOW_S - 1)
    prune(tmp_path, NONE, now_s=NOW_S)
    assert all(path.exists() for path in (current, good, record, newest, fresh))
    assert not rotated.exists()
    assert not older.exists()


_HOLD = """
import sys
from pathlib import Path
from openclaw.ops.quotas import in_use
with in_use(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_nothing_goes_while_a_backup_or_a_fix_of_any_process_goes_on(tmp_path: Path) -> None:
    old = put(tmp_path / "trash/old", 10)
    with in_use(tmp_path), in_use(tmp_path):
        assert prune(tmp_path, NONE, now_s=NOW_S) == []
    command = [sys.executable, "-c", _HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        assert prune(tmp_path, NONE, now_s=NOW_S) == []
        other.kill()
    assert old.exists()
    assert [each.path for each in prune(tmp_path, NONE, now_s=NOW_S)] == ["trash/old"]


def test_work_that_was_cut_off_goes_after_a_day_and_a_restore_that_waits_stays(tmp_path: Path) -> None:
    left = [
        put(tmp_path / name, 5, NOW_S - TEMPORARY_S - 1) for name in (".backup-a/x", ".upgrade-check-b/y", ".z.tmp")
    ]
    kept = [
        put(tmp_path / name, 5, NOW_S - 9 * TEMPORARY_S) for name in (".restore-waiting/x", ".restore-journal.json")
    ]
    fresh = put(tmp_path / ".backup-c/x", 5, NOW_S - TEMPORARY_S + 60)
    settle(*(path.parent for path in left[:2]), at_s=NOW_S - TEMPORARY_S - 1)
    settle(fresh.parent, at_s=OLD_S)
    prune(tmp_path, QuotaConfig(), now_s=NOW_S)
    assert not any(path.exists() for path in left)
    assert all(path.exists() for path in (*kept, fresh))


def written_below_the_state() -> dict[str, str]:
    """Return the names that the source puts directly below the state directory, and where it does."""
    found = {}
    for file in SOURCE.rglob("*.py"):
        module = ".".join(file.relative_to(SOURCE.parent).with_suffix("").parts)
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and _names_the_state(node.left):
                name = _constant(node.right, module)
                if name:
                    found[name] = f"{module}:{node.lineno}"
    return found


def _names_the_state(node: ast.expr) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name.lstrip("_") in ("state_dir", "state")


def _constant(node: ast.expr, module: str) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    value = getattr(importlib.import_module(module), node.id, "") if isinstance(node, ast.Name) else ""
    return value if isinstance(value, str) else ""


def test_every_writer_below_the_state_directory_is_in_the_table() -> None:
    written = written_below_the_state()
    assert {"logs", "snapshots", "trash", "backups", "pre-restore", "openclaw.db", "chat-history"} <= set(written)
    assert {name: where for name, where in written.items() if room_of(name) == OTHER} == {}


def test_a_backup_that_is_a_folder_goes_whole(tmp_path: Path) -> None:
    for name, at_s in (("a", OLD_S), ("b", OLD_S + 5)):
        put(tmp_path / f"backups/{name}/manifest", 5, at_s)
        put(tmp_path / f"backups/{name}/deep/store.db", 50, at_s)
        settle(tmp_path / f"backups/{name}/deep", tmp_path / f"backups/{name}", at_s=at_s)
    (gone,) = prune(tmp_path, msgspec.structs.replace(NONE, backups_bytes=60), now_s=NOW_S)
    assert (gone.path, gone.bytes) == ("backups/a", 55)
    assert (tmp_path / "backups/b/deep/store.db").exists()


def test_a_picture_goes_alone_and_its_folder_stays(tmp_path: Path) -> None:
    old, new = put(tmp_path / "media/day/a.png", 10), put(tmp_path / "media/day/b.png", 10, OLD_S + 1)
    prune(tmp_path, msgspec.structs.replace(NONE, media_bytes=10), now_s=NOW_S)
    assert (old.exists(), new.exists()) == (False, True)


def test_links_are_never_followed(tmp_path: Path) -> None:
    outside = put(tmp_path / "outside/precious", 1000)
    state = tmp_path / "state"
    put(state / "trash/a", 10)
    (state / "trash/link").symlink_to(outside.parent)
    os.utime(state / "trash/link", (OLD_S, OLD_S), follow_symlinks=False)
    (state / "media").symlink_to(outside.parent)
    prune(state, NONE, now_s=NOW_S)
    assert outside.exists()
    assert not (state / "trash/link").is_symlink()
    assert {size.room: size.bytes for size in sizes(state, NONE)}["media"] == 0


def test_a_file_that_is_held_open_for_ever_is_emptied(tmp_path: Path) -> None:
    log = put(tmp_path / "logs/launchd.log", 500, NOW_S)
    (gone,) = prune(tmp_path, msgspec.structs.replace(NONE, logs_bytes=1000), now_s=NOW_S)
    assert (gone.path, gone.bytes) == ("logs/launchd.log", 500)
    assert log.stat().st_size == 0


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=st.lists(st.tuples(st.integers(1, 50), st.integers(-50, 50)), max_size=12), cap=st.integers(0, 200))
def test_what_stays_is_newer_than_what_went_and_fits(
    files: list[tuple[int, int]], cap: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    state = tmp_path_factory.mktemp("state")
    for number, (size, at) in enumerate(files):
        put(state / f"trash/{number}", size, OLD_S + at)
    gone = [each.path for each in prune(state, msgspec.structs.replace(NONE, trash_bytes=cap), now_s=NOW_S)]
    went = [files[int(path.removeprefix("trash/"))] for path in gone]
    stayed = [file for number, file in enumerate(files) if f"trash/{number}" not in gone]
    total = sum(size for size, _ in stayed)
    assert total <= cap
    assert all(at <= other for _, at in went for _, other in stayed)
    assert not went or total + went[-1][0] > cap
    assert prune(state, msgspec.structs.replace(NONE, trash_bytes=cap), now_s=NOW_S) == []
