"""Requests held to a schema, and their answers as tool calls and text, over the real wire client."""

from __future__ import annotations

import json
from typing import Any

import pytest

from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.base.errors import ModelProtocol
from openclaw.base.message import Message, ToolCall, ToolOutcome, assistant, outcomes, user
from openclaw.base.model import ModelFinish, ModelRequest, TextDelta, ToolCallDelta, ToolSpec
from openclaw.models.catalog import Catalog
from openclaw.models.embedded.constrained import EXAMPLES, ConstrainedClient, choice_schema, shape
from openclaw.net.http import HttpClient
from tests.models.clients import WEATHER, ask, events_of, joined
from tests.stand_ins.openai import OpenAIStandIn
from tests.stand_ins.server import Answer

pytestmark = pytest.mark.anyio

CALL = '{"tool": "get_weather", "arguments": {"city": "Oslo"}}'


def client_at(stand_in: OpenAIStandIn, http: HttpClient) -> ConstrainedClient:
    """Return a client of the stand-in."""
    return ConstrainedClient(http=http, clock=SYSTEM_CLOCK, catalog=Catalog(), base_url=stand_in.base_url)


async def test_a_tool_choice_becomes_a_tool_call(http: HttpClient) -> None:
    async with OpenAIStandIn([Answer(CALL, pieces=7)]) as stand_in:
        call, end = await events_of(client_at(stand_in, http), ask(tools=(WEATHER,)))
        sent = stand_in.requests[0].json
    assert isinstance(call, ToolCallDelta)
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Oslo"})
    assert isinstance(end, ModelFinish)
    assert end.reason == "tool_calls"
    assert end.usage.total_tokens > 0
    assert "tools" not in sent
    assert sent["temperature"] == 0.0
    assert sent["response_format"]["json_schema"]["schema"] == choice_schema((WEATHER,))
    assert "- get_weather(city: string): Tell the weather of a city." in sent["messages"][0]["content"]


async def test_a_reply_streams_as_text(http: HttpClient) -> None:
    async with OpenAIStandIn([Answer('{"reply": "It is\\n\\u00e9t\\u00e9."}', pieces=9)]) as stand_in:
        events = await events_of(client_at(stand_in, http), ask(tools=(WEATHER,)))
    assert joined(events, TextDelta) == "It is\nété."
    assert sum(isinstance(event, TextDelta) for event in events) > 1
    assert isinstance(events[-1], ModelFinish)
    assert events[-1].reason == "stop"


async def test_a_whole_answer_reads_the_same(http: HttpClient) -> None:
    async with OpenAIStandIn([Answer(CALL), Answer('{"reply": "Fine."}')]) as stand_in:
        client = client_at(stand_in, http)
        called = await client.generate(ask(tools=(WEATHER,)))
        replied = await client.generate(ask(tools=(WEATHER,)))
    assert [call.name for call in called.message.tool_calls] == ["get_weather"]
    assert called.finish_reason == "tool_calls"
    assert replied.message.text == "Fine."


async def test_an_answer_that_is_no_choice_is_a_protocol_error(http: HttpClient) -> None:
    async with OpenAIStandIn([Answer("I will not.")]) as stand_in:
        with pytest.raises(ModelProtocol):
            await events_of(client_at(stand_in, http), ask(tools=(WEATHER,)))


async def test_a_cut_off_reply_keeps_its_text_and_reason(http: HttpClient) -> None:
    async with OpenAIStandIn([Answer('{"reply": "It is', finish="length")]) as stand_in:
        events = await events_of(client_at(stand_in, http), ask(tools=(WEATHER,)))
    assert joined(events, TextDelta) == "It is"
    assert isinstance(events[-1], ModelFinish)
    assert events[-1].reason == "length"


async def test_without_tools_nothing_is_constrained(http: HttpClient) -> None:
    async with OpenAIStandIn([Answer("Plain.")]) as stand_in:
        events = await events_of(client_at(stand_in, http), ask())
        sent = stand_in.requests[0].json
    assert joined(events, TextDelta) == "Plain."
    assert "response_format" not in sent
    assert len(sent["messages"]) == 2


def told(*messages: Message, tools: tuple[ToolSpec, ...] = (WEATHER,)) -> list[tuple[str, Any]]:
    """Return how messages are told to the model, after the examples."""
    plain, _ = shape(ModelRequest(model="m", messages=messages, tools=tools))
    assert plain.messages[: len(EXAMPLES)] == EXAMPLES
    return [(message.role, message.text) for message in plain.messages[len(EXAMPLES) :]]


def test_calls_and_outcomes_are_told_in_the_form_of_the_answers() -> None:
    assert told(
        user("Weather?"),
        assistant("", [ToolCall("1", "get_weather", '{"city": "Oslo"}'), ToolCall("2", "get_weather", "not JSON")]),
        outcomes([ToolOutcome("1", "get_weather", 'cold "snow"'), ToolOutcome("2", "get_weather", "no city", True)]),
        assistant("It is cold."),
        user("Thanks"),
    ) == [
        ("user", "Weather?"),
        (
            "assistant",
            '{"tool":"get_weather","arguments":{"city":"Oslo"}}\n{"tool":"get_weather","arguments":{}}',
        ),
        ("user", '{"tool":"get_weather","result":"cold \\"snow\\""}\n{"tool":"get_weather","error":"no city"}'),
        ("assistant", '{"reply":"It is cold."}'),
        ("user", "Thanks"),
    ]


def test_the_prefix_is_the_same_for_every_turn() -> None:
    first, _ = shape(ModelRequest(model="m", system="S", messages=(user("a"),), tools=(WEATHER,)))
    second, _ = shape(ModelRequest(model="m", system="S", messages=(user("a"), assistant("b")), tools=(WEATHER,)))
    assert first.system == second.system
    assert second.messages[: len(first.messages)] == first.messages


def test_the_schema_offers_every_tool_and_a_reply() -> None:
    schema = choice_schema((WEATHER,))
    assert [list(option["properties"]) for option in schema["oneOf"]] == [["tool", "arguments"], ["reply"]]
