"""Every built-in tool is described in docs/tools.md, with each of its parameters, and none that is not there."""

from __future__ import annotations

import re
from typing import Any

import pytest

from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.config.schema import SubagentsConfig
from openclaw.tools.api import Tool
from openclaw.tools.builtin.egress import Egress
from openclaw.tools.builtin.memory import Memory
from openclaw.tools.builtin.rooms import room_tools
from openclaw.tools.builtin.subagent import subagent_tools
from openclaw.tools.registry import builtin_tools
from tests.docs.generate import DOCS

_NOTHING: Any = object()
TOOLS = (
    *builtin_tools(),
    *room_tools(
        memory=Memory(_NOTHING, lambda _: 1, SYSTEM_CLOCK),
        egress=Egress(_NOTHING, _NOTHING),
        sessions=_NOTHING,
        proposals=_NOTHING,
    ),
    *subagent_tools(_NOTHING, SubagentsConfig()),
)
SECTIONS = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", (DOCS / "tools.md").read_text(), re.M | re.S))


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.spec.name)
def test_a_built_in_tool_is_described_with_its_parameters_and_safety(tool: Tool) -> None:
    section = SECTIONS[tool.spec.name]
    assert [name for name in tool.spec.parameters["properties"] if f"`{name}`" not in section] == []
    assert section.strip().endswith(f"{tool.safety.capitalize()}.")


def test_no_tool_is_described_that_is_not_there() -> None:
    assert set(SECTIONS) == {tool.spec.name for tool in TOOLS}


def test_tools_whose_room_is_missing_are_not_offered() -> None:
    assert room_tools() == ()
    assert {tool.spec.name for tool in room_tools(sessions=_NOTHING)} == {
        "sessions_list",
        "sessions_history",
        "sessions_send",
    }
