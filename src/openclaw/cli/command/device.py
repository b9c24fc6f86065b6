"""`openclaw devices`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from openclaw.base.errors import InvalidRequest, NotFound
from openclaw.cli import output
from openclaw.cli.layout import plain
from openclaw.cli.reach import Reach, gateway_options
from openclaw.cli.terminal import confirm

F = TypeVar("F", bound=Callable[..., Any])
SHOWN = 12
"""Characters of an id that tables show; any unambiguous beginning names a device or a request."""


def role_option(command: F) -> F:
    """Add `--role` to a command about a token."""
    role = click.Choice(["operator", "node"])
    return click.option("--role", type=role, default="operator", show_default=True, help="Which of its tokens.")(
        command
    )


@click.group(invoke_without_command=True)
@click.pass_context
def devices(ctx: click.Context) -> None:
    """Let devices in, and shut them out again.

    \b
    Examples:
      openclaw devices list
      openclaw devices approve 3f2c
      openclaw devices code --public-url wss://gateway.example
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_)


@devices.command(name="list")
@output.json_option
@gateway_options
def list_(reach: Reach, as_json: bool) -> None:
    """List the devices that wait for a decision, and those that are paired.

    \b
    Example:
      openclaw devices list
    """
    found = reach.call("device.pair.list")
    if as_json:
        output.emit_json(found)
        return
    from openclaw.base.clock import SYSTEM_CLOCK

    now = SYSTEM_CLOCK.now_ms()
    if found["pending"]:
        output.table(
            ["request", "device", "name", "role", "scopes", "from", "asked"],
            [
                (
                    row["requestId"][:SHOWN],
                    row["deviceId"][:SHOWN],
                    _name(row),
                    row.get("role"),
                    _scopes(row),
                    row.get("remoteIp"),
                    output.ago(row.get("ts"), now),
                )
                for row in found["pending"]
            ],
        )
        click.echo("")
    output.table(
        ["device", "name", "roles", "scopes", "connected", "paired"],
        [
            (
                row["deviceId"][:SHOWN],
                _name(row),
                ", ".join(row.get("roles", [])),
                _scopes(row),
                "yes" if row.get("connected") else "",
                output.ago(row.get("approvedAtMs"), now),
            )
            for row in found["paired"]
        ],
        "No device is paired: `openclaw devices code` lets one in.",
    )


def _name(row: Mapping[str, Any]) -> str:
    return plain(str(row.get("displayName") or "/".join(filter(None, (row.get("clientId"), row.get("platform"))))))


def _scopes(row: Mapping[str, Any]) -> str:
    return ", ".join(str(scope).removeprefix("operator.") for scope in row.get("scopes", []))


def _row(reach: Reach, part: str, kind: str, beginning: str) -> dict[str, Any]:
    """Return the one row of device.pair.list whose id begins so.

    Raises: NotFound, InvalidRequest when it is several.
    """
    rows = [row for row in reach.call("device.pair.list")[part] if row[kind].startswith(beginning)]
    if not rows:
        raise NotFound(f"There is no {part} device {beginning}.", hint="`openclaw devices list` shows them.")
    if len(rows) > 1:
        raise InvalidRequest(f"{beginning} could be any of {len(rows)} devices.", hint="Write more of its id.")
    found: dict[str, Any] = rows[0]
    return found


def _device(reach: Reach, beginning: str) -> str:
    return str(_row(reach, "paired", "deviceId", beginning)["deviceId"])


@devices.command()
@click.argument("request")
@output.json_option
@gateway_options
def approve(reach: Reach, request: str, as_json: bool) -> None:
    """Give a device what it asks for. REQUEST is the beginning of the request's id.

    \b
    Example:
      openclaw devices approve 1f6c
    """
    row = _row(reach, "pending", "requestId", request)
    found = reach.call("device.pair.approve", {"requestId": row["requestId"]})
    if as_json:
        output.emit_json(found)
        return
    click.echo(
        f"{_name(row)} ({row['deviceId'][:SHOWN]}) is paired as {row.get('role')}: {_scopes(row) or 'no scopes'}."
    )


@devices.command()
@click.argument("request")
@gateway_options
def reject(reach: Reach, request: str) -> None:
    """Refuse a device what it asks for. REQUEST is the beginning of the request's id.

    \b
    Example:
      openclaw devices reject 1f6c
    """
    row = _row(reach, "pending", "requestId", request)
    reach.call("device.pair.reject", {"requestId": row["requestId"]})
    click.echo(f"{_name(row)} ({row['deviceId'][:SHOWN]}) is refused.")


@devices.command()
@click.argument("device")
@click.option("--yes", is_flag=True, help="Do not ask.")
@gateway_options
def remove(reach: Reach, device: str, yes: bool) -> None:
    """Forget a device and close its connections. DEVICE is the beginning of its id.

    \b
    Example:
      openclaw devices remove 9ab2 --yes
    """
    row = _row(reach, "paired", "deviceId", device)
    if not yes:
        confirm(f"Remove {_name(row)} ({row['deviceId'][:SHOWN]})?")
    reach.call("device.pair.remove", {"deviceId": row["deviceId"]})
    click.echo(f"{_name(row)} ({row['deviceId'][:SHOWN]}) is removed.")


@devices.command()
@click.argument("device")
@click.argument("label")
@gateway_options
def rename(reach: Reach, device: str, label: str) -> None:
    """Give a device a name. DEVICE is the beginning of its id.

    \b
    Example:
      openclaw devices rename 9ab2 "Kitchen tablet"
    """
    device_id = _device(reach, device)
    reach.call("device.pair.rename", {"deviceId": device_id, "label": label})
    click.echo(f"{device_id[:SHOWN]} is called {label}.")


@devices.command()
@click.argument("device")
@role_option
@click.option("--scope", "scopes", multiple=True, help="Scope of the new token; may be repeated. Default: as before.")
@output.json_option
@gateway_options
def rotate(reach: Reach, device: str, role: str, scopes: tuple[str, ...], as_json: bool) -> None:
    """Replace a device's token and close what came by the old one. DEVICE is the beginning of its id.

    \b
    Example:
      openclaw devices rotate 9ab2 --role operator
    """
    device_id = _device(reach, device)
    params: dict[str, Any] = {"deviceId": device_id, "role": role}
    if scopes:
        params["scopes"] = list(scopes)
    found = reach.call("device.token.rotate", params)
    if as_json:
        output.emit_json(found)
        return
    click.echo(f"{device_id[:SHOWN]} has another {role} token; it is given it when it connects with the gateway token.")


@devices.command()
@click.argument("device")
@role_option
@gateway_options
def revoke(reach: Reach, device: str, role: str) -> None:
    """Make a device's token worthless and close its connections. DEVICE is the beginning of its id.

    \b
    Example:
      openclaw devices revoke 9ab2 --role operator
    """
    device_id = _device(reach, device)
    reach.call("device.token.revoke", {"deviceId": device_id, "role": role})
    click.echo(f"The {role} token of {device_id[:SHOWN]} is revoked.")


@devices.command()
@click.option("--public-url", default="", help="How the device reaches this gateway, e.g. wss://gateway.example.")
@click.option(
    "--access",
    type=click.Choice(["full", "limited", "node"]),
    default="full",
    show_default=True,
    help="What the device may do: administer, use, or only be invoked.",
)
@click.option("--revoke", "revoked", default="", metavar="ID", help="Make an unused code worthless instead.")
@click.option("--list", "listed", is_flag=True, help="List the codes of late instead.")
@output.json_option
@gateway_options
def code(reach: Reach, public_url: str, access: str, revoked: str, listed: bool, as_json: bool) -> None:
    """Make a setup code: it pairs one device, once, within ten minutes.

    \b
    Examples:
      openclaw devices code
      openclaw devices code --public-url wss://gateway.example --access node
      openclaw devices code --list
    """
    if revoked:
        reach.call("device.pair.setupRevoke", {"setupId": revoked})
        click.echo(f"The code {revoked} is revoked.")
        return
    if listed:
        _list_codes(reach, as_json=as_json)
        return
    params: dict[str, Any] = {"publicUrl": public_url} if public_url else {}
    if access != "full":
        params["bootstrapProfile"] = access
    found = reach.call("device.pair.setupCode", params)
    if as_json:
        output.emit_json(found)
        return
    output.fields(
        {"code": found["setupCode"], "gateway": found["gatewayUrl"], "access": found["access"], "id": found["setupId"]}
    )
    if found.get("accessDowngraded"):
        click.echo("The way to this gateway is not encrypted: the code gives limited access. Use a wss:// URL.")


def _list_codes(reach: Reach, *, as_json: bool) -> None:
    found = reach.call("device.pair.setupList")
    if as_json:
        output.emit_json(found)
        return
    from openclaw.base.clock import SYSTEM_CLOCK

    now = SYSTEM_CLOCK.now_ms()
    output.table(
        ["id", "access", "state", "device", "made"],
        [
            (
                row["setupId"],
                row["access"],
                row["state"],
                row.get("deviceId", "")[:SHOWN],
                output.ago(row["createdAtMs"], now),
            )
            for row in found["setups"]
        ],
        "There are no codes.",
    )
