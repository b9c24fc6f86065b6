"""Whatever a conversation looks like, each provider gets it in the order and pairs that it demands."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import example, given

from openclaw.base.model import ModelRequest
from openclaw.models.anthropic.request import body as messages_body
from openclaw.models.bedrock.request import body as bedrock_body
from openclaw.models.ollama.request import body as ollama_body
from openclaw.models.openai.request import body as chat_body
from openclaw.models.openai.responses_request import body as responses_body
from tests.models.transcripts import SIMPLE, requests

Json = dict[str, Any]


def calls_of(request: ModelRequest) -> int:
    return sum(len(message.tool_calls) for message in request.messages)


@given(requests())
@example(SIMPLE)
def test_anthropic_gets_alternating_roles_and_each_result_right_after_its_call(request: ModelRequest) -> None:
    sent = messages_body(request, stream=True, max_tokens=9, fixed_temperature=False)
    msgspec.json.encode(sent)
    roles = [message["role"] for message in sent["messages"]]
    assert roles == [("user", "assistant")[index % 2] for index in range(len(roles))]
    assert roles[-1:] in ([], ["user"])
    seen: set[str] = set()
    for message, following in zip(sent["messages"], [*sent["messages"][1:], {"content": []}], strict=True):
        assert message["content"]
        called = [block["id"] for block in message["content"] if block["type"] == "tool_use"]
        given_back = [block["tool_use_id"] for block in following["content"] if block["type"] == "tool_result"]
        if called:
            assert sorted(called) == sorted(given_back)
            assert not seen & set(called)
            assert len(called) == len(set(called))
            seen.update(called)
            kinds = [block["type"] == "tool_result" for block in following["content"]]
            assert kinds == sorted(kinds, reverse=True)
        for block in message["content"]:
            assert block["type"] != "text" or block["text"].strip()
            assert " " not in block.get("signature", "")
    assert len(seen) == calls_of(request)
    blocks = [block for message in sent["messages"] for block in message["content"]]
    marked = [block for block in (*sent.get("tools", ()), *sent.get("system", ()), *blocks) if "cache_control" in block]
    assert len(marked) <= 4


@given(requests())
@example(SIMPLE)
def test_bedrock_gets_alternating_roles_and_each_result_right_after_its_call(request: ModelRequest) -> None:
    sent = bedrock_body(request, cache_marks=frozenset({"system", "tools", "messages"}), fixed_temperature=False)
    msgspec.json.encode(sent)
    roles = [message["role"] for message in sent["messages"]]
    assert roles == [("user", "assistant")[index % 2] for index in range(len(roles))]
    assert roles[-1] == "user"
    paired = 0
    for message, following in zip(sent["messages"], [*sent["messages"][1:], {"content": []}], strict=True):
        assert message["content"]
        called = [block["toolUse"]["toolUseId"] for block in message["content"] if "toolUse" in block]
        given_back = [block["toolResult"]["toolUseId"] for block in following["content"] if "toolResult" in block]
        if called:
            assert sorted(called) == sorted(given_back)
            paired += len(called)
        for block in message["content"]:
            text = block.get("reasoningContent", {}).get("reasoningText", {})
            assert " " not in text.get("signature", "")
    # Bedrock takes no calls without a declaration of tools: they are told as text then.
    assert paired == (calls_of(request) if request.tools else 0)


@given(requests())
@example(SIMPLE)
def test_chat_completions_get_one_tool_message_for_each_call_right_after_it(request: ModelRequest) -> None:
    sent = chat_body(request, stream=True, official=True, fixed_temperature=False)
    msgspec.json.encode(sent)
    follows_calls(sent["messages"], lambda message: [call["id"] for call in message.get("tool_calls", ())])


@given(requests())
@example(SIMPLE)
def test_ollama_gets_one_tool_message_for_each_call_right_after_it(request: ModelRequest) -> None:
    sent = ollama_body(request, stream=True, num_ctx=4096, keep_alive="")
    msgspec.json.encode(sent)
    follows_calls(sent["messages"], lambda message: [call["id"] for call in message.get("tool_calls", ())])
    for message in sent["messages"]:
        assert isinstance(message["content"], str)
        for call in message.get("tool_calls", ()):
            assert isinstance(call["function"]["arguments"], dict)


def follows_calls(messages: list[Json], ids: Any) -> None:
    """Check that the tool messages after each assistant's are those of its calls and no others."""
    waiting: list[str] = []
    for message in messages:
        if message["role"] == "tool":
            assert message["tool_call_id"] in waiting
            waiting.remove(message["tool_call_id"])
            continue
        assert waiting == []
        waiting = list(ids(message))
        assert message["content"] or message["role"] != "assistant" or waiting or message["content"] == ""
    assert waiting == []


@given(requests())
@example(SIMPLE)
def test_responses_get_each_output_after_its_call_and_reasoning_only_before_what_it_led_to(
    request: ModelRequest,
) -> None:
    sent = responses_body(request, stream=True, reasoning=True, fixed_temperature=False)
    msgspec.json.encode(sent)
    waiting: list[str] = []
    calls = 0
    items = sent["input"]
    for item, following in zip(items, [*items[1:], {"type": ""}], strict=True):
        match item["type"]:
            case "function_call":
                waiting.append(item["call_id"])
                calls += 1
            case "function_call_output":
                waiting.remove(item["call_id"])
            case "reasoning":
                assert following["type"] in ("reasoning", "message", "function_call")
                assert following.get("role") in (None, "assistant")
                assert item["id"] == "rs_1"
            case kind:
                assert kind == "message"
                assert waiting == [] or item["role"] == "assistant"
    assert waiting == []
    assert calls == calls_of(request)
