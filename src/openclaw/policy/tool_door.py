"""The door before every tool call.

1. Tools that look or write pass; what they touch has doors of its own.
2. A tool that declares danger (an action's `dangerous`, an MCP tool that its server calls destructive) is asked about,
   call by call: a person sees the arguments, and what runs is the call that was shown.
"""

from __future__ import annotations

from typing import Final

from openclaw.policy.exec.door import KIND as EXEC
from openclaw.policy.gatekeeper import Ask, Verdict

KIND: Final = "tool"


def tool_verdict(ask: Ask) -> Verdict:
    """Decide by the tool's declared safety: reading and writing is allowed, danger is asked about.

    Facts: `safety`; `door` of a built-in tool that asks a door of its own about each call.
    """
    safety = ask.facts.get("safety")
    if safety == "dangerous" and ask.facts.get("door") == EXEC:
        return Verdict("allow", "tool.own-door", "each command passes the door of execution", quiet=True)
    if safety in {"safe", "write"}:
        return Verdict("allow", f"tool.{safety}", "the tool declares no danger", quiet=safety == "safe")
    if safety == "dangerous":
        return Verdict("ask", "tool.dangerous", "the tool declares that it may do harm that cannot be undone")
    return Verdict("deny", "tool.unknown-safety", "no rule knows what the tool declares of itself")
