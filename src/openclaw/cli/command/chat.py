"""`openclaw chat`: a terminal chat."""

from __future__ import annotations

import click

from openclaw.cli.completing import agent_ids, session_keys
from openclaw.cli.reach import Reach, gateway_options


@click.command()
@click.option(
    "--agent", "agent_id", default="", shell_complete=agent_ids, help="Agent to talk to; default: the default agent."
)
@click.option(
    "--session",
    "session_key",
    default="main",
    show_default=True,
    shell_complete=session_keys,
    help="Conversation to go on with.",
)
@gateway_options
def chat(reach: Reach, agent_id: str, session_key: str) -> int:
    """Talk with an agent in the terminal. /help lists what you can type; Ctrl-C stops an answer.

    \b
    Examples:
      openclaw chat
      openclaw chat --session holiday --agent planner
    """
    from openclaw.cli.conversation import converse

    return reach.run(converse(reach, session_key=session_key, agent_id=agent_id))
