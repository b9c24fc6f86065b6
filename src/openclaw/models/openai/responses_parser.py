"""The stream of a response, event by event.

Rules
1. `response.completed` and `response.incomplete` end the stream; one that ends without either broke off.
2. `response.failed` and `error` end it as a typed error.
3. Items have indexes of their own; only function calls count as calls, in their order. Arguments come in pieces, or,
   from some compatible servers, only whole with the item's end.
4. A reasoning item's encrypted content comes with the item's end; the one at its beginning may be incomplete.
5. Events of types yet unknown are passed over.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from openclaw.base.ids import new_id
from openclaw.base.model import ModelEvent, ModelFinish, TextDelta, ThinkingDelta, ToolCallDelta, Usage
from openclaw.models.openai.responses_wire import Event, Item, Response, finish_reason
from openclaw.models.transport.failure import Failures, described

_decode = msgspec.json.Decoder(Event).decode
_NO_USAGE = Usage()


class ResponseParser:
    """Parses one stream."""

    __slots__ = ("_between", "_calls", "_end", "_failures", "_model", "_thought", "_with_arguments", "done")

    def __init__(self, model: str, failures: Failures) -> None:
        self.done = False
        self._model = model
        self._failures = failures
        self._calls: dict[int, int] = {}
        self._with_arguments: set[int] = set()
        self._thought = False
        self._between = ""
        self._end: Response | None = None

    def feed(self, payloads: Sequence[bytes]) -> list[ModelEvent]:
        """Return the events that these data hold. Raises: ModelError."""
        out: list[ModelEvent] = []
        for payload in payloads:
            try:
                event = _decode(payload)
            except (msgspec.DecodeError, ValueError, RecursionError):
                raise self._failures.protocol(self._model, "an event is not the JSON of a response") from None
            kind, delta = event.type, event.delta
            if kind == "response.output_text.delta" or kind == "response.refusal.delta":
                if isinstance(delta, str) and delta:
                    out.append(TextDelta(delta))
            elif kind == "response.function_call_arguments.delta":
                self._arguments(event.output_index, delta, out)
            elif kind == "response.reasoning_summary_text.delta" or kind == "response.reasoning_text.delta":
                if isinstance(delta, str) and delta:
                    self._thought = True
                    out.append(ThinkingDelta(self._between + delta))
                    self._between = ""
            else:
                self._frame(event, out)
                if self.done:
                    return out
        return out

    def finish(self) -> ModelFinish:
        """Return the finish. Raises: ModelProtocol when the stream broke off."""
        if self._end is None:
            raise self._failures.protocol(self._model, "the stream ended before the answer did")
        reason = finish_reason(self._end, bool(self._calls))
        if reason is None:
            raise self._failures.protocol(self._model, "the provider broke the answer off")
        usage = self._end.usage.usage() if self._end.usage else _NO_USAGE
        return ModelFinish(reason, usage, self._end.model or self._model)

    def _frame(self, event: Event, out: list[ModelEvent]) -> None:
        match event.type:
            case "response.output_item.added":
                if event.item is not None and event.item.type == "function_call":
                    self._open(event.output_index, event.item, out)
            case "response.reasoning_summary_part.added":
                self._between = "\n\n" if self._thought else ""
            case "response.output_item.done":
                if event.item is not None:
                    self._close(event.output_index, event.item, out)
            case "response.completed" | "response.incomplete":
                self._end = event.response or Response(status=event.type.removeprefix("response."))
                self.done = True
            case "response.failed" | "error":
                raise self._failed(event)

    def _open(self, index: int, item: Item, out: list[ModelEvent]) -> None:
        if index in self._calls:
            return
        if not item.name:
            raise self._failures.protocol(self._model, "a tool call has no name")
        self._calls[index] = len(self._calls)
        arguments = item.arguments or ""
        if arguments:
            self._with_arguments.add(index)
        out.append(ToolCallDelta(self._calls[index], item.call_id or f"call_{new_id()}", item.name, arguments))

    def _arguments(self, index: int, delta: object, out: list[ModelEvent]) -> None:
        call = self._calls.get(index)
        if call is None or not isinstance(delta, str):
            raise self._failures.protocol(self._model, "arguments belong to no tool call")
        if delta:
            self._with_arguments.add(index)
            out.append(ToolCallDelta(call, arguments=delta))

    def _close(self, index: int, item: Item, out: list[ModelEvent]) -> None:
        if item.type == "function_call":
            self._open(index, item, out)
            if item.arguments and index not in self._with_arguments:
                out.append(ToolCallDelta(self._calls[index], arguments=item.arguments))
        elif item.type == "reasoning":
            signature = item.signature(self._model)
            if signature:
                out.append(ThinkingDelta("", signature))
                self._thought = False
            self._between = "\n\n" if self._thought else ""

    def _failed(self, event: Event) -> Exception:
        error = event.error or (event.response and event.response.error)
        if error:
            return self._failures.told(self._model, *described(error))
        return self._failures.told(self._model, event.code or "", event.message or "")
