"""`openclaw channels` and `openclaw pairing`: chat platforms, and who writes from there. There are none yet."""

from __future__ import annotations

from typing import Any

import click

from openclaw.cli import output
from openclaw.cli.elsewhere import ABOUT_CHANNELS, elsewhere
from openclaw.cli.reach import Reach, gateway_options

NONE = "There are no channels: this version has none yet."


class WithoutChannels(click.Group):
    """A group whose other verbs, which need a channel, say that there is none."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; for a verb that needs a channel, one that says so."""
        return super().get_command(ctx, cmd_name) or elsewhere(cmd_name, ABOUT_CHANNELS)


@click.group(cls=WithoutChannels)
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
    _show(reach.call("channels.status", {"probe": probe}), as_json=as_json)


@channels.command(name="list")
@output.json_option
@gateway_options
def list_(reach: Reach, as_json: bool) -> None:
    """List the channels.

    \b
    Example:
      openclaw channels list
    """
    _show(reach.call("channels.status", {"probe": False}), as_json=as_json)


def _show(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        output.emit_json(found)
        return
    rows = [
        (found["channelLabels"].get(name, name), account["accountId"], "running" if account.get("running") else "off")
        for name in found["channelOrder"]
        for account in found["channelAccounts"].get(name, [])
    ]
    output.table(["channel", "account", "state"], rows, NONE)


@click.group(cls=WithoutChannels)
def pairing() -> None:
    """Show who on a chat channel asks to be let in. Devices are let in by `openclaw devices`.

    \b
    Examples:
      openclaw pairing list
    """


@pairing.command(name="list")
@click.argument("channel", default="")
@output.json_option
@gateway_options
def pending(reach: Reach, channel: str, as_json: bool) -> None:
    """List who waits to be let in, on all channels or on one.

    \b
    Example:
      openclaw pairing list
    """
    found = reach.call("channels.pairing.list", {"channel": channel} if channel else {})
    if as_json:
        output.emit_json(found)
        return
    output.table(
        ["channel", "who", "code"],
        [(row.get("channel"), row.get("senderId"), row.get("code")) for row in found["requests"]],
        f"Nobody asks to be let in. {NONE}",
    )
