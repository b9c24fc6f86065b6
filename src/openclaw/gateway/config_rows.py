"""Changes of the configuration as rows of the audit ledger, whoever made them: clients, commands, fixes, edits by hand.

Their effect begins when a gateway takes them up, so that is what waits for the rows. Rows name settings, never values.
Which changes have a row is kept beside them, in the same transaction: each is told once, also after a restart.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from openclaw.base.audit import Entry, Fact
from openclaw.base.clock import Clock
from openclaw.base.ids import OwnerId
from openclaw.config.changes.book import FILE_EDIT
from openclaw.config.changes.record import ChangeRecord
from openclaw.store.shelf import Change, Shelf

KIND: Final = "config-audited"
METHOD: Final = "file"
"""How those who change the files are known: by nothing but that they could."""
MAX_NAMES: Final = 512
_ID: Final = "changes"


class ConfigRows:
    """Writes them."""

    def __init__(self, shelf: Shelf, clock: Clock) -> None:
        self._shelf = shelf
        self._clock = clock
        self.behind = False
        """Whether there are changes whose rows could not be written."""

    async def tell(self, records: Iterable[ChangeRecord], edited: str) -> None:
        """Write what has no row yet. Shape: `edited` is the file that was changed by hand since the last record, or "".

        Raises: Unavailable; then nothing of it is to be taken up.
        """
        self.behind = True
        kept = list(records)
        record = await self._shelf.get(KIND, _ID)
        told = frozenset(msgspec.json.decode(record.body, type=list[str])) if record is not None else frozenset()
        entries = [self._row(each) for each in kept if each.id not in told]
        if edited:
            entries.append(self._entry(FILE_EDIT, edited, "", {}))
        if entries:
            body = msgspec.json.encode([each.id for each in kept])
            await self._shelf.apply([Change(KIND, _ID, body)], self._clock.now_ms(), entries)
        self.behind = False

    def _row(self, record: ChangeRecord) -> Entry:
        names = " ".join(each.path for each in record.diff)
        facts: dict[str, Fact] = {"change": record.id, "outcome": record.outcome.partition(":")[0]}
        if names:
            facts["settings"] = f"{names[:MAX_NAMES]}{' …' if len(names) > MAX_NAMES or record.more else ''}"
        if record.patches:
            facts["patches"] = " ".join(each.patch for each in record.patches)[:MAX_NAMES]
        if record.ticket:
            facts["ticket"] = record.ticket[:64]
        return self._entry(record.method, record.file, record.owner, facts)

    def _entry(self, action: str, target: str, owner: str, facts: dict[str, Fact]) -> Entry:
        return Entry(
            at_ms=self._clock.now_ms(),
            kind="config",
            action=action,
            target=target,
            owner=OwnerId(owner),
            method=METHOD,
            facts=facts,
        )
