"""The fields of a chat completion that we read; all others are skipped by the decoder."""

from __future__ import annotations

from typing import Any

import msgspec

from openclaw.base.model import FinishReason, Usage


class Function(msgspec.Struct, gc=False):
    """A call, or a piece of one."""

    name: str | None = None
    arguments: str | None = None


class Call(msgspec.Struct, gc=False):
    """A call, or a piece of one; `index` and `id` may be missing from compatible servers."""

    index: int | None = None
    id: str | None = None
    function: Function | None = None


class Delta(msgspec.Struct, gc=False):
    """A message, or what is new in it."""

    content: str | None = None
    tool_calls: list[Call] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None


class Choice(msgspec.Struct, gc=False):
    """`delta` in streams, `message` in whole answers."""

    delta: Delta | None = None
    finish_reason: str | None = None
    message: Delta | None = None


class PromptDetails(msgspec.Struct, gc=False):
    """How much of the prompt came from the cache, and went into it."""

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class WireUsage(msgspec.Struct, gc=False):
    """Token counts."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None

    def usage(self) -> Usage:
        """Return the counts in our form; `prompt_tokens` already includes the cached ones."""
        details = self.prompt_tokens_details or PromptDetails()
        return Usage(
            self.prompt_tokens or 0,
            self.completion_tokens or 0,
            details.cached_tokens or 0,
            details.cache_write_tokens or 0,
        )


class Chunk(msgspec.Struct, gc=False):
    """An event of a stream, or a whole answer."""

    choices: list[Choice] | None = None
    usage: WireUsage | None = None
    error: Any = None
    model: str | None = None


class ListedModel(msgspec.Struct):
    """A row of the models list."""

    id: str


class ModelList(msgspec.Struct):
    """The models list."""

    data: list[ListedModel]


_FINISH: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "max_tokens": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


def finish_reason(raw: str | None, has_calls: bool) -> FinishReason:
    """Map the wire's reason. Calls decide over `stop`: several servers say `stop` after a call."""
    reason = _FINISH.get(raw or "stop", "stop")
    return "tool_calls" if has_calls and reason == "stop" else reason
