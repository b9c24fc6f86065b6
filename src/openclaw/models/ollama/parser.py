"""The stream of /api/chat, line by line.

Rules
1. The line with `done` ends the answer; a stream that ends without it broke off.
2. Calls come whole, in any line; several in one line or one in each are the same.
3. `error` may be the only field of a line, and ends the stream.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from openclaw.base.model import ModelEvent, ModelFinish, TextDelta, ThinkingDelta, ToolCallDelta
from openclaw.models.ollama.wire import Call, Chunk, finish_reason
from openclaw.models.transport.failure import Failures, described

_decode = msgspec.json.Decoder(Chunk).decode
_UNREADABLE = (msgspec.DecodeError, ValueError, RecursionError)


class OllamaParser:
    """Parses one stream."""

    __slots__ = ("_calls", "_failures", "_last", "_model", "done")

    def __init__(self, model: str, failures: Failures) -> None:
        self.done = False
        self._model = model
        self._failures = failures
        self._calls = 0
        self._last = Chunk()

    def feed(self, payloads: Sequence[bytes]) -> list[ModelEvent]:
        """Return the events that these lines hold. Raises: ModelError."""
        out: list[ModelEvent] = []
        for payload in payloads:
            try:
                chunk = _decode(payload)
                if (message := chunk.message) is not None:
                    if message.thinking:
                        out.append(ThinkingDelta(message.thinking))
                    if message.content:
                        out.append(TextDelta(message.content))
                    if message.tool_calls:
                        out.extend(self._call(call) for call in message.tool_calls)
            except _UNREADABLE:
                raise self._failures.protocol(self._model, "a line is not the JSON of a chat") from None
            if chunk.error is not None:
                raise self._failures.told(self._model, *described(chunk.error))
            if chunk.done:
                self.done = True
                self._last = chunk
                break
        return out

    def finish(self) -> ModelFinish:
        """Return the finish. Raises: ModelProtocol when the stream broke off."""
        if not self.done:
            raise self._failures.protocol(self._model, "the stream ended before the answer did")
        last = self._last
        return ModelFinish(finish_reason(last.done_reason, self._calls > 0), last.usage(), last.model or self._model)

    def _call(self, call: Call) -> ToolCallDelta:
        if call.function is None or not call.function.name:
            raise self._failures.protocol(self._model, "a tool call has no name")
        self._calls += 1
        return ToolCallDelta(self._calls - 1, call.call_id, call.function.name, call.function.arguments_text)
