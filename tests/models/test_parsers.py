"""The stream parsers fed by hand: odd servers, and garbage of every kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.base.errors import ModelError, ModelProtocol
from openclaw.base.message import Message, TextPart, ThinkingPart, ToolCall, user
from openclaw.base.model import ModelEvent, ModelFinish, ModelResult, TextDelta, ThinkingDelta, ToolCallDelta
from openclaw.models.anthropic.parser import MessagesParser
from openclaw.models.anthropic.request import body, messages
from openclaw.models.assemble import Assembler
from openclaw.models.ollama.parser import OllamaParser
from openclaw.models.openai.parser import ChatParser
from openclaw.models.openai.responses_parser import ResponseParser
from openclaw.models.transport.failure import Failures, error_in, retry_after_s
from openclaw.models.transport.wire import Parser
from tests.models.clients import ask

FAILURES = Failures("p", None, SYSTEM_CLOCK)


def chat(*deltas: dict[str, Any], finish: str | None = "stop", done: bool = True) -> ModelResult:
    """Parse a chat stream of these deltas."""
    chunks: list[dict[str, Any]] = [{"choices": [{"delta": delta}]} for delta in deltas]
    if finish:
        chunks.append({"choices": [{"delta": {}, "finish_reason": finish}]})
    payloads = [msgspec.json.encode(chunk) for chunk in chunks]
    return parse(ChatParser("m", FAILURES), payloads + ([b"[DONE]"] if done else []))


def parse(parser: Parser, payloads: list[bytes]) -> ModelResult:
    """Feed one by one, as the worst network would."""
    assembler = Assembler()
    for payload in payloads:
        assembler.feed(parser.feed([payload]))
    assembler.feed([parser.finish()])
    return assembler.result()


def piece(index: int | None, call_id: str | None, name: str | None, arguments: str | None) -> dict[str, Any]:
    """Return a delta with a piece of a tool call."""
    call = {"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}
    return {"tool_calls": [{key: value for key, value in call.items() if value is not None}]}


def test_a_call_without_an_id_gets_one() -> None:
    result = chat(piece(0, None, "f", '{"a"'), piece(0, None, None, ":1}"))
    (call,) = result.message.tool_calls
    assert call.id.startswith("call_")
    assert (call.name, call.arguments) == ("f", '{"a":1}')
    assert result.finish_reason == "tool_calls"


def test_calls_without_an_index_are_kept_apart_by_their_ids() -> None:
    result = chat(piece(None, "a", "f", "{"), piece(None, None, None, "}"), piece(None, "b", "g", "{}"))
    assert result.message.tool_calls == (ToolCall("a", "f", "{}"), ToolCall("b", "g", "{}"))


def test_a_new_id_under_the_same_index_is_a_new_call() -> None:
    result = chat(piece(0, "a", "f", "{}"), piece(0, "b", "f", "{}"))
    assert [call.id for call in result.message.tool_calls] == ["a", "b"]


def test_an_id_repeated_in_every_piece_is_one_call() -> None:
    result = chat(piece(0, "a", "f", "{"), piece(0, "a", "f", "}"))
    assert result.message.tool_calls == (ToolCall("a", "f", "{}"),)


def test_a_call_without_arguments_has_an_empty_object() -> None:
    assert chat(piece(0, "a", "f", None)).message.tool_calls == (ToolCall("a", "f", "{}"),)


def test_a_call_without_a_name_is_a_protocol_error() -> None:
    with pytest.raises(ModelProtocol):
        chat(piece(0, "a", None, "{}"))


def test_done_without_a_finish_reason_is_an_end_and_so_is_the_reverse() -> None:
    assert chat({"content": "x"}, finish=None).finish_reason == "stop"
    assert chat({"content": "x"}, finish="length", done=False).finish_reason == "length"
    with pytest.raises(ModelProtocol):
        chat({"content": "x"}, finish=None, done=False)


def test_encrypted_thinking_goes_back_as_it_came() -> None:
    block = {"type": "redacted_thinking", "data": "ENC"}
    events = [
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "a"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        {"type": "message_stop"},
    ]
    result = parse(MessagesParser("m", FAILURES), [msgspec.json.encode(event) for event in events])
    sent = messages([user("q"), result.message])
    assert sent[1] == {"role": "assistant", "content": [block, {"type": "text", "text": "a"}]}


def test_thinking_alone_is_no_answer_to_send_back() -> None:
    aborted = Message("assistant", (ThinkingPart("hm", "sig"),))
    assert [one["role"] for one in messages([user("q"), aborted, user("r")])] == ["user"]


def test_two_signed_thoughts_stay_two_blocks() -> None:
    events: list[dict[str, Any]] = []
    for index, text in enumerate(("one", "two")):
        for delta in ({"thinking": text}, {"signature": f"s{index}"}):
            events.append({"type": "content_block_delta", "index": index, "delta": delta})
    events += [{"type": "message_delta", "delta": {"stop_reason": "end_turn"}}, {"type": "message_stop"}]
    result = parse(MessagesParser("m", FAILURES), [msgspec.json.encode(event) for event in events])
    assert result.message.parts == (ThinkingPart("one", "s0"), ThinkingPart("two", "s1"))


def test_parts_stand_in_the_order_in_which_they_began() -> None:
    assembler = Assembler()
    assembler.feed([ThinkingDelta("a"), ThinkingDelta("", "s"), ToolCallDelta(0, "1", "f"), ThinkingDelta("b", "t")])
    assembler.feed([ToolCallDelta(1, "2", "f"), ToolCallDelta(0, arguments="{}"), TextDelta("x"), TextDelta("y")])
    assert assembler.message.parts == (
        ThinkingPart("a", "s"),
        ToolCall("1", "f"),
        ThinkingPart("b", "t"),
        ToolCall("2", "f"),
        TextPart("xy"),
    )
    sent = messages([user("q"), assembler.message])[1]["content"]
    assert [block["type"] for block in sent] == ["thinking", "tool_use", "thinking", "tool_use", "text"]


def test_models_that_refuse_a_temperature_are_not_given_one() -> None:
    request = msgspec.structs.replace(ask(), temperature=1.5)
    assert body(request, stream=False, max_tokens=5, fixed_temperature=False)["temperature"] == 1.0
    assert "temperature" not in body(request, stream=False, max_tokens=5, fixed_temperature=True)


FIELDS = [
    *("choices", "delta", "content", "tool_calls", "function", "name", "arguments", "index", "id", "finish_reason"),
    *("usage", "error", "type", "message", "content_block", "text", "thinking", "partial_json", "stop_reason"),
    *("model", "input", "input_tokens", "code"),
    *("item", "response", "output_index", "call_id", "summary", "encrypted_content", "status", "output"),
    *("done", "done_reason", "eval_count", "prompt_eval_count"),
]
KINDS = [
    *("content_block_start", "content_block_delta", "tool_use", "message_start", "error"),
    *("response.output_item.added", "response.output_item.done", "response.completed", "response.incomplete"),
    *("response.function_call_arguments.delta", "response.output_text.delta", "function_call", "reasoning"),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(FIELDS),
            inner | st.sampled_from(KINDS),
            max_size=6,
        )
    ),
    max_leaves=25,
)


@pytest.mark.parametrize("make", [ChatParser, MessagesParser, ResponseParser, OllamaParser])
@given(payloads=st.lists(st.binary(max_size=40) | JSON.map(msgspec.json.encode), max_size=6))
def test_garbage_raises_nothing_but_model_errors(
    make: Callable[[str, Failures], Parser], payloads: list[bytes]
) -> None:
    parser = make("m", FAILURES)
    events: list[ModelEvent] = []
    try:
        for payload in payloads:
            events += parser.feed([payload])
        events.append(parser.finish())
    except ModelError:
        return
    assert isinstance(events[-1], ModelFinish)
    assembler = Assembler()
    assembler.feed(events)
    msgspec.json.encode(assembler.result())
    opened = {event.index for event in events if isinstance(event, ToolCallDelta) and event.name}
    assert opened == {event.index for event in events if isinstance(event, ToolCallDelta)}


@given(st.binary() | JSON.map(msgspec.json.encode), st.integers(100, 999))
def test_any_error_body_becomes_a_model_error(raw: bytes, status: int) -> None:
    error_in(raw)
    assert isinstance(FAILURES.http("m", status, {}, raw), ModelError)


@given(st.text(), st.text())
def test_any_retry_after_is_a_wait_or_none(seconds: str, ms: str) -> None:
    wait = retry_after_s({"retry-after": seconds, "retry-after-ms": ms}, 0)
    assert wait is None or wait >= 0


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["", "a", "call_0_0", "call_1_1"])), max_size=8))
def test_tool_calls_never_share_an_id_or_lack_one(pieces: list[tuple[int, str]]) -> None:
    assembler = Assembler()
    assembler.feed([ToolCallDelta(index, call_id, "t", "") for index, call_id in pieces])
    ids = [call.id for call in assembler.message.tool_calls]
    assert all(ids)
    assert len(ids) == len(set(ids)) == len({index for index, _ in pieces})
