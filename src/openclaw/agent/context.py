"""Fitting a conversation into a model's context before the call. Pure; a pair of call and outcome is never broken.

Order of sacrifice: old tool outcomes are shortened, then the oldest exchanges are dropped, each whole.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from openclaw.base.errors import ModelContextOverflow
from openclaw.base.message import Message, ToolOutcome
from openclaw.models.tokens import estimate_message

KEEP_OUTCOME_CHARS = 400
"""What is left of an old tool outcome: enough to see what it was."""
KEEP_RECENT_MESSAGES = 6


def valid_history(messages: Sequence[Message]) -> list[Message]:
    """Return the messages a model may be shown: no empty ones, every call answered, every outcome asked for."""
    messages = _merge_outcomes(messages)
    out: list[Message] = []
    for index, message in enumerate(messages):
        if message.role == "tool":
            asked = {call.id for call in out[-1].tool_calls} if out else set()
            if asked and asked == {part.call_id for part in message.parts if isinstance(part, ToolOutcome)}:
                out.append(message)
        elif message.tool_calls:
            following = messages[index + 1] if index + 1 < len(messages) else None
            given = {part.call_id for part in following.parts if isinstance(part, ToolOutcome)} if following else set()
            if given == {call.id for call in message.tool_calls}:
                out.append(message)
        elif message.parts:
            out.append(message)
    return out


def _merge_outcomes(messages: Sequence[Message]) -> list[Message]:
    """Join tool messages that follow each other: some callers send one per outcome."""
    out: list[Message] = []
    for message in messages:
        if message.role == "tool" and out and out[-1].role == "tool":
            out[-1] = Message("tool", out[-1].parts + message.parts)
        else:
            out.append(message)
    return out


def fit(messages: Sequence[Message], *, fixed_tokens: int, budget_tokens: int) -> tuple[Message, ...]:
    """Return the latest part of the conversation that fits; `fixed_tokens` is what system and tools cost.

    Raises: ModelContextOverflow when even the last exchange does not fit.
    """
    sizes = [estimate_message(message) for message in messages]
    room = budget_tokens - fixed_tokens
    if sum(sizes) <= room:
        return tuple(messages)
    kept = [_shorten(m) if i < len(messages) - KEEP_RECENT_MESSAGES else m for i, m in enumerate(messages)]
    sizes = [estimate_message(message) for message in kept]
    start, total = 0, sum(sizes)
    starts = [i for i, message in enumerate(kept) if message.role == "user"]
    for next_start in [*starts[1:], None]:
        if total <= room:
            return tuple(kept[start:])
        if next_start is None:
            break
        total -= sum(sizes[start:next_start])
        start = next_start
    raise ModelContextOverflow(
        f"the last message alone needs about {total + fixed_tokens} tokens, the model takes {budget_tokens}",
        hint="Send a shorter message, or use a model with a larger context.",
    )


def _shorten(message: Message) -> Message:
    if message.role != "tool":
        return message
    parts = tuple(
        msgspec.structs.replace(part, text=part.text[:KEEP_OUTCOME_CHARS] + " […shortened]")
        if isinstance(part, ToolOutcome) and len(part.text) > KEEP_OUTCOME_CHARS
        else part
        for part in message.parts
    )
    return Message("tool", parts)
