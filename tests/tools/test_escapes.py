"""The file room has no way out: paths, links, devices and races."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw.base.errors import ToolError
from openclaw.policy.files.path import components, file_components
from openclaw.tools.workspace import Workspace

CANARY = "outside-canary-7391"

ESCAPES = [
    # up
    "..", "../", "../outside/secret.txt", "../../etc/passwd", "a/../../outside/secret.txt", "./../outside/secret.txt",
    "a/..", "a/../a/inside.txt", "../root/a/inside.txt", "a/./../../outside/secret.txt",
    "a//..//..//outside/secret.txt",
    "../" * 40 + "etc/passwd", "a/" * 10 + "../" * 40 + "etc/passwd", "...//...//..", "a/b/../../../outside/secret.txt",
    # absolute
    "/", "//", "/etc/passwd", "//etc/passwd", "///etc/passwd", "/./etc/passwd", "/proc/self/environ", "/dev/zero",
    "/proc/self/root/etc/passwd", "/proc/self/cwd/secret.txt", "/proc/self/fd/0", "/dev/fd/0", "/dev/stdin",
    "{root}/a/inside.txt", "{outside}/secret.txt",
    # home, Windows, encodings
    "~", "~/secret.txt", "~/.ssh/id_rsa", "..\\outside\\secret.txt", "a\\..\\..\\outside\\secret.txt",
    "C:\\Windows\\win.ini",
    "\\\\server\\share", "%2e%2e/outside/secret.txt", "%2e%2e%2foutside%2fsecret.txt", "..%2foutside/secret.txt",
    "..%c0%af..%c0%afetc/passwd", "file:///etc/passwd", "$HOME/secret.txt", "${HOME}/secret.txt", "`pwd`/../secret.txt",
    # control characters and broken text
    "\0", "a\0/../../outside/secret.txt", "../outside/secret.txt\0.txt", "a/inside.txt\0", "a\n/../secret.txt",
    "\x7f", "\x85",
    "\ud800", "a/\udc2e\udc2e/secret.txt", "\udcff", "a\tb",
    # Unicode look-alikes
    "‥/outside/secret.txt", "．．/outside/secret.txt", "․․/outside/secret.txt", "..∕outside∕secret.txt", "..⁄outside",
    "..／outside／secret.txt", ".\u200c./outside/secret.txt", ".\u202e./outside/secret.txt",
    "\ufeff../outside/secret.txt",
    # links of every kind
    "link_to_file", "link_to_folder/secret.txt", "link_to_folder", "link_to_folder/", "link_to_up/outside/secret.txt",
    "link_to_root/etc/passwd", "link_to_proc/environ", "loop", "loop/secret.txt", "ping", "a/link_to_parent/inside.txt",
    "chain/secret.txt", "dangling", "link_inside", "relative_link",
    # other files
    "hard", "fifo", "sock", "device_link", "fd_link/0", "a/inside.txt/", "a/inside.txt/.", "a/inside.txt/x",
    # sizes and nothing
    "x" * 256, "é" * 128, "y/" * 3000 + "z", "a/" * 65 + "z", "", " ", "\t", ".", "./", "a", "a/",
]  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace full of traps, beside a folder with a canary."""
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "a").mkdir(parents=True)
    outside.mkdir()
    (outside / "secret.txt").write_text(CANARY)
    (root / "a" / "inside.txt").write_text("inside")
    links = {
        "link_to_file": outside / "secret.txt",
        "link_to_folder": outside,
        "link_to_up": Path(".."),
        "link_to_root": Path("/"),
        "link_to_proc": Path("/proc/self"),
        "loop": Path("loop"),
        "ping": Path("pong"),
        "pong": Path("ping"),
        "a/link_to_parent": Path(".."),
        "chain": Path("link_to_folder"),
        "dangling": outside / "new.txt",
        "link_inside": Path("a/inside.txt"),
        "relative_link": Path("../outside/secret.txt"),
        "device_link": Path("/dev/zero"),
        "fd_link": Path("/proc/self/fd"),
    }
    for name, target in links.items():
        (root / name).symlink_to(target)
    os.link(outside / "secret.txt", root / "hard")
    os.mkfifo(root / "fifo")
    return root


@pytest.fixture
def sock(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(root)  # a socket's path may have 107 bytes only
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("sock")
        yield


def _tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*")}


def _write(room: Workspace, path: str) -> object:
    return room.write_text(path, "written by the test")


def _edit(room: Workspace, path: str) -> object:
    room.edit_text(path, lambda text: text + "!")
    return None


ACTS: dict[str, Callable[[Workspace, str], object]] = {
    "read_page": lambda room, path: room.read_page(path).text,
    "read_bytes": lambda room, path: room.read_bytes(path).decode(),
    "write": _write,
    "edit": _edit,
}


@pytest.mark.usefixtures("sock")
@pytest.mark.parametrize("path", ESCAPES, ids=lambda path: ascii(path)[:40])
def test_no_path_leaves_the_workspace(root: Path, path: str) -> None:
    outside = root.parent / "outside"
    before = _tree(outside)
    path = path.replace("{root}", str(root)).replace("{outside}", str(outside))
    with Workspace(root) as room:
        for act in ACTS.values():
            with pytest.raises(ToolError) as refused:
                act(room, path)
            assert CANARY not in refused.value.message
        for recursive in (False, True):
            try:
                listed = [entry.path for entry in room.entries(path, recursive=recursive)]
            except ToolError:
                continue
            assert not [name for name in listed if "secret.txt" in name and not (root / name).is_file()]
    assert _tree(outside) == before
    assert sorted(item.name for item in root.parent.iterdir()) == ["outside", "root"]


def test_there_are_enough_escapes_in_the_table() -> None:
    assert len(set(ESCAPES)) >= 60


@pytest.mark.parametrize(
    "path", ["a/inside.txt", "./a/inside.txt", "a//inside.txt", "a/./inside.txt", "./././a/inside.txt"]
)
def test_plain_relative_paths_are_read(root: Path, path: str) -> None:
    with Workspace(root) as room:
        assert room.read_text(path) == "inside"


def test_a_kernel_file_system_is_refused_even_as_the_root() -> None:
    if not Path("/proc/self").exists():
        pytest.skip("no /proc here")
    for root in ("/proc", "/proc/self", "/proc/self/fd", "/proc/sys/kernel", "/sys/kernel"):
        with pytest.raises(ToolError):
            Workspace(Path(root))
    with Workspace(Path("/")) as room:
        for path in ("proc/self/environ", "proc/version", "sys/kernel/notes", "dev/zero", "proc/self/root/etc/passwd"):
            with pytest.raises(ToolError):
                room.read_bytes(path)


def test_a_folder_in_which_a_gateway_keeps_its_state_is_not_entered_by_any_name(tmp_path: Path) -> None:
    state = tmp_path / "home" / ".openclaw"
    (state / "credentials").mkdir(parents=True)
    (state / "workspace").mkdir()
    for name in ("openclaw.lock", "openclaw.json", "credentials/token"):
        (state / name).write_text(CANARY)
    with Workspace(state.parent) as room:
        for path in (".openclaw/openclaw.json", ".openclaw/credentials/token", "./.openclaw//openclaw.json"):
            for act in ACTS.values():
                with pytest.raises(ToolError, match="keeps its state"):
                    act(room, path)
        assert [entry.path for entry in room.entries(recursive=True)] == [".openclaw"]
    with Workspace(state / "workspace") as room:
        assert room.write_text("own.txt", "fine")
        assert room.write_text("openclaw.lock", "fine")
        assert room.read_text("own.txt") == "fine", "a file of that name does not shut the workspace itself"
    assert {path.read_text() for path in state.rglob("*") if path.is_file()} == {CANARY, "fine"}


INSIDE = """
import sys
from pathlib import Path
from openclaw.base.errors import ToolError
from openclaw.tools.workspace import Workspace
with Workspace(Path(sys.argv[1])) as room:
    print(room.read_text("plain.txt"))
    for act in (lambda: room.read_bytes("proc/1/environ"), lambda: next(room.entries("proc")),
                lambda: room.read_bytes("version"), lambda: list(room.entries("proc/1/fd"))):
        try:
            print("got", act())
        except ToolError as refused:
            print("refused")
"""


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="needs bubblewrap")
def test_a_kernel_file_system_that_is_mounted_in_the_workspace_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "proc").mkdir(parents=True)
    (root / "plain.txt").write_text("plain")
    (root / "version").touch()
    walls = ["bwrap", "--dev-bind", "/", "/", "--unshare-pid", "--proc", str(root / "proc")]
    walls += ["--bind", "/proc/version", str(root / "version")]
    done = subprocess.run(
        [*walls, sys.executable, "-c", INSIDE, str(root)], capture_output=True, text=True, timeout=30, check=False
    )
    if "Operation not permitted" in done.stderr and not done.stdout:
        pytest.skip("nothing can be mounted here")
    assert done.stdout.split() == ["plain", *["refused"] * 4], done.stderr


def _flip(stop: threading.Event, place: Path, link_target: Path) -> None:
    """Swap a real folder (or file) and a link to the outside at one name, as fast as it goes."""
    parked, spare = place.with_name("parked"), place.with_name("spare")
    while not stop.is_set():
        place.rename(parked)
        try:
            spare.symlink_to(link_target)
            spare.rename(place)
            for _ in range(20):
                place.lstat()
            place.unlink()
            parked.rename(place)
        except OSError:  # a writer made the folder anew while there was none
            spare.unlink(missing_ok=True)
            while parked.exists():
                shutil.rmtree(place, ignore_errors=True)
                with suppress(OSError):
                    parked.rename(place)
        for _ in range(20):
            place.lstat()


def _alternate(stop: threading.Event, place: Path, link_target: Path) -> None:
    """Put a real file and a link to the outside at one name in turns; the name is never free."""
    spare = place.with_name("spare")
    while not stop.is_set():
        spare.symlink_to(link_target)
        spare.rename(place)
        spare.write_text("inside")
        spare.rename(place)


@pytest.mark.parametrize("what", ["folder", "file"])
def test_a_link_swapped_in_during_thousands_of_reads_and_writes_leads_nowhere(tmp_path: Path, what: str) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    for folder in (root / "sub", outside):
        folder.mkdir(parents=True)
    (root / "sub" / "data.txt").write_text("inside")
    (outside / "data.txt").write_text(CANARY)
    place = root / "sub" if what == "folder" else root / "sub" / "data.txt"
    target = outside if what == "folder" else outside / "data.txt"
    stop = threading.Event()
    flipper = threading.Thread(target=_flip if what == "folder" else _alternate, args=(stop, place, target))
    flipper.start()
    seen = {"inside": 0, "refused": 0}
    try:
        with Workspace(root) as room:
            turn = 0
            while turn < 10_000 or (min(seen.values()) < 500 and turn < 1_000_000):
                turn += 1
                try:
                    text = room.read_text("sub/data.txt") if turn % 2 else room.read_page("sub/data.txt").text
                    assert text == "inside"
                    seen["inside"] += 1
                    if what == "folder" and turn % 20 == 0:
                        room.write_text("sub/data.txt", "inside")
                        room.write_text("sub/new.txt", "inside")
                except ToolError:
                    seen["refused"] += 1
    finally:
        stop.set()
        flipper.join()
    assert min(seen.values()) >= 500
    assert _tree(outside) == {"data.txt": CANARY.encode()}


@settings(deadline=None)
@given(st.text(st.sampled_from("./\\~a\0 \n‥é\ud800-"), max_size=40) | st.text(max_size=80))
def test_components_are_plain_names_or_refused(path: str) -> None:
    try:
        parts = components(path)
    except ToolError:
        return
    for part in parts:
        assert part not in {"", ".", ".."}
        assert "/" not in part
        assert "\0" not in part
        assert len(os.fsencode(part)) <= 255
    assert not path.startswith("/")


@settings(deadline=None)
@given(
    st.lists(st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="/\\"), min_size=1, max_size=60))
)
def test_ordinary_names_pass_unchanged(names: list[str]) -> None:
    plain = [name for name in names if name not in {".", ".."}]
    if not plain or plain[0] == "~" or "/".join(plain).isspace():
        return
    assert file_components("/".join(plain)) == tuple(plain)
