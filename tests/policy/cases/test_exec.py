"""Lines of kind exec: each gets the verdict that the door itself gives, or an error of its own."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from time import process_time
from typing import Any

import pytest

from openclaw.base.errors import InvalidRequest
from openclaw.policy.cases.exec import exec_case

READS = {"safeBins": ["*"]}


def answer(folder: Path, **line: Any) -> dict[str, Any]:
    return exec_case({"id": "1", "kind": "exec", "cwd": str(folder), "workspace": str(folder), **line})


def test_an_answer_is_one_json_line_with_verdict_rule_and_reason(tmp_path: Path) -> None:
    found = json.loads(json.dumps(answer(tmp_path, command="ls | rm x", policy=READS)))
    assert (found["id"], found["verdict"], found["rule"]) == ("1", "ask", "exec.unlisted")
    assert [each["verdict"] for each in found["commands"]] == ["allow", "ask"]
    assert found["reason"]


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        ({"argv": ["ls"]}, "ask"),
        ({"argv": ["ls"], "policy": READS}, "allow"),
        ({"command": "ls", "policy": {"safe_bins": ["cat"]}}, "ask"),
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


RM = {"argv": ["rm", "x1"]}
MAIN = {"security": "full", "ask": "off"}


@pytest.mark.parametrize(
    ("policy", "verdict"),
    [
        (None, "ask"),
        ({"mode": "deny"}, "deny"),
        ({"mode": "allowlist"}, "ask"),
        ({"mode": "allowlist", "ask": "off"}, "deny"),
        ({"mode": "full"}, "allow"),
        ({"mode": "full", "ask": "always"}, "ask"),
        ({"mode": "full", "security": "deny"}, "deny"),
        ({"mode": "deny", "security": "full"}, "deny"),
        ({"tools": {"exec": {"mode": "full"}}}, "allow"),
        ({"tools.exec": {"security": "full"}}, "allow"),
        ({"tools.exec.security": "full"}, "allow"),
        ({"exec": {"security": "full"}}, "allow"),
        ({"tools": {"exec": {"security": "full"}, "deny": ["exec"]}}, "deny"),
        ({"tools": {"exec": {"security": "full"}, "deny": ["ex*"]}}, "deny"),
        ({"tools": {"exec": {"security": "full"}, "allow": ["read_file"]}}, "deny"),
        ({"tools": {"exec": {"security": "full"}, "allow": ["exec"]}}, "allow"),
        ({"tools": {"exec": {"security": "full", "askFallback": "full", "host": "gateway"}}}, "allow"),
        ({"rules": ["rm *"]}, "allow"),
        ({"allow": ["rm"]}, "allow"),
        ({"safe_bins": ["rm"]}, "ask"),
        ({"rules": [["rm", "x*"]]}, "allow"),
        ({"rules": [["rm", "x"]]}, "ask"),
        ({"rules": [["rm"]]}, "ask"),
        ({"rules": [{"program": "/bin/rm"}]}, "allow"),
        ({"rules": [{"program": "/usr/bin/rm", "args": ["x1"]}]}, "allow"),
        ({"rules": [{"binary": "rm", "args": ["x2"]}]}, "ask"),
        ({"rules": [{"argv": ["rm", "x?"]}]}, "allow"),
        ({"rules": [{"program": "rm", "args": []}]}, "ask"),
        ({"rules": [{"program": "rm", "cwd": "/elsewhere"}]}, "ask"),
        ({"rules": [{"program": "rm", "sha256": "0" * 64}]}, "ask"),
        (
            {"rules": [{"program": "rm", "sha256": "sha256:" + sha256(Path("/bin/rm").read_bytes()).hexdigest()}]},
            "allow",
        ),
        ({"allowlist": [{"pattern": "/usr/bin/rm", "argPattern": "x1", "lastUsedAt": 1.0}]}, "allow"),
        ({"version": 1, "defaults": MAIN, "agents": {}}, "allow"),
        ({"version": 1, "defaults": {"security": "deny"}, "agents": {}}, "deny"),
        ({"version": 1, "agents": {"a": {"allowlist": [{"pattern": "/usr/bin/rm"}]}}}, "allow"),
        ({"version": 1, "agents": {"*": MAIN}}, "allow"),
        ({"tools": {"exec": MAIN}, "agents": {"list": [{"id": "a", "tools": {"exec": {"security": "deny"}}}]}}, "deny"),
        (
            {"tools": {"exec": MAIN}, "agents": {"list": [{"id": "b", "tools": {"exec": {"security": "deny"}}}]}},
            "allow",
        ),
        ({"agents": {"list": [{"id": "a", "tools": {"exec": {"allowlist": ["rm *"]}}}]}}, "allow"),
        ({"agents": {"list": [{"id": "a", "tools": {"exec": MAIN, "deny": ["exec"]}}]}}, "deny"),
    ],
)
def test_a_policy_is_read_in_each_of_its_shapes(tmp_path: Path, policy: Any, verdict: str) -> None:
    assert answer(tmp_path, **RM, agent="a", policy=policy)["verdict"] == verdict


@pytest.mark.parametrize(
    "policy",
    [{"denylist": ["rm"]}, {"mode": "maybe"}, {"security": "maybe"}, {"security": "maybe", "mode": "full"},
     {"rules": "rm"}, {"rules": [{"program": "rm", "deny": True}]}, {"rules": [{}]}, {"rules": [7]}, {"tools": 7},
     {"tools": {"exec": []}}, {"tools": {"deny": "exec"}}, {"rules": [{"program": "rm", "sha256": "12"}]},
     {"defaults": {"security": "maybe"}}, {"ask": "perhaps"}, {"rules": [[1]]}],
)  # fmt: skip
def test_a_limit_that_is_not_understood_is_an_error_and_no_allowance(tmp_path: Path, policy: Any) -> None:
    with pytest.raises(InvalidRequest):
        answer(tmp_path, argv=["ls"], policy=policy)


def test_variables_that_the_policy_names_pass_and_dangerous_ones_never(tmp_path: Path) -> None:
    policy = {"env": ["FOO", "LD_PRELOAD", "PATH"], **READS}
    assert answer(tmp_path, argv=["ls"], env={"FOO": "/x"}, policy=policy)["verdict"] == "allow"
    assert answer(tmp_path, command="FOO=/x ls", policy=policy)["verdict"] == "allow"
    assert answer(tmp_path, command="env FOO=/x ls", policy=policy)["verdict"] == "allow"
    assert answer(tmp_path, argv=["ls"], env={"LD_PRELOAD": "x"}, policy=policy)["verdict"] == "deny"
    assert answer(tmp_path, command="PATH=. ls", policy=policy)["verdict"] == "ask"
    assert answer(tmp_path, command="env LD_PRELOAD=./x ls", policy=policy)["verdict"] == "ask"


def test_a_directory_is_seen_from_the_workspace(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for cwd, verdict in (("sub", "allow"), ("", "allow"), (None, "allow"), ("..", "ask"), ("sub/../..", "ask")):
        assert answer(tmp_path, argv=["ls"], cwd=cwd, policy=READS)["verdict"] == verdict
    assert answer(tmp_path, argv=["ls"], cwd="/etc", policy=READS)["verdict"] == "ask"


DEEP = "/".join("a" * 60)
MEGABYTES = {
    "one path": ";".join(["ls " + " ".join([DEEP] * 16)] * 510),
    "many paths": "\n".join("ls " + " ".join(f"{at}-{each}/{DEEP}" for each in range(16)) for at in range(500)),
    "many words": "ls " + " ".join(f"x{at}" for at in range(16_000)),
    "one word": "ls " + "a/" * 500_000,
    "quotes": "ls '" + "\\" * 1_000_000,
    "commands": "ls;" * 340_000,
}


@pytest.mark.parametrize("name", MEGABYTES)
def test_a_megabyte_is_judged_within_a_second_however_much_it_names(tmp_path: Path, name: str) -> None:
    rules = [f"a{at}*b*c* x* *" for at in range(1500)]
    began = process_time()
    answer(tmp_path, command=MEGABYTES[name], policy={"allowlist": rules})
    assert process_time() - began < 1


@pytest.mark.parametrize(
    "line",
    [{}, {"argv": ["ls"], "command": "ls"}, {"argv": []}, {"argv": "ls"}, {"command": "ls", "workspace": "relative"},
     {"command": "ls", "policy": {"security": "maybe"}}, {"command": "ls", "env": {"A": 1}}],
)  # fmt: skip
def test_a_line_that_is_none_is_refused(tmp_path: Path, line: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        answer(tmp_path, **line)


def test_a_line_without_a_workspace_is_judged_where_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for where in ({"policy": READS}, {"cwd": str(tmp_path), "policy": READS}, {"cwd": ".", "policy": READS}):
        assert exec_case({"command": "cat a", **where})["rule"] == "exec.safe"
        assert exec_case({"command": "cat ../a", **where})["rule"] == "exec.outside"
