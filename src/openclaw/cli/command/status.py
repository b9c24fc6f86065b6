"""`openclaw status` and `openclaw health`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from openclaw.base.errors import OpenClawError
from openclaw.cli import output
from openclaw.cli.layout import plain
from openclaw.cli.reach import Reach, gateway_options

if TYPE_CHECKING:
    from openclaw.ops.quotas import Size

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
    paths = reach.desk.paths
    facts = {"state": str(paths.state_dir), "config": str(paths.config_path), "backup": _last_backup(paths.state_dir)}
    rooms = _rooms(reach)
    try:
        live: dict[str, Any] = reach.run(_look(reach))
    except OpenClawError as error:
        if as_json:
            output.emit_json({"ok": False, **facts, "rooms": rooms, "error": error.as_dict()})
        else:
            output.fields({"gateway": f"{output.paint('not reachable', 'red')} at {reach.target.url}", **facts})
            _print_rooms(rooms)
            output.print_error(error)
        return 1
    if as_json:
        output.emit_json({"ok": True, **facts, **live, "rooms": rooms})
        return 0
    _print(reach, facts, live)
    _print_rooms(rooms)
    return 0


def _rooms(reach: Reach) -> list[Size]:
    """Return what this machine's state directory holds; [] when there is none."""
    from openclaw.ops.quotas import sizes

    desk = reach.desk
    return sizes(desk.paths.state_dir, desk.loaded.config.storage.quotas) if desk.paths.state_dir.is_dir() else []


def _print_rooms(rooms: list[Size]) -> None:
    shown = [room for room in rooms if room.files]
    if not shown:
        return
    click.echo()
    output.table(
        ["room", "files", "size", "at most"],
        [
            (
                room.room,
                room.files,
                f"{'over ' if room.partial else ''}{output.size(room.bytes)}",
                output.size(room.cap) if room.cap else room.kept,
            )
            for room in shown
        ],
    )


def _last_backup(state_dir: Path) -> str:
    from openclaw.base.clock import SYSTEM_CLOCK
    from openclaw.ops.backup.runs import read_runs

    runs = read_runs(state_dir)
    if not runs:
        return "none: openclaw backup create"
    when = output.ago(runs[-1].at_ms, SYSTEM_CLOCK.now_ms())
    return f"{when}, {runs[-1].where}" if runs[-1].ok else f"failed {when}: {runs[-1].error}"


async def _look(reach: Reach) -> dict[str, Any]:
    async with reach.connect() as line:
        health, sessions, agents, now = (
            await line.call("health"),
            await line.call("sessions.list", {"limit": RECENT_SESSIONS}),
            await line.call("agents.list"),
            await line.call("status"),
        )
        server = line.hello.get("server", {})
        try:
            widenings = (await line.call("policy.widenings"))["widenings"]
        except OpenClawError:  # another credential than an administrator's, or an older gateway
            widenings = []
    reload = now.get("configReload") or {}
    found = {"server": server, "health": health, "sessions": sessions, "agents": agents, "configReload": reload}
    return found | {"widenings": widenings}


def _print(reach: Reach, facts: dict[str, Any], live: dict[str, Any]) -> None:
    version = live["server"].get("version", "?")
    output.fields(
        {
            "gateway": f"{output.paint('running', 'green')} at {reach.target.url}, version {version}",
            **facts,
            "restart needed": ", ".join(live["configReload"].get("restartRequired", ())) or None,
            "not taken up": live["configReload"].get("problem") or None,
        }
    )
    for each in live["widenings"]:
        what = plain(f"{each['door']} is open to {each['value']} ({each['ticket']})")
        click.echo(f"{output.mark('warning')} {what}: openclaw policy narrow {each['id']}")
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
    """Ask the gateway how it is. Exit 1 when it does not answer or is not well.

    \b
    Example:
      openclaw health
    """
    return report_health(reach, as_json=as_json)


def report_health(reach: Reach, *, as_json: bool) -> int:
    """Print the gateway's health; return the exit code."""
    found = reach.call("health", {"probe": True})
    if as_json:
        output.emit_json(found)
    else:
        word = output.paint("ok", "green") if found.get("ok") else output.paint("not ok", "red")
        click.echo(
            f"{word}: {output.counted(len(found.get('agents', [])), 'agent')}, "
            f"{output.counted(found.get('sessions', {}).get('count', 0), 'session')}"
        )
    return 0 if found.get("ok") else 1
