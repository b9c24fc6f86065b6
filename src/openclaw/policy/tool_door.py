"""The door before every tool call."""

from __future__ import annotations

from typing import Final

from openclaw.policy.exec_door import KIND as EXEC
from openclaw.policy.gatekeeper import Ask, Verdict

KIND: Final = "tool"


def tool_verdict(ask: Ask) -> Verdict:
    """Decide by the tool's declared safety: reading and writing is allowed, danger is not.

    Facts: `safety`; `door` of a built-in tool that asks a door of its own about each call.
    """
    safety = ask.facts.get("safety")
    if safety == "dangerous" and ask.facts.get("door") == EXEC:
        return Verdict("allow", "tool.own-door", "each command passes the door of execution", quiet=True)
    if safety in {"safe", "write"}:
        return Verdict("allow", f"tool.{safety}", "the tool declares no danger", quiet=safety == "safe")
    return Verdict("deny", "tool.dangerous", "the tool declares itself dangerous, and nothing says which call is not")
