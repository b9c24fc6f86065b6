"""`openclaw policy`: what the doors go by, and verdicts asked beforehand."""

from __future__ import annotations

import click

from openclaw.cli.command.policy_egress import egress


@click.group()
def policy() -> None:
    """Ask the doors beforehand, and see what they were asked.

    \b
    Examples:
      openclaw policy egress test https://example.com
      openclaw policy egress observed --diff
    """


policy.add_command(egress)
