"""bash, zsh and fish complete commands, flags and what the gateway knows: typed into real shells on a terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.gateway_process import DEADLINE_S, Place

pytestmark = pytest.mark.slow

READY = "ready-to-complete"
SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], 'eval "$(openclaw completion bash)"'),
    "zsh": (["zsh", "-f", "-i"], 'autoload -Uz compinit; compinit -u -D; eval "$(openclaw completion zsh)"'),
    "fish": (["fish", "--no-config", "-i"], "openclaw completion fish | source"),
}
TYPED = [
    ("openclaw upg", "openclaw upgrade"),
    ("openclaw gateway tok", "openclaw gateway token"),
    ("openclaw doctor mem", "openclaw doctor memory"),
    ("openclaw gateway token rot", "openclaw gateway token rotate"),
    ("openclaw onboard --api", "openclaw onboard --api-key-stdin"),
    ("openclaw onboard --provider oll", "openclaw onboard --provider ollama"),
    ("openclaw sessions show agent:main:hol", "openclaw sessions show agent:main:holiday"),
    ("openclaw agent --agent plan", "openclaw agent --agent planner"),
    ("openclaw models test fake/ec", "openclaw models test fake/echo"),
]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("completion"))
    place.state.mkdir(mode=0o700)
    (place.state / "openclaw.json").write_text(
        '{ models: { providers: { fake: { api: "fake", models: [{ id: "echo" }] } } },'
        ' agents: { list: [{ id: "main" }, { id: "planner" }] } }'
    )
    with place.serving("gateway"):
        assert place.run("agent", "-m", "hello", "--session", "holiday").returncode == 0
        yield place


@pytest.mark.parametrize("name", SHELLS)
def test_a_shell_completes_commands_flags_and_what_there_is(name: str, live: Place) -> None:
    if missing := [each for each in (name, "setsid") if shutil.which(each) is None]:
        pytest.skip(f"no {' and no '.join(missing)} here")
    with Shell(name, live).running() as shell:
        for typed, whole in TYPED:
            shell.complete(typed, whole)


def test_without_a_gateway_nothing_is_offered_and_nothing_is_said(tmp_path: Path) -> None:
    place = Place(tmp_path)
    asked = {"_OPENCLAW_COMPLETE": "fish_complete", "COMP_WORDS": "openclaw sessions show ", "COMP_CWORD": ""}
    done = subprocess.run(
        [str(Path(sys.executable).with_name("openclaw"))],
        env=place.env | asked,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert (done.stdout.strip(), done.stderr) == ("", "")


class Shell:
    """A shell on a pseudo-terminal, as someone types into it."""

    def __init__(self, name: str, place: Place) -> None:
        self._argv, self._setup = SHELLS[name]
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._env = place.env | {
            "PATH": path,
            "HOME": str(place.root),
            "TERM": "xterm",
            "PS1": "$ ",
            "LC_ALL": "C.UTF-8",
        }
        self._cwd = place.root
        self._terminal = -1
        self._seen = ""

    @contextmanager
    def running(self) -> Iterator[Shell]:
        """Start it and have it know openclaw's completion."""
        self._terminal, its = pty.openpty()
        process = subprocess.Popen(
            ["setsid", "--ctty", *self._argv], env=self._env, cwd=self._cwd, stdin=its, stdout=its, stderr=its
        )
        os.close(its)
        try:
            self._type(f"stty cols 200; {self._setup}\r")
            self._type("echo ready-to-'complete'\r")
            self._until(READY)
            yield self
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
            os.close(self._terminal)

    def complete(self, typed: str, whole: str) -> None:
        """Type this and Tab; the line must then read so. The line is given up again."""
        self._seen = ""
        self._type(typed)
        self._until(typed)
        self._type("\t")
        self._until(whole)
        self._type("\x15")

    def _type(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    def _until(self, text: str) -> None:
        end = time.monotonic() + DEADLINE_S
        while text not in self._shown():
            left = end - time.monotonic()
            came = select.select([self._terminal], [], [], max(left, 0))[0]
            assert came, f"{text!r} not in {self._shown()!r}"
            self._seen += os.read(self._terminal, 65_536).decode("utf-8", "replace")

    def _shown(self) -> str:
        """What has come, without what moves the cursor and colours; a line that is redrawn stands there again."""
        return re.sub(r"\x1b(?:\[[0-9;?<=>]*[A-Za-z]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()=>].?)|\r|\x08", "", self._seen)
