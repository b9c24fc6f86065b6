"""Every wire client against its stand-in: the same questions, the same answers in our common form."""

from __future__ import annotations

from typing import Any

import pytest

from openclaw.base.errors import ModelTimeout
from openclaw.base.message import ImagePart, Message, TextPart, ThinkingPart, ToolCall, ToolOutcome, assistant, user
from openclaw.base.model import ModelFinish, ModelRequest, TextDelta, ThinkingDelta, ToolCallDelta, Usage
from openclaw.config.schema import ModelTimeouts
from openclaw.models.assemble import collect
from openclaw.models.catalog import OLLAMA_CONTEXT_TOKENS
from openclaw.net.http import HttpClient
from tests.models.clients import KEY, STAND_INS, WEATHER, ask, client_of, events_of, joined
from tests.stand_ins.server import Answer, Call, Transport

pytestmark = pytest.mark.anyio
WIRES = pytest.mark.parametrize("wire", list(STAND_INS))
CALLS = (Call("get_weather", '{"city":"Tokyo"}', "call_a"), Call("get_weather", '{"city":"Zürich"}', "call_b"))
EXPECTED_CALLS = (
    ToolCall("call_a", "get_weather", '{"city":"Tokyo"}'),
    ToolCall("call_b", "get_weather", '{"city":"Zürich"}'),
)


CONVERSATION = ModelRequest(
    model="m",
    system="S",
    messages=(
        user("What is the weather?"),
        assistant("Let me look.", EXPECTED_CALLS),
        Message(
            "tool", (ToolOutcome("call_a", "get_weather", "sunny"), ToolOutcome("call_b", "get_weather", "", True))
        ),
        Message("user", (TextPart("And this?"), ImagePart("image/png", "aGk="), ImagePart(url="https://x.test/i.png"))),
    ),
    tools=(WEATHER,),
    temperature=0.5,
)


@WIRES
async def test_a_streamed_answer_comes_in_pieces_and_ends_with_finish_and_usage(wire: str, http: HttpClient) -> None:
    async with STAND_INS[wire]([Answer(text="Tokyo, of course.", pieces=5, cached_tokens=4)]) as server:
        events = await events_of(client_of(wire, http, server.base_url), ask())
    assert len([e for e in events if isinstance(e, TextDelta)]) == 5
    assert joined(events, TextDelta) == "Tokyo, of course."
    finish = events[-1]
    assert isinstance(finish, ModelFinish)
    assert finish.reason == "stop"
    assert finish.usage == Usage(12, 34, 0 if wire == "ollama" else 4, 0)
    assert "stand-in" in finish.model


@WIRES
async def test_a_whole_answer_equals_the_streamed_one(wire: str, http: HttpClient) -> None:
    reply = Answer(text="Two calls.", calls=CALLS)
    async with STAND_INS[wire]([reply, reply]) as server:
        client = client_of(wire, http, server.base_url)
        whole = await client.generate(ask(tools=(WEATHER,)))
        streamed = await collect(client.stream(ask(tools=(WEATHER,))))
    assert whole == streamed
    assert whole.finish_reason == "tool_calls"
    assert whole.message.tool_calls == EXPECTED_CALLS


@WIRES
@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000])
async def test_network_pieces_may_cut_events_and_characters_anywhere(wire: str, size: int, http: HttpClient) -> None:
    reply = Answer(text="日本の首都は東京です 🗼", calls=CALLS, pieces=9, transport=Transport(chunk_bytes=size))
    async with STAND_INS[wire]([reply]) as server:
        result = await collect(client_of(wire, http, server.base_url).stream(ask()))
    assert result.message.text == "日本の首都は東京です 🗼"
    assert result.message.tool_calls == EXPECTED_CALLS


@WIRES
async def test_call_pieces_keep_their_index_and_only_the_first_names_the_call(wire: str, http: HttpClient) -> None:
    async with STAND_INS[wire]([Answer(text="", calls=CALLS)]) as server:
        events = await events_of(client_of(wire, http, server.base_url), ask(tools=(WEATHER,)))
    pieces = [event for event in events if isinstance(event, ToolCallDelta)]
    assert [(piece.index, piece.id) for piece in pieces if piece.id] == [(0, "call_a"), (1, "call_b")]
    assert [bool(piece.name) for piece in pieces] == [bool(piece.id) for piece in pieces]
    assert len(pieces) == 2 if wire == "ollama" else len(pieces) > 2


@WIRES
async def test_reasoning_comes_as_thinking_not_as_text(wire: str, http: HttpClient) -> None:
    reply = Answer(text="42", thinking="Six times seven.", signature="sig==")
    async with STAND_INS[wire]([reply, reply]) as server:
        client = client_of(wire, http, server.base_url)
        events = await events_of(client, ask())
        whole = await client.generate(ask())
    assert joined(events, ThinkingDelta) == "Six times seven."
    assert joined(events, TextDelta) == "42"
    signature = {"anthropic": "sig==", "openai-responses": "openai-reasoning m rs_stand_in sig=="}.get(wire, "")
    assert whole.message.parts == (ThinkingPart("Six times seven.", signature), TextPart("42"))


@WIRES
@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            {
                "openai": "length",
                "anthropic": "max_tokens",
                "openai-responses": "max_output_tokens",
                "ollama": "length",
            },
            "length",
        ),
        ({"anthropic": "model_context_window_exceeded", "openai": "max_tokens"}, "length"),
        ({"openai": "content_filter", "anthropic": "refusal", "openai-responses": "content_filter"}, "content_filter"),
        ({"openai": "stop", "anthropic": "stop_sequence", "ollama": "unload"}, "stop"),
        ({"openai": "function_call", "anthropic": "tool_use"}, "tool_calls"),
        ({"openai": "a_new_reason", "anthropic": "a_new_reason", "ollama": "a_new_reason"}, "stop"),
        ({"anthropic": "pause_turn"}, "stop"),
    ],
)
async def test_finish_reasons_are_mapped(wire: str, said: dict[str, str], expected: str, http: HttpClient) -> None:
    if wire not in said:
        return
    reply = Answer(finish=said[wire])
    async with STAND_INS[wire]([reply, reply]) as server:
        client = client_of(wire, http, server.base_url)
        assert (await client.generate(ask())).finish_reason == expected
        assert (await collect(client.stream(ask()))).finish_reason == expected


@WIRES
async def test_leaving_a_stream_drops_its_connection_at_once(wire: str, http: HttpClient) -> None:
    reply = Answer(text="x" * 100, pieces=100, transport=Transport(delay_s=0.02))
    async with STAND_INS[wire]([reply]) as server:
        stream = client_of(wire, http, server.base_url).stream(ask())
        await anext(stream)
        await stream.aclose()
        await server.until_dropped()


@WIRES
async def test_a_finished_stream_gives_its_connection_back(wire: str, http: HttpClient) -> None:
    async with STAND_INS[wire]() as server:
        client = client_of(wire, http, server.base_url)
        for _ in range(5):
            await events_of(client, ask())
            await client.generate(ask())
        assert server.connections == 1


@WIRES
async def test_a_consumer_that_stops_at_the_finish_loses_nothing(wire: str, http: HttpClient) -> None:
    async with STAND_INS[wire]() as server:
        stream = client_of(wire, http, server.base_url).stream(ask())
        async for events in stream:
            if isinstance(events[-1], ModelFinish):
                break
        await stream.aclose()


@WIRES
@pytest.mark.parametrize(
    ("transport", "limit"),
    [
        (Transport(first_delay_s=30), "first_token"),
        (Transport(hang_after=0), "first_token"),
        (Transport(hang_after=500), "idle"),
        (Transport(delay_s=0.02), "total"),
    ],
)
async def test_each_way_of_being_slow_has_its_own_timeout(
    wire: str, transport: Transport, limit: str, http: HttpClient
) -> None:
    patience = {
        "first_token": ModelTimeouts(first_token_ms=60),
        "idle": ModelTimeouts(idle_ms=60),
        "total": ModelTimeouts(total_ms=90, idle_ms=80),
    }[limit]
    async with STAND_INS[wire]([Answer(text="x" * 200, pieces=100, transport=transport)]) as server:
        with pytest.raises(ModelTimeout) as caught:
            await events_of(client_of(wire, http, server.base_url, timeouts=patience), ask())
        await server.until_dropped()
    assert caught.value.details["timeout"] == limit
    assert caught.value.details["provider"] == wire
    assert caught.value.details["model"] == "m"


@WIRES
async def test_listed_models_carry_the_provider(wire: str, http: HttpClient) -> None:
    async with STAND_INS[wire]() as server:
        listed = await client_of(wire, http, server.base_url).list_models()
    assert [info.provider for info in listed] == [wire]


async def test_anthropic_counts_tokens_and_estimates_when_it_cannot(http: HttpClient) -> None:
    async with STAND_INS["anthropic"]() as server:
        client = client_of("anthropic", http, server.base_url)
        assert await client.count_tokens(ask()) == 77
    assert 0 < await client.count_tokens(ask()) < 77


@WIRES
async def test_a_whole_conversation_is_understood(wire: str, http: HttpClient) -> None:
    async with STAND_INS[wire]() as server:
        await client_of(wire, http, server.base_url).generate(CONVERSATION)
        sent = server.requests[0].json
    CHECKS[wire](sent)


def openai_understood(sent: dict[str, Any]) -> None:
    assert sent["temperature"] == 0.5
    roles = [message["role"] for message in sent["messages"]]
    assert roles == ["system", "user", "assistant", "tool", "tool", "user"]
    assert sent["messages"][2]["tool_calls"][1]["function"]["arguments"] == '{"city":"Zürich"}'
    assert sent["messages"][5]["content"][1]["image_url"]["url"] == "data:image/png;base64,aGk="
    assert "max_tokens" not in sent


def anthropic_understood(sent: dict[str, Any]) -> None:
    assert sent["temperature"] == 0.5
    assert [message["role"] for message in sent["messages"]] == ["user", "assistant", "user"]
    kinds = [block["type"] for block in sent["messages"][2]["content"]]
    assert kinds == ["tool_result", "tool_result", "text", "image", "image"]
    assert sent["messages"][2]["content"][1]["is_error"] is True
    assert sent["messages"][1]["content"][1]["input"] == {"city": "Tokyo"}
    mark = {"type": "ephemeral"}
    assert sent["system"][0]["cache_control"] == mark
    assert sent["tools"][-1]["cache_control"] == mark
    assert [block for block in sent["messages"][2]["content"] if "cache_control" in block] == [
        {"type": "image", "source": {"type": "url", "url": "https://x.test/i.png"}, "cache_control": mark}
    ]
    assert sent["max_tokens"] > 0


def responses_understood(sent: dict[str, Any]) -> None:
    assert sent["temperature"] == 0.5
    assert sent["store"] is False
    assert sent["instructions"] == "S"
    kinds = [item["type"] for item in sent["input"]]
    assert kinds == ["message", "message", *["function_call"] * 2, *["function_call_output"] * 2, "message"]
    assert sent["input"][3]["arguments"] == '{"city":"Zürich"}'
    assert [item["call_id"] for item in sent["input"][2:6]] == ["call_a", "call_b", "call_a", "call_b"]
    images = [part.get("image_url") for part in sent["input"][6]["content"]]
    assert images == [None, "data:image/png;base64,aGk=", "https://x.test/i.png"]
    assert sent["tools"][0] == {
        "type": "function",
        "name": WEATHER.name,
        "description": WEATHER.description,
        "parameters": WEATHER.parameters,
        "strict": False,
    }


def ollama_understood(sent: dict[str, Any]) -> None:
    assert sent["options"] == {"temperature": 0.5, "num_ctx": OLLAMA_CONTEXT_TOKENS}
    roles = [message["role"] for message in sent["messages"]]
    assert roles == ["system", "user", "assistant", "tool", "tool", "user"]
    assert sent["messages"][2]["tool_calls"][1]["function"]["arguments"] == {"city": "Zürich"}
    assert [message.get("tool_name") for message in sent["messages"][3:5]] == ["get_weather"] * 2
    assert sent["messages"][5]["images"] == ["aGk="]
    assert sent["messages"][5]["content"].endswith("[image: https://x.test/i.png]")
    assert sent["stream"] is False


CHECKS = {
    "openai": openai_understood,
    "anthropic": anthropic_understood,
    "openai-responses": responses_understood,
    "ollama": ollama_understood,
}


@WIRES
async def test_the_credential_goes_where_each_wire_wants_it(wire: str, http: HttpClient) -> None:
    async with STAND_INS[wire]() as server:
        await client_of(wire, http, server.base_url).generate(ask())
        await client_of(wire, http, server.base_url, key="sk-ant-oat01-xyz").generate(ask())
        first, second = (request.headers for request in server.requests)
    if wire != "anthropic":
        assert first["authorization"] == f"Bearer {KEY}"
    else:
        assert first["x-api-key"] == KEY
        assert "authorization" not in first
        assert "x-api-key" not in second
        assert second["anthropic-version"] == "2023-06-01"
    assert second["authorization"] == "Bearer sk-ant-oat01-xyz"


@WIRES
async def test_the_address_may_end_with_or_without_v1(wire: str, http: HttpClient) -> None:
    async with STAND_INS[wire]() as server:
        origin = server.base_url.removesuffix("/v1")
        for address in (origin, origin + "/", origin + "/v1", origin + "/v1/"):
            await client_of(wire, http, address).generate(ask())
        assert len({request.path for request in server.requests}) == 1
