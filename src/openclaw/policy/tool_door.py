"""The door before every tool call."""

from __future__ import annotations

from typing import Final

from openclaw.policy.gatekeeper import Ask, Verdict

KIND: Final = "tool"


def tool_verdict(ask: Ask) -> Verdict:
    """Decide by the tool's declared safety: reading and writing is allowed, danger is not.

    Dangerous tools need approvals, which this version does not have: so they stay shut, whatever the config says.
    """
    safety = ask.facts.get("safety")
    if safety in {"safe", "write"}:
        return Verdict("allow", f"tool.{safety}", "the tool declares no danger", quiet=safety == "safe")
    return Verdict("deny", "tool.dangerous", "dangerous tools need an approval, which this version cannot ask for")
