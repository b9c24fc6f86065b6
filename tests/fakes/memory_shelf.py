"""A shelf in memory, for tests that need no archive."""

from __future__ import annotations

from collections.abc import Sequence

from openclaw.base.audit import Entry
from openclaw.base.errors import Conflict
from openclaw.store.shelf import ABSENT, Change, Record, Shelf


class MemoryShelf(Shelf):
    """Does as the shelf does; nothing survives it."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], Record] = {}
        self.entries: list[Entry] = []

    async def get(self, kind: str, record_id: str) -> Record | None:
        return self.records.get((kind, record_id))

    async def list(
        self, kind: str, *, prefix: str = "", after: str = "", limit: int = 1000, last_first: bool = False
    ) -> list[Record]:
        found = [each for (of, name), each in sorted(self.records.items()) if of == kind and name.startswith(prefix)]
        if last_first:
            found.reverse()
        beyond = [each for each in found if not after or (each.id < after if last_first else each.id > after)]
        return beyond[:limit]

    async def apply(self, changes: Sequence[Change], now_ms: int, entries: Sequence[Entry] = ()) -> None:
        seen = {place: record.version for place, record in self.records.items()}
        for change in changes:
            place = (change.kind, change.id)
            version = seen.get(place, ABSENT)
            if change.expected not in (None, version):
                raise Conflict(f"{change.kind} {change.id} was changed meanwhile")
            seen[place] = ABSENT if change.body is None else version + 1
        for change in changes:
            place = (change.kind, change.id)
            version = self.records[place].version if place in self.records else ABSENT
            if change.body is None:
                self.records.pop(place, None)
            else:
                self.records[place] = Record(change.id, change.body, version + 1, now_ms)
        self.entries += entries

    async def trim(self, kind: str, *, prefix: str = "", keep: int) -> int:
        found = await self.list(kind, prefix=prefix, limit=1_000_000, last_first=True)
        for record in found[keep:]:
            del self.records[kind, record.id]
        return len(found[keep:])
