"""What makes a transcript valid: every tool call has its outcome, every outcome its call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from openclaw.base.errors import InvalidRequest
from openclaw.base.message import Message, ToolCall, ToolOutcome


def check_complete(messages: Iterable[Message]) -> None:
    """Check that calls and outcomes pair up, and that nothing but outcomes comes between them.

    Raises: InvalidRequest, naming the call that is at fault.
    """
    waiting: set[str] = set()
    for message in messages:
        if waiting and message.role != "tool":
            raise _lacks_outcome(waiting)
        for part in message.parts:
            if isinstance(part, ToolCall):
                if message.role != "assistant":
                    raise InvalidRequest(f"tool call {part.id!r} stands in a {message.role} message")
                if part.id in waiting:
                    raise InvalidRequest(f"the tool call id {part.id!r} is used twice in one message")
                waiting.add(part.id)
            elif isinstance(part, ToolOutcome):
                if part.call_id not in waiting:
                    raise InvalidRequest(f"the outcome of {part.name!r} answers no open tool call ({part.call_id!r})")
                waiting.remove(part.call_id)
    if waiting:
        raise _lacks_outcome(waiting)


def _lacks_outcome(waiting: set[str]) -> InvalidRequest:
    return InvalidRequest(f"tool call {min(waiting)!r} has no outcome")


def as_steps(history: Sequence[Message]) -> Iterator[tuple[Literal["inbound", "model"], tuple[Message, ...]]]:
    """Cut a history into steps: an assistant message together with the outcomes after it, any other alone."""
    start = 0
    for end in range(1, len(history) + 1):
        if end < len(history) and history[end].role == "tool":
            continue
        kind: Literal["inbound", "model"] = "model" if history[start].role == "assistant" else "inbound"
        yield kind, tuple(history[start:end])
        start = end
