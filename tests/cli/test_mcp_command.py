"""`openclaw mcp list` starts the servers by itself and leaves none behind."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec
import psutil

from tests.cli.conftest import Run

SERVER = Path(__file__).parents[1] / "tools" / "mcp" / "legacy.py"


def _configure(home: Path, servers: dict[str, Any]) -> None:
    (home / "tools.json").write_text('[{"name": "say", "inputSchema": {"type": "object"}}]')
    (home / "openclaw.json").write_bytes(msgspec.json.encode({"mcp": {"servers": servers}}))


def _working(home: Path) -> dict[str, Any]:
    return {"command": sys.executable, "args": [str(SERVER), str(home)]}


def test_servers_are_listed_with_their_tools_or_with_what_is_wrong(home: Path, command: Run) -> None:
    _configure(home, {"good": _working(home), "bad": {"command": "/no/such"}, "idle": {"enabled": False}})
    before = psutil.Process().children()
    listed = command("mcp", "list")
    assert listed.code == 1
    assert "  mcp__good__say\n" in listed.out
    assert "idle" in listed.out
    assert "bad: '/no/such' cannot be started" in listed.err
    answer: Any = command("mcp", "list", "--json").json
    assert {each["name"]: each["state"] for each in answer["servers"]} == {"bad": "down", "good": "ready"}
    assert answer["disabled"] == ["idle"]
    assert psutil.Process().children() == before


def test_all_well_is_exit_0(home: Path, command: Run) -> None:
    _configure(home, {"good": _working(home)})
    assert command("mcp", "list").code == 0


def test_a_server_that_does_not_answer_is_said_not_to(home: Path, command: Run) -> None:
    _configure(home, {"slow": {"command": sys.executable, "args": ["-c", "import sys; sys.stdin.read()"]}})
    listed = command("mcp", "list", "--timeout", "0.5")
    assert listed.code == 1
    assert "slow: it has not answered yet" in listed.err


def test_without_servers_it_says_so(home: Path, command: Run) -> None:
    listed = command("mcp", "list")
    assert (listed.code, listed.out) == (0, "No MCP server is configured. See mcp.servers in the settings.\n")
