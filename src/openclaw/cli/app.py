"""The command tree. A command's module is imported when it is named, or when help must list them all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module

import click

from openclaw.base.errors import ConfigError, InvalidRequest, OpenClawError
from openclaw.cli import output
from openclaw.cli.terminal import prepare

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
    "agents": "agents:agents",
    "status": "status:status",
    "health": "status:health",
    "config": "config:config",
    "models": "model:models",
    "sessions": "session:sessions",
    "devices": "device:devices",
    "nodes": "node:nodes",
    "usage": "usage:usage",
    "policy": "policy:policy",
    "audit": "audit:audit",
    "security": "security:security",
    "cron": "cron:cron",
    "system": "system:system",
    "approvals": "approval:approvals",
    "sandbox": "sandbox:sandbox",
    "channels": "channel:channels",
    "pairing": "channel:pairing",
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

OLD_NAMES: Mapping[str, str] = {
    "automations": "cron",
    "configure": "onboard",
    "daemon": "gateway",
    "exec-approvals": "approvals",
    "setup": "onboard",
    "tui": "chat",
}
"""What hands that used OpenClaw before may type, and the command that it means here."""


class LazyGroup(click.Group):
    """A group that knows its commands by name only."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command's module and return the command."""
        place = COMMANDS.get(OLD_NAMES.get(cmd_name, cmd_name))
        if place is None:
            from openclaw.cli.elsewhere import elsewhere

            return elsewhere(cmd_name)
        module, _, attribute = place.partition(":")
        command = getattr(import_module(f"openclaw.cli.command.{module}"), attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """See click.Group; the error of a name that is none names those that are like it."""
        if not args[0].startswith("-") and self.get_command(ctx, args[0]) is None and not ctx.resilient_parsing:
            from difflib import get_close_matches

            close = get_close_matches(args[0], [*COMMANDS, *OLD_NAMES], 3, 0.7)
            meant = f" Did you mean {' or '.join(close)}?" if close else ""
            raise click.UsageError(f"There is no command {args[0]!r}.{meant}", ctx)
        return super().resolve_command(ctx, args)


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
    """Run one command line and return its exit code.

    `config:validate` means `config validate`, and `help config` means `config --help`.
    """
    prepare()
    if arguments and arguments[0] == "help":
        arguments = [*arguments[1:], "--help"]
    group, colon, command = arguments[0].partition(":") if arguments else ("", "", "")
    if colon and group in COMMANDS:
        arguments = [group, command, *arguments[1:]]
    as_json = "--json" in arguments
    try:
        _check_text(arguments)
        result = cli.main(list(arguments), prog_name="openclaw", standalone_mode=False)
    except click.ClickException as error:
        if as_json:
            output.print_error(_usage(error), as_json=True)
        else:
            error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt) as stopped:
        if stopped.__cause__ is None:  # else click has ended the line that ^C stands on
            click.echo("", err=True)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        output.silence_stdout()
        return EXIT_FAILED
    except OpenClawError as error:
        output.print_error(error, as_json=as_json)
        return EXIT_CONFIG if isinstance(error, ConfigError) else EXIT_FAILED
    except OSError as error:
        failure = OpenClawError(f"The system refused: {error}", hint="Check the path's owner, its mode and disk space.")
        with suppress(OSError):
            output.print_error(failure, as_json=as_json)
        output.silence_stdout()  # what is still in its buffer may be what the system refused
        return EXIT_FAILED
    return result if isinstance(result, int) else 0


def _check_text(arguments: Sequence[str]) -> None:
    for argument in arguments:
        if not argument.isascii() and any("\ud800" <= char <= "\udfff" for char in argument):
            raise InvalidRequest(
                f"The argument {argument!r} is no text in this terminal's encoding.", hint="Send it as UTF-8."
            )


def _usage(error: click.ClickException) -> InvalidRequest:
    context = error.ctx if isinstance(error, click.UsageError) else None
    hint = f"`{context.command_path} --help` shows how it is used." if context else ""
    return InvalidRequest(error.format_message(), hint=hint)
