"""What only the Responses API does."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.base.errors import ModelContextOverflow, ModelError, ModelOverloaded, ModelProtocol, ModelRateLimited
from openclaw.base.message import Message, TextPart, ThinkingPart, ToolCall, user
from openclaw.base.model import ModelRequest, Usage
from openclaw.models.openai.responses_parser import ResponseParser
from openclaw.models.openai.responses_request import items
from openclaw.models.transport.failure import Failures
from openclaw.net.http import HttpClient
from tests.models.clients import ask, client_of, events_of
from tests.models.test_parsers import parse
from tests.stand_ins.openai import OpenAIStandIn
from tests.stand_ins.server import Failure, Raw

pytestmark = pytest.mark.anyio
END: dict[str, Any] = {"type": "response.completed", "response": {"status": "completed", "model": "served"}}


def parsed(*events: dict[str, Any]) -> Any:
    """Parse a stream of these events."""
    return parse(ResponseParser("m", Failures("p", None, SYSTEM_CLOCK)), [msgspec.json.encode(one) for one in events])


def item(kind: str, index: int = 0, **fields: Any) -> dict[str, Any]:
    return {"type": f"response.output_item.{kind}", "output_index": index, "item": fields}


def test_arguments_that_come_only_with_the_items_end_are_taken() -> None:
    call: dict[str, Any] = {"type": "function_call", "call_id": "c", "name": "f"}
    result = parsed(item("added", **call), item("done", **call, arguments='{"a":1}'), END)
    assert result.message.tool_calls == (ToolCall("c", "f", '{"a":1}'),)
    assert (result.finish_reason, result.model) == ("tool_calls", "served")
    assert parsed(item("done", **call, arguments="{}"), END).message.tool_calls == (ToolCall("c", "f", "{}"),)


def test_arguments_in_pieces_are_not_taken_twice() -> None:
    call: dict[str, Any] = {"type": "function_call", "call_id": "c", "name": "f"}
    pieces = [
        {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": piece} for piece in ("{", "}")
    ]
    result = parsed(item("added", **call, arguments=""), *pieces, item("done", **call, arguments="{}"), END)
    assert result.message.tool_calls == (ToolCall("c", "f", "{}"),)


@pytest.mark.parametrize(
    "events",
    [
        [{"type": "response.function_call_arguments.delta", "output_index": 3, "delta": "{}"}, END],
        [item("added", type="function_call", call_id="c"), END],
        [{"type": "response.output_text.delta", "delta": "x"}],
        [{"type": "response.completed", "response": {"status": "cancelled"}}],
        [{"type": 7}],
        [{"delta": "x"}],
    ],
)
def test_what_makes_no_sense_is_a_protocol_error(events: list[dict[str, Any]]) -> None:
    with pytest.raises(ModelProtocol):
        parsed(*events)


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"type": "error", "code": "rate_limit_exceeded", "message": "slow"}, ModelRateLimited),
        ({"type": "error", "error": {"code": "context_length_exceeded", "message": "long"}}, ModelContextOverflow),
        ({"type": "response.failed", "response": {"error": {"code": "server_error", "message": "x"}}}, ModelOverloaded),
        ({"type": "response.failed"}, ModelProtocol),
    ],
)
def test_failures_within_a_stream_are_typed(event: dict[str, Any], kind: type[ModelError]) -> None:
    with pytest.raises(ModelError) as caught:
        parsed({"type": "response.output_text.delta", "delta": "half"}, event)
    assert type(caught.value) is kind


def test_usage_tells_what_came_from_the_cache_and_went_into_it() -> None:
    details = {"cached_tokens": 5, "cache_write_tokens": 3}
    usage = {"input_tokens": 10, "output_tokens": 2, "input_tokens_details": details}
    done = {"type": "response.completed", "response": {"status": "completed", "usage": usage}}
    assert parsed(done).usage == Usage(10, 2, 5, 3)


def test_reasoning_goes_back_to_its_own_model_before_what_it_led_to() -> None:
    kind = "response.reasoning_summary_"
    result = parsed(
        {"type": f"{kind}text.delta", "delta": "one"},
        {"type": f"{kind}part.added", "summary_index": 1},
        {"type": f"{kind}text.delta", "delta": "two"},
        item("done", type="reasoning", id="rs", encrypted_content="ENC"),
        {"type": "response.output_text.delta", "delta": "answer"},
        END,
    )
    assert result.message.parts == (ThinkingPart("one\n\ntwo", "openai-reasoning m rs ENC"), TextPart("answer"))
    sent = items(ModelRequest(model="m", messages=(user("q"), result.message)))
    summary = [{"type": "summary_text", "text": "one\n\ntwo"}]
    assert sent[1] == {"type": "reasoning", "id": "rs", "summary": summary, "encrypted_content": "ENC"}
    other = items(ModelRequest(model="n", messages=(user("q"), result.message)))
    assert [one["type"] for one in other] == ["message", "message"]
    alone = Message("assistant", result.message.parts[:1])
    assert len(items(ModelRequest(model="m", messages=(user("q"), alone)))) == 1


async def test_only_reasoning_models_are_asked_for_what_their_reasoning_goes_back_with(http: HttpClient) -> None:
    async with OpenAIStandIn() as server:
        asked = client_of("openai-responses", http, server.base_url)
        await asked.generate(ask(model="gpt-6-sol"))
        await asked.generate(ask(model="gpt-4.1"))
        sent = [request.json for request in server.requests]
    assert [one.get("include") for one in sent] == [["reasoning.encrypted_content"], None]


@pytest.mark.parametrize(
    "answer",
    [
        b'{"status":"completed"}',
        b'{"status":"queued","output":[]}',
        b'{"output":7}',
        b'{"output":[{"type":"function_call"}]}',
    ],
)
async def test_whole_answers_that_make_no_sense_are_protocol_errors(answer: bytes, http: HttpClient) -> None:
    async with OpenAIStandIn([Raw((answer,))]) as server:
        with pytest.raises(ModelProtocol):
            await client_of("openai-responses", http, server.base_url).generate(ask())


async def test_a_failed_response_in_a_200_is_typed(http: HttpClient) -> None:
    failed = b'{"status":"failed","error":{"code":"rate_limit_exceeded","message":"slow"},"output":[]}'
    async with OpenAIStandIn([Raw((failed,)), Failure(200, "server_error", "x", after=3)]) as server:
        asked = client_of("openai-responses", http, server.base_url)
        with pytest.raises(ModelRateLimited):
            await asked.generate(ask())
        with pytest.raises(ModelOverloaded):
            await events_of(asked, ask())
