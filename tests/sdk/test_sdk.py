"""What action authors see: the names, the example and the documented snippets stay true."""

from __future__ import annotations

import asyncio
import inspect
import re
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import openclaw
from openclaw import sdk, testing
from openclaw.base.errors import ModelOverloaded
from openclaw.config.schema import ActionConfig
from openclaw.sdk import ToolError
from openclaw.testing import AgentHarness, run_action, run_agent
from openclaw.testing.action import open_gate
from openclaw.tools.registry import ToolRegistry, test_tool

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "actions"
PAGE = ROOT / "docs" / "actions.md"


def test_the_exported_names_are_frozen() -> None:
    assert sdk.__all__ == ["Action", "Context", "Principal", "Secret", "ToolError", "Workspace", "action"]
    assert testing.__all__ == [
        "AgentHarness",
        "FakeModel",
        "call_action",
        "make_context",
        "run_action",
        "run_agent",
    ]
    assert openclaw.Action is sdk.Action
    assert openclaw.Context is sdk.Context
    assert openclaw.action is sdk.action


def _snippets() -> dict[str, Any]:
    names: dict[str, Any] = {}
    for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(compile(code, str(PAGE), "exec"), names)  # our own page
    return names


def test_every_snippet_of_the_page_works() -> None:
    names = _snippets()
    tests = [value for name, value in names.items() if name.startswith("test_")]
    assert len(tests) == 4
    for test in tests:
        result = test()
        if inspect.iscoroutine(result):
            asyncio.run(result)
    assert run_action(names["weekday"], day="2026-11-20") == "Friday"
    assert run_action(names["remember_note"], note="abc") == '{"length":3}'
    assert run_action(names["roll"], sides=20) == "one of 20"
    assert run_action(names["save_report"], title="a", body="b") == "Saved as reports/a.md."
    with pytest.raises(ToolError, match="goes up"):
        run_action(names["save_report"], title="../../a", body="b")


def test_the_page_names_every_attribute_that_authors_may_use() -> None:
    page = PAGE.read_text()
    for name in vars(sdk.Context):
        assert name.startswith("_") or f"`{name}" in page or f", `{name}" in page, name
    for name in ("writes", "dangerous", "network", "timeout_s"):
        assert f"`{name}" in page, name


def _example(**args: Any) -> ToolRegistry:
    def config(name: str, class_: str, args: dict[str, Any]) -> ActionConfig:
        return ActionConfig(name=name, module="calendar_days", class_=class_, path="examples/actions", args=args)

    return ToolRegistry(
        (config("days_between", "DaysBetween", args), config("add_days", "add_days", {})), ROOT, open_gate
    )


@pytest.mark.parametrize(
    ("name", "arguments", "answer"),
    [
        ("days_between", '{"start": "2026-12-20", "end": "2027-01-04"}', ("15", False)),
        ("days_between", '{"start": "2026-12-20", "end": "2027-01-04", "count": "working"}', ("9", False)),
        ("add_days", '{"start": "2026-11-20", "days": 100}', ("2027-02-28, a Sunday", False)),
        ("add_days", '{"start": "2026-11-20", "days": -20}', ("2026-10-31, a Saturday", False)),
        ("add_days", '{"start": "2026-11-20", "days": 9000000}', ("beyond the calendar", True)),
        ("days_between", '{"start": "2027-01-04", "end": "2026-12-20"}', ("end must be 0 to", True)),
        ("days_between", '{"start": "tomorrow", "end": "2026-12-20"}', ("start: Invalid", True)),
    ],
)
def test_the_example_works_as_configured(name: str, arguments: str, answer: tuple[str, bool], tmp_path: Path) -> None:
    registry = _example(holidays=["2026-12-25", "2027-01-01"])
    assert registry.problems() == {}
    text, is_error = asyncio.run(test_tool(registry, name, arguments, tmp_path))
    assert is_error is answer[1]
    assert answer[0] in text if is_error else text == answer[0]


def test_a_wrong_argument_in_the_configuration_is_named() -> None:
    assert "holidays: Invalid RFC3339" in _example(holidays=["Christmas"]).problems()["days_between"]


@sdk.action
def today_is(day: date) -> str:
    """Tell what day it is."""
    return f"{day:%A}"


def test_an_agent_calls_an_action_with_typed_arguments() -> None:
    reply = run_agent('/tool today_is {"day": "2026-11-20"}', today_is)
    assert (reply.state, reply.actions[0].result) == ("ok", "Friday")


def test_an_agent_reads_and_writes_its_workspace_and_nothing_else() -> None:
    reply = run_agent(
        '/tool write_file {"path": "notes.txt", "content": "hello"}\n/then\n/tool read_file {"path": "notes.txt"}\n'
        '/tool read_file {"path": "../openclaw.db"}'
    )
    assert [action.is_error for action in reply.actions] == [False, False, True]
    assert reply.actions[1].result == "hello"


def test_a_scripted_model_can_fail() -> None:
    async def talk() -> None:
        async with AgentHarness(script=["Hello.", ModelOverloaded("busy")]) as agent:
            assert (await agent.say("Hi")).text == "Hello."
            assert (await agent.say("Hi")).state == "error"
            assert not agent.workspace.is_file()

    asyncio.run(talk())


def test_importing_the_sdk_loads_no_gateway_and_no_network() -> None:
    code = (
        "import sys, openclaw; before = set(sys.modules); from openclaw import Action; "
        "print(sorted({n.split('.')[0] + '.' + n.split('.')[1] for n in sys.modules if n.startswith('openclaw.')}));"
        "print('aiohttp' in sys.modules, 'uvicorn' in sys.modules, 'apsw' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    rooms = ["openclaw.base", "openclaw.policy", "openclaw.sdk", "openclaw.store", "openclaw.tools"]
    assert out == f"{rooms}\nFalse False False\n"


@pytest.mark.slow
def test_the_example_is_clean_under_mypy_strict(tmp_path: Path) -> None:
    check = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), str(EXAMPLE / "calendar_days.py")],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert check.returncode == 0, check.stdout
