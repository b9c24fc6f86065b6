"""What an agent may know about its own session."""

from __future__ import annotations

from typing import Any

from openclaw.base import own_names
from openclaw.tools.action import Context, action


@action(own_words=True)
async def session_status(context: Context) -> dict[str, Any]:
    """Tell about this session: agent, session, run, and what is known of the model, its tokens and limits."""
    return {
        "agent": context.agent_id,
        "session": own_names.told_text(context.principal, context.session_key),
        "run": own_names.told_text(context.principal, context.run_id),
        **context.facts,
    }
