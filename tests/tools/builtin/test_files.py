"""The file tools as a model calls them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw.base.clock import ManualClock
from openclaw.base.errors import ToolError
from openclaw.policy.files.path import glob
from openclaw.testing import call_action, make_context
from openclaw.tools.api import ToolContext
from openclaw.tools.builtin.files import edit_file, list_files, read_file, replaced, search_files, write_file
from openclaw.tools.builtin.search import MAX_MATCHES, Bounds, Query, search
from openclaw.tools.builtin.session_status import session_status
from openclaw.tools.workspace import Workspace

pytestmark = pytest.mark.anyio


@pytest.fixture
def context(tmp_path: Path) -> ToolContext:
    return make_context(tmp_path / "room")


async def test_a_file_is_written_read_edited_and_found(context: ToolContext) -> None:
    assert await call_action(write_file, in_context=context, path="notes.txt", content="hello\n") == (
        "Created notes.txt (6 bytes)."
    )
    assert await call_action(read_file, in_context=context, path="./notes.txt") == "hello\n"
    edited = await call_action(
        edit_file, in_context=context, path="notes.txt", old_text="hello", new_text="Hello there"
    )
    assert edited == "Changed notes.txt (1 place)."
    assert await call_action(search_files, in_context=context, text="there") == "notes.txt:1: Hello there"
    assert await call_action(list_files, in_context=context) == "notes.txt  12"


async def test_a_long_file_says_where_to_read_on(context: ToolContext) -> None:
    await call_action(write_file, in_context=context, path="long.txt", content="line\n" * 30)
    text = await call_action(read_file, in_context=context, path="long.txt", offset=11, limit=10)
    assert text == "line\n" * 10 + "[lines 11-20; more follows: read on with offset=21]"
    assert await call_action(read_file, in_context=context, path="long.txt", offset=21, limit=10) == "line\n" * 10


async def test_an_empty_file_and_folder_say_so(context: ToolContext) -> None:
    assert await call_action(list_files, in_context=context) == "(nothing found)"
    await call_action(write_file, in_context=context, path="empty.txt", content="")
    assert await call_action(read_file, in_context=context, path="empty.txt") == "(the file is empty)"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("", "x", "is empty"),
        ("b", "b", "the same"),
        ("z", "x", "does not occur"),
        ("a", "x", "occurs 2 times"),
    ],
)
def test_an_edit_that_is_not_clear_is_refused(old: str, new: str, told: str) -> None:
    with pytest.raises(ToolError, match=told):
        replaced("aba", old, new, replace_all=False)


def test_an_edit_can_replace_all_and_keeps_line_ends() -> None:
    assert replaced("aba", "a", "x", replace_all=True) == ("xbx", 2)
    assert replaced("one\r\ntwo\r\n", "one\ntwo", "1\n2", replace_all=False) == ("1\r\n2\r\n", 1)


@settings(deadline=None)
@given(st.text(max_size=30), st.text(min_size=1, max_size=5), st.text(max_size=5))
def test_a_single_edit_changes_one_place_or_nothing(text: str, old: str, new: str) -> None:
    try:
        changed, count = replaced(text, old, new, replace_all=False)
    except ToolError:
        return
    assert count == 1
    assert len(changed) - len(text) in {
        len(new) - len(old),
        len(new.replace("\n", "\r\n")) - len(old.replace("\n", "\r\n")),
    }


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("*.py", "a/b.py", True),
        ("*.py", "a/b.pyc", False),
        ("./*.py", "b.py", True),
        ("**/*.py", "b.py", True),
        ("**/*.py", "a/c/b.py", True),
        ("src/**/*.ts", "src/x.ts", True),
        ("src/**/*.ts", "src/a/b/x.ts", True),
        ("src/**/*.ts", "lib/x.ts", False),
        ("src/*.ts", "src/a/x.ts", False),
        ("src/**", "src/a/b", True),
        ("**/a/**/b/**", "x/a/y/z/b/w", True),
        ("[ab].txt", "a.txt", True),
        ("?.txt", "ab.txt", False),
        ("a/**/**/b", "a/b", True),
    ],
)
def test_globs_match_as_people_expect(pattern: str, path: str, matches: bool) -> None:
    assert glob(pattern)(path.split("/")) is matches


def test_a_hostile_glob_costs_little() -> None:
    started = time.thread_time()
    assert not glob("*a" * 100 + "b")(["a" * 255])
    assert not glob("**/" * 60 + "b")(["a"] * 64)
    assert not glob("*a*" * 60 + "/**/" + "*a" * 80 + "b")(["a" * 255] * 64)
    assert time.thread_time() - started < 1


async def test_listing_goes_below_and_narrows_by_pattern(context: ToolContext) -> None:
    for path in ("src/a.py", "src/deep/b.py", "src/c.ts", "README.md"):
        await call_action(write_file, in_context=context, path=path, content="x")
    assert await call_action(list_files, in_context=context) == "README.md  1\nsrc/"
    assert await call_action(list_files, in_context=context, recursive=True, pattern="*.py") == (
        "src/a.py  1\nsrc/deep/b.py  1"
    )
    assert await call_action(list_files, in_context=context, path="src", pattern="**/*.py") == (
        "src/a.py  1\nsrc/deep/b.py  1"
    )
    with pytest.raises(ToolError, match="no folder 'nowhere'"):
        await call_action(list_files, in_context=context, path="nowhere")


async def test_listing_is_bounded(context: ToolContext) -> None:
    context.workspace.mkdir()
    for number in range(1_100):
        (context.workspace / f"{number:04}").touch()
    lines = (await call_action(list_files, in_context=context)).splitlines()
    assert len(lines) == 1_001
    assert "only the first 1000" in lines[-1]


async def test_control_characters_in_names_cannot_forge_lines(context: ToolContext) -> None:
    context.workspace.mkdir()
    (context.workspace / "a\nfake.txt  99").touch()
    assert await call_action(list_files, in_context=context) == "a\\nfake.txt  99  0"


async def test_searching_takes_text_literally(context: ToolContext) -> None:
    await call_action(write_file, in_context=context, path="a.txt", content="(a+)+$\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\n")
    assert await call_action(search_files, in_context=context, text="(a+)+$") == "a.txt:1: (a+)+$"
    assert await call_action(search_files, in_context=context, text="AAA!") == "(no match)"
    assert "a.txt:2" in await call_action(search_files, in_context=context, text="AAA!", ignore_case=True)
    with pytest.raises(ToolError, match="spans lines"):
        await call_action(search_files, in_context=context, text="a\nb")


async def test_searching_one_file_and_missing_ones(context: ToolContext) -> None:
    await call_action(
        write_file, in_context=context, path="d/a.txt", content="needle\n" + "x" * 900 + "needle" + "y" * 900
    )
    found = await call_action(search_files, in_context=context, text="needle", path="d/a.txt")
    assert found.startswith("d/a.txt:1: needle\nd/a.txt:2: …xxx")
    assert max(map(len, found.splitlines())) < 300
    with pytest.raises(ToolError, match="no file 'gone'"):
        await call_action(search_files, in_context=context, text="x", path="gone")


async def test_searching_leaves_out_binary_large_and_linked_files(context: ToolContext, tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_text("needle")
    room = context.workspace
    room.mkdir()
    (room / "link.txt").symlink_to(tmp_path / "outside.txt")
    (room / "hard.txt").hardlink_to(tmp_path / "outside.txt")
    (room / "large.txt").write_bytes(b"needle" + b"x" * 2_000_000)
    (room / "binary.bin").write_bytes(b"needle\0")
    found = await call_action(search_files, in_context=context, text="needle")
    assert found == "[2 files could not be searched: larger than 1048576 bytes, or linked]"


def test_a_search_ends_at_its_bounds(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.txt").write_text("needle\n" * 100)
    clock = ManualClock()
    with Workspace(tmp_path) as room:
        lines = search(room, Query("needle"), Bounds(clock, lambda: False)).splitlines()
        assert len(lines) == MAX_MATCHES + 1
        late = Bounds(clock, lambda: False)
        clock.advance(11)
        assert search(room, Query("needle"), late).startswith("[stopped after 10 seconds")
        assert "stopped" in search(room, Query("needle"), Bounds(clock, lambda: True))


async def test_session_status_tells_its_facts(tmp_path: Path) -> None:
    context = make_context(tmp_path, facts={"model": "fake/echo"})
    assert await call_action(session_status, in_context=context) == (
        '{"agent":"test","session":"agent:test:main","run":"test-run","model":"fake/echo"}'
    )
