"""`openclaw mcp`: the MCP servers of the configuration, tried from here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from openclaw.cli import output
from openclaw.cli.desk import Desk, run

if TYPE_CHECKING:
    from openclaw.tools.mcp.api import ServerStatus

DEFAULT_WAIT_S = 30


@click.group()
def mcp() -> None:
    """Look at the MCP servers whose tools agents may use.

    \b
    Examples:
      openclaw mcp list
    """


@mcp.command(name="list")
@click.option(
    "--timeout",
    "wait_s",
    type=click.FloatRange(min=0.1),
    default=DEFAULT_WAIT_S,
    show_default=True,
    help="Seconds to wait for the slowest server.",
)
@output.json_option
def list_(wait_s: float, as_json: bool) -> int:
    """Start every server, list its tools, and end it again. Exit 1 when one cannot be used. Needs no gateway.

    \b
    Example:
      openclaw mcp list
    """
    desk = Desk()
    servers = run(_tried(desk, wait_s))
    disabled = sorted(name for name, config in desk.loaded.config.mcp.servers.items() if not config.enabled)
    if as_json:
        output.emit_json({"servers": servers, "disabled": disabled})
    else:
        _show(servers, disabled)
    return 0 if all(each.state == "ready" for each in servers) else 1


async def _tried(desk: Desk, wait_s: float) -> list[ServerStatus]:
    import asyncio
    import contextlib

    from openclaw import __version__
    from openclaw.base.clock import SYSTEM_CLOCK
    from openclaw.net.http import HttpClient
    from openclaw.net.onward import onward
    from openclaw.processes.spawner import Spawner
    from openclaw.tools.mcp.room import McpRoom

    workspace = desk.workspace()
    workspace.mkdir(parents=True, exist_ok=True, mode=0o700)
    carrier = onward(desk.loaded)
    http, spawner = HttpClient(user_agent=f"openclaw/{__version__}", carrier=carrier), Spawner(desk.env)
    room = McpRoom(desk.loaded.config.mcp.servers, spawner, SYSTEM_CLOCK, http=http, cwd=workspace, version=__version__)
    try:
        await room.start()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(room.tried(), wait_s)
        return room.servers()
    finally:
        await room.close()
        await spawner.close()
        await http.close()


def _show(servers: list[ServerStatus], disabled: list[str]) -> None:
    if not servers and not disabled:
        click.echo("No MCP server is configured. See mcp.servers in the settings.")
        return
    rows: list[tuple[str, ...]] = [
        (each.name, each.state, each.transport, each.server, each.protocol, str(len(each.tools))) for each in servers
    ]
    rows += [(name, "disabled", "", "", "", "") for name in disabled]
    output.table(["server", "state", "transport", "calls itself", "protocol", "tools"], rows)
    for each in servers:
        for name in each.tools:
            click.echo(f"  {name}")
        if each.state == "connecting":
            click.echo(f"{output.mark('error')}  {each.name}: it has not answered yet", err=True)
        elif each.problem:
            kind = "warning" if each.state == "ready" else "error"
            click.echo(f"{output.mark(kind)}  {each.name}: {each.problem}", err=True)
