"""The command tree. A command's module is imported when it is named, or when help must list them all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module

import click

from openclaw.base.errors import ConfigError, OpenClawError
from openclaw.cli import output

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_CONFIG = 78
EXIT_INTERRUPTED = 130

COMMANDS: Mapping[str, str] = {
    "up": "up:up",
    "onboard": "onboard:onboard",
    "gateway": "gateway:gateway",
    "chat": "chat:chat",
    "dashboard": "dashboard:dashboard",
    "agent": "agent:agent",
    "status": "status:status",
    "health": "status:health",
    "config": "config:config",
    "models": "model:models",
    "sessions": "session:sessions",
    "devices": "device:devices",
    "nodes": "node:nodes",
    "usage": "usage:usage",
    "audit": "audit:audit",
    "cron": "cron:cron",
    "system": "system:system",
    "approvals": "approval:approvals",
    "channels": "channel:channels",
    "skills": "skill:skills",
    "actions": "action:actions",
    "mcp": "mcp:mcp",
    "secrets": "secret:secrets",
    "logs": "log:logs",
    "backup": "backup:backup",
    "doctor": "doctor:doctor",
    "version": "version:version",
    "upgrade": "upgrade:upgrade",
    "completion": "completion:completion",
}
"""Command name to `module:attribute` under openclaw.cli.command."""


class LazyGroup(click.Group):
    """A group that knows its commands by name only."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command's module and return the command."""
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, _, attribute = place.partition(":")
        command = getattr(import_module(f"openclaw.cli.command.{module}"), attribute)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version",
    "-V",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=output.print_version,
    help="Print the version and leave.",
)
def cli() -> None:
    """A self-hosted AI agent gateway.

    \b
    Examples:
      openclaw up                         start, ask a first question, chat
      openclaw gateway                    run the gateway in the foreground
      openclaw agent --message "Hello"    one turn
      openclaw doctor                     find out what is wrong
    """


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code. `config:validate` means `config validate`."""
    group, colon, command = arguments[0].partition(":") if arguments else ("", "", "")
    if colon and group in COMMANDS:
        arguments = [group, command, *arguments[1:]]
    try:
        result = cli.main(list(arguments), prog_name="openclaw", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("", err=True)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        output.silence_stdout()
        return EXIT_FAILED
    except OpenClawError as error:
        output.print_error(error, as_json="--json" in arguments)
        return EXIT_CONFIG if isinstance(error, ConfigError) else EXIT_FAILED
    except OSError as error:
        failure = OpenClawError(f"The system refused: {error}", hint="Check the path's owner, its mode and disk space.")
        output.print_error(failure, as_json="--json" in arguments)
        return EXIT_FAILED
    return result if isinstance(result, int) else 0
