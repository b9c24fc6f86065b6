"""Reading, paging, writing and listing in the file room."""

from __future__ import annotations

import os
import resource
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openclaw.base.errors import ToolError
from openclaw.policy.files.descriptor import WRITE_LIMIT_BYTES
from openclaw.tools.workspace import READ_LIMIT_BYTES, Workspace


def _names(folder: Path) -> list[str]:
    return sorted(item.name for item in folder.iterdir())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "room"


def test_the_root_is_made_for_its_owner_only(root: Path) -> None:
    Workspace(root).close()
    assert stat.S_IMODE(root.stat().st_mode) == 0o700


def test_pages_of_lines_cover_a_file_without_gap_or_overlap(root: Path) -> None:
    text = "".join(f"line {number}\n" for number in range(1, 2_501))
    with Workspace(root) as room:
        room.write_text("long.txt", text)
        pages, first = [], 1
        while True:
            page = room.read_page("long.txt", first, 1000)
            pages.append(page.text)
            if not page.more:
                break
            first = page.last + 1
    assert "".join(pages) == text
    assert len(pages) == 3


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(data=st.text(st.sampled_from("ab\n\r é"), max_size=200), lines=st.integers(1, 7))
def test_any_text_comes_back_from_its_pages(root: Path, data: str, lines: int) -> None:
    with Workspace(root) as room:
        room.write_text("any.txt", data)
        shown, first = "", 1
        while True:
            page = room.read_page("any.txt", first, lines)
            shown += page.text
            if not page.more:
                break
            first = page.last + 1
        assert shown == data
        assert room.read_text("any.txt") == data


def test_a_page_is_never_larger_than_its_limit(root: Path) -> None:
    with Workspace(root) as room:
        (root / "wide.txt").write_bytes(b"x" * 1_000_000 + b"\nsecond\n")
        page = room.read_page("wide.txt")
        assert len(page.text) == READ_LIMIT_BYTES
        assert page.cut
        assert room.read_page("wide.txt", 2).text == "second\n"


def test_a_page_beyond_the_end_says_how_many_lines_there_are(root: Path) -> None:
    with Workspace(root) as room:
        room.write_text("three.txt", "1\n2\n3")
        with pytest.raises(ToolError, match="has 3 lines"):
            room.read_page("three.txt", 9)
        with pytest.raises(ToolError, match="has 3 lines"):
            room.read_page("three.txt", 4)


def test_binary_files_are_not_read_as_text(root: Path) -> None:
    with Workspace(root) as room:
        room.write_bytes("image.bin", b"\x89PNG\0\1\2")
        room.write_bytes("latin.txt", b"caf\xe9")
        with pytest.raises(ToolError, match="binary"):
            room.read_page("image.bin")
        assert room.read_page("latin.txt").text == "caf�"
        with pytest.raises(ToolError, match="UTF-8"):
            room.read_text("latin.txt")


def test_writing_makes_the_folders_and_leaves_no_temporary_file(root: Path) -> None:
    with Workspace(root) as room:
        assert room.write_text("a/b/c.txt", "one")
        assert not room.write_text("a/b/c.txt", "two")
    assert (root / "a/b/c.txt").read_text() == "two"
    assert _names(root / "a/b") == ["c.txt"]


def test_too_large_a_write_changes_nothing(root: Path) -> None:
    with Workspace(root) as room:
        room.write_text("file.txt", "old")
        with pytest.raises(ToolError, match=str(WRITE_LIMIT_BYTES)):
            room.write_bytes("file.txt", b"x" * (WRITE_LIMIT_BYTES + 1))
        assert room.read_text("file.txt") == "old"
    assert _names(root) == ["file.txt"]


def test_a_write_that_fails_midway_leaves_the_old_file_and_no_other(root: Path) -> None:
    with Workspace(root) as room:
        room.write_text("file.txt", "old")
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        try:
            with pytest.raises(ToolError, match="Nothing was changed"):
                room.write_bytes("file.txt", b"x" * 100_000)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert room.read_text("file.txt") == "old"
    assert _names(root) == ["file.txt"]


def test_permissions_of_a_replaced_file_are_kept(root: Path) -> None:
    with Workspace(root) as room:
        room.write_text("run.sh", "#!/bin/sh\n")
        (root / "run.sh").chmod(0o4750)
        room.edit_text("run.sh", lambda text: text + "true\n")
    assert stat.S_IMODE((root / "run.sh").stat().st_mode) == 0o750


def test_a_read_only_file_is_not_replaced(root: Path) -> None:
    with Workspace(root) as room:
        room.write_text("fixed.txt", "old")
        (root / "fixed.txt").chmod(0o444)
        with pytest.raises(ToolError, match="read-only"):
            room.write_text("fixed.txt", "new")


def test_readers_see_the_old_or_the_new_content_never_a_part(root: Path) -> None:
    versions = ["a" * 50_000, "b" * 50_000]
    with Workspace(root) as room:
        room.write_text("file.txt", versions[0])
        stop = threading.Event()

        def write() -> None:
            turn = 0
            while not stop.is_set():
                turn += 1
                room.write_text("file.txt", versions[turn % 2])

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for _ in range(500):
                assert room.read_text("file.txt") in versions
        finally:
            stop.set()
            writer.join()


def test_concurrent_edits_of_one_file_lose_none(root: Path) -> None:
    with Workspace(root) as room:
        room.write_text("count.txt", "")
        threads = [
            threading.Thread(target=room.edit_text, args=("count.txt", lambda text: text + "x")) for _ in range(40)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert room.read_text("count.txt") == "x" * 40


def test_a_walk_names_links_and_does_not_follow_them(root: Path) -> None:
    with Workspace(root) as room:
        room.write_text("b/deep.txt", "12345")
        room.write_text("a.txt", "1")
        room.write_text("node_modules/x/index.js", "")
        (root / "way_out").symlink_to("/etc")
        (root / "b" / "up").symlink_to("..")
        flat = [(entry.path, entry.kind, entry.size) for entry in room.entries()]
        deep = [(entry.path, entry.kind) for entry in room.entries(recursive=True)]
    assert flat == [("a.txt", "file", 1), ("b", "folder", 0), ("node_modules", "folder", 0), ("way_out", "link", 0)]
    assert deep == [
        ("a.txt", "file"),
        ("b", "folder"),
        ("b/deep.txt", "file"),
        ("b/up", "link"),
        ("node_modules", "folder"),
        ("way_out", "link"),
    ]


def test_names_that_are_not_text_are_listed_escaped(root: Path) -> None:
    with Workspace(root) as room:
        (root / os.fsdecode(b"caf\xe9.txt")).write_text("x")
        assert [entry.path for entry in room.entries()] == ["caf\\udce9.txt"]


def test_no_descriptor_is_left_open(root: Path) -> None:
    def descriptors() -> int:
        return len(_names(Path("/proc/self/fd")))

    with Workspace(root) as room:
        room.write_text("a/b/c.txt", "x")
        (root / "link").symlink_to("a")
        before = descriptors()
        for _ in range(50):
            room.read_page("a/b/c.txt")
            room.write_text("a/b/c.txt", "y")
            next(room.entries(recursive=True))
            list(room.entries(recursive=True))
            for path in ("link/b/c.txt", "a/b/none.txt", "a/b", "none/x", "../x"):
                with pytest.raises(ToolError):
                    room.read_bytes(path)
        assert descriptors() == before


def test_a_closed_room_refuses(root: Path) -> None:
    room = Workspace(root)
    room.close()
    room.close()
    with pytest.raises(ToolError, match="closed"):
        room.read_text("x")


def test_a_root_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ToolError, match="cannot be opened"):
        Workspace(tmp_path / "file")
