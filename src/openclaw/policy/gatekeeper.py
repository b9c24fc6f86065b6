"""One engine decides: `Gatekeeper.decide(Ask) -> Verdict`. A kind without a rule is denied."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from openclaw.base.errors import PolicyDenied
from openclaw.base.principal import Principal

_log = logging.getLogger("openclaw.policy")

Answer = Literal["allow", "deny", "ask"]


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants to do: the action on a target, with the facts the rule goes by."""

    kind: str
    principal: Principal
    action: str
    target: str = ""
    facts: Mapping[str, Any] = {}


class Verdict(msgspec.Struct, frozen=True):
    """The decision, and the rule that made it."""

    answer: Answer
    rule_id: str
    reason: str


Rule = Callable[[Ask], Verdict]
_UNKNOWN = Verdict("deny", "default.unknown-kind", "no rule knows this kind of act")


class Gatekeeper:
    """Holds one rule per kind. Rules are pure: the same ask gets the same verdict."""

    def __init__(self, rules: Mapping[str, Rule]) -> None:
        self._rules = dict(rules)

    def decide(self, ask: Ask) -> Verdict:
        """Return the verdict and note it in the log."""
        rule = self._rules.get(ask.kind)
        verdict = rule(ask) if rule else _UNKNOWN
        if verdict.answer != "allow":
            fields = {"kind": ask.kind, "action": ask.action, "rule": verdict.rule_id, "answer": verdict.answer}
            _log.warning("door_closed", extra={"fields": fields})
        return verdict

    def require(self, ask: Ask) -> None:
        """Raise PolicyDenied unless the verdict is allow."""
        verdict = self.decide(ask)
        if verdict.answer != "allow":
            raise PolicyDenied(
                f"{ask.action} was not allowed: {verdict.reason} (rule {verdict.rule_id})",
                details={"rule": verdict.rule_id, "kind": ask.kind},
            )
