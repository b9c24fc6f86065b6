"""From a stream's events to the whole message, as the transcript keeps it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing

from openclaw.base.errors import ModelProtocol
from openclaw.base.message import Message, Part, TextPart, ThinkingPart, ToolCall
from openclaw.base.model import (
    ModelEvent,
    ModelFinish,
    ModelResult,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
)


class Assembler:
    """Collects events. `message` may be read at any time: what has arrived so far survives an abort."""

    __slots__ = ("_calls", "_text", "_thinking", "_thoughts", "finish", "size")

    def __init__(self) -> None:
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._thoughts: list[ThinkingPart] = []
        self._calls: dict[int, tuple[str, str, list[str]]] = {}
        self.finish: ModelFinish | None = None
        self.size = 0
        """Characters of everything taken in."""

    def feed(self, events: Iterable[ModelEvent]) -> None:
        """Take the next events in order."""
        for event in events:
            if type(event) is TextDelta:
                self._text.append(event.text)
                self.size += len(event.text)
            elif type(event) is ToolCallDelta:
                call = self._calls.get(event.index)
                if call is None:
                    call = self._calls[event.index] = (event.id, event.name, [])
                call[2].append(event.arguments)
                self.size += len(event.arguments)
            elif type(event) is ThinkingDelta:
                self._think(event)
            elif type(event) is ModelFinish:
                self.finish = event

    @property
    def text(self) -> str:
        """The answer so far."""
        return "".join(self._text)

    @property
    def message(self) -> Message:
        """Thinking, text and tool calls so far; a call without arguments has `{}`, ids are never empty or repeated."""
        parts: list[Part] = list(self._thoughts)
        if self._thinking:
            parts.append(ThinkingPart("".join(self._thinking)))
        if text := self.text:
            parts.append(TextPart(text))
        seen: set[str] = set()
        for index, (call_id, name, pieces) in sorted(self._calls.items()):
            unique = _unique(call_id, index, seen)
            seen.add(unique)
            parts.append(ToolCall(unique, name, "".join(pieces).strip() or "{}"))
        return Message("assistant", tuple(parts))

    def result(self) -> ModelResult:
        """Return the whole answer. Raises: ModelProtocol when the stream had no end."""
        if self.finish is None:
            raise ModelProtocol("the model's answer has no end")
        return ModelResult(self.message, self.finish.usage, self.finish.reason, self.finish.model)

    def _think(self, event: ThinkingDelta) -> None:
        self.size += len(event.text)
        self._thinking.append(event.text)
        if event.signature:
            # A signature closes its block and signs exactly that block's text: blocks are never merged.
            self._thoughts.append(ThinkingPart("".join(self._thinking), event.signature))
            self._thinking = []


async def collect(stream: AsyncGenerator[Sequence[ModelEvent], None]) -> ModelResult:
    """Read a stream to its end. Raises: what the stream raises; ModelProtocol when it had no end."""
    assembler = Assembler()
    async with aclosing(stream):
        async for events in stream:
            assembler.feed(events)
    return assembler.result()


def _unique(call_id: str, index: int, seen: set[str]) -> str:
    """Return the id, or one made for a call whose provider gave none or gave it twice."""
    candidate = call_id or f"call_{index}"
    while candidate in seen:
        candidate += "_"
    return candidate
