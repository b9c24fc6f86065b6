"""Asking a person about an act that a door would not decide alone: one approval, whose answer holds for this act only.

1. The request is a row before anybody is asked. Nobody reachable: denied at once, saying so.
2. Who is asked is told what would be done and why it is asked; what is done is what was shown.
3. A run that is stopped takes its request back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from openclaw.policy.approval import Approval, Decision
from openclaw.policy.approvals import Approvals, NewApproval
from openclaw.policy.gatekeeper import Ask, Verdict

WAIT_MS: Final = 120_000
TITLE_CHARS: Final = 80
DESCRIPTION_CHARS: Final = 512

_ENDS: Final = {
    "timeout": "nobody answered in time",
    "no-route": "no approver is connected",
    "run-aborted": "the run was stopped",
    "gateway-restart": "the gateway was restarted",
}


class Consent:
    """Implements gatekeeper.Consent over the desk of approvals. `reachable` says whether anybody can be asked now."""

    def __init__(self, desk: Approvals, reachable: Callable[[Approval], bool]) -> None:
        self._desk = desk
        self._reachable = reachable

    async def __call__(self, ask: Ask, verdict: Verdict) -> Verdict:
        """Return what a person decided, as a verdict by the rule `approval.<decision>`. Raises: Unavailable."""
        approval = await self._desk.request(ask.principal, _request(ask, verdict), self._reachable)
        if approval.status == "pending":
            try:
                approval = await self._desk.wait(ask.principal, approval.id)
            except asyncio.CancelledError:
                await self._desk.cancel(approval.id)
                raise
        if approval.status == "allowed":
            return Verdict("allow", f"approval.{approval.decision}", f"approval {approval.id}")
        why = _ENDS.get(approval.reason, "it was refused")
        return Verdict("deny", verdict.rule_id, f"{verdict.reason}; it needs an approval, and {why}")


def _request(ask: Ask, verdict: Verdict) -> NewApproval:
    offered: tuple[Decision, ...] = ("allow-once", "allow-always", "deny")
    if not ask.facts.get("lasting"):
        offered = ("allow-once", "deny")
    description = f"{ask.action}: {ask.target}\n{verdict.reason}."
    return NewApproval(
        kind="plugin",
        request={
            "pluginId": None,
            "title": f"{ask.action} ({ask.agent or 'no agent'})"[:TITLE_CHARS],
            "description": description[:DESCRIPTION_CHARS],
            "detail": ask.facts.get("detail") or None,
            "severity": "warning",
            "toolName": ask.action.removeprefix("tool ") or None,
            "toolCallId": None,
            "agentId": ask.agent or None,
            "sessionKey": ask.session or None,
            "allowedDecisions": offered,
            "tainted": ask.tainted,
        },
        timeout_ms=WAIT_MS,
        agent_id=ask.agent,
        session_key=ask.session,
        offered=offered,
    )
