"""Tools that declare danger, on a running gateway: each call waits for a person, and what was shown is what runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

import tests.tools.mcp as mcp_tests
from tests.gateway.process import gateway
from tests.gateway.test_commands import APPROVER, say
from tests.gateway.wire import Wire, wire

pytestmark = pytest.mark.anyio

ACTION = """
import openclaw
from pathlib import Path

@openclaw.action(dangerous=True)
def drop_table(name: str) -> str:
    "Drop a table."
    with (Path(__file__).parent / "dropped").open("a") as file:
        file.write(name + "\\n")
    return f"dropped {name}"
"""
SCHEMA = {"type": "object"}
WIPE = {
    "name": "wipe",
    "description": "Remove a page.",
    "inputSchema": SCHEMA,
    "annotations": {"destructiveHint": True},
}
CHANGED = {"name": "changed", "description": "Tell of a change.", "inputSchema": SCHEMA}


def sections(folder: Path) -> dict[str, Any]:
    """Return a configuration with one dangerous tool of each sort."""
    (folder / "drops_tables.py").write_text(ACTION)
    (folder / "tools.json").write_text(json.dumps([WIPE, CHANGED]))
    program = {"command": sys.executable, "args": [str(Path(mcp_tests.__file__).parent / "legacy.py"), str(folder)]}
    return {
        "actions": [{"name": "drop_table", "module": "drops_tables", "class": "drop_table", "path": str(folder)}],
        "mcp": {"servers": {"pages": program}},
    }


def dropped(folder: Path) -> list[str]:
    path = folder / "dropped"
    return path.read_text().split() if path.exists() else []


def wiped(folder: Path) -> int:
    return (folder / "heard").read_text().count("tools/call")


async def asked(person: Wire, count: int = 1) -> dict[str, Any]:
    """Return the latest of so many requests."""
    await person.until(lambda: len(person.told("plugin.approval.requested")) >= count)
    return dict(person.told("plugin.approval.requested")[-1])


async def test_a_dangerous_action_waits_for_a_person_and_the_first_answer_holds(tmp_path: Path) -> None:
    async with (
        gateway(tmp_path / "state", **sections(tmp_path)) as running,
        wire(running.port, 4, scopes=APPROVER) as person,
        wire(running.port, 4, scopes=APPROVER) as second,
    ):
        run_id = await say(person, "drop_table", name="users")
        request = await asked(person)
        assert "users" in request["request"]["detail"]
        assert request["request"]["allowedDecisions"] == ["allow-once", "deny"]
        assert dropped(tmp_path) == []
        await second.get("plugin.approval.resolve", id=request["id"], decision="allow-once")
        late = await person.ask("plugin.approval.resolve", id=request["id"], decision="deny")
        assert late["error"]["details"]["reason"] == "APPROVAL_ALREADY_RESOLVED"
        await person.end_of(run_id)
        assert dropped(tmp_path) == ["users"]
        run_id = await say(person, "drop_table", name="orders")
        request = await asked(person, 2)
        await person.get("plugin.approval.resolve", id=request["id"], decision="deny")
        await person.end_of(run_id)
        assert dropped(tmp_path) == ["users"]
        rows = (await person.get("audit.query", kinds=["tool"]))["rows"]
        answers = [(row["answer"], row["rule"]) for row in reversed(rows)]
        assert answers[:2] == [("ask", "tool.dangerous"), ("allow", "approval.allow-once")]
        assert answers[2:] == [("ask", "tool.dangerous"), ("deny", "tool.dangerous")]
        assert "users" not in json.dumps(rows)


async def test_with_nobody_to_ask_a_dangerous_tool_is_denied_at_once(tmp_path: Path) -> None:
    async with (
        gateway(tmp_path / "state", **sections(tmp_path)) as running,
        wire(running.port, 4, scopes=("operator.read", "operator.write")) as other,
    ):
        end = await other.end_of(await say(other, "drop_table", name="users"))
        assert "no approver is connected" in json.dumps(end)
        assert dropped(tmp_path) == []


async def test_a_tool_that_its_server_calls_destructive_is_asked_about_and_refused_once_it_has_changed(
    tmp_path: Path,
) -> None:
    async with (
        gateway(tmp_path / "state", **sections(tmp_path)) as running,
        wire(running.port, 4, scopes=APPROVER) as person,
    ):
        while "mcp__pages__wipe" not in json.dumps(await person.get("tools.effective", sessionKey="main")):
            pass  # each turn of this loop is a call over the wire
        run_id = await say(person, "mcp__pages__wipe", page="home")
        request = await asked(person)
        assert "home" in request["request"]["detail"]
        assert wiped(tmp_path) == 0
        await person.get("plugin.approval.resolve", id=request["id"], decision="allow-once")
        await person.end_of(run_id)
        assert wiped(tmp_path) == 1

        run_id = await say(person, "mcp__pages__wipe", page="home")
        request = await asked(person, 2)
        (tmp_path / "tools.json").write_text(json.dumps([{**WIPE, "description": "Remove every page."}, CHANGED]))
        await person.get("tools.invoke", name="mcp__pages__changed", args={})
        while "every page" not in json.dumps(await person.get("tools.effective", sessionKey="main")):
            pass
        await person.get("plugin.approval.resolve", id=request["id"], decision="allow-once")
        end = await person.end_of(run_id)
        assert "describes the tool otherwise" in json.dumps(end)
        assert wiped(tmp_path) == 2  # the second call is that of the tool which told of the change
