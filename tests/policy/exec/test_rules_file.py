"""The file of execution rules: read whole, replaced against a hash, its secret kept."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.errors import Conflict, InvalidRequest, TooLarge
from openclaw.policy.exec import rules_file
from openclaw.policy.exec.rules_file import FILE_NAME, AgentRules, Defaults, ExecRules, Listed, RulesFile, Socket

FILE = RulesFile(
    version=1,
    defaults=Defaults(security="deny"),
    agents={"main": AgentRules(allowlist=(Listed(pattern="/usr/bin/uptime"),))},
)


def test_a_file_that_is_not_there_is_the_strict_default(tmp_path: Path) -> None:
    found = ExecRules(tmp_path).read()
    assert (found.exists, found.file.agents, found.problem) == (False, {}, "")
    assert msgspec.to_builtins(found.resolved_defaults) == {
        "security": "allowlist",
        "ask": "on-miss",
        "askFallback": "deny",
        "autoAllowSkills": False,
    }
    assert not (tmp_path / FILE_NAME).exists()


def test_what_is_written_is_read_again_by_any_other_program_of_the_user_alone(tmp_path: Path) -> None:
    rules = ExecRules(tmp_path)
    written = rules.write(FILE, "")
    assert written == rules.read()
    assert written.resolved_defaults.security == "deny"
    path = tmp_path / FILE_NAME
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    rules.write(FILE, rules.read().hash)
    assert path.stat().st_mode & 0o777 == 0o600
    assert msgspec.json.decode(path.read_bytes())["agents"]["main"] == {"allowlist": [{"pattern": "/usr/bin/uptime"}]}


def test_the_sockets_token_is_kept_and_never_shown(tmp_path: Path) -> None:
    rules = ExecRules(tmp_path)
    first = rules.write(RulesFile(version=1, socket=Socket(token="hush")), "")
    second = rules.write(FILE, first.hash)
    for shown in (first, second, rules.read()):
        assert b"hush" not in msgspec.json.encode(shown)
    assert b"hush" in (tmp_path / FILE_NAME).read_bytes()


def test_a_write_needs_the_hash_of_what_is_there(tmp_path: Path) -> None:
    rules = ExecRules(tmp_path)
    old = rules.write(FILE, "")
    new = rules.write(RulesFile(version=1), old.hash)
    with pytest.raises(InvalidRequest, match=r"base hash required; re-run exec\.approvals\.get and retry"):
        rules.write(FILE, "")
    with pytest.raises(Conflict, match=r"changed since last load; re-run exec\.approvals\.get and retry"):
        rules.write(FILE, old.hash)
    assert rules.read() == new


def test_of_writers_with_the_same_hash_one_wins(tmp_path: Path) -> None:
    base = ExecRules(tmp_path).write(FILE, "").hash
    outcomes: list[str] = []

    def write(number: int) -> None:
        try:
            ExecRules(tmp_path).write(RulesFile(version=1, agents={f"a{number}": AgentRules()}), base)
            outcomes.append("written")
        except Conflict:
            outcomes.append("refused")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused"] * 7 + ["written"]


def test_a_file_over_the_limit_is_refused_and_one_on_disk_allows_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules_file, "MAX_BYTES", 200)
    big = RulesFile(version=1, agents={f"agent-{number}": AgentRules(security="full") for number in range(50)})
    with pytest.raises(TooLarge):
        ExecRules(tmp_path).write(big, "")
    (tmp_path / FILE_NAME).write_bytes(msgspec.json.encode(big))
    found = ExecRules(tmp_path).read()
    assert (found.file.agents, found.exists) == ({}, True)
    assert "more than 200 bytes" in found.problem


@given(raw=st.binary(max_size=200) | st.text(max_size=200).map(str.encode) | st.just(b"[" * 100_000))
def test_whatever_stands_in_the_file_it_is_read_and_allows_nothing_that_it_does_not_say(raw: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / FILE_NAME).write_bytes(raw)
        found = ExecRules(Path(folder)).read()
        assert found.exists
        assert found.problem
        assert found.file.agents == {}
        assert found.resolved_defaults.security == "allowlist"
