"""Files, archives and races (advisories, section 6): what counts is the open descriptor, never a name."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from openclaw.base.errors import InvalidRequest, ToolError, Unavailable
from openclaw.ops.backup.restore import restore_in_place, restore_to
from openclaw.policy.cases.file import file_case
from openclaw.tools.workspace import Workspace
from tests.gateway.opened import opened, tool
from tests.ops.backup import test_hostile as hostile
from tests.ops.backup.house import NOW_MS, Forge, tree

READS: Final = 20_000
CHANGES: Final = 2_000
CANARY: Final = "outside-canary-2219"

# A process of its own, so that nothing keeps it from running between two steps of ours. 2 is RENAME_EXCHANGE.
FLIP: Final = """
import ctypes, os, sys
place, target = sys.argv[1:]
spare = place + ".spare"
swap = ctypes.CDLL(None).renameat2
os.symlink(target, spare)
print("on", flush=True)
while True:
    if swap(-100, place.encode(), -100, spare.encode(), 2):
        sys.exit("no exchange")
    if not os.path.islink(spare) and not os.path.islink(place):
        os.unlink(spare)
        os.symlink(target, spare)
"""


@contextmanager
def flipping(place: Path, target: Path) -> Iterator[None]:
    """Have another process put a link to `target` in the place of a file or folder, and take it away, all the time."""
    with subprocess.Popen([sys.executable, "-c", FLIP, str(place), str(target)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
            assert process.poll() is None
        finally:
            process.kill()


@pytest.fixture
def rooms(tmp_path: Path) -> tuple[Path, Path]:
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "sub").mkdir(parents=True)
    outside.mkdir()
    (root / "sub" / "data.txt").write_text("inside")
    (outside / "data.txt").write_text(CANARY)
    return root, outside


def race(rooms: tuple[Path, Path], kind: str, turns: int, act: Callable[[Workspace], str]) -> None:
    """Act again and again while names change, until it was done often and refused often."""
    root, outside = rooms
    place, target = (root / "sub", outside) if kind == "folder" else (root / "sub" / "data.txt", outside / "data.txt")
    done = refused = 0
    before = tree(outside)
    with flipping(place, target), Workspace(root) as room:
        while done + refused < turns or (min(done, refused) < 50 and done + refused < 1_000_000):
            try:
                assert act(room) != CANARY
                done += 1
            except ToolError:
                refused += 1
    assert tree(outside) == before
    assert min(done, refused) >= 50


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_cve_2026_44112_no_read_of_20_000_follows_a_link_that_another_process_swaps_in(
    rooms: tuple[Path, Path], kind: str
) -> None:
    race(rooms, kind, READS, lambda room: room.read_text("sub/data.txt"))


def _write(room: Workspace) -> str:
    room.write_text("sub/data.txt", "inside")
    room.write_text("sub/new/deep.txt", "inside")
    return "inside"


def _patch(room: Workspace) -> str:
    seen: list[str] = []

    def change(old: str) -> str:
        seen.append(old)
        return "inside"

    room.edit_text("sub/data.txt", change)
    return seen[0]


def _list(room: Workspace) -> str:
    return CANARY if [entry.path for entry in room.entries("sub")] != ["sub/data.txt"] else "inside"


def _walk(room: Workspace) -> str:
    names = {entry.path for entry in room.entries(recursive=True)}
    if "sub/data.txt" not in names:
        raise ToolError("the folder was a link just then")
    return CANARY if "sub/canary" in names else "inside"


@pytest.mark.parametrize(
    ("kind", "act"),
    [("folder", _write), ("file", _write), ("folder", _patch), ("file", _patch), ("folder", _list), ("folder", _walk)],
)
def test_cve_2026_44113_nothing_is_changed_or_seen_behind_a_link_that_another_process_swaps_in(
    rooms: tuple[Path, Path], kind: str, act: Callable[[Workspace], str]
) -> None:
    (rooms[1] / "canary").mkdir()
    race(rooms, kind, CHANGES, act)


# Writes two texts in turns for ever; says when it has begun.
WRITER: Final = """
import sys
from pathlib import Path
from openclaw.tools.workspace import Workspace
with Workspace(Path(sys.argv[1])) as room:
    turn = 0
    while True:
        room.write_text("file.txt", "ab"[turn % 2] * 900_000)
        turn += 1
        if turn == 2:
            print("on", flush=True)
"""


def test_a_writer_that_is_killed_leaves_the_old_text_or_the_new_one(tmp_path: Path) -> None:
    whole = {"a" * 900_000, "b" * 900_000}
    for _ in range(8):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            process.kill()
        with Workspace(tmp_path) as room:
            assert room.read_bytes("file.txt").decode() in whole
            assert [entry.path for entry in room.entries()] == ["file.txt"]


@pytest.mark.parametrize(
    "name",
    [name for name in hostile.ROWS if any(word in name for word in ("path", "up", "link", "absolute", "outside"))],
)
def test_cve_2026_28453_no_member_of_an_archive_is_written_beside_the_folder(tmp_path: Path, name: str) -> None:
    forge = Forge(hostile.database())
    hostile.ROWS[name](forge)
    _refused(tmp_path, forge, InvalidRequest)


@pytest.mark.parametrize("name", ["zeros without end", "too many files", "size"])
def test_cve_2026_28452_an_archive_that_unpacks_without_end_is_refused_before_it_is_written(
    tmp_path: Path, name: str
) -> None:
    forge = Forge(hostile.database())
    (hostile.entry(size=1 << 41) if name == "size" else hostile.ROWS[name])(forge)
    _refused(tmp_path, forge, (InvalidRequest, Unavailable))


def _refused(folder: Path, forge: Forge, errors: type[Exception] | tuple[type[Exception], ...]) -> None:
    archive, state = folder / "backup.tar.gz", folder / "state"
    state.mkdir(mode=0o700)
    (state / "openclaw.json").write_text("{mine: true}")
    archive.write_bytes(forge.bytes())
    before = tree(folder)
    with pytest.raises(errors):
        restore_to(archive, folder / "fresh", None)
    with pytest.raises(errors):
        restore_in_place(archive, state, None, now_ms=NOW_MS)
    after = tree(folder)
    after.pop("state/openclaw.lock", None)
    assert after == before


@pytest.mark.anyio
async def test_ghsa_5xfq_5mr7_426q_no_session_name_is_a_path(tmp_path: Path) -> None:
    async with opened(tmp_path) as here:
        await here.turn("hello")
        before = _names(tmp_path)
        for name in ("../../evil", "/etc/evil", "..%2f..%2fevil", "a/../../../evil", "evil.json", "C:\\evil", "~/evil"):
            reply = await here.turn("hello", key=f"agent:main:{name}")
            assert "evil" not in reply.session_id
            assert reply.state == "ok"
        assert _names(tmp_path) == before


def _names(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if "openclaw.db" not in path.name}


@pytest.mark.anyio
async def test_ghsa_33hm_cq8r_wc49_no_folder_of_the_host_is_trusted_for_its_name(tmp_path: Path) -> None:
    shared = tmp_path / "shared"  # stands for /tmp: everybody may write there
    shared.mkdir(mode=0o777)
    (shared / "stolen.txt").write_text(CANARY)
    async with opened(tmp_path / "home") as here:
        (here.workspace / "tmp").symlink_to(shared)
        for path in (str(shared / "stolen.txt"), "tmp/stolen.txt", "/tmp", "tmp", f"../../{shared.name}/stolen.txt"):
            for name in ("read_file", "read_image", "list_files"):
                (call,) = await here.calls(tool(name, path=path))
                assert call.is_error
                assert CANARY not in call.result
            (call,) = await here.calls(tool("write_file", path=f"{path}/new", content="x"))
            assert call.is_error
        line = {"kind": "file", "op": "read", "root": str(here.workspace), "path": "tmp/stolen.txt"}
        assert file_case(line)["verdict"] == "deny"
    assert [path.name for path in shared.iterdir()] == ["stolen.txt"]
