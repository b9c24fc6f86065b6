"""The terminal, if there is one: its width, whether it takes colour, questions to it, a sign of life."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO, cast

import click

from openclaw.base.errors import InvalidRequest

SILENT_S = 1.0
"""What takes no longer needs no sign of life."""
TICK_S = 0.2
_BAR = 12


def is_terminal(stream: TextIO) -> bool:
    """Say whether a stream is a terminal; one that is closed by now is none."""
    return not stream.closed and stream.isatty()


def columns() -> int | None:
    """Return how wide the terminal is that stdout writes to; None when it writes elsewhere."""
    if not is_terminal(sys.stdout):
        return None
    with suppress(OSError):
        return os.get_terminal_size(sys.stdout.fileno()).columns or None
    return None


@cache
def _wanted() -> bool:
    from openclaw.config.env import load_environment

    env = load_environment()
    return not env.get("NO_COLOR") and env.get("TERM") != "dumb"


def colours(stream: TextIO | None = None) -> bool:
    """Say whether stdout, or that stream, takes colour: a terminal, and no NO_COLOR (https://no-color.org)."""
    return is_terminal(stream or sys.stdout) and _wanted()


def prepare() -> None:
    """Have stdout and stderr write what their encoding lacks spelled out, instead of failing half way through.

    Streams that came closed (`<&-`) read and write nothing: else the first socket would take the place of one.
    """
    sys.stdin = sys.stdin or _nothing("r")
    sys.stdout = sys.stdout or _nothing("w")
    sys.stderr = sys.stderr or _nothing("w")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _nothing(mode: str) -> TextIO:
    return cast(TextIO, Path(os.devnull).open(mode, encoding="utf-8"))


def read_stdin(most: int = -1) -> str:
    """Return what stdin holds, up to so many bytes: UTF-8, whatever the locale says. Raises: InvalidRequest."""
    raw = getattr(sys.stdin, "buffer", None)
    try:
        return sys.stdin.read(most) if raw is None else raw.read(most).decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"stdin is not UTF-8: {error.reason} at byte {error.start}") from None


def confirm(question: str) -> None:
    """Ask and go on after a yes; after a no, leave with 1. Raises: InvalidRequest when nobody is there to ask."""
    if is_terminal(sys.stdin):
        agreed = click.confirm(question, err=True)
    elif not (answer := sys.stdin.readline()):
        raise InvalidRequest(f"{question} Nobody is here to answer.", hint="Give --yes.")
    else:
        agreed = answer.strip().lower() in ("y", "yes")
    if not agreed:
        click.echo("Nothing is changed.", err=True)
        raise click.exceptions.Exit(1)


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show on stderr, if that is a terminal, that the block goes on and for how long, from a second on."""
    if not is_terminal(sys.stderr):
        yield
        return
    over = threading.Event()
    meter = threading.Thread(target=_tell, args=(what, over), name="waiting", daemon=True)
    meter.start()
    try:
        yield
    finally:
        over.set()
        meter.join()


def _tell(what: str, over: threading.Event) -> None:
    from openclaw.base.clock import SYSTEM_CLOCK

    began = SYSTEM_CLOCK.monotonic_s()
    if over.wait(SILENT_S):
        return
    ticks = 0
    while not over.wait(TICK_S):
        at = abs(ticks % (2 * _BAR) - _BAR)
        bar = "-" * at + "=" + "-" * (_BAR - at)
        sys.stderr.write(f"\r\x1b[K[{bar}] {what} {SYSTEM_CLOCK.monotonic_s() - began:.0f} s")
        sys.stderr.flush()
        ticks += 1
    sys.stderr.write("\r\x1b[K")
    sys.stderr.flush()
