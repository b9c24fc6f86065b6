"""The stream of a chat completion, event by event.

Rules
1. `[DONE]` ends the stream. A stream that ends without it needs a finish_reason, else it broke off.
2. Usage may come with the finish or in an event of its own without choices, or never.
3. Pieces of a call belong to their `index`; without one, to the last call unless a new id opens another. A second id
   under the same index opens another call too (several compatible servers send index 0 for all).
4. A call without an id gets one from us: the transcript pairs calls with outcomes by it.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from openclaw.base.ids import new_id
from openclaw.base.model import ModelEvent, ModelFinish, TextDelta, ThinkingDelta, ToolCallDelta, Usage
from openclaw.models.openai.wire import Call, Chunk, Delta, WireUsage, finish_reason
from openclaw.models.transport.failure import Failures, described

_decode = msgspec.json.Decoder(Chunk).decode
_NO_USAGE = Usage()
_DONE = b"[DONE]"


class ChatParser:
    """Parses one stream."""

    __slots__ = ("_calls", "_failures", "_finish", "_model", "_served", "_usage", "done")

    def __init__(self, model: str, failures: Failures) -> None:
        self.done = False
        self._model = model
        self._failures = failures
        self._served = ""
        self._finish: str | None = None
        self._usage: WireUsage | None = None
        self._calls = CallIndex()

    def feed(self, payloads: Sequence[bytes]) -> list[ModelEvent]:
        """Return the events that these data hold. Raises: ModelError."""
        out: list[ModelEvent] = []
        for payload in payloads:
            try:
                chunk = _decode(payload)
            except (msgspec.DecodeError, ValueError, RecursionError):
                if payload.strip() == _DONE:
                    self.done = True
                    return out
                raise self._failures.protocol(self._model, "an event is not the JSON of a chat completion") from None
            if chunk.choices:
                choice = chunk.choices[0]
                if (delta := choice.delta) is not None:
                    if delta.content:
                        out.append(TextDelta(delta.content))
                    else:
                        self._other_delta(delta, out)
                    if delta.tool_calls:
                        self._call_events(delta.tool_calls, out)
                if choice.finish_reason:
                    self._finish = choice.finish_reason
            if chunk.usage is not None or chunk.error is not None or not self._served:
                self._frame(chunk)
        return out

    def finish(self) -> ModelFinish:
        """Return the finish. Raises: ModelProtocol when the stream broke off."""
        if not self.done and self._finish is None:
            raise self._failures.protocol(self._model, "the stream ended before the answer did")
        if self._finish == "error":
            raise self._failures.protocol(self._model, "the provider broke the answer off")
        usage = self._usage.usage() if self._usage else _NO_USAGE
        return ModelFinish(finish_reason(self._finish, self._calls.any), usage, self._served or self._model)

    def _frame(self, chunk: Chunk) -> None:
        if chunk.usage is not None:
            self._usage = chunk.usage
        if chunk.error is not None:
            raise self._failures.told(self._model, *described(chunk.error))
        self._served = self._served or chunk.model or self._model

    def _other_delta(self, delta: Delta, out: list[ModelEvent]) -> None:
        if thought := delta.reasoning_content or delta.reasoning:
            out.append(ThinkingDelta(thought))
        elif delta.refusal:
            out.append(TextDelta(delta.refusal))

    def _call_events(self, pieces: Sequence[Call], out: list[ModelEvent]) -> None:
        for piece in pieces:
            name = (piece.function and piece.function.name) or ""
            arguments = (piece.function and piece.function.arguments) or ""
            index, fresh = self._calls.place(piece.index, piece.id or "", name)
            if not fresh:
                if arguments:
                    out.append(ToolCallDelta(index, arguments=arguments))
            elif name:
                out.append(ToolCallDelta(index, piece.id or f"call_{new_id()}", name, arguments))
            else:
                raise self._failures.protocol(self._model, "a tool call has no name")


class CallIndex:
    """Keeps apart the calls of one answer, whatever a server sends as index and id."""

    __slots__ = ("_by_wire", "_last", "_size")

    def __init__(self) -> None:
        self._by_wire: dict[int, tuple[int, str]] = {}
        self._last = -1
        self._size = 0

    @property
    def any(self) -> bool:
        """True once there is a call."""
        return self._size > 0

    def place(self, wire_index: int | None, call_id: str, name: str) -> tuple[int, bool]:
        """Return our index of the call that a piece belongs to, and whether the piece opens it."""
        if wire_index is None:
            wire_index = self._last + 1 if self._last < 0 or (call_id and name) else self._last
        self._last = wire_index
        known = self._by_wire.get(wire_index)
        if known is not None and (not call_id or not name or call_id == known[1]):
            return known[0], False
        self._by_wire[wire_index] = (self._size, call_id)
        self._size += 1
        return self._size - 1, True
