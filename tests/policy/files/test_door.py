"""The door of files goes by the name; reading is quiet, a change is in the ledger first."""

from __future__ import annotations

from typing import Any

import pytest

from openclaw.base.errors import PolicyDenied
from openclaw.base.principal import LOCAL_OPERATOR
from openclaw.policy.files.door import KIND, OPS, file_facts, file_verdict
from openclaw.policy.gatekeeper import Ask
from tests.fakes.doors import LedgerRows, gatekeeper

pytestmark = pytest.mark.anyio


def ask(tool: str, **arguments: Any) -> Ask:
    target, facts = file_facts(tool, arguments) or ("", {})
    return Ask(kind=KIND, principal=LOCAL_OPERATOR, action=f"tool {tool}", target=target, facts=facts)


@pytest.mark.parametrize("tool", sorted(OPS))
@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", "~", "a\0b", "\ud800", "a\\b", "x" * 5000])
def test_a_path_that_leaves_the_workspace_is_denied_whatever_the_tool(tool: str, path: str) -> None:
    assert file_verdict(ask(tool, path=path)).answer == "deny"


async def test_a_change_is_in_the_ledger_by_its_path_and_reading_is_not() -> None:
    rows = LedgerRows()
    gate = gatekeeper({KIND: file_verdict}, rows)
    for tool in ("read_file", "read_image", "search_files"):
        await gate.require(ask(tool, path="./a//b.txt"))
    await gate.require(ask("list_files"))
    await gate.require(ask("list_files", path=""))  # many models name the workspace itself so
    await gate.require(ask("write_file", path="./a//b.txt", content="secret words"))
    with pytest.raises(PolicyDenied):
        await gate.require(ask("edit_file", path="../b.txt"))
    assert [(row.action, row.target, row.answer) for row in rows.entries] == [
        ("tool write_file", "a/b.txt", "allow"),
        ("tool edit_file", "", "deny"),
    ]
    assert "secret" not in repr(rows.entries)


def test_other_tools_and_calls_without_a_path_are_not_its_business() -> None:
    assert file_facts("sessions_send", {"path": "x"}) is None
    assert file_facts("write_file", {"path": 7}) is None
    assert file_facts("write_file", {}) is None
    assert file_verdict(ask("write_file")).answer == "deny"
