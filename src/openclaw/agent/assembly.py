"""Puts a streamed answer together: deltas in, publishable events out, the whole message at the end."""

from __future__ import annotations

from collections.abc import Sequence

from openclaw.base.errors import ModelProtocol
from openclaw.base.message import Message, Part, TextPart, ThinkingPart, ToolCall
from openclaw.base.model import ModelEvent, ModelFinish, ModelResult, TextDelta, ThinkingDelta, ToolCallDelta
from openclaw.base.run import RunEvent

MAX_ANSWER_CHARS = 4_000_000
"""A provider that never stops must not fill our memory."""
SEPARATOR = "\n\n"
"""Stands between the texts of two steps, so that the concatenated deltas read well."""


class Assembly:
    """One answer in the making. `separate` says that an earlier step of the run already spoke."""

    def __init__(self, *, separate: bool) -> None:
        self._separate = separate
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self._signature = ""
        self._calls: dict[int, list[str]] = {}
        self._size = 0
        self._finish: ModelFinish | None = None

    @property
    def text(self) -> str:
        """The answer's text so far, without the separator."""
        return "".join(self._texts)

    def take(self, batch: Sequence[ModelEvent]) -> Sequence[RunEvent]:
        """Add a batch; return what of it readers should see.

        Raises: ModelProtocol for an answer over the size limit.
        """
        out: list[RunEvent] = []
        for event in batch:
            kind = type(event)
            if kind is TextDelta:
                self._text(event.text, out)  # type: ignore[union-attr]  # narrowed by identity: this loop is hot
                out.append(event)  # type: ignore[arg-type]
            elif isinstance(event, ThinkingDelta):
                self._thoughts.append(event.text)
                self._signature = event.signature or self._signature
                self._size += len(event.text)
                if event.text:
                    out.append(event)
            elif isinstance(event, ToolCallDelta):
                self._call(event)
            elif isinstance(event, ModelFinish):
                self._finish = event
        if self._size > MAX_ANSWER_CHARS:
            raise ModelProtocol(f"the model's answer is longer than {MAX_ANSWER_CHARS} characters")
        return out

    def take_whole(self, result: ModelResult) -> Sequence[RunEvent]:
        """Add an answer that came in one piece."""
        events: list[ModelEvent] = []
        for index, part in enumerate(result.message.parts):
            if isinstance(part, TextPart):
                events.append(TextDelta(part.text))
            elif isinstance(part, ThinkingPart):
                events.append(ThinkingDelta(part.text, part.signature))
            elif isinstance(part, ToolCall):
                events.append(ToolCallDelta(index, part.id, part.name, part.arguments))
        events.append(ModelFinish(result.finish_reason, result.usage, result.model))
        return self.take(events)

    def answer(self) -> tuple[Message, ModelFinish]:
        """Return the whole message and how it ended. Raises: ModelProtocol when the stream had no end."""
        if self._finish is None:
            raise ModelProtocol("the model's answer broke off before its end")
        parts: list[Part] = []
        if self._thoughts or self._signature:
            parts.append(ThinkingPart("".join(self._thoughts), self._signature))
        if self._texts:
            parts.append(TextPart(self.text))
        seen: set[str] = set()
        for index in sorted(self._calls):
            call_id, name, *fragments = self._calls[index]
            while not call_id or call_id in seen:
                call_id = f"call_{index}_{len(seen)}"
            seen.add(call_id)
            parts.append(ToolCall(call_id, name, "".join(fragments) or "{}"))
        return Message("assistant", tuple(parts)), self._finish

    def _text(self, text: str, out: list[RunEvent]) -> None:
        if self._separate and text:
            self._separate = False
            out.append(TextDelta(SEPARATOR))
        self._texts.append(text)
        self._size += len(text)

    def _call(self, event: ToolCallDelta) -> None:
        call = self._calls.setdefault(event.index, ["", ""])
        call[0] = call[0] or event.id
        call[1] = call[1] or event.name
        if event.arguments:
            call.append(event.arguments)
            self._size += len(event.arguments)
