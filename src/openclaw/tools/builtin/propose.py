"""The one way in which an agent may have the configuration changed: it proposes, and an administrator decides."""

from __future__ import annotations

from typing import Annotated, Any, Protocol

from msgspec import Meta

from openclaw.base.errors import CallerError, ToolError
from openclaw.tools.action import Context, action, build_tool
from openclaw.tools.api import Caller, Tool

WHY_CHARS = 400


class ProposalPort(Protocol):
    """Where proposals wait for a decision (gateway.proposals.Proposals)."""

    async def propose(self, caller: Caller, patch: dict[str, Any], why: str) -> str:
        """Put a merge patch before administrators; return the proposal's id. Raises: InvalidRequest, Unavailable."""
        ...


def proposal_tools(port: ProposalPort) -> tuple[Tool, ...]:
    """Return the tool over a desk of proposals."""

    @action
    async def propose_config(
        patch: Annotated[
            dict[str, Any],
            Meta(description="A JSON merge patch of the configuration; null removes a setting, lists are replaced."),
        ],
        why: Annotated[str, Meta(description="Why it is needed.", min_length=1, max_length=WHY_CHARS)],
        context: Context,
    ) -> str:
        """Propose a change of the gateway's configuration. Nothing changes unless an administrator approves it."""
        try:
            proposal = await port.propose(context, patch, why)
        except CallerError as error:
            raise ToolError(f"Nothing was proposed: {error.message}") from None
        return f"Proposed as {proposal}. It waits for an administrator; nothing has changed."

    return (build_tool(propose_config),)
