"""Rules: how they are read, what they bind, and that the stricter side holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from openclaw.config.schema import ExecConfig
from openclaw.policy.exec.program import PROGRAM_PATH, Program, Programs
from openclaw.policy.exec.rules import policy_of, rules_of
from openclaw.policy.exec.rules_file import AgentRules, Defaults, Listed, RulesFile

ROOT = Path("/")


def program(name: str) -> Program:
    found = Programs().find(name, "/", PROGRAM_PATH, "/elsewhere")
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("rule", "argv", "matches", "exact"),
    [
        ("touch", ("touch", "a"), True, False),
        ("touch a", ("touch", "a"), True, True),
        ("touch a", ("touch", "a", "b"), False, True),
        ("touch a *", ("touch", "a", "b", "c"), True, False),
        ("touch a *", ("touch", "a"), True, False),
        ("touch *.py", ("touch", "x.py"), True, False),
        ("touch 'a b'", ("touch", "a b"), True, True),
        ("touch @no-arguments", ("touch",), True, True),
        ("touch @no-arguments", ("touch", "a"), False, True),
        ("t?uch a", ("touch", "a"), True, False),
        ("/usr/bin/touch", ("touch", "a"), True, False),
        ("/bin/touch", ("touch", "a"), True, False),
        ("/usr/*/touch", ("touch", "a"), True, False),
        ("/usr/*", ("touch", "a"), False, False),
        ("touch @cwd=/", ("touch", "a"), True, False),
        ("touch @cwd=/x", ("touch", "a"), False, False),
        ("touch '@cwd=/'", ("touch", "a"), False, True),
        ("cat", ("touch", "a"), False, False),
        (Listed(pattern="touch", arg_pattern="a *"), ("touch", "a", "b"), True, False),
        (Listed(pattern="touch a"), ("touch", "a"), True, True),
        (Listed(pattern="touch a"), ("touch", "b"), False, True),
    ],
)
def test_a_rule_is_about_a_program_and_its_words(
    rule: str | Listed, argv: tuple[str, ...], matches: bool, exact: bool
) -> None:
    (found,) = rules_of((rule,), "x")
    assert found.matches(argv, program("touch"), "/") is matches
    assert found.exact is exact


def test_a_bare_name_is_no_rule_for_a_path(tmp_path: Path) -> None:
    (rule,) = rules_of(("touch",), "x")
    assert not rule.matches(("/usr/bin/touch", "a"), program("touch"), "/")


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "ls 'a",
        "ls @unknown=1",
        "ls @sha256=12",
        "ls a @no-arguments",
        Listed(pattern=""),
        Listed(pattern="ls", arg_pattern="'"),
        Listed(pattern="ls", arg_pattern="@x"),
        Listed(pattern="ls", arg_pattern=" "),
    ],
)
def test_a_rule_that_cannot_be_read_is_none(entry: str | Listed) -> None:
    assert rules_of((entry,), "x") == ()


def test_a_loose_program_needs_a_rule_bound_to_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "tool"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    found = Programs().find(str(path), "/", (), str(tmp_path))
    assert found is not None
    wide, bound = rules_of((str(path), f"{path} @sha256={found.sha256}"), "x")
    assert not wide.matches((str(path),), found, "/")
    assert bound.matches((str(path),), found, "/")


def test_the_stricter_of_configuration_and_file_holds() -> None:
    file = RulesFile(
        version=1,
        defaults=Defaults(security="full", ask="off"),
        agents={"main": AgentRules(security="deny"), "*": AgentRules(allowlist=(Listed(pattern="/bin/ls"),))},
    )
    strict = policy_of(ExecConfig(allowlist=("wc",)), file, "helper")
    assert (strict.security, strict.ask) == ("allowlist", "on-miss")
    assert [rule.id for rule in strict.rules] == ["tools.exec.allowlist[0]", "exec-approvals[0]"]
    assert policy_of(ExecConfig(security="full", ask="off"), file, "helper").security == "full"
    assert policy_of(ExecConfig(security="full"), file, "main").security == "deny"
    assert policy_of(ExecConfig(security="full", ask="always"), RulesFile(version=1), "main").ask == "always"
    assert policy_of(ExecConfig(safe_bins=("cat",)), file, "main").safe == frozenset(("cat",))
