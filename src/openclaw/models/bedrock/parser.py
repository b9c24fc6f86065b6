"""The streams of Bedrock, message by message.

Rules
1. `messageStop` names why the answer ended; `metadata` (usage) follows and ends the stream. Without a stop it broke
   off.
2. An exception or error message may come at any time and ends the stream as a typed error.
3. Blocks have indexes of their own; only toolUse blocks count as calls, in their order. Text blocks may have no start.
4. A guardrail's stop is an error: what was said before it is not the model's answer.
5. Events of kinds yet unknown, and the padding in each event, are passed over.
6. InvokeModel streams carry the model's own events in base64; ours are those of a chat completion.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Sequence
from typing import Protocol

import msgspec

from openclaw.base.errors import ModelContentFiltered, ModelError
from openclaw.base.model import ModelEvent, ModelFinish, TextDelta, ThinkingDelta, ToolCallDelta, Usage
from openclaw.models.bedrock.eventstream import Message
from openclaw.models.bedrock.failure import AwsFailures
from openclaw.models.bedrock.wire import (
    GUARDRAIL,
    MALFORMED,
    REDACTED,
    Chunk,
    Delta,
    Event,
    Metered,
    Reasoning,
    ToolUse,
    WireUsage,
    finish_reason,
)
from openclaw.models.openai.parser import ChatParser

_decode = msgspec.json.Decoder(Event).decode
_decode_chunk = msgspec.json.Decoder(Chunk).decode
_decode_metered = msgspec.json.Decoder(Metered).decode
_UNREADABLE = (msgspec.DecodeError, ValueError, RecursionError)
_METRICS = b"amazon-bedrock-invocationMetrics"


class Parser(Protocol):
    """Turns messages into model events. `done` turns True at the wire's own end mark."""

    done: bool

    def feed(self, messages: Sequence[Message]) -> list[ModelEvent]:
        """Raises: ModelError for an exception message or unreadable data."""
        ...

    def finish(self) -> ModelFinish:
        """Return the finish. Raises: ModelProtocol when the answer is incomplete, ModelContentFiltered."""
        ...


class ConverseParser:
    """Parses one ConverseStream."""

    __slots__ = ("_calls", "_failures", "_model", "_stop", "_usage", "done")

    def __init__(self, model: str, failures: AwsFailures) -> None:
        self.done = False
        self._model = model
        self._failures = failures
        self._stop: str | None = None
        self._usage = WireUsage()
        self._calls: dict[int, int] = {}

    def feed(self, messages: Sequence[Message]) -> list[ModelEvent]:
        """See Parser."""
        out: list[ModelEvent] = []
        for headers, payload in messages:
            if headers.get(":message-type") != "event":
                raise not_an_event(self._model, self._failures, headers, payload)
            kind = headers.get(":event-type")
            try:
                event = _decode(payload)
            except _UNREADABLE:
                raise self._failures.protocol(self._model, "an event is not the JSON of Converse") from None
            if kind == "contentBlockDelta":
                if event.delta is not None:
                    self._delta(event.content_block_index, event.delta, out)
            elif kind == "contentBlockStart":
                if event.start is not None and event.start.tool_use is not None:
                    self._start_call(event.content_block_index, event.start.tool_use, out)
            elif kind == "messageStop":
                self._stop = event.stop_reason
            elif kind == "metadata":
                self._usage = event.usage or self._usage
                self.done = self._stop is not None
        return out

    def finish(self) -> ModelFinish:
        """See Parser."""
        if self._stop is None:
            raise self._failures.protocol(self._model, "the stream ended before the answer did")
        if error := stopped(self._model, self._failures, self._stop):
            raise error
        return ModelFinish(finish_reason(self._stop), self._usage.usage(), self._model)

    def _delta(self, index: int, delta: Delta, out: list[ModelEvent]) -> None:
        if delta.text:
            out.append(TextDelta(delta.text))
        elif delta.tool_use is not None:
            call = self._calls.get(index)
            if call is None:
                raise self._failures.protocol(self._model, "input for a tool call that was not opened")
            if delta.tool_use.input:
                out.append(ToolCallDelta(call, arguments=delta.tool_use.input))
        elif delta.reasoning_content is not None and (thought := _thought(delta.reasoning_content)):
            out.append(thought)

    def _start_call(self, index: int, start: ToolUse, out: list[ModelEvent]) -> None:
        if not start.tool_use_id or not start.name:
            raise self._failures.protocol(self._model, "a tool call has no id or no name")
        call = self._calls[index] = len(self._calls)
        out.append(ToolCallDelta(call, start.tool_use_id, start.name))


class InvokeParser:
    """Parses one InvokeModelWithResponseStream of a model that speaks chat completions."""

    __slots__ = ("_chat", "_failures", "_metered", "_model", "done")

    def __init__(self, model: str, failures: AwsFailures) -> None:
        self.done = False
        self._model = model
        self._failures = failures
        self._chat = ChatParser(model, failures.plain)
        self._metered = Usage()

    def feed(self, messages: Sequence[Message]) -> list[ModelEvent]:
        """See Parser."""
        payloads: list[bytes] = []
        for headers, payload in messages:
            if headers.get(":message-type") != "event":
                raise not_an_event(self._model, self._failures, headers, payload)
            if headers.get(":event-type") == "chunk":
                payloads.append(self._inner(payload))
        return self._chat.feed(payloads)

    def finish(self) -> ModelFinish:
        """See Parser."""
        finish = self._chat.finish()
        return finish if finish.usage.total_tokens else msgspec.structs.replace(finish, usage=self._metered)

    def _inner(self, payload: bytes) -> bytes:
        try:
            inner = b64decode(_decode_chunk(payload).bytes, validate=True)
            if _METRICS in inner and (metrics := _decode_metered(inner).metrics):
                self._metered = Usage(metrics.input_token_count, metrics.output_token_count)
        except (*_UNREADABLE, binascii.Error):
            raise self._failures.protocol(self._model, "a chunk is not the JSON of InvokeModel") from None
        return inner


def not_an_event(model: str, failures: AwsFailures, headers: object, payload: bytes) -> ModelError:
    """Return the error that a message of another type than `event` stands for."""
    found = headers if isinstance(headers, dict) else {}
    match found.get(":message-type"):
        case "exception":
            return failures.event(model, str(found.get(":exception-type", "")), payload)
        case "error":
            text = msgspec.json.encode({"message": str(found.get(":error-message", ""))})
            return failures.event(model, str(found.get(":error-code", "")), text)
        case _:
            return failures.protocol(model, "a message is neither an event nor an exception")


def stopped(model: str, failures: AwsFailures, reason: str) -> ModelError | None:
    """Return the error that a stopReason stands for, if any."""
    if reason == GUARDRAIL:
        error = failures.plain.told(model, "content_filter", "a guardrail stopped the answer")
        assert isinstance(error, ModelContentFiltered)
        return error
    return failures.protocol(model, f"the model's output broke off: {reason}") if reason in MALFORMED else None


def _thought(piece: Reasoning) -> ThinkingDelta | None:
    if piece.redacted_content:
        return ThinkingDelta("", REDACTED + piece.redacted_content)
    if piece.text or piece.signature:
        return ThinkingDelta(piece.text or "", piece.signature or "")
    return None
