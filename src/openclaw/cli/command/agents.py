"""`openclaw agents`: the agents of the configuration."""

from __future__ import annotations

from typing import Any

import click

from openclaw.cli import output
from openclaw.cli.completing import agent_ids, model_refs
from openclaw.cli.reach import Reach, gateway_options
from openclaw.cli.terminal import confirm


@click.group(invoke_without_command=True)
@click.pass_context
def agents(ctx: click.Context) -> None:
    """List the agents, add one, remove one. The configuration's comments stay, and each change is recorded.

    \b
    Examples:
      openclaw agents list
      openclaw agents add Planner --model anthropic/claude-sonnet-4-5
      openclaw agents remove planner
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_)


@agents.command(name="list")
@output.json_option
@gateway_options
def list_(reach: Reach, as_json: bool) -> None:
    """List the agents, the default one first.

    \b
    Example:
      openclaw agents list
    """
    found = reach.call("agents.list")
    default = found.get("defaultId")
    rows = [
        {
            "id": row["id"],
            "name": row.get("name") or row["id"],
            "isDefault": row["id"] == default,
            "model": (row.get("model") or {}).get("primary"),
            "workspace": row.get("workspace"),
        }
        for row in found["agents"]
    ]
    if as_json:
        output.emit_json(rows)
        return
    output.table(
        ["agent", "name", "model", "workspace"],
        [
            (f"{row['id']}{' (default)' if row['isDefault'] else ''}", row["name"], row["model"], row["workspace"])
            for row in rows
        ],
    )


@agents.command()
@click.argument("name")
@click.option("--workspace", default="", metavar="DIR", help="Its folder; default: one of its own in the state.")
@click.option("--model", default="", shell_complete=model_refs, help="Its model; default: that of all agents.")
@click.option("--emoji", default="", help="Shown beside its name.")
@output.json_option
@gateway_options
def add(reach: Reach, name: str, workspace: str, model: str, emoji: str, as_json: bool) -> None:
    """Add an agent. Its id is made from NAME; it is there at once.

    \b
    Examples:
      openclaw agents add Planner
      openclaw agents add "Code review" --workspace ~/review --model openai/gpt-5
    """
    given = {"name": name, "workspace": workspace, "model": model, "emoji": emoji}
    found = reach.call("agents.create", {key: value for key, value in given.items() if value or key == "name"})
    if as_json:
        output.emit_json(found)
        return
    click.echo(f"The agent {found['agentId']} works in {found['workspace']}.")
    click.echo(f'Try it: openclaw agent --agent {found["agentId"]} --message "Hello"')


@agents.command()
@click.argument("agent_id", metavar="ID", shell_complete=agent_ids)
@click.option("--keep-files", is_flag=True, help="Leave its folders where they are.")
@click.option("--yes", "--force", "yes", is_flag=True, help="Do not ask.")
@output.json_option
@gateway_options
def remove(reach: Reach, agent_id: str, keep_files: bool, yes: bool, as_json: bool) -> None:
    """Remove an agent and its bindings. Its folders go to the trash of the state directory; its sessions stay.

    \b
    Examples:
      openclaw agents remove planner
      openclaw agents remove planner --keep-files --yes
    """
    if not yes:
        confirm(f"Remove the agent {agent_id}?")
    found = reach.call("agents.delete", {"agentId": agent_id, "deleteFiles": not keep_files})
    if as_json:
        output.emit_json(found)
        return
    click.echo(f"The agent {agent_id} is removed{_bindings(found)}.")
    for each in found["removed"]:
        click.echo(f"  to the trash: {each['path']}")
    for each in found.get("failed", []):
        click.echo(f"  stays: {each['path']} ({each['reason']})", err=True)


def _bindings(found: dict[str, Any]) -> str:
    count = found.get("removedBindings", 0)
    return f", with {output.counted(count, 'binding')}" if count else ""
