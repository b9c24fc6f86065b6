"""A streamed answer on its way to the readers: what of each batch they see, and the whole message at the end."""

from __future__ import annotations

from collections.abc import Sequence

from openclaw.base.errors import ModelProtocol
from openclaw.base.message import Message
from openclaw.base.model import ModelEvent, ModelFinish, TextDelta, ThinkingDelta
from openclaw.base.run import RunEvent
from openclaw.models.assemble import Assembler

MAX_ANSWER_CHARS = 4_000_000
"""A provider that never stops must not fill our memory."""
SEPARATOR = TextDelta("\n\n")
"""Stands between the texts of two steps, so that the concatenated deltas read well."""


class Assembly:
    """One answer in the making. `separate` says that an earlier step of the run already spoke."""

    def __init__(self, *, separate: bool) -> None:
        self._separate = separate
        self._whole = Assembler()

    @property
    def text(self) -> str:
        """The answer's text so far, without the separator."""
        return self._whole.text

    def take(self, batch: Sequence[ModelEvent]) -> Sequence[RunEvent]:
        """Add a batch; return what of it readers should see.

        Raises: ModelProtocol for an answer over the size limit.
        """
        self._whole.feed(batch)
        if self._whole.size > MAX_ANSWER_CHARS:
            raise ModelProtocol(f"the model's answer is longer than {MAX_ANSWER_CHARS} characters")
        out: list[RunEvent] = [event for event in batch if isinstance(event, TextDelta | ThinkingDelta) and event.text]
        if self._separate and any(type(event) is TextDelta for event in out):
            self._separate = False
            out.insert(0, SEPARATOR)
        return out

    def answer(self) -> tuple[Message, ModelFinish]:
        """Return the whole message and how it ended. Raises: ModelProtocol when the stream had no end."""
        if self._whole.finish is None:
            raise ModelProtocol("the model's answer broke off before its end")
        return self._whole.message, self._whole.finish
