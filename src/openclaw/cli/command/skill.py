"""`openclaw skills`."""

from __future__ import annotations

from typing import Any

import click

from openclaw.cli import output
from openclaw.cli.reach import Reach, gateway_options


@click.group()
def skills() -> None:
    """Show the skills in an agent's workspace and in the managed folder.

    \b
    Examples:
      openclaw skills list
      openclaw skills list --eligible --agent main
    """


@skills.command(name="list")
@click.option("--agent", "agent_id", help="Whose skills; default the default agent's.")
@click.option("--eligible", is_flag=True, help="Only those that lack nothing.")
@output.json_option
@gateway_options
def list_(reach: Reach, agent_id: str | None, eligible: bool, as_json: bool) -> None:
    """List the skills and what each of them lacks.

    \b
    Example:
      openclaw skills list --eligible
    """
    found = reach.call("skills.status", {"agentId": agent_id} if agent_id else {})
    if eligible:
        found["skills"] = [skill for skill in found["skills"] if skill["eligible"]]
    if as_json:
        output.emit_json(found)
        return
    if not found["skills"]:
        click.echo(f"There are no skills in {found['workspaceDir']}/skills or {found['managedSkillsDir']}.")
        return
    output.table(
        ["skill", "from", "state", "what it does"],
        [(skill["name"], skill["source"], _state(skill), skill["description"][:80]) for skill in found["skills"]],
    )


def _state(skill: dict[str, Any]) -> str:
    missing = [name for names in skill["missing"].values() for name in names]
    return "ready" if skill["eligible"] else f"lacks {', '.join(missing)}"
