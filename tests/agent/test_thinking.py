"""How much to think: the message's word before the session's before the agent's, and only to models that can."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from openclaw.base.ids import SessionKey
from openclaw.base.model import ToolSpec
from openclaw.base.principal import LOCAL_OPERATOR
from openclaw.config.schema import AgentConfig, AgentDefaults, AgentsConfig, Config
from openclaw.models.fake.client import FakeClient

from .house import KEY, MAIN, Box, directory_of, house

pytestmark = pytest.mark.anyio
THEIRS = ToolSpec("theirs", "t", {"type": "object", "properties": {}})
LOW = Config(agents=AgentsConfig(defaults=AgentDefaults(thinking_default="low")))


async def test_the_nearest_word_counts(tmp_path: Path) -> None:
    client = FakeClient(["a", "b", "c", "d"])
    async with house(tmp_path, client, config=LOW, profile={"reasoning": True}) as here:
        await (await here.say("1")).result()
        await here.study.patch_session(KEY, LOCAL_OPERATOR, thinking="medium")
        await (await here.say("2")).result()
        await (await here.say("3", thinking="off")).result()
        await here.study.patch_session(KEY, LOCAL_OPERATOR, thinking="")
        await (await here.say("4")).result()
        assert [request.thinking for request in client.requests] == ["low", "medium", "off", "low"]


async def test_a_model_that_cannot_think_is_told_nothing(tmp_path: Path) -> None:
    client = FakeClient(["a"])
    async with house(tmp_path, client, config=LOW) as here:
        await (await here.say("1", thinking="high")).result()
        assert client.requests[0].thinking == ""


def test_an_agents_own_default_wins_and_any_word_of_the_field_is_taken(tmp_path: Path) -> None:
    defaults = AgentDefaults(thinking_default="low")
    agents = AgentsConfig(defaults=defaults, list=(AgentConfig(id="main", thinking_default="xhigh"),))
    spec = directory_of(Config(agents=agents), Box({}), tmp_path).require(MAIN)
    assert spec.thinking == "high"


async def test_the_level_of_a_session_survives_a_reset(tmp_path: Path) -> None:
    async with house(tmp_path, FakeClient(["a"])) as here:
        await (await here.say("1")).result()
        await here.study.patch_session(KEY, LOCAL_OPERATOR, thinking="high", label="mine")
        row = await here.study.reset_session(KEY, LOCAL_OPERATOR)
        assert (row.thinking, row.label) == ("high", "mine")
        rows, _ = await here.study.sessions(LOCAL_OPERATOR)
        assert [row.thinking for row in rows] == ["high"]


@pytest.mark.parametrize(
    ("choice", "shown"), [("", ["ours", "theirs"]), ("required", ["theirs"]), ("theirs", ["theirs"])]
)
async def test_a_forced_call_is_one_of_the_callers(tmp_path: Path, choice: str, shown: list[str]) -> None:
    client = FakeClient(["a"])
    key = SessionKey("agent:main:openai:x")
    async with house(tmp_path, client, functions={"ours": str}) as here:
        more: dict[str, Any] = {"client_tools": (THEIRS,), "tool_choice": choice, "ephemeral": True, "stateless": True}
        await (await here.say("1", key=key, **more)).result()
        request = client.requests[0]
        assert [tool.name for tool in request.tools] == shown
        assert request.tool_choice == choice
