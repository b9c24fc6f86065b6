"""The fields of the Responses API that we read; all others are skipped by the decoder."""

from __future__ import annotations

from typing import Any

import msgspec

from openclaw.base.message import ThinkingPart
from openclaw.base.model import FinishReason, Usage

MARK = "openai-reasoning"
"""Begins the signature of a ThinkingPart that is a reasoning item: mark, model, id and encrypted content, by spaces."""


class Piece(msgspec.Struct, gc=False):
    """A piece of content: output_text, refusal, summary_text or reasoning_text."""

    type: str = ""
    text: str | None = None
    refusal: str | None = None


class Item(msgspec.Struct, gc=False):
    """An item of the output: message, function_call or reasoning."""

    type: str = ""
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    content: list[Piece] | None = None
    summary: list[Piece] | None = None
    encrypted_content: str | None = None

    def signature(self, model: str) -> str:
        """Return what the item must be sent back with, "" when the server did not give it."""
        if not (self.id and self.encrypted_content) or " " in f"{model}{self.id}{self.encrypted_content}":
            return ""
        return f"{MARK} {model} {self.id} {self.encrypted_content}"


class InputDetails(msgspec.Struct, gc=False):
    """How much of the prompt came from the cache, and went into it."""

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class WireUsage(msgspec.Struct, gc=False):
    """Token counts; the input includes the cached tokens."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: InputDetails | None = None

    def usage(self) -> Usage:
        """Return the counts in our form."""
        details = self.input_tokens_details or InputDetails()
        return Usage(
            self.input_tokens or 0, self.output_tokens or 0, details.cached_tokens or 0, details.cache_write_tokens or 0
        )


class Incomplete(msgspec.Struct, gc=False):
    """Why an answer is incomplete."""

    reason: str | None = None


class Response(msgspec.Struct, gc=False):
    """A whole answer, or what is known of it so far."""

    model: str | None = None
    status: str | None = None
    output: list[Item] | None = None
    usage: WireUsage | None = None
    incomplete_details: Incomplete | None = None
    error: Any = None


class Event(msgspec.Struct, gc=False):
    """An event of a stream, of any type. `code` and `message` belong to `error` events."""

    type: str
    delta: Any = None
    output_index: int = 0
    item: Item | None = None
    response: Response | None = None
    code: str | None = None
    message: str | None = None
    error: Any = None


_INCOMPLETE: dict[str, FinishReason] = {"max_output_tokens": "length", "content_filter": "content_filter"}


def finish_reason(response: Response, has_calls: bool) -> FinishReason | None:
    """Map how an answer ended; None when it did not."""
    if response.status == "incomplete":
        reason = response.incomplete_details and response.incomplete_details.reason
        return _INCOMPLETE.get(reason or "", "length")
    if response.status not in ("completed", None):
        return None
    return "tool_calls" if has_calls else "stop"


def reasoning_item(part: ThinkingPart, model: str) -> dict[str, Any] | None:
    """Return the reasoning item that a thinking part came from, None for another model's or another provider's."""
    fields = part.signature.split(" ")
    if len(fields) != 4 or fields[0] != MARK or fields[1] != model:
        return None
    summary = [{"type": "summary_text", "text": part.text}] if part.text else []
    return {"type": "reasoning", "id": fields[2], "summary": summary, "encrypted_content": fields[3]}
