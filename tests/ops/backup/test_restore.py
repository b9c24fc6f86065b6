"""A restore puts all of a backup in place or nothing, keeps what was there, and gives it back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest

from openclaw.base.clock import ManualClock
from openclaw.base.errors import Conflict, InvalidRequest, NotFound, StateLocked
from openclaw.ops.backup import swap
from openclaw.ops.backup.parts import PARTS
from openclaw.ops.backup.restore import (
    RestoreOutcome,
    drop_waiting,
    last_outcome,
    restore_at_start,
    restore_in_place,
    restore_to,
    take_up,
    undo,
)
from openclaw.ops.backup.swap import JOURNAL, WAYS_KEPT, recover
from openclaw.store.lock import StateLock
from openclaw.store.schema import MIGRATIONS, migrate
from openclaw.store.sqlite import SqliteStore
from tests.ops.backup.house import CONFIG, NOW_MS, PASSPHRASE, Forge, make, tree

pytestmark = pytest.mark.anyio

KEPT = ("former-secrets.json", "logs/openclaw.log", "model-catalog.json", "chat-history", "strange/file")


def content(state: Path) -> dict[str, tuple[int, bytes]]:
    """Return what is in a state directory, less the lock and the ways back."""
    return {
        path: held
        for path, held in tree(state).items()
        if path != "openclaw.lock" and not path.startswith(("pre-restore/", "backups/"))
    }


def spoil(state: Path) -> None:
    """Change, add and lose something of every part."""
    (state / "openclaw.json").write_text("{changed: true}")
    (state / "credentials" / "gateway-token").unlink()
    (state / "workspace" / "new.txt").write_text("new")
    (state / "workspace-third").mkdir()
    (state / "workspace-third" / "x").write_text("x")
    (state / "openclaw.db").write_bytes(b"broken")
    (state / "logs" / "openclaw.log").write_text("still here\n")


async def test_a_restore_brings_back_what_was_backed_up_and_leaves_the_rest(state: Path, tmp_path: Path) -> None:
    made = make(state, tmp_path / "out")
    before = content(state)
    spoil(state)
    done = restore_in_place(made.place, state, None, now_ms=NOW_MS)
    after = content(state)
    assert after.pop("logs/openclaw.log")[1] == b"still here\n", "what is not part of a backup is left alone"
    before.pop("logs/openclaw.log")
    before.pop("openclaw.db")
    assert (await opens(state)) is True
    after.pop("openclaw.db")
    assert after == before
    assert done.way_back is not None
    assert (done.way_back / "workspace-third" / "x").read_text() == "x"


async def opens(state: Path) -> bool:
    store = await SqliteStore.open(state / "openclaw.db", clock=ManualClock())
    await store.ping()
    await store.close()
    return True


async def test_undo_gives_back_byte_for_byte_and_can_be_undone(state: Path, tmp_path: Path) -> None:
    made = make(state, tmp_path / "out")
    spoil(state)
    before = content(state)
    restore_in_place(made.place, state, None, now_ms=NOW_MS)
    restored = content(state)
    undo(state, now_ms=NOW_MS + 1)
    assert content(state) == before
    undo(state, now_ms=NOW_MS + 2)
    assert content(state) == restored


async def test_a_part_that_is_left_as_it_is_is_not_touched(state: Path, tmp_path: Path) -> None:
    made = make(state, tmp_path / "out")
    spoil(state)
    restore_in_place(made.place, state, None, now_ms=NOW_MS, without=frozenset({"workspace"}))
    assert (state / "workspace" / "new.txt").exists()
    assert (state / "credentials" / "gateway-token").exists()
    with pytest.raises(InvalidRequest, match="cannot be left"):
        restore_in_place(made.place, state, None, now_ms=NOW_MS, without=frozenset({"store"}))


async def test_a_backup_without_the_workspace_leaves_the_workspace(state: Path, tmp_path: Path) -> None:
    made = make(state, tmp_path / "out", parts=frozenset(PARTS) - {"workspace"})
    spoil(state)
    restore_in_place(made.place, state, None, now_ms=NOW_MS)
    assert (state / "workspace" / "new.txt").exists()


async def test_nothing_is_restored_while_a_gateway_runs(state: Path, tmp_path: Path) -> None:
    made = make(state, tmp_path / "out")
    lock = StateLock(state)
    lock.acquire()
    before = content(state)
    with pytest.raises(StateLocked) as error:
        restore_in_place(made.place, state, None, now_ms=NOW_MS)
    assert "--to" in error.value.hint
    with pytest.raises(StateLocked):
        undo(state, now_ms=NOW_MS)
    lock.release()
    assert content(state) == before


async def test_nothing_was_restored_so_nothing_is_undone(state: Path) -> None:
    with pytest.raises(NotFound, match="undone"):
        undo(state, now_ms=NOW_MS)


async def test_the_log_of_the_replaced_database_does_not_stay_beside_the_new_one(state: Path, tmp_path: Path) -> None:
    made = make(state, tmp_path / "out")
    (state / "openclaw.db-wal").write_bytes(b"of the old one")
    (state / "openclaw.db-shm").write_bytes(b"of the old one")
    done = restore_in_place(made.place, state, None, now_ms=NOW_MS)
    assert not (state / "openclaw.db-wal").exists()
    assert done.way_back is not None
    assert (done.way_back / "openclaw.db-wal").read_bytes() == b"of the old one"


async def test_ways_back_are_kept_up_to_a_number(state: Path, tmp_path: Path) -> None:
    made = make(state, tmp_path / "out")
    for number in range(WAYS_KEPT + 2):
        restore_in_place(made.place, state, None, now_ms=NOW_MS + number)
    assert len(list((state / "pre-restore").iterdir())) == WAYS_KEPT


async def test_into_a_fresh_directory_with_every_mode(state: Path, tmp_path: Path) -> None:
    made = make(state, tmp_path / "out", passphrase=PASSPHRASE)
    fresh = tmp_path / "elsewhere" / "fresh"
    restore_to(made.place, fresh, PASSPHRASE)
    before = {path: held for path, held in content(state).items() if path not in KEPT and path != "openclaw.db"}
    after = {path: held for path, held in tree(fresh).items() if path != "openclaw.db"}
    assert after == before
    assert fresh.stat().st_mode & 0o777 == 0o700
    assert await opens(fresh)


async def test_a_directory_with_something_in_it_is_not_restored_into(state: Path, tmp_path: Path) -> None:
    made = make(state, tmp_path / "out")
    with pytest.raises(Conflict):
        restore_to(made.place, state, None)
    (tmp_path / "empty").mkdir()
    restore_to(made.place, tmp_path / "empty", None)
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(Conflict):
        restore_to(made.place, tmp_path / "link", None)


class PowerCut(BaseException):
    """The process is gone: nothing after it runs."""


async def moves_of(state: Path, archive: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Return how many renames a restore takes; it is undone again."""
    count = 0
    move = swap._move

    def counted(old: Path, new: Path) -> None:
        nonlocal count
        count += 1
        move(old, new)

    with monkeypatch.context() as patched:
        patched.setattr(swap, "_move", counted)
        restore_in_place(archive, state, None, now_ms=NOW_MS)
    undo(state, now_ms=NOW_MS + 1)
    return count


@contextmanager
def power_cut_at(rename: int) -> Iterator[None]:
    """Have the power fail at the rename of that number, and nothing run after it."""
    move, left = swap._move, rename

    def cut(old: Path, new: Path) -> None:
        nonlocal left
        if left == 0:
            raise PowerCut
        left -= 1
        move(old, new)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(swap, "_move", cut)
        patched.setattr(swap, "recover", lambda _: True)
        with pytest.raises(PowerCut):
            yield


async def test_a_power_cut_at_any_rename_leaves_all_as_it_was(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(state, tmp_path / "out")
    spoil(state)
    before = content(state)
    whole = await moves_of(state, made.place, monkeypatch)
    assert whole > 10
    for at in range(whole):
        with power_cut_at(at):
            restore_in_place(made.place, state, None, now_ms=NOW_MS + 10 + at)
        assert (state / JOURNAL).exists()
        assert recover(state)
        assert not recover(state)
        after = {path: held for path, held in content(state).items() if not path.startswith(".restore-")}
        assert after == before, f"cut at rename {at}"


async def test_a_disk_that_fails_in_between_leaves_all_as_it_was(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(state, tmp_path / "out")
    spoil(state)
    before = content(state)
    move, calls = swap._move, 0

    def failing(old: Path, new: Path) -> None:
        nonlocal calls
        calls += 1
        if calls == 7:
            raise OSError(18, "Invalid cross-device link")
        move(old, new)

    monkeypatch.setattr(swap, "_move", failing)
    with pytest.raises(OSError, match="cross-device"):
        restore_in_place(made.place, state, None, now_ms=NOW_MS)
    assert content(state) == before
    assert not (state / JOURNAL).exists()


async def test_a_store_of_an_older_schema_is_restored_and_migrated_at_the_next_start(tmp_path: Path) -> None:
    old = apsw.Connection(":memory:")
    migrate(old, MIGRATIONS[:-1])
    forge = Forge(bytes(old.serialize("main")))
    old.close()
    forge.fields["schema"] = MIGRATIONS[-2].number
    archive = tmp_path / "old.tar.gz"
    archive.write_bytes(forge.bytes())
    restore_to(archive, tmp_path / "fresh", None)
    assert await opens(tmp_path / "fresh")
    found = apsw.Connection(str(tmp_path / "fresh" / "openclaw.db"))
    assert found.pragma("user_version") == MIGRATIONS[-1].number
    found.close()


async def test_one_that_waits_for_a_start_changes_nothing_until_then_and_happens_once(
    state: Path, tmp_path: Path
) -> None:
    made = make(state, tmp_path / "out")
    held = StateLock(state)
    held.acquire()
    spoil(state)
    before = content(state)
    restore_at_start(made.place, state, None)
    restore_at_start(made.place, state, None)
    assert without_waiting(state) == before
    way_back = take_up(state, now_ms=NOW_MS)
    assert way_back is not None
    assert (way_back / "workspace-third" / "x").exists()
    assert (state / "openclaw.json").read_text() == CONFIG
    assert last_outcome(state) == RestoreOutcome(NOW_MS, NOW_MS)
    assert take_up(state, now_ms=NOW_MS + 1) is None
    undo(state, now_ms=NOW_MS + 2, lock=held)
    held.release()
    assert content(state) == before
    assert last_outcome(state) is None


def without_waiting(state: Path) -> dict[str, tuple[int, bytes]]:
    return {path: held for path, held in content(state).items() if not path.startswith(".restore-waiting/")}


async def test_one_that_waits_can_be_dropped_and_a_hostile_one_never_waits(state: Path, tmp_path: Path) -> None:
    made = make(state, tmp_path / "out")
    restore_at_start(made.place, state, None)
    assert drop_waiting(state)
    assert not drop_waiting(state)
    raw = made.place.read_bytes()
    made.place.write_bytes(raw[:-9])
    before = content(state)
    with pytest.raises(InvalidRequest):
        restore_at_start(made.place, state, None)
    assert content(state) == before
    assert take_up(state, now_ms=NOW_MS) is None


async def test_a_start_after_a_power_cut_never_exchanges_everything_for_nothing(state: Path, tmp_path: Path) -> None:
    made = make(state, tmp_path / "out")
    spoil(state)
    before = content(state)
    for at in range(12):
        restore_at_start(made.place, state, None)
        with power_cut_at(at):
            take_up(state, now_ms=NOW_MS + at)
        assert recover(state)
        assert take_up(state, now_ms=NOW_MS + 100) is None
        after = {path: held for path, held in content(state).items() if not path.startswith(".restore-waiting/")}
        assert after == before, f"cut at rename {at}"
