"""The chat on a real terminal (a pseudo one): prompt, streaming, Ctrl-C, and the terminal given back as it was."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.gateway_process import DEADLINE_S, SCRIPT, Place

pytestmark = pytest.mark.slow
CTRL_C = b"\x03"
CTRL_D = b"\x04"
CHUNK = "xxxx"


class Terminal:
    """The person's side of a pseudo-terminal."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.seen = ""

    def type(self, keys: bytes) -> None:
        os.write(self._descriptor, keys)

    def expect(self, text: str) -> None:
        """Read until the text has appeared, and forget all up to its end."""
        end = time.monotonic() + DEADLINE_S
        while text not in self.seen:
            left = end - time.monotonic()
            assert left > 0, f"{text!r} did not appear after {self.seen!r}"
            if select.select([self._descriptor], [], [], min(left, 0.5))[0]:
                self.seen += os.read(self._descriptor, 65536).decode("utf-8", "replace")
        self.seen = self.seen.partition(text)[2]


@contextmanager
def terminal(place: Place, *arguments: str) -> Iterator[tuple[Terminal, subprocess.Popen[bytes]]]:
    """Run a command line on a terminal of its own; check that it leaves the terminal as it found it."""
    mine, its = pty.openpty()
    before = termios.tcgetattr(its)
    process = subprocess.Popen(
        [SCRIPT, *arguments],
        env=place.env | {"TERM": "xterm"},
        cwd=place.root,
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
        preexec_fn=lambda: _own(its),
    )
    try:
        yield Terminal(mine), process
        assert termios.tcgetattr(its) == before
    finally:
        process.kill()
        process.wait()
        os.close(mine)
        os.close(its)


def _own(descriptor: int) -> None:
    """Make the terminal the controlling one of the new session, so that Ctrl-C is a signal."""
    import fcntl

    fcntl.ioctl(descriptor, termios.TIOCSCTTY, 0)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("terminal"), model="fake-n400-d20")
    with place.serving("gateway"):
        yield place


def test_a_chat_streams_stops_on_the_first_ctrl_c_and_leaves_on_two_at_the_prompt(live: Place) -> None:
    with terminal(live, "chat") as (screen, process):
        screen.expect("you> ")
        screen.type(b"/model fake/echo\r")
        screen.expect("now uses fake/echo")
        screen.expect("you> ")
        screen.type(b"hello\r")
        screen.expect("fake: hello")
        screen.expect("you> ")
        screen.type(b"/model fake/fake-n400-d20\r")
        screen.expect("you> ")
        screen.type(b"go on for long\r")
        screen.expect("go on for long")
        screen.expect(CHUNK)
        screen.type(CTRL_C)
        screen.expect("stopped.")
        screen.expect("you> ")
        screen.type(CTRL_C)
        screen.expect("Ctrl-C again")
        screen.type(CTRL_C)
        assert process.wait(DEADLINE_S) == 0


def test_stop_can_be_typed_while_the_answer_streams_and_ctrl_d_leaves(live: Place) -> None:
    with terminal(live, "chat", "--session", "typed") as (screen, process):
        screen.expect("you> ")
        screen.type(b"go on\r")
        screen.expect(CHUNK)
        screen.type(b"/stop\r")
        screen.expect("stopped.")
        screen.expect("you> ")
        screen.type(b"\x1b[A\x1b[A\x01\x0b")  # history, home, kill the line: readline is alive
        screen.type(CTRL_D)
        assert process.wait(DEADLINE_S) == 0
    history = live.state / "chat-history"
    assert "go on" in history.read_text()
    assert history.stat().st_mode & 0o077 == 0


def test_up_becomes_a_chat_and_leaving_it_stops_the_gateway(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with terminal(place, "up") as (screen, process):
        screen.expect("capital of Japan")
        screen.expect("It works.")
        screen.expect("you> ")
        screen.type(b"hello\r")
        screen.expect("fake: hello")
        screen.expect("you> ")
        screen.type(CTRL_C)
        screen.expect("Ctrl-C again")
        screen.type(CTRL_C)
        assert process.wait(DEADLINE_S) == 0
    assert place.run("health").returncode == 1
