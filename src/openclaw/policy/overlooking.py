"""Whoever may see what is other people's (sessions, approvals, jobs, events) leaves a row in the ledger before they do.

One row an hour for the same viewer and thing; a list that holds what is other people's is one row of its own.
"""

from __future__ import annotations

from typing import Final

from openclaw.base.bounded import BoundedMap
from openclaw.base.clock import Clock
from openclaw.base.principal import Principal
from openclaw.policy.ledger import Ledger

EVERY_S: Final = 3600.0
MAX_KNOWN: Final = 4096


class Overlooking:
    """Writes the rows."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._seen: BoundedMap[tuple[str, ...], float] = BoundedMap("policy.overlooked", MAX_KNOWN)

    async def note(self, principal: Principal, what: str, target: str) -> None:
        """Write that somebody looks at what is not theirs: `*` is a list of it. Raises: Unavailable."""
        if principal.method == "local":
            return  # the house asks itself whose a session is; nobody is shown anything
        key = (principal.tenant, principal.owner, principal.method, principal.device, what, target)
        now_s = self._clock.monotonic_s()
        last_s = self._seen.get(key)
        if last_s is not None and now_s - last_s < EVERY_S:
            return
        await self._ledger.note(principal, "admin", f"{what}.read", target, answer="allow", rule="sessions.all")
        self._seen.put(key, now_s)
