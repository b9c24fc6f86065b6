"""An agent gives tasks away within its bounds, and hears how they ended."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from openclaw.base.errors import LaneBusy, OpenClawError, ToolError
from openclaw.base.ids import AgentId, RunId
from openclaw.config.schema import SubagentsConfig
from openclaw.testing import make_context
from openclaw.tools.api import ToolContext
from openclaw.tools.builtin.sessions import Sent
from openclaw.tools.builtin.subagent import Errand, subagent_tools
from tests.processes.waiting import until

pytestmark = pytest.mark.anyio


class Port:
    """Agents that answer at once, unless told otherwise."""

    def __init__(self) -> None:
        self.errands: list[Errand] = []
        self.sent = Sent("r1", "ok", "42")
        self.refusal: OpenClawError | None = None
        self.hangs = False
        self.aborted = 0

    def agents(self) -> list[AgentId]:
        """Return two agents."""
        return [AgentId("test"), AgentId("writer")]

    async def run(self, errand: Errand) -> Sent:
        """Take the errand."""
        self.errands.append(errand)
        if self.refusal is not None:
            raise self.refusal
        try:
            await asyncio.sleep(3600 if self.hangs else 0)
        except asyncio.CancelledError:
            self.aborted += 1
            raise
        return self.sent


@pytest.fixture
def port() -> Port:
    return Port()


@pytest.fixture
def context(tmp_path: Path) -> ToolContext:
    return msgspec.structs.replace(make_context(tmp_path), idempotency_key="run:call")


async def _ask(port: Port, context: ToolContext, config: SubagentsConfig | None = None, /, **arguments: Any) -> str:
    (tool,) = subagent_tools(port, config or SubagentsConfig())
    return await tool.call({"task": "count", **arguments}, context)


async def test_the_task_goes_to_the_named_agent_and_its_answer_comes_back(port: Port, context: ToolContext) -> None:
    assert await _ask(port, context, agent="writer") == "42"
    (errand,) = port.errands
    assert errand == Errand(
        agent_id=AgentId("writer"),
        task="count",
        principal=context.principal,
        depth=1,
        run_key="run:call",
        parent_session=context.session_key,
        parent_run=context.run_id,
    )


async def test_without_a_name_it_is_an_agent_like_the_caller(port: Port, context: ToolContext) -> None:
    await _ask(port, context)
    assert port.errands[0].agent_id == context.agent_id


async def test_an_unknown_agent_is_named_with_those_that_there_are(port: Port, context: ToolContext) -> None:
    with pytest.raises(ToolError, match="There are: test, writer"):
        await _ask(port, context, agent="nobody")
    assert port.errands == []


async def test_at_the_deepest_level_the_agent_is_told_to_do_it_itself(port: Port, context: ToolContext) -> None:
    deep = msgspec.structs.replace(context, depth=2)
    with pytest.raises(ToolError, match="2 deep"):
        await _ask(port, deep, SubagentsConfig(max_depth=2))
    assert await _ask(port, deep, SubagentsConfig(max_depth=3)) == "42"
    assert port.errands[0].depth == 3


def test_where_none_are_allowed_there_is_no_tool(port: Port) -> None:
    assert subagent_tools(port, SubagentsConfig(max_depth=0)) == ()


async def test_one_run_starts_only_so_many_and_another_run_has_its_own_count(port: Port, context: ToolContext) -> None:
    (tool,) = subagent_tools(port, SubagentsConfig(max_children=2))
    port.sent = Sent("r", "error", "no luck")
    results = await asyncio.gather(*(tool.call({"task": "x"}, context) for _ in range(4)), return_exceptions=True)
    assert len(port.errands) == 2
    assert sum("which is the limit" in str(result) for result in results) == 2
    port.sent = Sent("r", "ok", "yes")
    assert await tool.call({"task": "x"}, msgspec.structs.replace(context, run_id=RunId("other"))) == "yes"


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (Sent("r", "error", "out of money"), "The agent test ended as error: out of money"),
        (Sent("r", "aborted"), "The agent test ended as aborted: it did not say why"),
    ],
)
async def test_a_run_that_failed_is_an_error_that_says_how(
    port: Port, context: ToolContext, sent: Sent, text: str
) -> None:
    port.sent = sent
    with pytest.raises(ToolError, match=text):
        await _ask(port, context)


async def test_a_task_that_is_not_taken_is_an_error_that_says_why(port: Port, context: ToolContext) -> None:
    port.refusal = LaneBusy("the lane is full")
    with pytest.raises(ToolError, match="did not take the task: the lane is full"):
        await _ask(port, context)


async def test_an_empty_answer_is_said_to_be_one(port: Port, context: ToolContext) -> None:
    port.sent = Sent("r", "ok", "")
    assert await _ask(port, context) == "(it ended without an answer)"


async def test_cancelling_the_call_cancels_the_run(port: Port, context: ToolContext) -> None:
    port.hangs = True
    async with asyncio.TaskGroup() as group:
        call = group.create_task(_ask(port, context))
        await until(lambda: bool(port.errands))
        call.cancel()
    assert port.aborted == 1
