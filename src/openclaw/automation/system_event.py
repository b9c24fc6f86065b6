"""System events: lines that wait for a session's next message and then stand before it.

They are written to the shelf before they are acknowledged, and become part of the message that takes them: the
transcript holds them, so what a model is shown of earlier turns never changes.

1. At most MAX_WAITING wait per session, the oldest go first; the same line twice in a row waits once. They wait for
   MAX_SESSIONS at most: the one that was told something least lately, and is no main one, loses its lines to another.
2. A line is let go only when the message that took it is durable; one that was refused gives them back.
3. A crash between the two tells a line again rather than never.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from openclaw.base.clock import Clock
from openclaw.base.errors import InvalidRequest
from openclaw.base.ids import OwnerId, SessionKey, TenantId
from openclaw.store.shelf import Change, Shelf
from openclaw.tools.untrusted import visible

KIND: Final = "system.event"
MAX_WAITING: Final = 20
MAX_SESSIONS: Final = 1_000
MAX_CHARS: Final = 4_000


class Line(msgspec.Struct, frozen=True):
    """One line that waits. `number` tells lines of one millisecond apart."""

    key: SessionKey
    text: str
    at_ms: int
    number: int
    tenant: TenantId
    owner: OwnerId

    @property
    def id(self) -> str:
        """Its place on the shelf; no session key holds a line break."""
        return f"{self.key}\n{self.at_ms:016d}:{self.number:06d}"


_lines = msgspec.json.Decoder(Line)


class Queuing(msgspec.Struct, frozen=True):
    """A line about to wait, and those that go for it; no line when the last one already says the same."""

    line: Line | None = None
    dropped: tuple[Line, ...] = ()

    @property
    def changes(self) -> list[Change]:
        """What makes it durable."""
        if self.line is None:
            return []
        return [Change(KIND, self.line.id, msgspec.json.encode(self.line)), *_deletions(self.dropped)]


class SystemEvents:
    """Implements agent.asking.Announcements over the shelf; what waits is held in memory as well."""

    def __init__(self, shelf: Shelf, clock: Clock) -> None:
        self._shelf = shelf
        self._clock = clock
        self._waiting: dict[SessionKey, list[Line]] = {}
        self._number = 0

    async def load(self) -> None:
        """Read what waited when the gateway stopped."""
        for record in await self._shelf.list(KIND, limit=MAX_SESSIONS * MAX_WAITING):
            line = _lines.decode(record.body)
            self._waiting.setdefault(line.key, []).append(line)

    def prepare(self, key: SessionKey, text: str, tenant: TenantId, owner: OwnerId) -> Queuing:
        """Return what queues a line; `queued` takes it in once its changes are made.

        Raises: InvalidRequest for an empty line.
        """
        text = text.strip()[:MAX_CHARS]
        if not text:
            raise InvalidRequest("the text of a system event is empty")
        waiting = self._waiting.get(key, [])
        dropped = waiting[: max(0, len(waiting) + 1 - MAX_WAITING)]
        if not waiting and len(self._waiting) >= MAX_SESSIONS:
            dropped = min(self._waiting.values(), key=_standing)
        if waiting and waiting[-1].text == text:
            return Queuing()
        self._number = (self._number + 1) % 1_000_000
        line = Line(key, text, self._clock.now_ms(), self._number, tenant, owner)
        return Queuing(line, tuple(dropped))

    def queued(self, queuing: Queuing) -> None:
        """Take in what `prepare` returned, once it is durable."""
        if queuing.line is None:
            return
        for key in {line.key for line in queuing.dropped}:
            self._waiting[key] = [line for line in self._waiting.get(key, ()) if line not in queuing.dropped]
            if not self._waiting[key]:
                del self._waiting[key]
        key = queuing.line.key
        self._waiting[key] = [*self._waiting.get(key, ()), queuing.line]

    async def queue(self, key: SessionKey, text: str, tenant: TenantId, owner: OwnerId) -> bool:
        """Queue a line durably. Say whether it waits, or the one before it says the same. Raises: as `prepare`."""
        queuing = self.prepare(key, text, tenant, owner)
        if queuing.line is None:
            return False
        await self._shelf.apply(queuing.changes, self._clock.now_ms())
        self.queued(queuing)
        return True

    def waiting(self, key: SessionKey) -> Sequence[Line]:
        """Return what waits for a session."""
        return tuple(self._waiting.get(key, ()))

    # for the study

    def take(self, key: SessionKey) -> Sequence[Line]:
        """See Announcements."""
        return self._waiting.pop(key, ())

    def text(self, taken: Sequence[Line]) -> str:
        """See Announcements."""
        return "".join(f"System: [{_moment(line.at_ms)}] {_one_entry(line.text)}\n" for line in taken)

    async def told(self, taken: Sequence[Line]) -> None:
        """See Announcements."""
        await self._shelf.apply(_deletions(taken), self._clock.now_ms())

    def give_back(self, taken: Sequence[Line]) -> None:
        """See Announcements."""
        if taken:
            key = taken[0].key
            self._waiting[key] = [*taken, *self._waiting.get(key, [])][-MAX_WAITING:]


def _standing(lines: Sequence[Line]) -> tuple[bool, int]:
    """Return what the lines of sessions are ordered by; the first ones make room."""
    return lines[-1].key.endswith(":main"), lines[-1].at_ms


def _deletions(lines: Iterable[Line]) -> list[Change]:
    return [Change(KIND, line.id, None) for line in lines]


def _one_entry(text: str) -> str:
    """Return the text so that none of its lines looks like another system event."""
    return re.sub("[\n\u2028\u2029]", "\n  ", visible(text))


def _moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
