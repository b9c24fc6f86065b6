"""`openclaw sessions`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from openclaw.base.errors import Conflict, NotFound
from openclaw.cli import output
from openclaw.cli.completing import agent_ids, session_keys
from openclaw.cli.layout import spelled_out
from openclaw.cli.reach import Reach, gateway_options
from openclaw.cli.terminal import confirm, is_terminal

SUFFIXES = {".json": "json", ".jsonl": "jsonl"}


@click.group(invoke_without_command=True)
@click.pass_context
def sessions(ctx: click.Context) -> None:
    """List, read, export, reset and delete conversations.

    \b
    Examples:
      openclaw sessions list
      openclaw sessions show main
      openclaw sessions export main > main.md
      openclaw sessions reset main
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_)


@sessions.command(name="list")
@click.option("--agent", "agent_id", shell_complete=agent_ids, help="Only this agent's.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many.")
@output.json_option
@gateway_options
def list_(reach: Reach, agent_id: str | None, limit: int, as_json: bool) -> None:
    """List the sessions, latest first.

    \b
    Example:
      openclaw sessions list --limit 10
    """
    params: dict[str, Any] = {"limit": limit}
    if agent_id:
        params["agentId"] = agent_id
    from openclaw.base.clock import SYSTEM_CLOCK

    found = reach.call("sessions.list", params)
    if as_json:
        output.emit_json(found)
        return
    now = SYSTEM_CLOCK.now_ms()
    output.table(
        ["key", "model", "tokens", "used"],
        [
            (
                row["key"],
                "/".join(filter(None, (row.get("modelProvider"), row.get("model")))),
                row.get("totalTokens", 0),
                output.ago(row.get("updatedAt"), now),
            )
            for row in found.get("sessions", [])
        ],
        "There are no sessions yet: `openclaw chat` begins one.",
    )


@sessions.command()
@click.argument("key", shell_complete=session_keys)
@click.option("--limit", type=click.IntRange(1, 1000), default=200, show_default=True, help="Messages, the last ones.")
@output.json_option
@gateway_options
def show(reach: Reach, key: str, limit: int, as_json: bool) -> None:
    """Print a session's transcript.

    \b
    Example:
      openclaw sessions show agent:main:main --limit 20
    """
    found = reach.call("chat.history", {"sessionKey": key, "limit": limit})
    if as_json:
        output.emit_json(found)
        return
    messages = found.get("messages", [])
    if not messages:
        raise NotFound(f"Session {key} has no messages.", hint="`openclaw sessions list` names the sessions.")
    for message in messages:
        click.echo(output.paint(f"{message.get('role', '?')}:", "cyan"))
        for part in _parts(message.get("content")):
            click.echo(f"  {spelled_out(part) if is_terminal(sys.stdout) else part}")


def _parts(content: object) -> list[str]:
    """Return one line of text per part: the text itself, or what the part is."""
    import msgspec

    if isinstance(content, str):
        return [content]
    lines = []
    for part in content if isinstance(content, list) else []:
        shown = part.get("text") if isinstance(part, dict) else None
        lines.append(str(shown) if shown is not None else msgspec.json.encode(part).decode())
    return lines


@sessions.command()
@click.argument("key", shell_complete=session_keys)
@click.option(
    "--format",
    "form",
    type=click.Choice(["markdown", "json", "jsonl"]),
    help="Default: what --output ends with, else markdown.",
)
@click.option("--output", "-o", "target", type=click.Path(path_type=Path), help="New file, for its owner alone.")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@gateway_options
def export(reach: Reach, key: str, form: str | None, target: Path | None, as_json: bool) -> None:
    """Write a session's whole transcript, from its beginning, also what was summarised since.

    \b
    Examples:
      openclaw sessions export main > main.md
      openclaw sessions export agent:main:holiday --output holiday.jsonl
      openclaw sessions export main --json | jq '.messages | length'
    """
    from openclaw.cli.transcript import FORMS
    from openclaw.cli.transcript import export as write_all

    ending = SUFFIXES.get(target.suffix, "markdown") if target else "markdown"
    chosen = FORMS["json" if as_json else form or ending]()
    if target is None:
        shown = spelled_out if is_terminal(sys.stdout) else str
        reach.run(write_all(reach, key, chosen, lambda text: click.echo(shown(text).encode(), nl=False)))
        return
    try:
        file = os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8")
    except FileExistsError:
        raise Conflict(f"{target} exists already.", hint="Name another file, or move that one away.") from None
    try:
        with file:
            count = reach.run(write_all(reach, key, chosen, file.write))
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    click.echo(f"{output.counted(count, 'message')} of {key} are in {target}.", err=as_json)


@sessions.command()
@click.argument("key", shell_complete=session_keys)
@gateway_options
def reset(reach: Reach, key: str) -> None:
    """Start a session afresh; the old transcript stays in the archive.

    \b
    Example:
      openclaw sessions reset agent:main:main
    """
    reach.call("sessions.reset", {"key": key})
    click.echo(f"{key} starts afresh.")


@sessions.command()
@click.argument("key", shell_complete=session_keys)
@click.option("--yes", is_flag=True, help="Do not ask.")
@gateway_options
def delete(reach: Reach, key: str, yes: bool) -> None:
    """Delete a session with its transcripts.

    \b
    Example:
      openclaw sessions delete agent:main:main --yes
    """
    if not yes:
        confirm(f"Delete {key} and everything said in it?")
    found = reach.call("sessions.delete", {"key": key})
    if not found.get("deleted", found.get("ok")):
        raise NotFound(f"There is no session {key}.", hint="`openclaw sessions list` names the sessions.")
    click.echo(f"{key} is deleted.")
