"""Writing to the audit ledger: no row, no act.

Rows name who, where and which rule. What was said or written never enters them; targets and reasons are cut short.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Final, Literal, Protocol

from openclaw.base.clock import Clock
from openclaw.base.errors import OpenClawError, Unavailable
from openclaw.base.principal import Principal
from openclaw.store.audit import Entry, Fact, Head, Kind

MAX_TARGET: Final = 512
MAX_REASON: Final = 300
HINT: Final = "Nothing was done. Free disk space or mend the store (`openclaw doctor`), then try again."

_log = logging.getLogger("openclaw.policy")


class Rows(Protocol):
    """store.audit.Audit."""

    async def append(self, entries: Sequence[Entry]) -> Head: ...


class Ledger:
    """Writes what doors decide and what operators do. Raises: Unavailable when a row could not be written."""

    def __init__(self, rows: Rows, clock: Clock) -> None:
        self._rows = rows
        self._clock = clock

    async def write(self, *entries: Entry) -> None:
        """Write entries; they are durable when this returns."""
        try:
            await self._rows.append(entries)
        except OpenClawError as error:
            _log.error("audit_not_written", extra={"fields": {"kind": entries[0].kind, "error": error.message}})
            raise Unavailable(
                f"the audit ledger cannot be written, so this was not done: {error.message}",
                hint=HINT,
                retry_after_s=error.retry_after_s,
            ) from error

    async def note(
        self,
        principal: Principal,
        kind: Kind,
        action: str,
        target: str = "",
        *,
        answer: Literal["", "allow", "deny", "ask"] = "",
        rule: str = "",
        reason: str = "",
        facts: Mapping[str, Fact] | None = None,
    ) -> None:
        """Write what somebody does, outside any run."""
        await self.write(
            self.entry(principal, kind, action, target, answer=answer, rule=rule, reason=reason, facts=facts)
        )

    def entry(
        self,
        principal: Principal,
        kind: Kind,
        action: str,
        target: str = "",
        *,
        answer: Literal["", "allow", "deny", "ask"] = "",
        rule: str = "",
        reason: str = "",
        facts: Mapping[str, Fact] | None = None,
        channel: str = "",
        agent: str = "",
        session: str = "",
        run: str = "",
        tainted: bool = False,
    ) -> Entry:
        """Return an entry of this moment."""
        return Entry(
            at_ms=self._clock.now_ms(),
            kind=kind,
            action=action,
            target=target[:MAX_TARGET],
            answer=answer,
            rule=rule,
            reason=reason[:MAX_REASON],
            tenant=principal.tenant,
            owner=principal.owner,
            method=principal.method,
            device=principal.device,
            channel=channel,
            agent=agent,
            session=session,
            run=run,
            tainted=tainted,
            facts=facts or {},
        )
