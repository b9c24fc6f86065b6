"""`openclaw policy`: what holds, what a change means, and verdicts, all without a gateway."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.base.principal import LOCAL_OPERATOR
from openclaw.policy.cases import table
from openclaw.policy.ledger import Ledger
from openclaw.policy.widenings import Widenings
from openclaw.store.sqlite import SqliteStore
from tests.cli.conftest import Run


def write(home: Path, **sections: Any) -> Path:
    path = home / "openclaw.json"
    path.write_text(json.dumps(sections, indent=1))
    return path


def test_every_area_is_shown_with_the_line_that_makes_it_so(command: Run, home: Path) -> None:
    write(home, networkPolicy={"allowEgress": True}, dmPolicy={"mode": "open"})
    rows = {(row["area"], row["what"]): row for row in command("policy", "show", "--json").json}
    areas = {"listening", "credentials", "session identity", "egress", "high risk"}
    assert {area for area, _ in rows} == areas
    assert rows["egress", "tools reach"] == {
        "area": "egress",
        "what": "tools reach",
        "is": "any public host",
        "level": "developer",
        "setting": "networkPolicy.allowEgress",
        "line": 3,
    }
    assert rows["session identity", "direct messages"]["level"] == "developer"
    assert rows["high risk", "commands"]["line"] == 0
    assert rows["high risk", "unasked reading"]["is"] == "nothing"
    assert "networkPolicy.allowEgress (line 3)" in command("policy", "show").out


def test_a_fresh_install_is_fit_for_production(command: Run) -> None:
    assert {row["level"] for row in command("policy", "show", "--json").json} == {"production"}


def test_what_is_open_for_a_time_is_shown_without_a_gateway_until_it_ends(command: Run, home: Path) -> None:
    async def open_two() -> None:
        store = await SqliteStore.open(home / "openclaw.db", clock=SYSTEM_CLOCK)
        desk = Widenings(store.shelf, Ledger(store.audit, SYSTEM_CLOCK), SYSTEM_CLOCK, home)
        await desk.start(LOCAL_OPERATOR, "egress", "a.example.com", 60_000, "CHG-1", "a test")
        await desk.start(LOCAL_OPERATOR, "exec", "mkdir x", 60_000, "CHG-1", "a test")
        over = await desk.start(LOCAL_OPERATOR, "egress", "b.example.com", 60_000, "CHG-1", "a test")
        await desk.narrow(LOCAL_OPERATOR, over.id)
        await desk.close()
        await store.close()

    anyio.run(open_two)
    row, _ = [row for row in command("policy", "show", "--json").json if row["area"] == "open for a time"]
    assert (row["what"], row["level"], row["is"][:20]) == ("egress", "developer", "a.example.com, until")
    assert row["setting"] in command("policy", "show").out
    for ask in (("egress", "test"), ("test", "egress")):
        assert command("policy", *ask, "https://a.example.com/", "--json").json["rule"] == "egress.widened"
        denied = command("policy", *ask, "https://b.example.com/")
        assert (denied.code, "a.example.com" in denied.out) == (1, False)
    assert command("policy", "test", "exec", "mkdir x", "--json").json["rule"] == "exec.widened"
    assert command("policy", "test", "exec", "mkdir y").code == 1


@pytest.mark.parametrize(
    ("sections", "setting"),
    [
        ({"gateway": {"bind": "lan"}}, "gateway.bind"),
        ({"gateway": {"auth": {"mode": "none"}}}, "gateway.auth.mode"),
        ({"gateway": {"auth": {"token": "short"}}}, "gateway.auth.token"),
        ({"gateway": {"controlUi": {"allowedOrigins": ["*"]}}}, "gateway.controlUi.allowedOrigins"),
        ({"networkPolicy": {"egressAllowlist": ["*"]}}, "networkPolicy.egressAllowlist"),
        ({"tools": {"exec": {"security": "full"}}}, "tools.exec.security"),
        ({"tools": {"exec": {"allowlist": ["* x"]}}}, "tools.exec.allowlist"),
        ({"gateway": {"nodes": {"commands": {"allow": ["system.run"]}}}}, "gateway.nodes.commands.allow"),
        ({"channels": {"telegram": {"dmPolicy": "open"}}}, "channels.telegram.dmPolicy"),
    ],
)
def test_what_suits_a_developer_alone_is_said(command: Run, home: Path, sections: dict[str, Any], setting: str) -> None:
    write(home, **sections)
    levels = {row["setting"]: row["level"] for row in command("policy", "show", "--json").json}
    assert levels[setting] == "developer"


def test_a_difference_names_what_got_looser_and_shows_no_secret(command: Run, home: Path, tmp_path: Path) -> None:
    reviewed = tmp_path / "reviewed.json"
    reviewed.write_text(json.dumps({"tools": {"deny": ["x"]}, "gateway": {"auth": {"token": "sekret" * 8}}}))
    write(
        home, gateway={"auth": {"token": "other-sekret" * 4}}, logging={"level": "debug"}, dmPolicy={"mode": "disabled"}
    )
    ran = command("policy", "diff", "--against", str(reviewed), "--json")
    found = {each["path"]: each["looser"] for each in ran.json}
    assert found == {
        "dmPolicy.mode": False,
        "gateway.auth.token": True,
        "logging.level": False,
        "tools.deny": True,
    }
    assert ran.code == 1
    assert "sekret" not in ran.out
    same = command("policy", "diff", "--against", str(home / "openclaw.json"))
    assert (same.code, same.out) == (0, "The doors go by the same as before.\n")


def test_one_verdict_goes_by_the_configuration_in_use(command: Run, home: Path) -> None:
    write(home, dmPolicy={"allowIds": ["telegram:1"]}, tools={"exec": {"allowlist": ["mkdir x"]}})
    assert command("policy", "test", "dm", "telegram:1").code == 0
    ran = command("policy", "test", "dm", "telegram:2", "--json")
    assert (ran.code, ran.json["rule"]) == (1, "dm.unknown")
    assert command("policy", "test", "dm", "telegram:1", "--group", "-5", "--mentioned").code == 1
    assert command("policy", "test", "exec", "mkdir x").code == 0
    assert command("policy", "test", "exec", "mkdir y").code == 1


def test_a_token_is_judged_by_the_credentials_in_use_and_none_is_shown(
    command: Run, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, Any]] = []

    def judging(line: dict[str, Any]) -> dict[str, Any]:
        seen.append(line)
        good = line["token"] == line["config"]["auth"]["token"]
        return {"id": None, "verdict": "allow" if good else "deny", "rule": "token.token", "reason": "r"}

    monkeypatch.setattr(table, "_case", lambda kind: judging)
    write(home, gateway={"auth": {"token": "sekret" * 8}})
    (tmp_path / "good").write_text("sekret" * 8 + "\n")
    (tmp_path / "bad").write_text("other")
    (tmp_path / "keys").write_text('{"keys": []}')
    assert command("policy", "test", "token", str(tmp_path / "good")).code == 0
    ran = command("policy", "test", "token", str(tmp_path / "bad"), "--jwks", str(tmp_path / "keys"), "--json")
    assert (ran.code, "sekret" in ran.out + ran.err) == (1, False)
    assert [line.get("jwks") for line in seen] == [None, '{"keys": []}']


def test_a_table_is_answered_line_by_line(command: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = b'{"id":1,"kind":"dm","message":{"channel":"telegram","sender":"1"}}\nnonsense\n{"id":3,"kind":"exec"}\n'
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines)))
    ran = command("policy", "test", "--stdin")
    found = [json.loads(line) for line in ran.out.splitlines()]
    assert ran.code == 0
    assert [each["id"] for each in found] == [1, None, 3]
    assert [sorted(each)[0] for each in found] == ["id", "error", "error"]


def test_what_nobody_thought_of_in_one_line_does_not_end_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(line: object) -> dict[str, Any]:
        raise ValueError("embedded null byte")

    monkeypatch.setattr(table, "_case", lambda kind: failing)
    assert table.answer(b'{"id":1,"kind":"dm"}')["error"]["code"] == "INTERNAL"


@pytest.mark.parametrize(
    "arguments", [("test",), ("test", "--stdin", "dm", "telegram:1"), ("widen", "door", "x"), ("test", "dm", "1")]
)
def test_what_is_no_question_is_refused(command: Run, arguments: tuple[str, ...]) -> None:
    assert command("policy", *arguments).code == 2
