"""What the model is shown of a session: the last summary, and every step after what it stands for."""

from __future__ import annotations

from collections.abc import Sequence

from openclaw.agent.context import valid_history
from openclaw.base.ids import SessionId
from openclaw.base.message import Message
from openclaw.models.tokens import estimate_message
from openclaw.store.api import StepRow, Store

HISTORY_STEPS = 400
"""Steps read back for a turn; older ones are in the last summary, or beyond any context."""
UNKNOWN_SEQ = 0


class Conversation:
    """The steps of a session in order, each with its seq (UNKNOWN_SEQ while nobody needs it)."""

    def __init__(self, entries: Sequence[tuple[int, tuple[Message, ...]]] = ()) -> None:
        self._entries = list(entries)

    @classmethod
    async def load(cls, store: Store, session_id: SessionId) -> Conversation:
        """Read a session back."""
        return cls.of(await store.steps(session_id, limit=HISTORY_STEPS))

    @classmethod
    def of(cls, steps: Sequence[StepRow]) -> Conversation:
        """Return the conversation of stored steps: what the last summary covers is left out."""
        summary = next((step for step in reversed(steps) if step.kind == "summary"), None)
        after = summary.covers_seq if summary else 0
        entries = [(step.seq, step.messages) for step in steps if step.kind != "summary" and step.seq > after]
        if summary is not None:
            entries.insert(0, (after, summary.messages))
        return cls(entries)

    def take(self, other: Conversation) -> None:
        """Become the same as another."""
        self._entries = list(other._entries)

    def add(self, messages: tuple[Message, ...], seq: int = UNKNOWN_SEQ) -> None:
        """Append a step."""
        self._entries.append((seq, messages))

    def note(self, message: Message) -> None:
        """Put a message before the last step: it is told, not stored."""
        self._entries.insert(-1, (UNKNOWN_SEQ, (message,)))

    def messages(self) -> list[Message]:
        """Return what the model may be shown, pairs whole."""
        return valid_history([message for _, messages in self._entries for message in messages])

    def tokens(self) -> int:
        """Return about how large it is."""
        return sum(estimate_message(message) for _, messages in self._entries for message in messages)

    def split(self, keep_tokens: int) -> tuple[int, list[Message]] | None:
        """Return (last seq, messages) of what may be summarised, or None when there is nothing before the latest part.

        What stays begins with a user's message, has the last exchange at least, and `keep_tokens` where there are.
        """
        kept = 0
        cut: int | None = None
        for index in range(len(self._entries) - 1, 0, -1):
            _, messages = self._entries[index]
            kept += sum(estimate_message(message) for message in messages)
            if messages[0].role == "user":
                cut = index
                if kept >= keep_tokens:
                    break
        if cut is None:
            return None
        going = self._entries[:cut]
        if going[-1][0] == UNKNOWN_SEQ:
            return None
        return going[-1][0], [message for _, messages in going for message in messages]

    def replace(self, covers_seq: int, summary: Message) -> int:
        """Put a summary in the place of every step up to a seq. Return how many messages went."""
        gone = sum(len(messages) for seq, messages in self._entries if seq <= covers_seq and seq != UNKNOWN_SEQ)
        rest = [(seq, messages) for seq, messages in self._entries if seq > covers_seq or seq == UNKNOWN_SEQ]
        self._entries = [(covers_seq, (summary,)), *rest]
        return gone
