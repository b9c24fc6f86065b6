"""What the model is shown of a session: the last summary, and every step after what it stands for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from openclaw.agent.context import valid_history
from openclaw.agent.taint import marked, outside_of
from openclaw.base.bounded import BoundedMap
from openclaw.base.ids import SessionId
from openclaw.base.message import ImagePart, Message, ToolOutcome
from openclaw.models.tokens import estimate_message
from openclaw.policy.skill.confined import strongest
from openclaw.store.api import StepRow, Store

HISTORY_STEPS = 400
"""Steps read back for a turn; older ones are in the last summary, or beyond any context."""
UNKNOWN_SEQ = 0
RECENT_SESSIONS = 128
RECENT_TOKENS = 20_000
"""Longer conversations are read back each time."""
RECENT_BYTES = 4_000_000
"""What is kept in memory of all of them together: the conversations used last."""
STEP_BYTES = 280
"""What a step takes besides its text: its entry, its messages and their parts."""
TOKEN_BYTES = 4


class _Entry(NamedTuple):
    seq: int
    messages: tuple[Message, ...]
    tokens: int
    weight: int
    """Bytes of memory, about."""
    outside: str
    """See Message.outside."""


def _entry(seq: int, messages: tuple[Message, ...]) -> _Entry:
    tokens = sum(map(estimate_message, messages))
    weight = STEP_BYTES + TOKEN_BYTES * tokens + sum(map(_image_bytes, messages))
    return _Entry(seq, messages, tokens, weight, outside_of(messages))


def _image_bytes(message: Message) -> int:
    total = 0
    for part in message.parts:
        if type(part) is ImagePart:
            total += len(part.data)
        elif type(part) is ToolOutcome:
            total += sum(len(image.data) for image in part.images)
    return total


class Conversation:
    """The steps of a session in order, each with its seq (UNKNOWN_SEQ while nobody needs it) and its size."""

    def __init__(self, entries: Sequence[tuple[int, tuple[Message, ...]]] = ()) -> None:
        self._entries = [_entry(seq, messages) for seq, messages in entries]
        self._tokens = sum(entry.tokens for entry in self._entries)

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
        self._entries, self._tokens = list(other._entries), other._tokens

    def add(self, messages: tuple[Message, ...], seq: int = UNKNOWN_SEQ) -> None:
        """Append a step."""
        entry = _entry(seq, messages)
        self._entries.append(entry)
        self._tokens += entry.tokens

    def note(self, message: Message) -> None:
        """Put a message before the last step: it is told, not stored."""
        entry = _entry(UNKNOWN_SEQ, (message,))
        self._entries.insert(-1, entry)
        self._tokens += entry.tokens

    def messages(self) -> list[Message]:
        """Return what the model may be shown, pairs whole."""
        return valid_history([message for entry in self._entries for message in entry.messages])

    def tokens(self) -> int:
        """Return about how large it is."""
        return self._tokens

    def weight(self) -> int:
        """Return about how many bytes of memory it takes."""
        return sum(entry.weight for entry in self._entries)

    def outside(self) -> str:
        """Return by what way text from outside came in, or "": see outside_of."""
        return strongest(entry.outside for entry in self._entries if entry.outside)

    def is_stored(self) -> bool:
        """Say whether every step's seq is known: then the archive holds exactly this."""
        return all(entry.seq != UNKNOWN_SEQ for entry in self._entries)

    def split(self, keep_tokens: int) -> tuple[int, list[Message]] | None:
        """Return (last seq, messages) of what may be summarised, or None when there is nothing before the latest part.

        What stays begins with a user's message, has the last exchange at least, and `keep_tokens` where there are.
        """
        kept = 0
        cut: int | None = None
        for index in range(len(self._entries) - 1, 0, -1):
            entry = self._entries[index]
            kept += entry.tokens
            if entry.messages and entry.messages[0].role == "user":
                cut = index
                if kept >= keep_tokens:
                    break
        if cut is None:
            return None
        going = self._entries[:cut]
        if going[-1].seq == UNKNOWN_SEQ:
            return None
        return going[-1].seq, [message for entry in going for message in entry.messages]

    def whole(self) -> tuple[int, list[Message]] | None:
        """Return (last seq, messages) of everything, or None when not all of it is stored."""
        if not self._entries or not self.is_stored():
            return None
        return self._entries[-1].seq, [message for entry in self._entries for message in entry.messages]

    def replace(self, covers_seq: int, summary: Message) -> int:
        """Put a summary in the place of every step up to a seq. Return how many messages went."""
        going = [entry for entry in self._entries if UNKNOWN_SEQ < entry.seq <= covers_seq]
        rest = [entry for entry in self._entries if not UNKNOWN_SEQ < entry.seq <= covers_seq]
        source = strongest(entry.outside for entry in going if entry.outside)
        self._entries = [_entry(covers_seq, (marked(summary, source),)), *rest]
        self._tokens = sum(entry.tokens for entry in self._entries)
        return sum(len(entry.messages) for entry in going)


class _Kept(NamedTuple):
    last_seq: int
    conversation: Conversation
    weight: int


class Recent:
    """Conversations of sessions that spoke lately, so that their next turn need not read them back.

    One is used only when the new message's seq follows directly on the last step that it knows: whatever else was
    written into the session meanwhile (a note, a reset) makes it stale.
    """

    def __init__(self) -> None:
        self._kept: BoundedMap[SessionId, _Kept] = BoundedMap("conversations", RECENT_SESSIONS, self._gone)
        self._weight = 0

    def take(self, session_id: SessionId, last_seq: int) -> Conversation | None:
        """Return the conversation up to a seq and forget it: the run that takes it gives it back."""
        kept = self._kept.pop(session_id)
        if kept is None:
            return None
        self._weight -= kept.weight
        return kept.conversation if kept.last_seq == last_seq > 0 else None

    def put(self, session_id: SessionId, last_seq: int, conversation: Conversation) -> None:
        """Keep a conversation that is exactly what the archive holds, if it is not too long."""
        if not last_seq or conversation.tokens() > RECENT_TOKENS or not conversation.is_stored():
            return
        self.take(session_id, 0)
        kept = _Kept(last_seq, conversation, conversation.weight())
        self._weight += kept.weight
        self._kept.put(session_id, kept)
        while self._weight > RECENT_BYTES:
            self._kept.evict()

    def _gone(self, session_id: SessionId, kept: _Kept) -> None:
        self._weight -= kept.weight
