"""One engine decides: `Ask` → `Verdict`. A kind without a rule is denied.

1. Rules are pure: the same ask gets the same verdict. `judge` only asks them, for whoever wants to know beforehand.
2. Whoever acts passes `admit` or `require`: the verdict is in the ledger before the act, and without its row there is
   no act. A rule may call an allowance `quiet` (reading a file of the workspace): it leaves no row.
3. What is allowed over and over (a model's host, call after call) is judged each time, and written once an hour.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, Protocol

import msgspec

from openclaw.base.audit import Fact, Kind
from openclaw.base.bounded import BoundedMap
from openclaw.base.clock import Clock
from openclaw.base.errors import PolicyDenied
from openclaw.base.principal import Principal
from openclaw.policy.ledger import Ledger

_log = logging.getLogger("openclaw.policy")

Answer = Literal["allow", "deny", "ask"]

ONCE_S: Final = 3600.0
MAX_ONCE: Final = 2048


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants to do: the action on a target, with the facts the rule goes by.

    Shape: `written` are the facts that the ledger keeps beside action and target; they hold no content. `tainted` says
    that text from outside had a part in the wish.
    """

    kind: Kind
    principal: Principal
    action: str
    target: str = ""
    facts: Mapping[str, Any] = {}
    written: Mapping[str, Fact] = {}
    tainted: bool = False
    channel: str = ""
    agent: str = ""
    session: str = ""
    run: str = ""


class Verdict(msgspec.Struct, frozen=True):
    """The decision, and the rule that made it. `expires_at_ms` is set where the rule is open for a time only."""

    answer: Answer
    rule_id: str
    reason: str
    expires_at_ms: int = 0
    quiet: bool = False


class Consent(Protocol):
    """Asks a person (policy.consent): the decision comes back as a verdict that is not "ask"."""

    async def __call__(self, ask: Ask, verdict: Verdict) -> Verdict: ...


Rule = Callable[[Ask], Verdict]
_UNKNOWN = Verdict("deny", "default.unknown-kind", "no rule knows this kind of act")


class Gatekeeper:
    """Holds one rule per kind, and the ledger that their verdicts go to."""

    def __init__(self, rules: Mapping[str, Rule], ledger: Ledger, clock: Clock) -> None:
        self._rules = dict(rules)
        self._ledger = ledger
        self._clock = clock
        self.consent: Consent | None = None
        """Set once there are people to ask; without it what would be asked is refused."""
        self._written: BoundedMap[tuple[object, ...], float] = BoundedMap("policy.written", MAX_ONCE)

    def judge(self, ask: Ask) -> Verdict:
        """Return the verdict. Nothing is written: nobody may act on it."""
        rule = self._rules.get(ask.kind)
        return rule(ask) if rule else _UNKNOWN

    async def admit(self, ask: Ask, *, once: bool = False) -> Verdict:
        """Return the verdict, with its row in the ledger. Raises: Unavailable when the ledger cannot be written.

        `once` leaves the row out for what this principal was allowed in the last hour by the same rule.
        """
        verdict = self.judge(ask)
        if verdict.answer != "allow":
            fields = {"kind": ask.kind, "action": ask.action, "rule": verdict.rule_id, "answer": verdict.answer}
            _log.warning("door_closed", extra={"fields": fields})
        elif verdict.quiet or (once and self._known(ask, verdict)):
            return verdict
        await self._write(ask, verdict)
        if once and verdict.answer == "allow":
            self._written.put(_key(ask, verdict), self._clock.monotonic_s())
        return verdict

    async def require(self, ask: Ask, *, once: bool = False) -> Verdict:
        """Pass the door and return the verdict, or raise PolicyDenied unless it is allow. Raises: as `admit`.

        What a rule wants asked, a person is asked about: the answer is in the ledger before the act, like the question.
        """
        verdict = await self.admit(ask, once=once)
        if verdict.answer == "ask" and self.consent is not None:
            verdict = await self.consent(ask, verdict)
            await self._write(ask, verdict)
        if verdict.answer != "allow":
            raise refused(ask, verdict)
        return verdict

    async def _write(self, ask: Ask, verdict: Verdict) -> None:
        by_person = verdict.answer == "allow" and verdict.rule_id.startswith("approval.")
        await self._ledger.write(
            self._ledger.entry(
                ask.principal,
                ask.kind,
                ask.action,
                ask.target,
                answer=verdict.answer,
                rule=verdict.rule_id,
                reason=verdict.reason if by_person or verdict.answer != "allow" else "",
                facts=ask.written,
                channel=ask.channel,
                agent=ask.agent,
                session=ask.session,
                run=ask.run,
                tainted=ask.tainted,
            )
        )

    def _known(self, ask: Ask, verdict: Verdict) -> bool:
        written_s = self._written.get(_key(ask, verdict))
        return written_s is not None and self._clock.monotonic_s() - written_s < ONCE_S


def refused(ask: Ask, verdict: Verdict) -> PolicyDenied:
    """Return the error for a verdict that is not "allow"."""
    return PolicyDenied(
        f"{ask.action} was not allowed: {verdict.reason} (rule {verdict.rule_id})",
        details={"rule": verdict.rule_id, "kind": ask.kind},
    )


def _key(ask: Ask, verdict: Verdict) -> tuple[object, ...]:
    who = ask.principal
    return (ask.kind, ask.action, ask.target, verdict.rule_id, who.tenant, who.owner, who.method, ask.agent)
