"""Lines of kind exec: each gets the verdict that the door itself gives, or an error of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from openclaw.base.errors import InvalidRequest
from openclaw.policy.cases.exec import exec_case


def answer(folder: Path, **line: Any) -> dict[str, Any]:
    return exec_case({"id": "1", "kind": "exec", "cwd": str(folder), "workspace": str(folder), **line})


def test_an_answer_is_one_json_line_with_verdict_rule_and_reason(tmp_path: Path) -> None:
    found = json.loads(json.dumps(answer(tmp_path, command="ls | rm x")))
    assert (found["id"], found["verdict"], found["rule"]) == ("1", "ask", "exec.unlisted")
    assert [each["verdict"] for each in found["commands"]] == ["allow", "ask"]
    assert found["reason"]


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        ({"argv": ["ls"]}, "allow"),
        ({"argv": ["mkdir", "x"]}, "ask"),
        ({"command": "mkdir x", "policy": {"allowlist": ["mkdir *"]}}, "allow"),
        ({"command": "mkdir x", "policy": {"allowlist": [{"pattern": "/usr/bin/mkdir", "argPattern": "x"}]}}, "allow"),
        ({"command": "mkdir x", "policy": {"tools": {"exec": {"security": "deny"}}}}, "deny"),
        ({"command": "mkdir x", "policy": {"exec": {"ask": "off"}}}, "deny"),
        ({"command": "ls", "policy": {"safeBins": []}}, "ask"),
        ({"command": "ls", "env": {"LD_PRELOAD": "x"}}, "deny"),
        ({"command": ""}, "ask"),
        ({"command": "ls\x00"}, "deny"),
    ],
)
def test_a_line_is_judged_by_its_own_policy(tmp_path: Path, line: dict[str, Any], verdict: str) -> None:
    assert answer(tmp_path, **line)["verdict"] == verdict


@pytest.mark.parametrize(
    "line",
    [{}, {"argv": ["ls"], "command": "ls"}, {"argv": []}, {"argv": "ls"}, {"command": "ls", "workspace": "relative"},
     {"command": "ls", "policy": {"security": "maybe"}}, {"command": "ls", "env": {"A": 1}}],
)  # fmt: skip
def test_a_line_that_is_none_is_refused(tmp_path: Path, line: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        answer(tmp_path, **line)
    with pytest.raises(InvalidRequest):
        exec_case({"command": "ls"})
