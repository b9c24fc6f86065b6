"""Doors for tests: the real gatekeeper, with a ledger in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from openclaw.base.audit import Entry, Head
from openclaw.base.clock import Clock, ManualClock
from openclaw.base.errors import Unavailable
from openclaw.policy.gatekeeper import Gatekeeper, Rule
from openclaw.policy.ledger import Ledger


class LedgerRows:
    """Keeps what is written. While `full`, nothing can be."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.full = False

    async def append(self, entries: Sequence[Entry]) -> Head:
        if self.full:
            raise Unavailable("the disk is full")
        self.entries += entries
        return Head(len(self.entries), "")


def gatekeeper(rules: Mapping[str, Rule], rows: LedgerRows | None = None, clock: Clock | None = None) -> Gatekeeper:
    """Return a gatekeeper over these rules."""
    clock = clock or ManualClock()
    return Gatekeeper(rules, Ledger(rows or LedgerRows(), clock), clock)
