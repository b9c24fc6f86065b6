"""What becomes of runs that a crash or a restart left open. Pure."""

from __future__ import annotations

from typing import Literal

from openclaw.store.api import RunRow

RESUME_BUDGET = 2
"""A run is tried once and resumed at most twice: what kills the gateway three times is not tried again."""


def recovery(row: RunRow) -> Literal["resume", "report"]:
    """Say whether a run goes on or is reported as interrupted.

    The caller of a stateless HTTP request is gone with its connection: nobody could read the answer, so no money is
    spent on it. Everything else has a session in which the answer is found.
    """
    if row.inbound.stateless:
        return "report"
    return "resume" if row.attempts <= RESUME_BUDGET else "report"
