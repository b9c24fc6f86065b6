"""The door for nodes opens what was offered, approved and configured, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.principal import Principal
from openclaw.config.schema import NodeCommandsConfig, NodesConfig
from openclaw.policy.gatekeeper import Ask, Verdict
from openclaw.policy.node_door import EXEC_POLICY, HARMLESS, KIND, NEEDS_ADMIN, admin_only, approval_scopes, node_rule
from tests.fakes.doors import gatekeeper

WRITER = Principal(scopes=frozenset(("operator.write",)))
ADMIN = Principal(scopes=frozenset(("operator.admin",)))
EVERYTHING = ("camera.snap", "system.run", "system.which", "thing.new", *EXEC_POLICY)


def decide(
    command: str,
    *,
    who: Principal = WRITER,
    allow: tuple[str, ...] = (),
    deny: tuple[str, ...] = (),
    declared: tuple[str, ...] = EVERYTHING,
    approved: tuple[str, ...] = EVERYTHING,
    **facts: Any,
) -> Verdict:
    config = NodesConfig(commands=NodeCommandsConfig(allow=allow, deny=deny))
    gate = gatekeeper({KIND: node_rule(lambda: config)})
    known = {"command": command, "declared": declared, "approved": approved, **facts}
    return gate.judge(Ask(kind=KIND, principal=who, action="node.invoke", target="n", facts=known))


@pytest.mark.parametrize(
    ("command", "settings", "rule"),
    [
        ("system.which", {}, "node.harmless"),
        ("system.which", {"deny": ("system.which",)}, "node.denied"),
        ("system.which", {"deny": ("system.which",), "allow": ("system.which",)}, "node.denied"),
        ("system.which", {"deny": ("*",), "allow": ("*",)}, "node.denied"),
        ("camera.snap", {}, "node.unlisted"),
        ("camera.snap", {"allow": ("*",)}, "node.unlisted"),
        ("camera.snap", {"allow": ("camera.snap",)}, "node.listed"),
        ("camera.snap", {"allow": ("camera.*",)}, "node.unlisted"),
        ("camera.snap", {"allow": ("camera.snap",), "approved": ()}, "node.unapproved"),
        ("camera.snap", {"allow": ("camera.snap",), "declared": ("system.which",)}, "node.undeclared"),
        ("camera.snap", {"allow": ("camera.snap",), "declared": ()}, "node.nothing-offered"),
        ("thing.new", {}, "node.unlisted"),
        ("system.run", {"allow": ("system.run",)}, NEEDS_ADMIN),
        ("system.run", {"who": ADMIN}, "node.unlisted"),
        ("system.run", {"who": ADMIN, "allow": ("system.run",)}, "node.listed"),
        ("system.execApprovals.get", {"who": ADMIN, "allow": tuple(EXEC_POLICY)}, "node.exec-policy"),
        ("system.execApprovals.get", {"exec_policy": True}, NEEDS_ADMIN),
        ("", {}, "node.no-command"),
    ],
)
def test_each_rule_decides_what_it_says(command: str, settings: dict[str, Any], rule: str) -> None:
    verdict = decide(command, **settings)
    assert verdict.rule_id == rule
    assert (verdict.answer == "allow") is (rule in ("node.harmless", "node.listed"))


def test_the_execution_policy_opens_for_its_own_method_and_an_admin() -> None:
    assert decide("system.execApprovals.set", who=ADMIN, exec_policy=True).answer == "allow"
    assert decide("system.execApprovals.set", who=ADMIN, exec_policy=True, approved=()).answer == "deny"
    assert decide("system.run", who=ADMIN, exec_policy=True).answer == "deny"


def test_a_denial_names_the_line_that_would_open_it() -> None:
    reason = decide("camera.snap", allow=("location.get",)).reason
    assert 'openclaw config set gateway.nodes.commands.allow \'["location.get", "camera.snap"]\'' in reason


@pytest.mark.parametrize(
    ("commands", "attaches", "scopes"),
    [
        ((), False, ("operator.pairing",)),
        (("camera.snap",), False, ("operator.pairing", "operator.write")),
        (("camera.snap", "system.run"), False, ("operator.pairing", "operator.admin")),
        (("system.run.prepare",), False, ("operator.pairing", "operator.admin")),
        (("file.write",), False, ("operator.pairing", "operator.admin")),
        (("browser.proxy",), False, ("operator.pairing", "operator.admin")),
        ((), True, ("operator.pairing", "operator.admin")),
    ],
)
def test_what_runs_programs_takes_an_admin_to_approve(
    commands: tuple[str, ...], attaches: bool, scopes: tuple[str, ...]
) -> None:
    assert approval_scopes(commands, attaches=attaches) == scopes


names = st.sampled_from([*EVERYTHING, *sorted(HARMLESS), "x"])


@given(
    command=names,
    declared=st.lists(names).map(tuple),
    approved=st.lists(names).map(tuple),
    allow=st.lists(names).map(tuple),
    deny=st.lists(names).map(tuple),
    admin=st.booleans(),
)
def test_nothing_opens_that_was_not_offered_approved_and_configured(
    command: str,
    declared: tuple[str, ...],
    approved: tuple[str, ...],
    allow: tuple[str, ...],
    deny: tuple[str, ...],
    admin: bool,
) -> None:
    verdict = decide(
        command, who=ADMIN if admin else WRITER, allow=allow, deny=deny, declared=declared, approved=approved
    )
    if verdict.answer == "allow":
        assert command in declared
        assert command in approved
        assert command not in deny
        assert command in HARMLESS or command in allow
        assert admin or not admin_only(command)
