"""What only the Messages API does."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

import msgspec
import pytest

from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.base.errors import ModelBadRequest, ModelNotFound
from openclaw.base.message import ImagePart, Message, TextPart, ThinkingPart, ToolCall, ToolOutcome, outcomes, user
from openclaw.base.model import ModelRequest, Purpose
from openclaw.models.anthropic.client import AnthropicClient
from openclaw.models.anthropic.request import body, messages
from openclaw.models.assemble import collect
from openclaw.models.catalog import Catalog
from openclaw.net.http import HttpClient
from tests.models.clients import ask, client_of
from tests.stand_ins.anthropic import MODEL, AnthropicStandIn
from tests.stand_ins.server import Answer, Failure, Raw, Request

pytestmark = pytest.mark.anyio
REFUSED = Failure(
    400,
    "invalid_request_error",
    "messages.1.content.0: `thinking` or `redacted_thinking` blocks in the latest message cannot be modified.",
)
THOUGHTFUL = ModelRequest(
    model="m",
    messages=(
        user("q"),
        Message("assistant", (ThinkingPart("hm", "c2ln"), ToolCall("call_1", "f", "{}"))),
        outcomes([ToolOutcome("call_1", "f", "x")]),
    ),
)


def kinds(request: Request) -> list[str]:
    return [block["type"] for message in request.json["messages"] for block in message["content"]]


@pytest.mark.parametrize("stream", [True, False])
async def test_thinking_that_is_refused_is_left_behind_and_the_conversation_goes_on(
    stream: bool, http: HttpClient
) -> None:
    async with AnthropicStandIn([REFUSED, Answer(text="on")]) as server:
        asked = client_of("anthropic", http, server.base_url)
        result = await (collect(asked.stream(THOUGHTFUL)) if stream else asked.generate(THOUGHTFUL))
        assert result.message.text == "on"
        first, second = map(kinds, server.requests)
    assert first == ["text", "thinking", "tool_use", "tool_result"]
    assert second == ["text", "tool_use", "tool_result"]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("replies", "request_", "calls"),
    [
        ([REFUSED, REFUSED], THOUGHTFUL, 2),
        ([Failure(400, "invalid_request_error", "tools.0: bad schema")], THOUGHTFUL, 1),
        ([REFUSED], ask(), 1),
    ],
)
async def test_other_refusals_are_not_tried_again(
    replies: list[Failure], request_: ModelRequest, calls: int, stream: bool, http: HttpClient
) -> None:
    async with AnthropicStandIn(replies) as server:
        asked = client_of("anthropic", http, server.base_url)
        with pytest.raises(ModelBadRequest):
            await (collect(asked.stream(request_)) if stream else asked.generate(request_))
        assert len(server.requests) == calls


async def test_leaving_a_thoughtful_stream_drops_its_connection(http: HttpClient) -> None:
    from tests.stand_ins.server import Transport

    slow = Answer(text="x" * 100, pieces=100, transport=Transport(delay_s=0.02))
    async with AnthropicStandIn([slow]) as server:
        async with aclosing(client_of("anthropic", http, server.base_url).stream(THOUGHTFUL)) as stream:
            await anext(stream)
        await server.until_dropped()


def test_ids_of_other_providers_stay_apart_and_pairs_stay_together() -> None:
    calls = (ToolCall("a.b", "f"), ToolCall("a:b", "f"), ToolCall("a_b", "f"), ToolCall("", "f"))
    results = outcomes([ToolOutcome(call.id, "f", "x") for call in calls])
    sent = messages([user("q"), Message("assistant", calls), results])
    ids = [block["id"] for block in sent[1]["content"]]
    assert len(set(ids)) == 4
    assert ids[2] == "a_b"
    assert ids == [block["tool_use_id"] for block in sent[2]["content"]]


def test_images_of_a_tool_are_part_of_its_result() -> None:
    image = ImagePart("image/png", "aGk=")
    sent = messages([user("q"), Message("assistant", (ToolCall("1", "f"),)), outcomes([shown("1", "see", image)])])
    assert [part["type"] for part in sent[2]["content"][0]["content"]] == ["text", "image"]


def shown(call_id: str, text: str, image: ImagePart) -> ToolOutcome:
    return ToolOutcome(call_id, "f", text, images=(image,))


@pytest.mark.parametrize(
    ("purpose", "marked"), [("interactive", True), ("tools", True), ("summary", False), ("probe", False)]
)
def test_only_a_conversation_that_goes_on_is_cached_to_its_end(purpose: Purpose, marked: bool) -> None:
    request = ModelRequest(model="m", system="S", messages=(user("q"),), purpose=purpose)
    sent = body(request, stream=True, max_tokens=9, fixed_temperature=False)
    assert ("cache_control" in sent["messages"][-1]["content"][-1]) is marked
    assert "cache_control" in sent["system"][0]


def test_marks_do_not_leak_from_one_request_into_the_next() -> None:
    blank = ModelRequest(model="m", messages=(user(""),))
    body(blank, stream=True, max_tokens=9, fixed_temperature=False)
    assert messages([user("")]) == [{"role": "user", "content": [{"type": "text", "text": "(empty)"}]}]


async def test_metadata_comes_from_the_provider(http: HttpClient) -> None:
    async with AnthropicStandIn() as server:
        asked = client_of("anthropic", http, server.base_url)
        info = await asked.get_metadata(MODEL)
        assert (info.id, info.name, info.context_tokens, info.max_output_tokens) == (MODEL, "Stand-in", 300_000, 9_000)
        with pytest.raises(ModelNotFound):
            await asked.get_metadata("no/such model")
        assert server.requests[-1].path == "/v1/models/no%2Fsuch%20model"


async def test_openai_metadata_is_for_listed_models_only(http: HttpClient) -> None:
    from tests.stand_ins.openai import OpenAIStandIn

    async with OpenAIStandIn() as server:
        asked = client_of("openai", http, server.base_url)
        assert (await asked.get_metadata("stand-in-1")).id == "stand-in-1"
        with pytest.raises(ModelNotFound):
            await asked.get_metadata("other")


async def test_arguments_that_are_not_text_do_not_break_the_answer(http: HttpClient) -> None:
    content = b'{"type":"tool_use","id":"1","name":"f","input":{"a":"\xff"}}'
    whole = b'{"content":[' + content + b'],"stop_reason":"tool_use"}'
    async with AnthropicStandIn([Raw((whole,))]) as server:
        result = await client_of("anthropic", http, server.base_url).generate(ask())
    assert result.message.tool_calls[0].arguments == '{"a":"\ufffd"}'


async def test_a_stop_for_content_keeps_what_was_said(http: HttpClient) -> None:
    async with AnthropicStandIn([Answer(text="No.", finish="refusal")]) as server:
        result = await client_of("anthropic", http, server.base_url).generate(ask())
    assert (result.finish_reason, result.message.parts) == ("content_filter", (TextPart("No."),))


async def test_the_room_for_an_answer_is_what_the_catalogue_says(http: HttpClient) -> None:
    async with AnthropicStandIn() as server:
        made: Any = AnthropicClient(http=http, clock=SYSTEM_CLOCK, catalog=Catalog(), base_url=server.base_url)
        await made.generate(msgspec.structs.replace(ask(model="claude-haiku-4-5"), max_tokens=None))
        assert server.requests[0].json["max_tokens"] == 64_000
