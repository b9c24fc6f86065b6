"""`openclaw channels`."""

from __future__ import annotations

import click

from openclaw.cli import output
from openclaw.cli.reach import Reach, gateway_options


@click.group()
def channels() -> None:
    """Show the chat channels and how they stand.

    \b
    Examples:
      openclaw channels status
    """


@channels.command()
@click.option("--probe", is_flag=True, help="Ask the platforms too, not only what the gateway knows.")
@output.json_option
@gateway_options
def status(reach: Reach, probe: bool, as_json: bool) -> None:
    """Show every channel's accounts.

    \b
    Example:
      openclaw channels status --probe
    """
    _show(reach, probe=probe, as_json=as_json)


@channels.command(name="list")
@output.json_option
@gateway_options
def list_(reach: Reach, as_json: bool) -> None:
    """List the channels.

    \b
    Example:
      openclaw channels list
    """
    _show(reach, probe=False, as_json=as_json)


def _show(reach: Reach, *, probe: bool, as_json: bool) -> None:
    found = reach.call("channels.status", {"probe": probe})
    if as_json:
        output.emit_json(found)
        return
    rows = [
        (found["channelLabels"].get(name, name), account["accountId"], "running" if account.get("running") else "off")
        for name in found["channelOrder"]
        for account in found["channelAccounts"].get(name, [])
    ]
    if rows:
        output.table(["channel", "account", "state"], rows)
    else:
        click.echo("There are no channels: this version has none yet.")
