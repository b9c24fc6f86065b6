"""The fields of Messages answers and events that we read; all others are skipped by the decoder."""

from __future__ import annotations

from typing import Any

import msgspec

from openclaw.base.model import FinishReason, Usage


class WireUsage(msgspec.Struct, gc=False):
    """Token counts; `input_tokens` is what the cache did not cover."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None


class Block(msgspec.Struct, gc=False):
    """A content block of any type."""

    type: str = ""
    text: str = ""
    thinking: str = ""
    signature: str = ""
    data: str = ""
    id: str = ""
    name: str = ""
    input: msgspec.Raw = msgspec.Raw(b"{}")

    @property
    def arguments(self) -> str:
        """The input as JSON text. What is skipped while decoding is not checked: it may not even be UTF-8."""
        return bytes(self.input).decode("utf-8", "replace")


class Delta(msgspec.Struct, gc=False):
    """What is new in a block, or (in message_delta) in the message."""

    type: str = ""
    text: str = ""
    thinking: str = ""
    signature: str = ""
    partial_json: str = ""
    stop_reason: str | None = None


class Answer(msgspec.Struct, gc=False):
    """A message: whole, or as it starts a stream."""

    model: str = ""
    content: list[Block] | None = None
    stop_reason: str | None = None
    usage: WireUsage | None = None
    error: Any = None


class Event(msgspec.Struct, gc=False):
    """An event of a stream, of any type."""

    type: str
    index: int = 0
    delta: Delta | None = None
    content_block: Block | None = None
    message: Answer | None = None
    usage: WireUsage | None = None
    error: Any = None


class ListedModel(msgspec.Struct):
    """A row of the models list; the sizes came in 2026."""

    id: str
    display_name: str = ""
    max_input_tokens: int | None = None
    max_tokens: int | None = None


class ModelList(msgspec.Struct):
    """The models list."""

    data: list[ListedModel]


class TokenCount(msgspec.Struct):
    """The answer of count_tokens."""

    input_tokens: int


_FINISH: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


def finish_reason(raw: str) -> FinishReason:
    """Map the wire's stop_reason; reasons yet unknown count as `stop`."""
    return _FINISH.get(raw, "stop")


class UsageTally:
    """Adds up what message_start and message_delta tell: later numbers replace earlier ones, absent ones do not."""

    __slots__ = ("_input", "_output", "_read", "_write")

    def __init__(self) -> None:
        self._input = self._output = self._read = self._write = 0

    def take(self, usage: WireUsage | None) -> None:
        """Take the counts of one event."""
        if usage is None:
            return
        if usage.input_tokens is not None:
            self._input = usage.input_tokens
        if usage.output_tokens is not None:
            self._output = usage.output_tokens
        if usage.cache_read_input_tokens is not None:
            self._read = usage.cache_read_input_tokens
        if usage.cache_creation_input_tokens is not None:
            self._write = usage.cache_creation_input_tokens

    def total(self) -> Usage:
        """Return the counts in our form, in which the input includes the cached tokens."""
        return Usage(self._input + self._read + self._write, self._output, self._read, self._write)
