"""The gatekeeper denies what no rule knows."""

from __future__ import annotations

import pytest

from openclaw.base.errors import PolicyDenied
from openclaw.base.principal import LOCAL_OPERATOR
from openclaw.policy.gatekeeper import Ask, Gatekeeper
from openclaw.policy.tool_door import KIND, tool_verdict

GATE = Gatekeeper({KIND: tool_verdict})


def ask(kind: str, **facts: object) -> Ask:
    return Ask(kind=kind, principal=LOCAL_OPERATOR, action="do it", facts=facts)


def test_a_kind_without_a_rule_is_denied() -> None:
    assert GATE.decide(ask("teleport")).answer == "deny"


@pytest.mark.parametrize(
    ("safety", "answer"), [("safe", "allow"), ("write", "allow"), ("dangerous", "deny"), (None, "deny"), (7, "deny")]
)
def test_tools_pass_by_their_declared_safety(safety: object, answer: str) -> None:
    assert GATE.decide(ask(KIND, safety=safety)).answer == answer


def test_a_refusal_names_its_rule() -> None:
    with pytest.raises(PolicyDenied) as caught:
        GATE.require(ask(KIND, safety="dangerous"))
    assert caught.value.details["rule"] == "tool.dangerous"
