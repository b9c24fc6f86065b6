"""What the fake says: the user's words back, or the tool calls that the user spelled out.

A user message may hold lines `/tool <name> <json>`; each becomes a call of one step. A line `/then` begins the next
step, taken when the outcomes of the one before are there. When no step is left, the answer tells the outcomes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from openclaw.base.message import Message, ToolOutcome
from openclaw.base.model import ModelEvent, ModelRequest, TextDelta, ToolCallDelta

_TOOL_LINE = re.compile(r"^/tool[ \t]+([A-Za-z_][A-Za-z0-9_-]{0,63})[ \t]*(.*)$", re.MULTILINE)
_THEN = re.compile(r"^/then[ \t]*$", re.MULTILINE)
_TOKEN = re.compile(r"\s*\S+|\s+$")


def reply(request: ModelRequest) -> list[ModelEvent]:
    """Return the answer as events without the finish."""
    said, steps_done, outcomes = _latest(request.messages)
    steps = [_TOOL_LINE.findall(step) for step in _THEN.split(said)] if "/tool" in said else []
    steps = [step for step in steps if step]
    if steps_done < len(steps):
        return [
            ToolCallDelta(index, f"call_fake_{steps_done}_{index}", name, arguments.strip() or "{}")
            for index, (name, arguments) in enumerate(steps[steps_done])
        ]
    if outcomes:
        return tokens("fake: " + "; ".join(f"{'error: ' * out.is_error}{out.name} → {out.text}" for out in outcomes))
    return tokens(f"fake: {said}")


def tokens(text: str) -> list[ModelEvent]:
    """Cut a text into words, as a model would send it."""
    return [TextDelta(token) for token in _TOKEN.findall(text)]


def _latest(messages: Sequence[Message]) -> tuple[str, int, list[ToolOutcome]]:
    """Return the last user text, how many tool messages followed it, and the outcomes in the last of them."""
    last = max((i for i, message in enumerate(messages) if message.role == "user"), default=-1)
    said = messages[last].text if last >= 0 else ""
    answered = [message for message in messages[last + 1 :] if message.role == "tool"]
    outcomes = [part for part in answered[-1].parts if isinstance(part, ToolOutcome)] if answered else []
    return said, len(answered), outcomes
