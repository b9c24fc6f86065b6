"""How much Claude is to think, as the Messages API and Bedrock take it."""

from __future__ import annotations

from typing import Any

from openclaw.base.model import ModelRequest
from openclaw.base.thinking import BUDGET_TOKENS, nearest, thinks

Json = dict[str, Any]

LEAST_TEXT_TOKENS = 256
"""Left for the answer when the limit is too low for all the thought that was asked for."""


def thought(request: ModelRequest, max_tokens: int, *, adaptive: bool) -> Json:
    """Return the fields that say how much to think; Bedrock takes the same.

    Shape: an `adaptive` model gets an effort, another one a number of tokens below `max_tokens`. One that thinks of its
    own accord is told "off"; the others do not think until they are asked.
    """
    if not request.thinking or request.tool_choice not in ("", "none"):
        return {"thinking": {"type": "disabled"}} if adaptive and request.thinking else {}
    if adaptive:
        if not thinks(request.thinking):
            return {"thinking": {"type": "disabled"}}
        effort = nearest(request.thinking, ("low", "medium", "high"))
        return {"thinking": {"type": "adaptive"}, "output_config": {"effort": effort}}
    budget = min(BUDGET_TOKENS.get(request.thinking, 0), max_tokens - LEAST_TEXT_TOKENS)
    return {"thinking": {"type": "enabled", "budget_tokens": budget}} if budget >= BUDGET_TOKENS["minimal"] else {}


def is_thinking(fields: Json) -> bool:
    """Say whether a body's fields ask for thought."""
    return "thinking" in fields and fields["thinking"]["type"] != "disabled"
