"""The stream of a message, event by event.

Rules
1. `message_stop` ends the stream; without it, or without a stop_reason before it, the answer broke off.
2. `error` may come at any time and ends the stream as a typed error.
3. Blocks have indexes of their own; only tool_use blocks count as calls, in their order.
4. A thinking block's signature comes as a delta of its own, at the block's end.
5. `ping` and events of types yet unknown are passed over, as the API's versioning rules ask.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from openclaw.base.model import ModelEvent, ModelFinish, TextDelta, ThinkingDelta, ToolCallDelta
from openclaw.models.anthropic.request import REDACTED
from openclaw.models.anthropic.wire import Block, Delta, Event, UsageTally, finish_reason
from openclaw.models.transport.failure import Failures, described

_decode = msgspec.json.Decoder(Event).decode


class MessagesParser:
    """Parses one stream."""

    __slots__ = ("_calls", "_failures", "_model", "_served", "_stop", "_usage", "done")

    def __init__(self, model: str, failures: Failures) -> None:
        self.done = False
        self._model = model
        self._failures = failures
        self._served = ""
        self._stop: str | None = None
        self._usage = UsageTally()
        self._calls: dict[int, int] = {}

    def feed(self, payloads: Sequence[bytes]) -> list[ModelEvent]:
        """Return the events that these data hold. Raises: ModelError."""
        out: list[ModelEvent] = []
        for payload in payloads:
            try:
                event = _decode(payload)
            except (msgspec.DecodeError, ValueError, RecursionError):
                raise self._failures.protocol(self._model, "an event is not the JSON of the Messages API") from None
            delta = event.delta
            if event.type == "content_block_delta" and delta is not None:
                if delta.text:
                    out.append(TextDelta(delta.text))
                else:
                    self._other_delta(event.index, delta, out)
            elif event.type == "message_stop":
                self.done = True
                return out
            else:
                self._frame(event, out)
        return out

    def finish(self) -> ModelFinish:
        """Return the finish. Raises: ModelProtocol when the stream broke off."""
        if not self.done or self._stop is None:
            raise self._failures.protocol(self._model, "the stream ended before the answer did")
        return ModelFinish(finish_reason(self._stop), self._usage.total(), self._served or self._model)

    def _frame(self, event: Event, out: list[ModelEvent]) -> None:
        if event.type == "content_block_start" and event.content_block is not None:
            self._start_block(event.index, event.content_block, out)
        elif event.type == "message_start" and event.message is not None:
            self._served = event.message.model
            self._usage.take(event.message.usage)
        elif event.type == "message_delta":
            self._usage.take(event.usage)
            if event.delta is not None and event.delta.stop_reason:
                self._stop = event.delta.stop_reason
        elif event.type == "error":
            raise self._failures.told(self._model, *described(event.error))

    def _other_delta(self, index: int, delta: Delta, out: list[ModelEvent]) -> None:
        if delta.partial_json:
            call = self._calls.get(index)
            if call is None:
                raise self._failures.protocol(self._model, "arguments for a tool call that was not opened")
            out.append(ToolCallDelta(call, arguments=delta.partial_json))
        elif delta.thinking or delta.signature:
            out.append(ThinkingDelta(delta.thinking, delta.signature))

    def _start_block(self, index: int, block: Block, out: list[ModelEvent]) -> None:
        if block.type == "tool_use":
            if not block.id or not block.name:
                raise self._failures.protocol(self._model, "a tool call has no id or no name")
            call = self._calls[index] = len(self._calls)
            given = block.arguments
            out.append(ToolCallDelta(call, block.id, block.name, "" if given in ("{}", "null") else given))
        elif block.type == "redacted_thinking":
            out.append(ThinkingDelta("", REDACTED + block.data))
        elif block.text:
            out.append(TextDelta(block.text))
        elif block.thinking or block.signature:
            out.append(ThinkingDelta(block.thinking, block.signature))
