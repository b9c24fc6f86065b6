"""Writing to the audit ledger: no row, no act.

Rows name who, where and which rule. What was said or written never enters them; targets and reasons are cut short.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal, Protocol

from openclaw.base.audit import Entry, Fact, Head, Kind
from openclaw.base.clock import Clock
from openclaw.base.errors import OpenClawError, Unavailable
from openclaw.base.principal import Principal

MAX_TARGET: Final = 512
MAX_REASON: Final = 300
MAX_REQUEST: Final = 128
TRY_EVERY_S: Final = 5.0
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
        self._problem: str | None = None
        self._refused = 0

    def problem(self) -> str | None:
        """Return why the last row could not be written, None when it was: until then nothing that needs one is done."""
        return self._problem

    async def watch(self) -> None:
        """Try again while rows cannot be written, until cancelled: things go on by themselves."""
        while True:
            await self._clock.sleep(TRY_EVERY_S)
            if self._problem is not None:
                with contextlib.suppress(Unavailable):
                    await self.write()

    async def write(self, *entries: Entry) -> None:
        """Write entries; they are durable when this returns. After refusals, how many there were comes before them."""
        try:
            await self._rows.append([*self._resumed(), *entries])
        except OpenClawError as error:
            self._problem = error.message
            self._refused += len(entries)
            _log.error("audit_not_written", extra={"fields": {"rows": len(entries), "error": error.message}})
            raise Unavailable(
                f"the audit ledger cannot be written, so this was not done: {error.message}",
                hint=HINT,
                retry_after_s=error.retry_after_s,
            ) from error
        self._problem, self._refused = None, 0

    def _resumed(self) -> Iterator[Entry]:
        if self._problem is not None:
            facts: dict[str, Fact] = {"refused": self._refused}
            yield Entry(at_ms=self._clock.now_ms(), kind="ledger", action="resumed", facts=facts)

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
        request: str = "",
    ) -> None:
        """Write what somebody does, outside any run. `request` is the id of the client's request."""
        await self.write(
            self.entry(
                principal, kind, action, target, answer=answer, rule=rule, reason=reason, facts=facts, request=request
            )
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
        request: str = "",
        tainted: bool = False,
    ) -> Entry:
        """Return an entry of this moment. What a turn does was asked for by its run's request."""
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
            request=(request or run)[:MAX_REQUEST],
            tainted=tainted,
            facts=facts or {},
        )
