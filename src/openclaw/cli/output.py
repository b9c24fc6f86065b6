"""What people and scripts see: aligned tables, JSON, errors with what to do. Colour only on a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import click

from openclaw.base.errors import OpenClawError
from openclaw.cli.layout import laid_out, padded, plain, width
from openclaw.cli.terminal import colours, columns

F = TypeVar("F", bound=Callable[..., Any])
MARKS = {"ok": ("ok", "green"), "warning": ("warn", "yellow"), "error": ("FAIL", "red"), "info": ("info", "cyan")}


def json_option(command: F) -> F:
    """Add `--json` to a read command."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")(command)


def paint(text: str, colour: str, *, bold: bool = False) -> str:
    """Return the text in a colour where colour is wanted, else as it is."""
    return click.style(text, fg=colour, bold=bold or None) if colours() else text


def mark(kind: str) -> str:
    """Return the short coloured word for ok, warning, error or info."""
    word, colour = MARKS[kind]
    return paint(word.ljust(4), colour)


def table(headers: Sequence[str], rows: Sequence[Sequence[object]], empty: str = "") -> None:
    """Print rows in aligned columns under their headers; without any, the sentence for that.

    On a terminal that is too narrow the last column is wrapped, or each row takes lines of its own.
    """
    if not rows and empty:
        click.echo(empty)
        return
    texts = [["" if cell is None else plain(str(cell)) for cell in row] for row in rows]
    head, lines = laid_out([head.upper() for head in headers], texts, columns())
    for line in head:
        click.echo(paint(line, "bright_black"))
    for line in lines:
        click.echo(line)


def fields(pairs: Mapping[str, object]) -> None:
    """Print name and value per line, values aligned; None is left out."""
    shown = {name: value for name, value in pairs.items() if value is not None}
    widest = max((width(name) for name in shown), default=0)
    for name, value in shown.items():
        click.echo(f"{paint(padded(name, widest), 'bright_black')}  {value}")


def emit_json(value: Any) -> None:
    """Print a value as indented JSON, which is UTF-8 whatever the terminal's encoding."""
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def error_lines(error: OpenClawError) -> list[str]:
    """Return what failed and why, then what to do."""
    lines = [f"Error: {error.message}"]
    if error.hint:
        lines.append(f"  What to do: {error.hint}")
    if error.retry_after_s:
        lines.append(f"  Try again in {error.retry_after_s:.0f} s.")
    lines.append(f"  Code: {error.as_dict()['code']}")
    return lines


def print_error(error: OpenClawError, *, as_json: bool = False) -> None:
    """Print an error for people on stderr, or its one JSON shape on stdout."""
    from openclaw.telemetry.redact import REDACTOR

    error.message = REDACTOR.clean(error.message)
    if as_json:
        emit_json({"ok": False, "error": error.as_dict()})
        return
    first, *rest = error_lines(error)
    click.echo(click.style(first, fg="red") if colours(sys.stderr) else first, err=True)
    for line in rest:
        click.echo(line, err=True)


def print_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    """Print the version and leave (the callback of `--version` behind other options)."""
    if not value or ctx.resilient_parsing:
        return
    from openclaw import __version__

    click.echo(f"openclaw {__version__}")
    ctx.exit()


def silence_stdout() -> None:
    """Point stdout at nothing, so that the interpreter's last flush cannot fail on a closed pipe."""
    with suppress(OSError):  # a stream of a test has no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def counted(count: int, noun: str) -> str:
    """Return `1 session`, `2 sessions`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def size(count: int) -> str:
    """Return bytes as people write them: `512 B`, `4.2 MB`."""
    if count < 1000:
        return f"{count} B"
    amount = float(count)
    for unit in ("kB", "MB", "GB"):
        amount /= 1000
        if amount < 1000:
            return f"{amount:.1f} {unit}"
    return f"{amount / 1000:.1f} TB"


def ago(then_ms: int | None, now_ms: int) -> str:
    """Return a time in the past as `5 s`, `3 min`, `2 h` or `4 d` ago."""
    if not then_ms:
        return "never"
    seconds = max(0, now_ms - then_ms) // 1000
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"
