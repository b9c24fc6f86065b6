"""`openclaw sessions`."""

from __future__ import annotations

from typing import Any

import click

from openclaw.base.errors import NotFound
from openclaw.cli import output
from openclaw.cli.reach import Reach, gateway_options
from openclaw.cli.terminal import confirm


@click.group(invoke_without_command=True)
@click.pass_context
def sessions(ctx: click.Context) -> None:
    """List, read, reset and delete conversations.

    \b
    Examples:
      openclaw sessions list
      openclaw sessions show main
      openclaw sessions reset main
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_)


@sessions.command(name="list")
@click.option("--agent", "agent_id", help="Only this agent's.")
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
    )


@sessions.command()
@click.argument("key")
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
            click.echo(f"  {part}")


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
@click.argument("key")
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
@click.argument("key")
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
