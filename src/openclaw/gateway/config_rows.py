"""Changes of the configuration that no client made, as rows of the audit ledger: commands, fixes, edits by hand.

Their effect begins when a gateway takes them up, so that is what waits for the row. Rows name settings, never values.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol

from openclaw.base.clock import Clock
from openclaw.base.ids import OwnerId
from openclaw.config.changes.book import FILE_EDIT
from openclaw.config.changes.record import ChangeRecord
from openclaw.store.audit import Entry, Fact

METHOD: Final = "file"
"""How those who change the files are known: by nothing but that they could."""
MAX_NAMES: Final = 512


class Rows(Protocol):
    """policy.ledger.Ledger."""

    async def write(self, *entries: Entry) -> None: ...


class ConfigRows:
    """Writes them."""

    def __init__(self, ledger: Rows, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def before(self, waiting: Iterable[ChangeRecord], edited: str) -> None:
        """Write what is about to be taken up. Shape: `edited` is the file that was changed by hand, or "".

        Raises: Unavailable; then it is not taken up.
        """
        entries = [self._row(each) for each in waiting]
        if edited:
            entries.append(self._entry(FILE_EDIT, edited, "", {}))
        if entries:
            await self._ledger.write(*entries)

    async def noticed(self, record: ChangeRecord) -> None:
        """Write what an edit by hand was. Raises: Unavailable."""
        await self._ledger.write(self._row(record))

    def _row(self, record: ChangeRecord) -> Entry:
        names = " ".join(each.path for each in record.diff)
        facts: dict[str, Fact] = {"change": record.id}
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
