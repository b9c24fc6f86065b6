"""Tables line up, errors say what to do, and nothing is coloured unless a terminal asks."""

from __future__ import annotations

import subprocess
import sys

import pytest

from openclaw.base.errors import ConfigError, RateLimited
from openclaw.cli import output

CRASH = """
import openclaw.cli.app
from openclaw.base.secret import Secret
from openclaw.cli.entry import main
from openclaw.telemetry.redact import REDACTOR

def fall(arguments):
    REDACTOR.add(Secret("hunter2-known"))
    try:
        raise KeyError("hunter2-known")
    except KeyError:
        raise RuntimeError("it fell over b'hunter2-known'")

openclaw.cli.app.run = fall
main()
"""


def test_columns_are_as_wide_as_their_widest_cell(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(["name", "n"], [("a", 1), ("longer", None)])
    assert capsys.readouterr().out == "NAME    N\na       1\nlonger\n"


def test_fields_without_a_value_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    output.fields({"url": "ws://x", "scopes": None, "version": 1})
    assert capsys.readouterr().out == "url      ws://x\nversion  1\n"


def test_an_error_says_what_failed_what_to_do_and_its_code(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_error(RateLimited("too many sign-ins", retry_after_s=30))
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "Error: too many sign-ins",
        "  What to do: Wait for the time in retryAfterMs.",
        "  Try again in 30 s.",
        "  Code: RATE_LIMITED",
    ]


def test_an_error_as_json_is_the_shape_of_every_door(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_error(ConfigError("bad"), as_json=True)
    assert '"code": "CONFIG_INVALID"' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("past_ms", "text"),
    [(None, "never"), (999_000, "1 s ago"), (880_000, "2 min ago"), (1_000_000 - 7_200_000, "2 h ago")],
)
def test_a_past_time_is_told_in_one_unit(past_ms: int | None, text: str) -> None:
    assert output.ago(past_ms, 1_000_000) == text


def test_what_nobody_caught_is_told_without_a_secret() -> None:
    ran = subprocess.run([sys.executable, "-c", CRASH], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "RuntimeError: it fell over b'***'" in ran.stderr
    assert "hunter2" not in ran.stderr
