"""How much a model shall think before it answers: our levels, and what others call them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

from openclaw.base.errors import InvalidRequest

Thinking: TypeAlias = Literal["", "off", "minimal", "low", "medium", "high"]
"""Empty: nobody asked, so the model does as it does."""

AnyThinking: TypeAlias = Literal[
    "", "off", "minimal", "low", "medium", "high", "none", "on", "adaptive", "xhigh", "max", "ultra"
]
"""Every word for a level that configurations and clients in the field use."""

LEVELS: Final[tuple[Thinking, ...]] = ("off", "minimal", "low", "medium", "high")

_OTHERS: Final[dict[str, Thinking]] = {
    "none": "off",
    "on": "low",
    "adaptive": "",
    "default": "",
    "inherit": "",
    "xhigh": "high",
    "max": "high",
    "ultra": "high",
}

BUDGET_TOKENS: Final[dict[str, int]] = {"minimal": 1_024, "low": 4_096, "medium": 10_240, "high": 24_576}
"""Tokens of thought by level, on top of the answer. 1024 is the least that the Messages API takes."""


def thinking_level(text: str, field: str = "thinking") -> Thinking:
    """Return the level that a word means. Raises: InvalidRequest naming the levels."""
    word = text.strip().lower()
    if word in ("", *LEVELS):
        return word
    if word in _OTHERS:
        return _OTHERS[word]
    raise InvalidRequest(f'invalid {field} "{text[:32]}"', hint=f"Use one of {', '.join(LEVELS)}.")


def nearest(level: Thinking, known: Sequence[str]) -> str:
    """Return the word among `known` for a level, or for the next higher one; "" when there is none.

    Shape: `known` is in OpenAI's words (none, minimal, low, medium, high), in any order.
    """
    ladder = ("none", "minimal", "low", "medium", "high")
    if not level:
        return ""
    start = ladder.index("none" if level == "off" else level)
    return next((word for word in ladder[start:] if word in known), "")


def thinks(level: Thinking) -> bool:
    """Say whether a level asks for thought."""
    return level not in ("", "off")


def with_thought(max_tokens: int, level: Thinking, most: int) -> int:
    """Return a limit of the answer that leaves room for the thought before it, at most `most` and never less than it
    was."""
    return max(max_tokens, min(max_tokens + BUDGET_TOKENS.get(level, 0), most))
