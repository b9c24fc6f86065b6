"""`openclaw channels` and `openclaw pairing`: chat platforms, and who writes from there. There are none yet."""

from __future__ import annotations

from typing import Any

import click

from openclaw.cli import output
from openclaw.cli.elsewhere import ABOUT_CHANNELS, elsewhere
from openclaw.cli.layout import plain
from openclaw.cli.reach import Reach, gateway_options

REQUEST = ("channel", "accountId", "senderId", "senderLabel", "requestId", "expiresAt")
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
    """Let in, or turn away, who asks on a chat channel. Devices are let in by `openclaw devices`.

    \b
    Examples:
      openclaw pairing list
      openclaw pairing approve telegram K7M2PQRS
    """


@pairing.command(name="list")
@click.argument("channel", default="")
@click.option("--senders", is_flag=True, help="Who was let in, instead.")
@output.json_option
@gateway_options
def pending(reach: Reach, channel: str, senders: bool, as_json: bool) -> None:
    """List who waits to be let in, on all channels or on one.

    \b
    Examples:
      openclaw pairing list
      openclaw pairing list telegram --senders
    """
    method = "channels.pairing.senders" if senders else "channels.pairing.list"
    found = reach.call(method, {"channel": channel} if channel else {})
    if as_json:
        output.emit_json(found)
    elif senders:
        output.table(
            ["channel", "account", "id", "name"],
            [(row["channel"], row["accountId"], row["senderId"], row["name"]) for row in found["senders"]],
            "Nobody was let in by a code.",
        )
    else:
        output.table(
            ["channel", "account", "id", "name", "request", "until"],
            [tuple(map(row.get, REQUEST)) for row in found["requests"]],
            f"Nobody asks to be let in. {NONE}",
        )


@pairing.command()
@click.argument("channel")
@click.argument("code")
@click.option("--account", default="default", show_default=True, help="The account of the channel.")
@gateway_options
def approve(reach: Reach, channel: str, code: str, account: str) -> None:
    """Let in whom a code, or the id of a request, names: to write directly to this account, and nowhere else.

    \b
    Example:
      openclaw pairing approve telegram K7M2PQRS
    """
    click.echo(f"{_decided(reach, 'approve', channel, account, code)} may write to the account {account}.")


@pairing.command()
@click.argument("channel")
@click.argument("code")
@click.option("--account", default="default", show_default=True, help="The account of the channel.")
@gateway_options
def deny(reach: Reach, channel: str, code: str, account: str) -> None:
    """Turn away whom a code, or the id of a request, names.

    \b
    Example:
      openclaw pairing deny telegram K7M2PQRS
    """
    click.echo(f"{_decided(reach, 'dismiss', channel, account, code)} was turned away.")


def _decided(reach: Reach, how: str, channel: str, account: str, code: str) -> str:
    """Decide a request, and return who made it."""
    params = {"channel": channel, "accountId": account, "requestId": code}
    return plain(f"{channel}:{reach.call(f'channels.pairing.{how}', params)['senderId']}")


@pairing.command()
@click.argument("channel")
@click.argument("sender")
@click.option("--account", default="default", show_default=True, help="The account of the channel.")
@gateway_options
def remove(reach: Reach, channel: str, sender: str, account: str) -> None:
    """Take back that somebody was let in.

    \b
    Example:
      openclaw pairing remove telegram 123456
    """
    reach.call("channels.pairing.remove", {"channel": channel, "accountId": account, "senderId": sender})
    click.echo(f"{channel}:{sender} is a stranger again.")
