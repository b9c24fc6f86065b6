"""Sign-ins in the audit ledger: who came in by which proof, and who was refused and why.

1. Every WebSocket that is let in is a row; over HTTP, the first request in an hour of the same caller from the same
   client. A refusal is a row once a minute for the same client and reason: guessing fills no disk.
2. Rows are written in the order of what happened, a moment after it. Being let in does nothing yet: whatever changes
   something has a row of its own, before it is done.
"""

from __future__ import annotations

import logging
from typing import Final

from openclaw.base.audit import Entry, Fact
from openclaw.base.bounded import BoundedMap
from openclaw.base.clock import Clock
from openclaw.base.errors import OpenClawError
from openclaw.base.ids import OwnerId
from openclaw.base.principal import Principal
from openclaw.base.tasks import TaskSet
from openclaw.policy.ledger import Ledger

_log = logging.getLogger("openclaw.policy")

ACCEPTED_EVERY_S: Final = 3600.0
REFUSED_EVERY_S: Final = 60.0
MAX_KNOWN: Final = 4096
MAX_WAITING: Final = 1024
NOBODY: Final = Principal(owner=OwnerId(""), method="none")


class SignIns:
    """Implements identity.authenticate.SignIns."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._accepted: BoundedMap[tuple[str, ...], float] = BoundedMap("policy.signed_in", MAX_KNOWN)
        self._refused: BoundedMap[tuple[str, ...], float] = BoundedMap("policy.sign_ins_refused", MAX_KNOWN)
        self._waiting: list[Entry] = []
        self._left_out = 0
        """Came while MAX_WAITING were waiting; their number is a row."""
        self._tasks = TaskSet("sign-ins")
        self._writing = False

    def accepted(self, principal: Principal, client: str, surface: str) -> None:
        """Somebody has proved who they are."""
        if surface == "http":
            key = (principal.owner, principal.method, principal.device, principal.credential, client)
            now_s = self._clock.monotonic_s()
            last_s = self._accepted.get(key)
            if last_s is not None and now_s - last_s < ACCEPTED_EVERY_S:
                return
            self._accepted.put(key, now_s)
        facts: dict[str, Fact] = {"roles": ",".join(principal.roles)} if principal.roles else {}
        self._add(
            self._ledger.entry(
                principal, "identity", f"sign-in {surface}", client, answer="allow", rule=principal.method, facts=facts
            )
        )

    def refused(self, client: str, surface: str, reason: str) -> None:
        """Somebody has not."""
        key, now_s = (client, surface, reason), self._clock.monotonic_s()
        last_s = self._refused.get(key)
        if last_s is not None and now_s - last_s < REFUSED_EVERY_S:
            return
        self._refused.put(key, now_s)
        self._add(
            self._ledger.entry(NOBODY, "identity", f"sign-in {surface}", client, answer="deny", rule=f"auth.{reason}")
        )

    def _add(self, entry: Entry) -> None:
        if len(self._waiting) >= MAX_WAITING:
            self._left_out += 1
            return
        self._waiting.append(entry)
        if not self._writing:
            self._writing = True
            try:
                self._tasks.spawn(self._write(), "write")
            except RuntimeError:
                self._writing = False

    async def _write(self) -> None:
        try:
            while self._waiting:
                entries, self._waiting = self._waiting, []
                left_out, self._left_out = self._left_out, 0
                if left_out:
                    more = self._ledger.entry(NOBODY, "identity", "sign-ins left out", facts={"rows": left_out})
                    entries.append(more)
                await self._ledger.write(*entries)
        except OpenClawError as error:
            _log.error("sign_ins_not_written", extra={"fields": {"code": error.code}})
        finally:
            self._writing = False

    async def close(self) -> None:
        """Write what waits, and stop."""
        if self._waiting:
            await self._write()
        await self._tasks.close(1.0)
