"""`openclaw logs`."""

from __future__ import annotations

from typing import Any

import click

from openclaw.base.errors import Unavailable
from openclaw.cli import output
from openclaw.cli.reach import Reach, gateway_options

POLL_S = 0.5
MAX_BYTES = 1_000_000
LEVELS = ("debug", "info", "warning", "error")
COLOURS = {"debug": "bright_black", "info": "green", "warning": "yellow", "error": "red", "critical": "red"}


@click.command()
@click.option("--follow", "-f", is_flag=True, help="Go on printing lines as they are written.")
@click.option("--level", type=click.Choice(LEVELS), help="Least severe level to print.")
@click.option("--limit", type=click.IntRange(1, 5000), default=200, show_default=True, help="Lines to begin with.")
@output.json_option
@gateway_options
def logs(reach: Reach, follow: bool, level: str | None, limit: int, as_json: bool) -> None:
    """Print the gateway's log: from the running gateway, or from the files when it is down.

    \b
    Examples:
      openclaw logs --follow
      openclaw logs --level warning --limit 20
      openclaw logs --json | jq 'select(.component == "models")'
    """
    least = LEVELS.index(level) if level else 0
    reach.run(_print_all(reach, limit=limit, follow=follow, least=least, as_json=as_json))


async def _print_all(reach: Reach, *, limit: int, follow: bool, least: int, as_json: bool) -> None:
    from openclaw.base.clock import SYSTEM_CLOCK

    cursor: int | None = None
    while True:
        page = await _page(reach, limit, cursor)
        cursor = page["cursor"]
        for line in page["lines"]:
            _print_line(line, least, as_json=as_json)
        if not follow:
            return
        limit = 5000
        if not page["lines"]:
            await SYSTEM_CLOCK.sleep(POLL_S)


async def _page(reach: Reach, limit: int, cursor: int | None) -> dict[str, Any]:
    """Ask the gateway; when it is down, read its file."""
    params: dict[str, Any] = {"limit": limit, "maxBytes": MAX_BYTES}
    if cursor is not None:
        params["cursor"] = cursor
    try:
        async with reach.connect() as line:
            page: dict[str, Any] = await line.call("logs.tail", params)
            return page
    except Unavailable:
        from openclaw.rpc.methods.logs import NO_CURSOR, tail
        from openclaw.telemetry.log import LOG_FILE

        file = reach.desk.paths.logs_dir / LOG_FILE
        return tail(file, NO_CURSOR if cursor is None else cursor, limit, MAX_BYTES)


def _print_line(line: str, least: int, *, as_json: bool) -> None:
    import msgspec

    try:
        entry = msgspec.json.decode(line, type=dict[str, Any])
    except msgspec.DecodeError:
        entry = {}
    level = str(entry.get("level", "info"))
    rank = LEVELS.index(level) if level in LEVELS else len(LEVELS)
    if rank < least:
        return
    if as_json or "1" not in entry:
        click.echo(line)
        return
    word = output.paint(level.ljust(7), COLOURS.get(level, "white"))
    click.echo(f"{entry.get('time', '')} {word} {entry.get('component', '')!s:12} {entry['1']}")
