"""The gatekeeper denies what no rule knows, and nothing is done whose verdict is not written."""

from __future__ import annotations

import pytest

from openclaw.base.audit import Kind
from openclaw.base.clock import ManualClock
from openclaw.base.errors import PolicyDenied, Unavailable
from openclaw.base.principal import LOCAL_OPERATOR
from openclaw.policy.gatekeeper import ONCE_S, Ask, Verdict
from openclaw.policy.tool_door import KIND, tool_verdict
from tests.fakes.doors import LedgerRows, gatekeeper

pytestmark = pytest.mark.anyio

GATE = gatekeeper({KIND: tool_verdict})


def ask(kind: Kind, **facts: object) -> Ask:
    return Ask(kind=kind, principal=LOCAL_OPERATOR, action="do it", facts=facts, session="s", agent="a")


def test_a_kind_without_a_rule_is_denied() -> None:
    assert GATE.judge(ask("delivery")).answer == "deny"


@pytest.mark.parametrize(
    ("safety", "answer"), [("safe", "allow"), ("write", "allow"), ("dangerous", "ask"), (None, "deny"), (7, "deny")]
)
def test_tools_pass_by_their_declared_safety(safety: object, answer: str) -> None:
    assert GATE.judge(ask(KIND, safety=safety)).answer == answer


async def test_a_refusal_names_its_rule() -> None:
    with pytest.raises(PolicyDenied) as caught:
        await GATE.require(ask(KIND, safety="dangerous"))
    assert caught.value.details["rule"] == "tool.dangerous"


async def test_each_verdict_is_written_before_the_act_and_a_quiet_one_is_not() -> None:
    rows = LedgerRows()
    gate = gatekeeper({KIND: tool_verdict}, rows)
    await gate.require(ask(KIND, safety="safe"))
    assert rows.entries == []
    await gate.require(ask(KIND, safety="write"))
    with pytest.raises(PolicyDenied):
        await gate.require(ask(KIND, safety="dangerous"))
    assert [(row.kind, row.answer, row.rule, row.session, row.agent) for row in rows.entries] == [
        ("tool", "allow", "tool.write", "s", "a"),
        ("tool", "ask", "tool.dangerous", "s", "a"),
    ]


async def test_without_its_row_there_is_no_act() -> None:
    rows = LedgerRows()
    rows.full = True
    with pytest.raises(Unavailable, match=r"audit ledger cannot be written, so this was not done: the disk is full"):
        await gatekeeper({KIND: tool_verdict}, rows).require(ask(KIND, safety="write"))


async def test_what_is_allowed_again_and_again_is_written_once_an_hour_and_judged_each_time() -> None:
    rows, clock = LedgerRows(), ManualClock()
    judged: list[Ask] = []

    def rule(ask: Ask) -> Verdict:
        judged.append(ask)
        return Verdict("allow" if len(judged) != 3 else "deny", "r", "why")

    gate = gatekeeper({KIND: rule}, rows, clock)
    for _ in range(4):
        await gate.admit(ask(KIND), once=True)
    assert [row.answer for row in rows.entries] == ["allow", "deny"]
    clock.advance(ONCE_S)
    await gate.admit(ask(KIND), once=True)
    assert [row.answer for row in rows.entries] == ["allow", "deny", "allow"]
    assert len(judged) == 5
