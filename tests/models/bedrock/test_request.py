"""A conversation of any shape becomes a request that Converse takes."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.message import (
    ImagePart,
    Message,
    Part,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolOutcome,
    assistant,
    user,
)
from openclaw.base.model import ModelRequest
from openclaw.models.bedrock.model_id import ModelId, model_id, profile_ids
from openclaw.models.bedrock.request import ID_LIMIT_CHARS, body, messages
from tests.models.clients import WEATHER

TEXT = st.text(max_size=8)
PARTS: st.SearchStrategy[Part] = st.one_of(
    st.builds(TextPart, TEXT),
    st.builds(ImagePart, st.sampled_from(["image/png", "image/tiff", ""]), st.sampled_from(["aGk=", ""]), TEXT),
    st.builds(ThinkingPart, TEXT, TEXT),
    st.builds(ToolCall, TEXT, st.just("f"), st.sampled_from(["{}", '{"a":1}', "[1]", "{", ""])),
    st.builds(ToolOutcome, TEXT, st.just("f"), TEXT, st.booleans()),
)
MESSAGES = st.lists(
    st.builds(
        Message, st.sampled_from(["system", "user", "assistant", "tool"]), st.lists(PARTS, max_size=4).map(tuple)
    ),
    max_size=8,
)


@given(MESSAGES, st.booleans())
def test_roles_alternate_from_the_user_on_and_no_block_is_blank(conversation: list[Message], tools: bool) -> None:
    found = messages(conversation, tools=tools)
    assert [message["role"] for message in found] == [("user", "assistant")[i % 2] for i in range(len(found))]
    assert found
    for message in found:
        assert message["content"]
        kinds = [next(iter(block)) for block in message["content"]]
        if not tools:
            assert not {"toolUse", "toolResult"} & set(kinds)
        if message["role"] == "user":
            results = kinds.count("toolResult")
            assert set(kinds[:results]) <= {"toolResult"}
        for block in message["content"]:
            assert len(block) == 1
            assert block.get("text", "x").strip()
            if "toolUse" in block:
                assert isinstance(block["toolUse"]["input"], dict)
                assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", block["toolUse"]["toolUseId"])


def test_foreign_ids_are_made_fit_alike_in_calls_and_results() -> None:
    long = "call|" + "x" * 80
    found = messages(
        [user("hi"), assistant("", [ToolCall(long, "f")]), Message("tool", (ToolOutcome(long, "f", "y"),))], tools=True
    )
    used, answered = found[1]["content"][0]["toolUse"], found[2]["content"][0]["toolResult"]
    assert used["toolUseId"] == answered["toolUseId"]
    assert len(used["toolUseId"]) <= ID_LIMIT_CHARS
    other = messages([user("hi"), assistant("", [ToolCall(long + "y", "f")])], tools=True)
    assert other[1]["content"][0]["toolUse"]["toolUseId"] != used["toolUseId"]


def test_without_tools_calls_and_results_are_told_as_text() -> None:
    said = messages(
        [user("hi"), assistant("", [ToolCall("c", "f", '{"a":1}')]), Message("tool", (ToolOutcome("c", "f", "y"),))],
        tools=False,
    )
    assert said[1]["content"] == [{"text": '[called f with {"a":1}]'}]
    assert said[2]["content"] == [{"text": "[f answered: y]"}]


def test_an_assistants_message_of_reasoning_only_is_left_out_and_a_blank_question_is_not() -> None:
    thought = Message("assistant", (ThinkingPart("Hm.", "sig"),))
    assert messages([user(" "), thought], tools=False) == [{"role": "user", "content": [{"text": "(nothing)"}]}]


def test_a_call_that_nobody_follows_up_writes_no_conversation_to_the_cache() -> None:
    request = ModelRequest(model="m", messages=(user("hi"),), purpose="summary")
    found = body(request, cache_marks=frozenset({"messages"}), fixed_temperature=False)
    assert found["messages"][-1]["content"] == [{"text": "hi"}]


def test_images_go_as_bytes_and_addresses_as_text() -> None:
    parts = (ImagePart("image/jpeg", "aGk="), ImagePart(url="https://x.test/i.png"), ImagePart("image/tiff", "aGk="))
    (found,) = messages([Message("user", parts)], tools=False)
    assert found["content"][0] == {"image": {"format": "jpeg", "source": {"bytes": "aGk="}}}
    assert "https://x.test/i.png" in found["content"][1]["text"]
    assert "image/tiff" in found["content"][2]["text"]


def test_notes_in_the_conversation_follow_the_cached_prefix() -> None:
    request = ModelRequest(
        model="m", system="S", messages=(Message("system", (TextPart("note"),)), user("hi")), tools=(WEATHER,)
    )
    found: Any = body(request, cache_marks=frozenset({"system"}), fixed_temperature=False)
    assert found["system"] == [{"text": "S"}, {"cachePoint": {"type": "default"}}, {"text": "note"}]
    assert "inferenceConfig" not in found


@pytest.mark.parametrize(
    ("temperature", "fixed", "sent"), [(1.5, False, 1.0), (0.2, False, 0.2), (0.2, True, None), (None, False, None)]
)
def test_temperature_is_capped_or_left_out(temperature: float | None, fixed: bool, sent: float | None) -> None:
    request = ModelRequest(model="m", messages=(user("hi"),), temperature=temperature, max_tokens=5)
    found = body(request, cache_marks=frozenset(), fixed_temperature=fixed)
    assert found["inferenceConfig"].get("temperature") == sent


@pytest.mark.parametrize(
    ("text", "region", "api", "base"),
    [
        ("amazon.nova-lite-v1:0", "", "converse", "amazon.nova-lite-v1:0"),
        ("us-gov.anthropic.claude-x", "", "converse", "anthropic.claude-x"),
        ("global.anthropic.claude-sonnet-5", "", "converse", "anthropic.claude-sonnet-5"),
        ("us.odd", "", "converse", "us.odd"),
        ("arn:aws:bedrock:us-west-2:1:inference-profile/eu.amazon.x", "us-west-2", "converse", "amazon.x"),
        ("arn:aws-cn:bedrock:cn-north-1::foundation-model/a.b-v1:0", "cn-north-1", "converse", "a.b-v1:0"),
        ("arn:aws:bedrock:us-east-1:1:custom-model/amazon.x/abc", "us-east-1", "invoke", ""),
        ("arn:aws:bedrock:us-east-1:1:custom-model-deployment/abc", "us-east-1", "converse", ""),
        ("arn:aws:sagemaker:us-east-1:1:endpoint/mine", "us-east-1", "converse", ""),
        ("arn:nonsense", "", "converse", "arn:nonsense"),
    ],
)
def test_an_id_tells_region_api_and_base_model(text: str, region: str, api: str, base: str) -> None:
    found = model_id(text)
    assert found == ModelId(text, region, "invoke" if api == "invoke" else "converse", base)


@given(st.text())
def test_any_text_is_an_id_and_one_segment_of_an_address(text: str) -> None:
    if not any("\ud800" <= char <= "\udfff" for char in text):
        assert re.fullmatch(r"[A-Za-z0-9%._~-]*", model_id(text).path)
    profile_ids(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4-5"),
        ("anthropic.claude-opus-4-6-v1", "claude-opus-4-6"),
        ("arn:aws:bedrock:us-east-1:1:inference-profile/global.anthropic.claude-sonnet-5", "claude-sonnet-5"),
    ],
)
def test_claudes_profile_is_known_by_its_makers_name(text: str, name: str) -> None:
    assert profile_ids(text)[-1] == name
