"""`openclaw gateway`: run it, ask it anything, its token."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from openclaw.cli import output
from openclaw.cli.command.log import logs
from openclaw.cli.command.service import install, probe, restart, start, stop, uninstall
from openclaw.cli.command.token import token
from openclaw.cli.command.usage import days_option
from openclaw.cli.desk import Desk, json_object
from openclaw.cli.reach import Reach, gateway_options

BINDS = ["loopback", "lan", "custom"]


class RunByDefault(click.Group):
    """`openclaw gateway` and `openclaw gateway --port N` mean `openclaw gateway run …`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Insert `run` when no subcommand is named."""
        if not ctx.resilient_parsing and (
            not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names)
        ):
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group(cls=RunByDefault)
def gateway() -> None:
    """Run the gateway in the foreground, as a service, or ask a running one.

    Without a subcommand it runs: `openclaw gateway --port 9000` is `openclaw gateway run --port 9000`.

    \b
    Examples:
      openclaw gateway
      openclaw gateway run --port 9000 --verbose
      openclaw gateway install            a service that starts with the session; then: status, logs, restart
      openclaw gateway call sessions.list --params '{"limit": 5}'
    """


@gateway.command()
@click.option("--port", type=click.IntRange(1, 65_535), help="TCP port; default: the configured one (18789).")
@click.option("--bind", help=f"Addresses to listen on: {', '.join(BINDS)}, or an address.")
@click.option(
    "--config", "config_path", type=click.Path(path_type=Path), help="Configuration file: JSON5, or YAML (.yaml, .yml)."
)
@click.option("--verbose", "-v", is_flag=True, help="Log debug lines too.")
@click.option("--force", is_flag=True, help="Stop the gateway that runs on this state directory first.")
@click.option("--allow-unconfigured", is_flag=True, hidden=True, expose_value=False)  # container commands give it
def run(port: int | None, bind: str | None, config_path: Path | None, verbose: bool, force: bool) -> int:
    """Run the gateway in the foreground until it is told to stop (Ctrl-C, SIGTERM). Exit 78 on a bad configuration.

    \b
    Examples:
      openclaw gateway run
      openclaw gateway run --port 9000
    """
    from openclaw.cli.hosting import serve, stop_running
    from openclaw.gateway.run import RunOptions

    if force:
        stop_running(Desk(config_path))
    return serve(RunOptions(config_path=config_path, port=port, bind=bind, verbose=verbose))


@gateway.command()
@output.json_option
@gateway_options
def status(reach: Reach, as_json: bool) -> int:
    """Say how the service is, whether a gateway answers, and what it lets this credential do. Exit 1 when none does.

    \b
    Examples:
      openclaw gateway status
      openclaw gateway status --json
    """
    from openclaw.base.errors import OpenClawError
    from openclaw.cli.command.service import service_facts, service_lines

    service = service_facts()
    reach = reach.of_service(service.get("port", 0))
    try:
        hello = reach.run(_hello(reach))
    except OpenClawError as error:
        if as_json:
            output.emit_json({"ok": False, "url": reach.target.url, "service": service, "error": error.as_dict()})
        else:
            output.fields(service_lines(service))
            output.print_error(error)
        return 1
    if as_json:
        output.emit_json({"ok": True, "url": reach.target.url, "hello": hello, "service": service})
        return 0
    auth = hello.get("auth") or {}
    output.fields(
        {
            **service_lines(service),
            "connectivity": output.paint("ok", "green"),
            "url": reach.target.url,
            "version": (hello.get("server") or {}).get("version"),
            "protocol": hello.get("protocol"),
            "role": auth.get("role"),
            "scopes": ", ".join(auth.get("scopes", [])) or None,
        }
    )
    return 0


async def _hello(reach: Reach) -> dict[str, Any]:
    async with reach.connect() as line:
        return dict(line.hello)


@gateway.command()
@output.json_option
@gateway_options
def health(reach: Reach, as_json: bool) -> int:
    """Ask the gateway how it is (the same as `openclaw health`).

    \b
    Example:
      openclaw gateway health
    """
    from openclaw.cli.command.status import report_health

    return report_health(reach, as_json=as_json)


@gateway.command()
@click.argument("method")
@click.option("--params", default="{}", show_default=True, help="Parameters as a JSON object.")
@output.json_option
@gateway_options
def call(reach: Reach, method: str, params: str, as_json: bool) -> None:
    """Call any RPC method and print its answer as JSON.

    \b
    Examples:
      openclaw gateway call health
      openclaw gateway call chat.history --params '{"sessionKey": "main", "limit": 10}'
    """
    output.emit_json(reach.call(method, json_object(params, "--params")))


for _command in (install, uninstall, start, stop, restart, probe, logs):
    gateway.add_command(_command)


@gateway.command(name="usage-cost")
@days_option
@output.json_option
@gateway_options
def usage_cost(reach: Reach, days: int, as_json: bool) -> None:
    """Show what the days with model calls used and cost; `openclaw usage` groups by more than days.

    \b
    Example:
      openclaw gateway usage-cost --json
    """
    found = reach.call("usage.cost", {"days": days})
    if as_json:
        output.emit_json(found)
        return
    used = [day for day in found["daily"] if day["totalTokens"] or day["missingCostEntries"]]
    output.table(
        ["day", "tokens", "USD"],
        [
            (day.get("date", "all"), f"{day['totalTokens']:,}", f"{day['totalCost']:.6f}")
            for day in [*used, found["totals"]]
        ],
    )


gateway.add_command(token)
