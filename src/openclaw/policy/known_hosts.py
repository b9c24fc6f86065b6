"""The hosts that an agent has used while it had read nothing from outside, or that a person has let it use.

A tainted turn reaches these without asking (`policy.content_door`). At most MAX_HOSTS are remembered for all agents,
the oldest go first; a host that was allowed once counts for that run only.
"""

from __future__ import annotations

from typing import Final

from openclaw.base.bounded import BoundedMap
from openclaw.base.clock import Clock
from openclaw.store.shelf import Change, Shelf

KIND: Final = "egress.known"
MAX_HOSTS: Final = 2_000
MAX_LENT: Final = 1_024


class KnownHosts:
    """One tenant's. `load` before anything else. A host is `host:port`, as content_door.host_key writes it."""

    def __init__(self, shelf: Shelf, clock: Clock) -> None:
        self._shelf = shelf
        self._clock = clock
        self._known: dict[str, None] = {}
        self._lent: BoundedMap[tuple[str, str], bool] = BoundedMap("policy.lent_hosts", MAX_LENT)

    async def load(self) -> None:
        """Read what is kept."""
        records = await self._shelf.list(KIND, limit=MAX_HOSTS)
        for record in sorted(records, key=lambda record: record.updated_at_ms):
            self._known[record.id] = None

    def knows(self, agent: str, run: str, host: str) -> bool:
        """Say whether an agent may use a host in this run without asking."""
        return _id(agent, host) in self._known or self._lent.get((run, host)) is True

    def lend(self, run: str, host: str) -> None:
        """Let one run use a host."""
        self._lent.put((run, host), True)

    async def remember(self, agent: str, host: str) -> None:
        """Let an agent use a host from now on."""
        own = _id(agent, host)
        if own in self._known:
            return
        self._known[own] = None
        changes = [Change(KIND, own, b"{}")]
        while len(self._known) > MAX_HOSTS:
            oldest = next(iter(self._known))
            del self._known[oldest]
            changes.append(Change(KIND, oldest, None))
        await self._shelf.apply(changes, self._clock.now_ms())


def _id(agent: str, host: str) -> str:
    return f"{agent} {host}"
