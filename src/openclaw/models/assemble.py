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


class _Thought:
    """A stretch of thinking; its signature closes it and signs exactly its text."""

    __slots__ = ("pieces", "signature")

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.signature = ""


class Assembler:
    """Collects events. `message` may be read at any time: what has arrived so far survives an abort.

    Parts stand in the order in which they began: a provider that signs its thinking wants it back between the very
    texts and calls that it stood between.
    """

    __slots__ = ("_calls", "_parts", "_said", "_text", "_thought", "finish", "size")

    def __init__(self) -> None:
        self._text: list[str] = []
        self._calls: dict[int, tuple[str, str, list[str]]] = {}
        self._parts: list[list[str] | _Thought | int] = []
        """Texts as their pieces, thoughts, and indexes of calls."""
        self._said: list[str] | None = None
        self._thought: _Thought | None = None
        self.finish: ModelFinish | None = None
        self.size = 0
        """Characters of everything taken in."""

    def feed(self, events: Iterable[ModelEvent]) -> None:
        """Take the next events in order."""
        for event in events:
            if type(event) is TextDelta:
                if self._said is None:
                    self._thought, self._said = None, []
                    self._parts.append(self._said)
                self._said.append(event.text)
                self._text.append(event.text)
                self.size += len(event.text)
            elif type(event) is ToolCallDelta:
                call = self._calls.get(event.index)
                if call is None:
                    call = self._calls[event.index] = (event.id, event.name, [])
                    self._thought = self._said = None
                    self._parts.append(event.index)
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
        """Everything so far; a call without arguments has `{}`, ids are never empty or repeated."""
        parts: list[Part] = []
        seen: set[str] = set()
        for part in self._parts:
            if isinstance(part, _Thought):
                parts.append(ThinkingPart("".join(part.pieces), part.signature))
            elif isinstance(part, list):
                if text := "".join(part):
                    parts.append(TextPart(text))
            else:
                call_id, name, pieces = self._calls[part]
                unique = _unique(call_id, part, seen)
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
        if self._thought is None:
            self._said, self._thought = None, _Thought()
            self._parts.append(self._thought)
        self._thought.pieces.append(event.text)
        if event.signature:
            self._thought.signature = event.signature
            self._thought = None


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
