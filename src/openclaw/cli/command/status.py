"""`openclaw status` and `openclaw health`."""

from __future__ import annotations

from typing import Any

import click

from openclaw.base.errors import OpenClawError
from openclaw.cli import output
from openclaw.cli.reach import Reach, gateway_options

RECENT_SESSIONS = 5


@click.command()
@output.json_option
@gateway_options
def status(reach: Reach, as_json: bool) -> int:
    """Show in one page what runs, where, with which model, and what is wrong. Exit 1 when no gateway answers.

    \b
    Examples:
      openclaw status
      openclaw status --json | jq .gateway
    """
    facts = {"state": str(reach.desk.paths.state_dir), "config": str(reach.desk.paths.config_path)}
    try:
        live: dict[str, Any] = reach.run(_look(reach))
    except OpenClawError as error:
        if as_json:
            output.emit_json({"ok": False, **facts, "error": error.as_dict()})
        else:
            output.fields({"gateway": f"{output.paint('not reachable', 'red')} at {reach.target.url}", **facts})
            output.print_error(error)
        return 1
    if as_json:
        output.emit_json({"ok": True, **facts, **live})
        return 0
    _print(reach, facts, live)
    return 0


async def _look(reach: Reach) -> dict[str, Any]:
    async with reach.connect() as line:
        health, sessions, agents = (
            await line.call("health"),
            await line.call("sessions.list", {"limit": RECENT_SESSIONS}),
            await line.call("agents.list"),
        )
        server = line.hello.get("server", {})
    return {"server": server, "health": health, "sessions": sessions, "agents": agents}


def _print(reach: Reach, facts: dict[str, Any], live: dict[str, Any]) -> None:
    version = live["server"].get("version", "?")
    output.fields({"gateway": f"{output.paint('running', 'green')} at {reach.target.url}, version {version}", **facts})
    click.echo()
    agents = live["agents"]
    output.table(
        ["agent", "model", "workspace"],
        [
            (
                f"{each['id']}{' (default)' if each['id'] == agents.get('defaultId') else ''}",
                (each.get("model") or {}).get("primary", ""),
                each.get("workspace", ""),
            )
            for each in agents.get("agents", [])
        ],
    )
    rows = live["sessions"].get("sessions", [])
    if rows:
        click.echo()
        now = live["sessions"].get("ts", 0)
        output.table(
            ["session", "tokens", "used"],
            [(each["key"], each.get("totalTokens", 0), output.ago(each.get("updatedAt"), now)) for each in rows],
        )


@click.command()
@output.json_option
@gateway_options
def health(reach: Reach, as_json: bool) -> int:
    """Ask the gateway how it is. Exit 1 when it does not answer or is not well."""
    return report_health(reach, as_json=as_json)


def report_health(reach: Reach, *, as_json: bool) -> int:
    """Print the gateway's health; return the exit code."""
    found = reach.call("health", {"probe": True})
    if as_json:
        output.emit_json(found)
    else:
        word = output.paint("ok", "green") if found.get("ok") else output.paint("not ok", "red")
        click.echo(
            f"{word}: {len(found.get('agents', []))} agents, {found.get('sessions', {}).get('count', 0)} sessions"
        )
    return 0 if found.get("ok") else 1
