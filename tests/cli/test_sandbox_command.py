"""`openclaw sandbox explain`: what would hold a command, without a gateway."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run

HELD = "bubblewrap" if shutil.which("bwrap") else "none, and every command is asked about"


def write(home: Path, **agents: Any) -> None:
    (home / "openclaw.json").write_text(json.dumps({"agents": agents}))


@pytest.mark.parametrize(
    ("sandbox", "session", "walls"),
    [
        ({}, "main", HELD),
        ({"mode": "off"}, "main", "none"),
        ({"mode": "non-main"}, "main", "none"),
        ({"mode": "non-main"}, "other", HELD),
        ({"backend": "docker"}, "main", "docker"),
    ],
)
def test_the_walls_of_a_session_are_told(
    command: Run, home: Path, sandbox: dict[str, Any], session: str, walls: str
) -> None:
    write(home, defaults={"sandbox": sandbox})
    told = command("sandbox", "explain", "--session", session, "--json").json
    assert (told["agent"], told["session"], told["walls"]) == ("main", f"agent:main:{session}", walls)


def test_an_agents_own_walls_are_told_with_where_they_stand(command: Run, home: Path) -> None:
    write(home, list=[{"id": "a", "sandbox": {"mode": "off"}}, {"id": "b"}])
    assert command("sandbox", "explain", "--agent", "a", "--json").json["mode"] == "off (agents.list[].sandbox.mode)"
    assert command("sandbox", "explain", "--agent", "b", "--json").json["mode"] == "all (agents.defaults.sandbox.mode)"
    refused = command("sandbox", "explain", "--agent", "c")
    assert (refused.code, "There are: a, b" in refused.err) == (1, True)


def test_which_containers_are_removed_has_to_be_said(command: Run, home: Path) -> None:
    write(home)
    for arguments in ((), ("--all", "--agent", "main")):
        refused = command("sandbox", "recreate", *arguments)
        assert (refused.code, "--session KEY" in refused.err) == (2, True)


def test_without_docker_there_are_no_containers_unless_some_are_configured(
    command: Run, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    write(home)
    told = command("sandbox", "list", "--json")
    assert (told.code, told.json, "docker" in told.err) == (0, {"containers": []}, True)
    assert command("sandbox", "recreate", "--all").code == 0
    write(home, list=[{"id": "a", "sandbox": {"backend": "docker"}}])
    assert "Code: UNAVAILABLE" in command("sandbox", "list").err


def test_the_walls_of_a_broken_file_are_not_told(command: Run, home: Path) -> None:
    (home / "openclaw.json").write_text("{agents: {")
    assert command("sandbox", "explain").code == 78


def test_an_agents_own_rules_for_commands_are_told(command: Run, home: Path) -> None:
    write(home, list=[{"id": "a", "tools": {"exec": {"security": "deny"}}}])
    told = command("sandbox", "explain", "--agent", "a", "--json").json["commands"]
    assert told.startswith("security deny, ask on-miss")
