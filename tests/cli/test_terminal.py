"""What terminals and shells do to a command: narrow, colourless, closed, cut off, stopped, of another alphabet."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.gateway_process import DEADLINE_S, SCRIPT, Place, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("terminal"))
    place.state.mkdir(mode=0o700)
    with place.serving("gateway"):
        assert place.run("agent", "-m", "日本語", "--session", "wide").returncode == 0
        yield place


def shell(place: Place, line: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which `openclaw` is the program."""
    path = f"{Path(SCRIPT).parent}{os.pathsep}{place.env['PATH']}"
    return subprocess.run(
        ["bash", "-c", line],
        env=place.env | {"PATH": path} | env,
        cwd=place.root,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


def on_terminal(place: Place, columns: int, *arguments: str, **env: str) -> str:
    """Return what a command shows on a terminal of that width."""
    mine, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen(
        [SCRIPT, *arguments], env=place.env | {"TERM": "xterm"} | env, cwd=place.root, stdin=its, stdout=its, stderr=its
    ):
        os.close(its)
        seen = b""
        try:
            while data := os.read(mine, 65_536):
                seen += data
        except OSError:  # how the end of a terminal reads
            pass
    os.close(mine)
    return seen.decode().replace("\r\n", "\n")


def test_a_terminal_of_40_columns_gets_no_longer_line(live: Place) -> None:
    shown = on_terminal(live, 40, "sessions", "list", NO_COLOR="1")
    assert "KEY     agent:main:wide\n" in shown
    assert max(map(len, shown.splitlines())) <= 40
    assert "KEY              MODEL" in on_terminal(live, 120, "sessions", "list", NO_COLOR="1")


def test_colour_is_for_terminals_that_want_it(live: Place) -> None:
    failing = ("config", "get", "no.such.setting")
    assert "\x1b[31m" in on_terminal(live, 80, *failing)
    assert "\x1b[32m" in on_terminal(live, 80, "status")
    for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\x1b" not in on_terminal(live, 80, *failing, **env) + on_terminal(live, 80, "status", **env)


@pytest.mark.parametrize("command", ["config env", "config schema", "sessions export wide", "--help"])
def test_a_reader_that_leaves_ends_a_command_quietly(live: Place, command: str) -> None:
    done = shell(live, f"openclaw {command} | head -1")
    assert (len(done.stdout.splitlines()), done.stderr) == (1, ""), done


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("openclaw sessions delete agent:main:wide <&-", 1, "--yes"),
        ("openclaw sessions delete agent:main:wide </dev/null", 1, "--yes"),
        ("echo n | openclaw sessions delete agent:main:wide", 1, "Nothing is changed."),
        ("openclaw agent -m - <&-", 1, "The message is empty."),
        ("openclaw secrets set hooks.token <&-", 1, "no secret was given"),
        ("openclaw chat <&-", 0, ""),
        ("openclaw status >&-", 0, ""),
        ("openclaw agent -m hello --stream >&- 2>&-", 0, ""),
        ("openclaw status > /dev/full", 1, "No space left"),
        (r"openclaw agent -m $'\xff'", 1, "Send it as UTF-8."),
        (r"printf '\xff' | openclaw agent -m -", 1, "stdin is not UTF-8"),
    ],
)
def test_a_stream_that_is_closed_full_or_no_text_is_told_of(live: Place, line: str, code: int, said: str) -> None:
    done = shell(live, line)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done
    assert said in done.stderr


def test_another_alphabet_spells_out_what_it_lacks_and_json_stays_json(live: Place) -> None:
    assert "日本語" in shell(live, "openclaw sessions show wide", LC_ALL="C").stdout
    assert r"\u65e5" in shell(live, "openclaw sessions show wide", PYTHONIOENCODING="latin-1").stdout
    told = shell(live, "openclaw sessions show wide --json", PYTHONIOENCODING="ascii").stdout
    assert json.loads(told)["messages"][0]["content"][0]["text"] == "日本語"


@pytest.mark.parametrize("line", ["status --no-such-flag --json", "no-such-command --json", "sessions show --json"])
def test_wrong_usage_is_json_too_where_json_was_asked_for(live: Place, line: str) -> None:
    done = shell(live, f"openclaw {line}")
    assert (done.returncode, done.stderr) == (2, "")
    assert json.loads(done.stdout)["error"]["code"] == "INVALID_REQUEST"


def test_ctrl_c_leaves_with_130_and_no_traceback(live: Place) -> None:
    followed = live.root / "followed"
    with followed.open("w") as file:
        process = subprocess.Popen(
            [SCRIPT, "logs", "--follow"], env=live.env, cwd=live.root, stdout=file, stderr=subprocess.PIPE, text=True
        )
    wait_until(lambda: followed.stat().st_size > 0)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, err) == (130, "\n")
