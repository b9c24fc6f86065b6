"""Lines of kind `file` get the answer that the tools would, and nothing on the disk changes."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw.base.errors import InvalidRequest, ToolError
from openclaw.policy.cases.file import file_case
from openclaw.tools.workspace import Workspace

OPS = ("read", "write", "append", "patch", "delete", "list", "mkdir", "rename_to")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    base = tmp_path_factory.mktemp("case")
    root, outside = base / "root", base / "outside"
    (root / "a").mkdir(parents=True)
    outside.mkdir()
    (outside / "secret").write_text("s")
    (root / "a" / "f").write_text("f")
    (root / "out").symlink_to(outside)
    (root / "link").symlink_to(outside / "secret")
    (root / "within").symlink_to("a/f")
    (root / "proc").symlink_to("/proc/self")
    os.link(outside / "secret", root / "hard")
    os.mkfifo(root / "fifo")
    here = Path.cwd()
    os.chdir(root)  # a socket's path may have 107 bytes only
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("sock")
        os.chdir(here)
        yield root


def answer(root: Path, op: str, path: str) -> str:
    return str(file_case({"id": 1, "kind": "file", "op": op, "root": str(root), "path": path})["verdict"])


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize(
    "path",
    [
        *("..", "../outside/secret", "a/../../outside/secret", "/etc/passwd", "~", "~/x", "a\0", "a\\b", "", "\udcff"),
        *("out", "out/secret", "out/new", "link", "within", "proc", "proc/environ", "hard/x", "link/x", "a/f/x"),
        "/proc/self/environ",
    ],
)
def test_nothing_outside_is_reached_by_any_operation(root: Path, op: str, path: str) -> None:
    assert answer(root, op, path) == "deny"


@pytest.mark.parametrize("op", ["read", "write", "append", "patch", "delete", "rename_to", "list", "mkdir"])
@pytest.mark.parametrize("path", ["hard", "fifo", "sock"])
def test_no_hard_link_pipe_or_socket_is_used(root: Path, op: str, path: str) -> None:
    assert answer(root, op, path) == "deny"


@pytest.mark.parametrize(
    ("op", "path"),
    [
        *(("read", "a/f"), ("write", "a/f"), ("write", "new"), ("write", "new/deep/f"), ("append", "a/f")),
        *(("patch", "a/f"), ("delete", "a/f"), ("delete", "a"), ("list", "."), ("list", "a"), ("mkdir", "b")),
        *(("mkdir", "a"), ("rename_to", "a/g"), ("rename_to", "a/f"), ("read", "..a/…"), ("read", "100%/a%2fb")),
    ],
)
def test_what_stays_inside_is_allowed(root: Path, op: str, path: str) -> None:
    assert answer(root, op, path) == "allow"


def test_a_kernel_file_system_is_refused_even_as_the_root() -> None:
    assert answer(Path("/proc/self"), "read", "environ") == "deny"
    assert answer(Path("/proc"), "list", ".") == "deny"


@pytest.mark.parametrize(
    "line",
    [
        *({}, {"op": "read"}, {"op": "eat", "root": "/tmp", "path": "x"}, {"op": "read", "root": "tmp", "path": "x"}),
        {"op": "read", "root": "/tmp", "path": 3},
        {"op": "read", "root": "/tmp\0", "path": "x"},
    ],
)
def test_a_line_that_is_none_is_an_error_and_no_verdict(line: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        file_case(line)


PIECES = st.lists(
    st.sampled_from(["..", ".", "a", "f", "out", "secret", "within", "link", "", "new", "hard"]), max_size=5
)


@settings(deadline=None, max_examples=200)
@given(PIECES.map("/".join))
def test_the_answer_about_reading_is_what_the_tool_does(root: Path, path: str) -> None:
    with Workspace(root) as room:
        try:
            room.read_page(path)
            done = True
        except ToolError as error:
            done = "There is no" in error.message
    assert (answer(root, "read", path) == "allow") is done
