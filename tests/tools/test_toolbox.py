"""A toolbox answers whatever the model writes, and never raises."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openclaw import Action, action
from openclaw.base.errors import NotFound, PolicyDenied, ToolError
from openclaw.testing import make_context
from openclaw.tools.action import build_tool
from openclaw.tools.api import Tool, ToolContext
from openclaw.tools.toolbox import ARGUMENTS_LIMIT, Box, Gate

pytestmark = pytest.mark.anyio


@action
async def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b


class Failing(Action):
    """Fail in the way that is asked for."""

    name = "failing"

    async def run(self, how: str) -> str:
        raise {
            "tool": ToolError("the printer is on fire", hint="Call the fire brigade."),
            "value": ValueError("bad value"),
            "bare": RuntimeError(),
            "timeout": TimeoutError("upstream"),
            "cancelled": asyncio.CancelledError(),
            "exit": SystemExit(1),
            "ours": NotFound("gone"),
            "long": ValueError("x" * 100_000),
            "surrogate": ValueError("\ud800"),
            "stop": StopAsyncIteration(),
        }[how]


async def _pass(tool: Tool, arguments: Mapping[str, Any], context: ToolContext) -> None: ...


def _box(gate: Gate = _pass) -> Box:
    return Box([build_tool(Failing), build_tool(add)], gate)


@pytest.fixture
def context(tmp_path: Path) -> ToolContext:
    return make_context(tmp_path)


async def test_specs_come_sorted_by_name_and_keep_their_bytes() -> None:
    boxes = [_box(), Box([build_tool(add), build_tool(Failing)], _pass)]
    assert [spec.name for spec in boxes[0].specs()] == ["add", "failing"]
    assert len({msgspec.json.encode(box.specs()) for box in boxes}) == 1


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        ("add", '{"a": 2, "b": 3}', "5"),
        ("add", ' {"a":2}', "3"),
    ],
)
async def test_a_call_answers_with_text(context: ToolContext, name: str, arguments: str, text: str) -> None:
    assert await _box().call(name, arguments, context) == (text, False)


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("sub", "{}", "There is no tool 'sub'. There are: add, failing."),
        ("add", "", "Wrong arguments for add: a is required"),
        ("add", "   ", "Wrong arguments for add: a is required"),
        ("add", "{", "The arguments are not valid JSON"),
        ("add", "[1]", "The arguments must be a JSON object, not list."),
        ("add", "null", "The arguments must be a JSON object, not NoneType."),
        ("add", '{"a":"2","c":1}', "a: Expected `int`, got `str`; c is not a parameter (there are: a, b)"),
        ("add", "[" * 100_000, "The arguments are not valid JSON"),
        ("add", '{"a":' * 5_000, "The arguments are not valid JSON"),
        ("add", '{"a":"\ud800"}', "The arguments are not valid JSON"),
        ("add", " " * (ARGUMENTS_LIMIT + 1), "the limit is"),
        ("failing", '{"how":"tool"}', "the printer is on fire Call the fire brigade."),
        ("failing", '{"how":"value"}', "failing failed: ValueError: bad value"),
        ("failing", '{"how":"bare"}', "failing failed: RuntimeError"),
        ("failing", '{"how":"timeout"}', "failing failed: TimeoutError: upstream"),
        ("failing", '{"how":"cancelled"}', "failing failed: CancelledError"),
        ("failing", '{"how":"exit"}', "failing failed: SystemExit: 1"),
        ("failing", '{"how":"ours"}', "failing failed: NotFound: gone"),
        ("failing", '{"how":"surrogate"}', "failing failed: ValueError: ?"),
        ("failing", '{"how":"stop"}', "failing failed: "),
        ("failing", '{"how":"none"}', "failing failed: KeyError: 'none'"),
    ],
    ids=lambda item: str(item)[:30].encode("ascii", "replace").decode(),
)
async def test_what_goes_wrong_is_told_as_text(context: ToolContext, name: str, arguments: str, told: str) -> None:
    text, is_error = await _box().call(name, arguments, context)
    assert is_error
    assert told in text


async def test_long_error_texts_are_cut(context: ToolContext) -> None:
    text, _ = await _box().call("failing", '{"how":"long"}', context)
    assert len(text) < 3_000


async def test_the_gate_is_asked_before_the_act(context: ToolContext) -> None:
    asked: list[tuple[str, Mapping[str, Any], ToolContext]] = []

    async def gate(tool: Tool, arguments: Mapping[str, Any], context: ToolContext) -> None:
        asked.append((tool.spec.name, arguments, context))
        raise PolicyDenied("rule tools.deny forbids add")

    text, is_error = await _box(gate).call("add", '{"a":1}', context)
    assert (text, is_error) == ("The policy does not allow this call: rule tools.deny forbids add", True)
    assert asked == [("add", {"a": 1}, context)]


async def test_a_gate_that_breaks_stays_shut(context: ToolContext) -> None:
    async def gate(tool: Tool, arguments: Mapping[str, Any], context: ToolContext) -> None:
        raise ZeroDivisionError

    assert await _box(gate).call("add", '{"a":1}', context) == ("add failed: ZeroDivisionError", True)


async def test_being_cancelled_is_never_swallowed(context: ToolContext) -> None:
    started = asyncio.Event()

    @action
    async def endless() -> None:
        """Never end."""
        started.set()
        await asyncio.Event().wait()

    task = asyncio.ensure_future(Box([build_tool(endless)], _pass).call("endless", "", context))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    name=st.sampled_from(["add", "failing", "x"]) | st.text(max_size=5), arguments=st.text() | st.text('{}[]":,a1 \\u')
)
async def test_nothing_a_model_writes_raises(context: ToolContext, name: str, arguments: str) -> None:
    text, is_error = await _box().call(name, arguments, context)
    assert isinstance(text, str)
    assert isinstance(is_error, bool)
