"""`openclaw system`."""

from __future__ import annotations

from typing import Any

import click

from openclaw.cli import output
from openclaw.cli.reach import Reach, gateway_options


@click.group()
def system() -> None:
    """Notes for an agent, its heartbeats, and who is connected.

    \b
    Examples:
      openclaw system event "The build is red" --now
      openclaw system heartbeat last
      openclaw system presence
    """


@system.command()
@click.argument("text")
@click.option("--now", is_flag=True, help="Let the agent look at once; else before the next message or heartbeat.")
@click.option("--session", "session_key", help="Session it is for; default: the main one.")
@output.json_option
@gateway_options
def event(reach: Reach, text: str, now: bool, session_key: str | None, as_json: bool) -> None:
    """Leave a note that stands before the session's next message.

    \b
    Example:
      openclaw system event "The build is green" --now
    """
    params: dict[str, Any] = {"mode": "now" if now else "next-heartbeat", "text": text}
    if session_key:
        params["sessionKey"] = session_key
    found = reach.call("wake", params)
    if as_json:
        output.emit_json(found)
    else:
        click.echo("The agent looks at it now." if now else "It waits for the next message or heartbeat.")


@system.group()
def heartbeat() -> None:
    """Turns that agents take on their own: how the last one went, and switching them off.

    \b
    Examples:
      openclaw system heartbeat last
      openclaw system heartbeat disable
    """


@heartbeat.command()
@output.json_option
@gateway_options
def last(reach: Reach, as_json: bool) -> None:
    """Show how the last heartbeat went.

    \b
    Example:
      openclaw system heartbeat last
    """
    found = reach.call("last-heartbeat")
    if as_json:
        output.emit_json(found)
    elif found is None:
        click.echo("There was none since the gateway started.")
    else:
        from openclaw.base.clock import SYSTEM_CLOCK

        when = output.ago(found["ts"], SYSTEM_CLOCK.now_ms())
        output.fields(
            {"when": when, **{name: found.get(name) for name in ("status", "reason", "preview")}},
        )


@heartbeat.command()
@gateway_options
def enable(reach: Reach) -> None:
    """Let heartbeats come as the configuration says.

    \b
    Example:
      openclaw system heartbeat enable
    """
    reach.call("set-heartbeats", {"enabled": True})
    click.echo("Heartbeats come as configured.")


@heartbeat.command()
@gateway_options
def disable(reach: Reach) -> None:
    """Stop all heartbeats until the gateway's next start.

    \b
    Example:
      openclaw system heartbeat disable
    """
    reach.call("set-heartbeats", {"enabled": False})
    click.echo("No heartbeats until the next start.")


@system.command()
@output.json_option
@gateway_options
def presence(reach: Reach, as_json: bool) -> None:
    """List the gateway and its clients.

    \b
    Example:
      openclaw system presence
    """
    found = reach.call("system-presence")
    if as_json:
        output.emit_json(found)
        return
    from openclaw.base.clock import SYSTEM_CLOCK

    now = SYSTEM_CLOCK.now_ms()
    output.table(
        ["host", "mode", "version", "platform", "reason", "seen"],
        [
            (
                *(row.get(name, "") for name in ("host", "mode", "version", "platform", "reason")),
                output.ago(row.get("ts"), now),
            )
            for row in found
        ],
    )
