"""Lines of kind `file` by a table of paths over a real tree: each verdict is what the tool then does."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw.base.errors import ToolError
from openclaw.policy.cases.file import file_case
from openclaw.policy.cases.table import answer as table_answer
from openclaw.policy.files.descriptor import Missing
from openclaw.policy.files.path import components
from openclaw.tools.workspace import Workspace

CANARY: Final = "outside-canary-5127"
OPS: Final = ("read", "write", "append", "patch", "delete", "list", "mkdir", "rename_to")
EVERY: Final = frozenset(OPS)
MAKING: Final = frozenset(("write", "append", "mkdir", "rename_to"))
FILE: Final = EVERY - {"list", "mkdir"}
FOLDER: Final = frozenset(("list", "mkdir", "delete", "rename_to"))
NONE: Final[frozenset[str]] = frozenset()

WRITTEN: Final = (
    *(
        "",
        " ",
        "\t",
        "\u00a0",
        "..",
        "../",
        "./..",
        "a/..",
        "a/../..",
        "a/../../outside/secret",
        "../root/a/f",
        "a//../x",
    ),
    *("..;/x", "a/..;p=1/..;/x", ".. /x", " ../x", "%u002e%u002e/x", "%252e%252e;/x"),
    *("a/b/../../../outside/secret", "../" * 64 + "etc/passwd", "./././../x", "..//..//etc/passwd", ".../../x"),
    *("/", "//", "/etc/passwd", "//etc/passwd", "/./etc/passwd", "/proc/self/environ", "/proc/self/root/etc/passwd"),
    *("/dev/fd/0", "/dev/stdin", "/dev/zero", "{root}", "{root}/a/f", "{root}/../outside/secret", "{outside}/secret"),
    *(
        "~",
        "~/",
        "~/x",
        "~root",
        "~root/.ssh/id_rsa",
        "~+/x",
        "~-/x",
        "./~/x",
        "$HOME/x",
        "${HOME}/x",
        "%USERPROFILE%/x",
    ),
    *(
        "a\\b",
        "..\\..\\x",
        "a\\..\\..\\x",
        "C:\\Windows\\win.ini",
        "C:/Windows/win.ini",
        "\\\\host\\share",
        "\\\\?\\C:\\x",
    ),
    *("file:///etc/passwd", "file:/etc/passwd", "http://x/y", "a/%2e%2e/%2e%2e/x", "%2e%2e/x", "%2E%2E%2Fx", "..%2fx"),
    *(
        "..%5cx",
        "%252e%252e%252fx",
        "%25252e%25252e/x",
        "..%c0%afx",
        "%c0%ae%c0%ae/x",
        "%e0%80%ae./x",
        "a%00b",
        "a%0ab",
    ),
    *(
        "\0",
        "a\0",
        "a/f\0.txt",
        "\0/../x",
        "a\n",
        "a\r",
        "a\tb",
        "\x1b[2J",
        "\x7f",
        "\x85",
        "\x9b",
        "\ud800",
        "\udcff/x",
    ),
    *(
        "\u2025/x",
        "\uff0e\uff0e/x",
        "\u2024\u2024/x",
        "..\u2215x",
        "..\u2044x",
        "..\uff0fx",
        ".\u200c./x",
        ".\u202e./x",
    ),
    *(
        "\ufeff../x",
        ".\u00ad./x",
        "..\uff3cx",
        "x" * 256,
        "\u00e9" * 128,
        "a/" * 64 + "x",
        "x/" * 2048 + "x",
        "a/" + "x" * 256,
    ),
)
"""No tree makes these good: refused as they are written, whatever is to be done."""

PLACED: Final[dict[str, frozenset[str]]] = {
    "a/f": FILE,
    "./a/f": FILE,
    "a//f": FILE,
    "a/./f": FILE,
    "././a/././f": FILE,
    ".env": FILE,
    "..name": FILE,
    "...": FILE,
    "\u00fc \u65e5\u672c.txt": FILE,
    "F": EVERY,  # nothing has that name: f is another
    "a": FOLDER,
    "a/": FOLDER,
    "a/.": FOLDER,
    ".": frozenset(("list", "mkdir")),
    "./": frozenset(("list", "mkdir")),
    "a/b": FOLDER,
    "empty": FOLDER,
    "new": EVERY,
    "new/deep/f": EVERY,
    "a/b/new": EVERY,
    "a/x%20y": EVERY,
    "-rf": EVERY,
    "$(id)": EVERY,
    "a;id": EVERY,
    "*": EVERY,
    "new/": EVERY - {"read", "write", "append", "patch"},
    "x" * 255: EVERY,
    "a/f/": NONE,
    "a/f/x": NONE,
    "a/f/.": NONE,
    "fixed": FILE - {"write", "append", "patch"},
    "out": NONE,
    "out/": NONE,
    "out/.": NONE,
    "out/secret": NONE,
    "out/new": NONE,
    "to_secret": NONE,
    "to_secret/x": NONE,
    "to_f": NONE,
    "to_a/f": NONE,
    "a/up": NONE,
    "a/up/a/f": NONE,
    "relative": NONE,
    "dangling": NONE,
    "dangling/x": NONE,
    "loop": NONE,
    "loop/x": NONE,
    "ping": NONE,
    "chain/secret": NONE,
    "proc": NONE,
    "proc/environ": NONE,
    "fds/0": NONE,
    "null": NONE,
    "rootfs/etc/passwd": NONE,
    "hard": NONE,
    "hard_a": NONE,
    "fifo": NONE,
    "sock": NONE,
    "fifo/x": NONE,
}
"""What may be done with each path of the tree that `grown` makes; all else is refused."""


def grown(base: Path) -> Path:
    """Make a workspace full of traps, beside a folder with a canary. Return the workspace."""
    root, outside = base / "root", base / "outside"
    for folder in (root / "a" / "b", root / "empty", outside):
        folder.mkdir(parents=True)
    (outside / "secret").write_text(CANARY)
    for name in ("a/f", ".env", "..name", "...", "\u00fc \u65e5\u672c.txt", "fixed"):
        (root / name).write_text("inside")
    (root / "fixed").chmod(0o444)
    links: dict[str, str | Path] = {
        "out": outside,
        "to_secret": outside / "secret",
        "to_f": "a/f",
        "to_a": "a",
        "a/up": "..",
        "relative": "../outside/secret",
        "dangling": outside / "new",
        "loop": "loop",
        "ping": "pong",
        "pong": "ping",
        "chain": "out",
        "proc": "/proc/self",
        "fds": "/dev/fd",
        "null": "/dev/null",
        "rootfs": "/proc/self/root",
    }
    for name, target in links.items():
        (root / name).symlink_to(target)
    os.link(outside / "secret", root / "hard")
    (root / "a" / "twice").write_text("inside")
    os.link(root / "a" / "twice", root / "hard_a")
    os.mkfifo(root / "fifo")
    with chdir(root), socket.socket(socket.AF_UNIX) as server:  # a socket's path may have 107 bytes only
        server.bind("sock")
    return root


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return grown(tmp_path_factory.mktemp("table"))


def names(folder: Path | str) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def judged(root: Path, op: str, path: str) -> str:
    return str(file_case({"id": 1, "kind": "file", "op": op, "root": str(root), "path": path})["verdict"])


def test_the_table_has_enough_rows() -> None:
    assert len(set(WRITTEN)) + len(PLACED) > 150
    assert (len(WRITTEN) + len(PLACED)) * len(OPS) > 1000


@pytest.mark.parametrize("op", OPS)
def test_what_is_written_to_lead_away_is_denied_whatever_is_to_be_done(root: Path, op: str) -> None:
    paths = [path.replace("{root}", str(root)).replace("{outside}", f"{root.parent}/outside") for path in WRITTEN]
    assert {path for path in paths if judged(root, op, path) != "deny"} == set()


@pytest.mark.parametrize("op", OPS)
def test_what_lies_in_the_tree_is_judged_by_what_it_is(root: Path, op: str) -> None:
    allowed = {path for path in PLACED if judged(root, op, path) == "allow"}
    assert allowed == {path for path, ops in PLACED.items() if op in ops}


def _mkdir(room: Workspace, path: str) -> object:
    components(path)  # what is no path by itself must not become one by what is appended
    return room.write_text(f"{path}/made", "by the test")


ACTS: Final[dict[str, Callable[[Workspace, str], object]]] = {
    "read": lambda room, path: room.read_page(path).text,
    "write": lambda room, path: room.write_text(path, "by the test"),
    "patch": lambda room, path: room.edit_text(path, lambda text: text + "!"),
    "list": lambda room, path: [entry.path for entry in room.entries(path)],
    "mkdir": _mkdir,
}


def done(root: Path, op: str, path: str) -> bool:
    """Do it. Return whether it was done, or there was nothing to do it to."""
    with Workspace(root) as room:
        try:
            assert CANARY not in str(ACTS[op](room, path))
        except Missing:
            return True
        except ToolError:
            return False
    return True


@pytest.mark.parametrize("op", sorted(ACTS))
def test_each_verdict_is_what_the_tool_then_does(tmp_path: Path, op: str) -> None:
    root = grown(tmp_path / "one")
    for number, written in enumerate((*PLACED, *WRITTEN)):
        if op not in ("read", "list"):
            shutil.rmtree(root.parent)
            root = grown(tmp_path / str(number))
        path = written.replace("{root}", str(root)).replace("{outside}", f"{root.parent}/outside")
        wanted = judged(root, op, path)
        assert (wanted == "allow") is done(root, op, path), path
        assert (root.parent / "outside" / "secret").read_text() == CANARY
        assert names(root.parent) == ["outside", "root"]
        assert names(root.parent / "outside") == ["secret"]


PIECES: Final = (
    "..",
    ".",
    "a",
    "b",
    "f",
    "out",
    "secret",
    "to_f",
    "up",
    "",
    "new",
    "hard",
    "fifo",
    "fixed",
    "~",
    "%2e.",
)


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from(sorted(ACTS)), st.lists(st.sampled_from(PIECES), max_size=5).map("/".join), st.integers(0, 1 << 30)
)
def test_any_path_of_these_pieces_is_judged_as_it_is_done(
    tmp_path_factory: pytest.TempPathFactory, op: str, path: str, turn: int
) -> None:
    base = tmp_path_factory.mktemp(f"tree{turn}")
    root = grown(base)
    wanted = judged(root, op, path)
    assert (wanted == "allow") is done(root, op, path)
    assert (base / "outside" / "secret").read_text() == CANARY
    shutil.rmtree(base)


def test_a_root_is_taken_as_the_tools_take_it(tmp_path: Path) -> None:
    root = grown(tmp_path)
    (tmp_path / "link").symlink_to(root)
    (tmp_path / "nowhere").symlink_to(tmp_path / "none")
    for name in ("link", "missing", "missing/deep", "root/../root", "nowhere", "outside/secret", "root/fifo"):
        place = tmp_path / name
        wanted = {op: judged(place, op, "a/f") == "allow" for op in ("read", "write")}
        try:
            assert wanted == {op: done(place, op, "a/f") for op in wanted}
        except ToolError:
            assert wanted == {"read": False, "write": False}
    for name in ("", "..", "/etc/passwd"):
        assert judged(tmp_path / "missing2", "read", name) == "deny"
    assert not (tmp_path / "missing2").exists()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="there is no /proc")
def test_nothing_is_left_open_and_nothing_changes(root: Path) -> None:
    def tree() -> list[tuple[str, int, int]]:
        return [(str(path), path.lstat().st_mtime_ns, path.lstat().st_mode) for path in sorted(root.rglob("*"))]

    before, descriptors = tree(), len(names("/proc/self/fd"))
    for path in (*PLACED, *WRITTEN):
        for op in OPS:
            judged(root, op, path)
    assert tree() == before
    assert len(names("/proc/self/fd")) == descriptors


def test_a_name_that_is_no_text_is_denied_and_the_line_keeps_its_id(root: Path) -> None:
    def line(path: str, **more: Any) -> bytes:
        head = f'{{"id": "x1", "kind": "file", "op": "read", "root": "{root}", "path": "{path}"'
        return (head + "".join(f', "{key}": {value}' for key, value in more.items()) + "}").encode()

    assert table_answer(line(r"\udcff"))["verdict"] == "deny"
    assert table_answer(line(r"a\ud800/f"))["id"] == "x1"
    assert table_answer(line("a/f", extra="NaN"))["error"]["code"] == "INVALID_REQUEST"
    assert table_answer(line("a/f") + b"}")["error"]["code"] == "INVALID_REQUEST"
    broken = rb'{"id": 3, "kind": "dm", "policy": "\udcff", "message": {"channel": "telegram"}}'
    assert table_answer(broken)["error"]["code"] == "INVALID_REQUEST"
