"""The Bedrock client against its stand-in: what goes out, what comes back, and which region serves it."""

from __future__ import annotations

import msgspec
import pytest

from openclaw.base.errors import ModelAuth, ModelBadRequest, ModelTimeout
from openclaw.base.message import Message, TextPart, ThinkingPart, ToolCall
from openclaw.base.model import ModelFinish, ModelResult, TextDelta, ThinkingDelta, ToolCallDelta, Usage
from openclaw.config.schema import ModelTimeouts
from openclaw.models.assemble import collect
from openclaw.net.http import HttpClient
from tests.models.bedrock.clients import ARN, IMPORTED, KEYS, bearer, signed
from tests.models.clients import WEATHER, ask, events_of, joined
from tests.models.test_wire_clients import CALLS, EXPECTED_CALLS
from tests.stand_ins.bedrock import EVENT_STREAM, BedrockStandIn, event
from tests.stand_ins.server import Answer, Call, Failure, Raw, Transport

pytestmark = pytest.mark.anyio
NOVA = "us.amazon.nova-lite-v1:0"
CLAUDE = "us.anthropic.claude-sonnet-4-6"
MODELS = pytest.mark.parametrize("model", [NOVA, IMPORTED])


@MODELS
async def test_a_streamed_answer_comes_in_pieces_and_ends_with_finish_and_usage(model: str, http: HttpClient) -> None:
    async with BedrockStandIn([Answer(text="Tokyo, of course.", pieces=5, cached_tokens=4)]) as server:
        events = await events_of(bearer(http, server.base_url), ask(model=model))
        assert server.model_of(0) == model
    assert len([e for e in events if isinstance(e, TextDelta)]) == 5
    assert joined(events, TextDelta) == "Tokyo, of course."
    finish = events[-1]
    assert isinstance(finish, ModelFinish)
    assert (finish.reason, finish.usage.input_tokens, finish.usage.output_tokens) == ("stop", 12, 34)
    if model == NOVA:
        assert finish.usage == Usage(12, 34, 4, 0)


@MODELS
async def test_a_whole_answer_equals_the_streamed_one(model: str, http: HttpClient) -> None:
    reply = Answer(text="Two calls.", calls=CALLS, thinking="Hm.")
    async with BedrockStandIn([reply, reply]) as server:
        client = bearer(http, server.base_url)
        whole = await client.generate(ask(model=model, tools=(WEATHER,)))
        streamed = await collect(client.stream(ask(model=model, tools=(WEATHER,))))
    assert msgspec.structs.replace(whole, model="") == msgspec.structs.replace(streamed, model="")
    assert whole.finish_reason == "tool_calls"
    assert whole.message.tool_calls == EXPECTED_CALLS
    assert whole.message.parts[0] == ThinkingPart("Hm.")


@MODELS
@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000])
async def test_network_pieces_may_cut_messages_and_characters_anywhere(model: str, size: int, http: HttpClient) -> None:
    reply = Answer(text="日本の首都は東京です 🗼", calls=CALLS, pieces=9, transport=Transport(chunk_bytes=size))
    async with BedrockStandIn([reply]) as server:
        result = await collect(bearer(http, server.base_url).stream(ask(model=model)))
    assert result.message.text == "日本の首都は東京です 🗼"
    assert result.message.tool_calls == EXPECTED_CALLS


async def test_call_pieces_keep_their_index_and_only_the_first_names_the_call(http: HttpClient) -> None:
    async with BedrockStandIn([Answer(text="", calls=CALLS)]) as server:
        events = await events_of(bearer(http, server.base_url), ask(tools=(WEATHER,)))
    pieces = [found for found in events if isinstance(found, ToolCallDelta)]
    assert [(piece.index, piece.id) for piece in pieces if piece.id] == [(0, "call_a"), (1, "call_b")]
    assert len(pieces) > 2


async def test_a_call_without_input_has_an_empty_object(http: HttpClient) -> None:
    reply = Answer(text="", calls=(Call("now", "{}", "c1"),))
    start = event(
        "contentBlockStart", {"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "c1", "name": "now"}}}
    )
    raw = Raw((start, event("messageStop", {"stopReason": "tool_use"})), content_type=EVENT_STREAM, stream=True)
    async with BedrockStandIn([reply, raw]) as server:
        client = bearer(http, server.base_url)
        expected = Message("assistant", (ToolCall("c1", "now", "{}"),))
        assert (await client.generate(ask())).message == expected
        assert (await collect(client.stream(ask()))).message == expected


async def test_reasoning_keeps_its_signature_and_goes_back_with_it(http: HttpClient) -> None:
    reply = Answer(text="42", thinking="Six times seven.", signature="sig==")
    async with BedrockStandIn([reply, reply]) as server:
        client = bearer(http, server.base_url)
        events = await events_of(client, ask())
        whole = await client.generate(ask())
        again = msgspec.structs.replace(ask(), messages=(*ask().messages, whole.message, *ask("more").messages))
        await client.generate(again)
        sent = server.requests[2].json["messages"][1]["content"]
    assert joined(events, ThinkingDelta) == "Six times seven."
    assert whole.message.parts == (ThinkingPart("Six times seven.", "sig=="), TextPart("42"))
    assert sent[0]["reasoningContent"]["reasoningText"] == {"text": "Six times seven.", "signature": "sig=="}


@pytest.mark.parametrize("stream", [True, False])
async def test_a_model_that_refuses_old_reasoning_is_asked_once_more_without_it(stream: bool, http: HttpClient) -> None:
    thoughtful = Message("assistant", (ThinkingPart("Hm.", "sig=="), TextPart("42")))
    request = msgspec.structs.replace(ask(), messages=(*ask().messages, thoughtful, *ask("more").messages))
    refusal = Failure(400, "ValidationException", "Invalid `signature` in `thinking` block")
    other = Failure(400, "ValidationException", "no")
    async with BedrockStandIn([refusal, Answer(), refusal, refusal, other]) as server:
        client = bearer(http, server.base_url)

        async def call() -> ModelResult:
            return await (collect(client.stream(request)) if stream else client.generate(request))

        assert (await call()).finish_reason == "stop"
        first, second = (asked.json["messages"][1]["content"] for asked in server.requests)
        for requests in (4, 5):
            with pytest.raises(ModelBadRequest):
                await call()
            assert len(server.requests) == requests
    assert ["reasoningContent" in block for block in first] == [True, False]
    assert second == [{"text": "42"}]


async def test_encrypted_reasoning_goes_back_as_it_came(http: HttpClient) -> None:
    delta = {"contentBlockIndex": 0, "delta": {"reasoningContent": {"redactedContent": "RU5D"}}}
    said = {"contentBlockIndex": 1, "delta": {"text": "42"}}
    stop = event("messageStop", {"stopReason": "end_turn"})
    pieces = (event("contentBlockDelta", delta), event("contentBlockDelta", said), stop)
    whole = {
        "output": {"message": {"content": [{"reasoningContent": {"redactedContent": "RU5D"}}, {"text": "42"}]}},
        "stopReason": "end_turn",
    }
    replies = [Raw(pieces, content_type=EVENT_STREAM, stream=True), Raw((msgspec.json.encode(whole),))]
    async with BedrockStandIn(replies) as server:
        client = bearer(http, server.base_url)
        streamed = await collect(client.stream(ask()))
        assert (await client.generate(ask())).message == streamed.message
        again = msgspec.structs.replace(ask(), messages=(*ask().messages, streamed.message, *ask("more").messages))
        await client.generate(again)
        sent = server.requests[2].json["messages"][1]["content"][0]
    assert sent == {"reasoningContent": {"redactedContent": "RU5D"}}


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("content_filtered", "content_filter"),
        ("stop_sequence", "stop"),
        ("tool_use", "tool_calls"),
        ("a_new_reason", "stop"),
    ],
)
async def test_stop_reasons_are_mapped(wire: str, expected: str, http: HttpClient) -> None:
    reply = Answer(finish=wire)
    async with BedrockStandIn([reply, reply]) as server:
        client = bearer(http, server.base_url)
        assert (await client.generate(ask())).finish_reason == expected
        assert (await collect(client.stream(ask()))).finish_reason == expected


async def test_a_stream_without_usage_is_still_an_answer(http: HttpClient) -> None:
    async with BedrockStandIn([Answer(omit_usage=True)]) as server:
        result = await collect(bearer(http, server.base_url).stream(ask()))
    assert (result.finish_reason, result.usage) == ("stop", Usage())


@MODELS
async def test_leaving_a_stream_drops_its_connection_at_once(model: str, http: HttpClient) -> None:
    reply = Answer(text="x" * 100, pieces=100, transport=Transport(delay_s=0.02))
    async with BedrockStandIn([reply]) as server:
        stream = bearer(http, server.base_url).stream(ask(model=model))
        await anext(stream)
        await stream.aclose()
        await server.until_dropped()


@MODELS
async def test_a_finished_stream_gives_its_connection_back(model: str, http: HttpClient) -> None:
    async with BedrockStandIn() as server:
        client = bearer(http, server.base_url)
        for _ in range(5):
            await events_of(client, ask(model=model))
            await client.generate(ask(model=model))
        assert server.connections == 1


@pytest.mark.parametrize(
    ("transport", "limit"),
    [
        (Transport(first_delay_s=30), "first_token"),
        (Transport(hang_after=0), "first_token"),
        (Transport(hang_after=500), "idle"),
        (Transport(delay_s=0.02), "total"),
    ],
)
async def test_each_way_of_being_slow_has_its_own_timeout(transport: Transport, limit: str, http: HttpClient) -> None:
    patience = {
        "first_token": ModelTimeouts(first_token_ms=60),
        "idle": ModelTimeouts(idle_ms=60),
        "total": ModelTimeouts(total_ms=90, idle_ms=80),
    }[limit]
    async with BedrockStandIn([Answer(text="x" * 200, pieces=100, transport=transport)]) as server:
        with pytest.raises(ModelTimeout) as caught:
            await events_of(bearer(http, server.base_url, timeouts=patience), ask())
        await server.until_dropped()
    assert caught.value.details["timeout"] == limit
    assert (caught.value.details["provider"], caught.value.details["model"]) == ("bedrock", "m")


@pytest.mark.parametrize(
    ("model", "region"),
    [
        (NOVA, "us-east-1"),
        (f"{ARN}:inference-profile/{CLAUDE}", "eu-central-1"),
        (f"{ARN}:application-inference-profile/a1b2", "eu-central-1"),
        (f"{ARN}:provisioned-model/p1", "eu-central-1"),
        (IMPORTED, "eu-central-1"),
        ("arn:aws:bedrock:ap-south-1::foundation-model/amazon.nova-lite-v1:0", "ap-south-1"),
    ],
)
async def test_the_arns_region_wins_and_the_request_is_signed_for_it(
    model: str, region: str, nowhere: dict[str, str], http: HttpClient
) -> None:
    async with BedrockStandIn() as server:
        client = signed(http, server.base_url, {**nowhere, **KEYS})
        await client.generate(ask(model=model))
        await events_of(client, ask(model=model))
        assert server.proofs == [f"sigv4 {region} bedrock"] * 2
        assert (server.model_of(0), server.model_of(1)) == (model, model)


async def test_large_bodies_are_signed_too(nowhere: dict[str, str], http: HttpClient) -> None:
    async with BedrockStandIn() as server:
        client = signed(http, server.base_url, {**nowhere, **KEYS})
        await client.generate(ask("x" * 1_000_000, model=NOVA))
        assert len(server.requests[0].body) > 1_000_000


async def test_cache_marks_stand_where_the_model_takes_them(http: HttpClient) -> None:
    mark = {"cachePoint": {"type": "default"}}
    async with BedrockStandIn() as server:
        client = bearer(http, server.base_url)
        for model in (CLAUDE, NOVA, "anthropic.claude-3-haiku-20240307-v1:0", "meta.llama3-1-8b-instruct-v1:0"):
            await client.generate(ask(model=model, tools=(WEATHER,)))
        sent = [request.json for request in server.requests]
    assert [mark in body["system"] for body in sent] == [True, True, False, False]
    assert [mark in body["toolConfig"]["tools"] for body in sent] == [True, False, False, False]
    assert [mark in body["messages"][-1]["content"] for body in sent] == [True, False, False, False]


async def test_models_and_profiles_are_listed_over_all_pages(http: HttpClient) -> None:
    async with BedrockStandIn() as server:
        listed = await bearer(http, server.base_url).list_models()
    assert [info.ref for info in listed] == [
        "bedrock/amazon.nova-lite-v1:0",
        "bedrock/us.anthropic.claude-stand-in-v1:0",
        "bedrock/eu.anthropic.claude-stand-in-v1:0",
    ]
    assert [info.images for info in listed] == [True, False, False]


async def test_a_credential_that_may_not_list_gets_the_known_models(http: HttpClient) -> None:
    async with BedrockStandIn() as server:
        listed = await bearer(http, server.base_url, key="another").list_models()
    assert "bedrock/amazon.nova-lite-v1:0" in [info.ref for info in listed]


async def test_tokens_are_counted_for_the_base_model_and_estimated_where_they_cannot_be(http: HttpClient) -> None:
    async with BedrockStandIn() as server:
        client = bearer(http, server.base_url)
        assert await client.count_tokens(ask(model=NOVA)) == 77
        assert server.model_of(0) == "amazon.nova-lite-v1:0"
        assert 0 < await client.count_tokens(ask(model=f"{ARN}:application-inference-profile/a1b2")) < 77
        assert len(server.requests) == 1
    assert 0 < await client.count_tokens(ask(model=NOVA)) < 77


async def test_a_credential_that_may_not_count_gets_an_estimate_and_a_wrong_one_an_error(http: HttpClient) -> None:
    async with BedrockStandIn([Failure(403, "AccessDeniedException", "not authorized")]) as server:
        assert await bearer(http, server.base_url).count_tokens(ask(model=NOVA)) < 77
        with pytest.raises(ModelAuth):
            await bearer(http, server.base_url, key="wrong").count_tokens(ask(model=NOVA))


async def test_metadata_of_a_profile_is_that_of_its_base_model(http: HttpClient) -> None:
    client = bearer(http, "http://127.0.0.1:1")
    info = await client.get_metadata("eu.anthropic.claude-haiku-4-5-20251001-v1:0")
    assert (info.context_tokens, info.images, info.input_usd_micros) == (200_000, True, None)
    assert info.ref == "bedrock/eu.anthropic.claude-haiku-4-5-20251001-v1:0"
