"""`openclaw logs`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click
import msgspec

from openclaw.base.errors import Unavailable
from openclaw.cli import output
from openclaw.cli.moment import moment_iso
from openclaw.cli.reach import Reach, gateway_options

if TYPE_CHECKING:
    from pathlib import Path

    from openclaw.client.ws import GatewayClient

POLL_S = 0.5
MAX_LINES = 5000
MAX_BYTES = 1_000_000
LEVELS = ("debug", "info", "warning", "error")
COLOURS = {"debug": "bright_black", "info": "green", "warning": "yellow", "error": "red", "critical": "red"}
SESSION_KEYS = ("session", "session_key", "sessionKey")


class Wanted(msgspec.Struct, frozen=True):
    """Which lines are printed. Shape: `least` is an index in LEVELS; `since` is ISO 8601 in UTC, "" = any time."""

    least: int = 0
    component: str = ""
    session: str = ""
    since: str = ""

    @property
    def all(self) -> bool:
        """Whether every line is."""
        return self == Wanted()

    def takes(self, entry: Mapping[str, Any]) -> bool:
        """Say whether a line is printed. A component stands for what is below it too; a session for any of its keys."""
        level = str(entry.get("level", "info"))
        rank = LEVELS.index(level) if level in LEVELS else len(LEVELS)
        component = str(entry.get("component", ""))
        sessions = [str(entry[key]) for key in SESSION_KEYS if key in entry]
        return (
            rank >= self.least
            and (not self.component or f"{component}.".startswith(f"{self.component}."))
            and (
                not self.session or any(name == self.session or name.endswith(f":{self.session}") for name in sessions)
            )
            and str(entry.get("time", "")) >= self.since
        )


@click.command()
@click.option("--follow", "-f", is_flag=True, help="Go on printing lines as they are written.")
@click.option("--level", type=click.Choice(LEVELS), help="Least severe level to print.")
@click.option("--component", default="", help="Only what this part of the gateway wrote, e.g. agent or models.")
@click.option("--session", default="", help="Only what concerns this session.")
@click.option("--since", help="Only lines from then on: 15m, 2h, 1d, or a time as 2026-02-20T12:00.")
@click.option("--limit", type=click.IntRange(1, MAX_LINES), help="Lines to begin with; default: 200, or all matching.")
@output.json_option
@gateway_options
def logs(
    reach: Reach,
    follow: bool,
    level: str | None,
    component: str,
    session: str,
    since: str | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """Print the gateway's log: from the running gateway, or from the files when it is down.

    \b
    Examples:
      openclaw logs --follow
      openclaw logs --level warning --since 2h
      openclaw logs --component models --follow
      openclaw logs --json | jq 'select(.event == "gateway_ready")'
    """
    least = LEVELS.index(level) if level else 0
    wanted = Wanted(least, component, session, moment_iso("--since", since) if since else "")
    reach.run(_Printer(reach, wanted, as_json=as_json).run(limit, follow=follow))


class _Printer:
    """Prints pages of the log; the connection is kept from page to page, and the files stand in while there is none."""

    def __init__(self, reach: Reach, wanted: Wanted, *, as_json: bool) -> None:
        self._reach = reach
        self._wanted = wanted
        self._as_json = as_json
        self._cursor: int | None = None

    async def run(self, limit: int | None, *, follow: bool) -> None:
        """Print what there is; with `follow`, what comes, until interrupted."""
        from openclaw.base.clock import SYSTEM_CLOCK

        shown = limit or (200 if self._wanted.all else MAX_LINES)
        while True:
            try:
                async with self._reach.connect() as line:
                    await self._pages(line, shown, follow=follow)
            except Unavailable:
                await self._pages(None, shown, follow=follow)
            if not follow:
                return
            await SYSTEM_CLOCK.sleep(POLL_S)

    async def _pages(self, line: GatewayClient | None, shown: int, *, follow: bool) -> None:
        from openclaw.base.clock import SYSTEM_CLOCK

        while True:
            first = self._cursor is None
            page = await self._page(line, shown if first and self._wanted.all else MAX_LINES)
            self._print(page, shown if first else MAX_LINES)
            if not follow or (line is None and not first):
                return  # from the files: see whether a gateway answers by now
            if not page["lines"]:
                await SYSTEM_CLOCK.sleep(POLL_S)

    async def _page(self, line: GatewayClient | None, limit: int) -> dict[str, Any]:
        params: dict[str, Any] = {"limit": limit, "maxBytes": MAX_BYTES}
        if self._cursor is not None:
            params["cursor"] = self._cursor
        if line is None:
            from openclaw.telemetry.log import LOG_FILE
            from openclaw.telemetry.tail import NO_CURSOR, tail

            file = self._reach.desk.paths.logs_dir / LOG_FILE
            page = tail(file, params.get("cursor", NO_CURSOR), limit, MAX_BYTES)
        else:
            page = await line.call("logs.tail", params)
        left_out = page.get("truncated") and (self._cursor is not None or self._wanted.since)
        if left_out:
            click.echo(f"… earlier lines are left out; they are in {page['file']}*", err=True)
        if line is None and self._cursor is None and not page["lines"]:
            click.echo(f"There is no log in {page['file']}, and no gateway answers.", err=True)
        self._cursor = page["cursor"]
        return page

    def _print(self, page: Mapping[str, Any], most: int) -> None:
        entries = [(text, _entry(text)) for text in page["lines"]]
        for text, entry in [each for each in entries if self._wanted.takes(each[1])][-most:]:
            _print_line(text, entry, as_json=self._as_json)


def _entry(line: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(line, type=dict[str, Any])
    except msgspec.DecodeError:
        return {}


def _print_line(line: str, entry: Mapping[str, Any], *, as_json: bool) -> None:
    click.echo(line if as_json else pretty(line, entry))


def pretty(line: str, entry: Mapping[str, Any]) -> str:
    """Return a line for people; one that is not the gateway's as it is."""
    if "1" not in entry:
        return line
    level = str(entry.get("level", "info"))
    word = output.paint(level.ljust(7), COLOURS.get(level, "white"))
    return f"{entry.get('time', '')} {word} {entry.get('component', '')!s:12} {entry['1']}"


def last_lines(logs_dir: Path, count: int) -> list[str]:
    """Return the last lines of the log's files for people; [] when there are none or they cannot be read."""
    from openclaw.telemetry.log import LOG_FILE
    from openclaw.telemetry.tail import NO_CURSOR, tail

    try:
        lines = tail(logs_dir / LOG_FILE, NO_CURSOR, count, MAX_BYTES)["lines"]
    except OSError:
        return []
    return [pretty(line, _entry(line)) for line in lines]
