from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.errors import (
    InvalidRequest,
    LaneBusy,
    ModelAuth,
    ModelOverloaded,
    ModelRateLimited,
    ModelTimeout,
    OpenClawError,
    RunAborted,
    RunLimit,
    Unavailable,
)
from openclaw.base.message import ImagePart, Message, TextPart, ToolCall, ToolOutcome, assistant, user
from openclaw.listeners.openai_api.conversation import conversation
from openclaw.listeners.openai_api.request import ChatMessage, agent_name, session_name
from tests.listeners.fakes import TOKEN, World, http, raw_request, read_answer, until, world

pytestmark = pytest.mark.anyio

ASK: list[Any] = [{"role": "user", "content": "What is the capital of Japan?"}]


@asynccontextmanager
async def client(here: World) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(api_key=TOKEN, base_url=f"{here.url}/v1", max_retries=0, timeout=10) as sdk:
        yield sdk


async def post(here: World, body: Any, **headers: Any) -> tuple[int, dict[str, str], Any]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    status, head, answer = await raw_request(here.port, http("POST", "/v1/chat/completions", raw, **headers))
    return status, head, json.loads(answer) if head["content-type"].startswith("application/json") else answer


def events(body: bytes) -> list[Any]:
    lines = [line for line in body.decode().split("\n\n") if line]
    assert all(line.startswith("data: ") for line in lines)
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line[6:]) for line in lines[:-1]]


async def test_the_official_client_gets_an_answer() -> None:
    async with world() as here, client(here) as sdk:
        answer = await sdk.chat.completions.create(model="openclaw", messages=ASK)
        assert answer.choices[0].message.content == "Tokyo is the capital."
        assert answer.choices[0].finish_reason == "stop"
        assert answer.id.startswith("chatcmpl_")
        assert answer.object == "chat.completion"
        assert answer.usage is not None
        assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (10, 20, 30)


async def test_the_official_client_streams() -> None:
    async with world() as here, client(here) as sdk:
        stream = await sdk.chat.completions.create(
            model="openclaw/main", messages=ASK, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
        assert (
            "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
            == "Tokyo is the capital."
        )
        assert chunks[0].choices[0].delta.role == "assistant"
        assert chunks[-2].choices[0].finish_reason == "stop"
        assert chunks[-1].usage is not None
        assert chunks[-1].usage.total_tokens == 30
        assert len({chunk.id for chunk in chunks}) == 1


async def test_the_official_client_lists_models() -> None:
    async with world() as here, client(here) as sdk:
        names = [model.id async for model in sdk.models.list()]
        assert names == ["openclaw", "openclaw/default", "openclaw/main", "openclaw/coder"]
        assert (await sdk.models.retrieve("openclaw/coder")).id == "openclaw/coder"
        with pytest.raises(openai.NotFoundError):
            await sdk.models.retrieve("openclaw/nope")
        with pytest.raises(openai.BadRequestError, match="Invalid model id"):
            await sdk.models.retrieve("gpt-4")


async def test_a_stream_has_exactly_the_chunks_clients_expect() -> None:
    async with world() as here:
        here.agent.words = ['say "hi"\n', "ünï\u2028"]
        status, head, body = await post(here, {"model": "openclaw", "stream": True, "messages": ASK})
        assert (status, head["content-type"]) == (200, "text/event-stream; charset=utf-8")
        chunks = events(body)
        common = {key: chunks[0][key] for key in ("id", "object", "created", "model")}
        assert common["object"] == "chat.completion.chunk"
        deltas: list[dict[str, str]] = [{"role": "assistant"}, {"content": 'say "hi"\n'}, {"content": "ünï\u2028"}]
        expected = [{**common, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
        expected.append({**common, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        assert chunks == expected


async def test_words_are_relayed_as_they_come() -> None:
    async with world() as here:
        here.agent.hold = True
        reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
        body = json.dumps({"stream": True, "messages": ASK}).encode()
        writer.write(http("POST", "/v1/chat/completions", body))
        first = await asyncio.wait_for(reader.readuntil(b'"Tokyo"'), 5)
        assert b"is the capital" not in first
        next(iter(here.agent.runs.values())).gate.set()
        await asyncio.wait_for(reader.readuntil(b"[DONE]"), 5)
        writer.close()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{bad", "Invalid JSON"),
        (b"\xff", "Invalid JSON"),
        (b"[]", "expected `object`"),
        (b"", "Missing user message in `messages`."),
        ({}, "Missing user message in `messages`."),
        ({"messages": []}, "Missing user message in `messages`."),
        ({"messages": [{"role": "system", "content": "x"}]}, "Missing user message in `messages`."),
        ({"messages": [{"role": "user", "content": "  "}]}, "Missing user message in `messages`."),
        ({"messages": "x"}, "messages: "),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "king", "content": "x"}, *ASK]}, "messages[0].role"),
        ({"messages": ASK, "model": "gpt-4"}, "Invalid `model`. Use `openclaw` or `openclaw/<agentId>`."),
        ({"messages": ASK, "model": "openclaw/nope"}, "Unknown agent 'nope'."),
        ({"messages": ASK, "model": 5}, "model: "),
        ({"messages": ASK, "temperature": 9}, "temperature"),
        ({"messages": ASK, "max_tokens": 0}, "max_tokens"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "input_audio"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "ftp://x"}]}]}, "image URLs"),
        ({"messages": [{"role": "tool", "content": "x"}, *ASK]}, "tool_call_id"),
        ({"messages": [{"role": "tool", "tool_call_id": "c", "content": "x"}, *ASK]}, "no tool call 'c'"),
    ],
)
async def test_bad_input_is_400_and_says_where(body: Any, message: str) -> None:
    async with world() as here:
        status, _, answer = await post(here, body)
        assert status == 400, answer
        assert answer["error"]["type"] == "invalid_request_error"
        assert message.replace("`object`", "object") in answer["error"]["message"]
        assert here.agent.inbounds == []


async def test_other_kinds_of_body_are_415() -> None:
    async with world() as here:
        body = json.dumps({"messages": ASK}).encode()
        form = http("POST", "/v1/chat/completions", body).replace(
            b"application/json", b"multipart/form-data; boundary=x"
        )
        assert (await raw_request(here.port, form))[0] == 415
        assert (await post(here, {"messages": ASK}, Content_Encoding="gzip"))[0] == 415
        plain = http("POST", "/v1/chat/completions", body).replace(b"application/json", b"text/plain")
        assert (await raw_request(here.port, plain))[0] == 200


async def test_a_stateless_request_brings_its_own_history() -> None:
    async with world() as here:
        messages = [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "two"},
            {"role": "user", "content": "three"},
        ]
        await post(here, {"messages": messages, "max_tokens": 7, "temperature": 0.5})
        (inbound,) = here.agent.inbounds
        assert inbound.ephemeral
        assert inbound.session_key == f"agent:main:openai:{inbound.run_id}"
        assert inbound.history == (user("one"), assistant("two"))
        assert (inbound.message, inbound.system) == (user("three"), "Be brief.")
        assert (inbound.max_tokens, inbound.temperature, inbound.source) == (7, 0.5, "http")


@pytest.mark.parametrize(
    ("body", "headers", "key"),
    [
        ({"user": "alice@x"}, {}, "agent:main:openai-user:alice@x"),
        ({"user": "alice@x", "model": "openclaw:coder"}, {}, "agent:coder:openai-user:alice@x"),
        ({}, {"x_openclaw_session_key": "agent:main:mine"}, "agent:main:mine"),
        ({}, {"x_openclaw_session_key": "mine", "x_openclaw_agent_id": "coder"}, "agent:coder:mine"),
    ],
)
async def test_a_user_or_a_header_keeps_a_session(body: dict[str, Any], headers: dict[str, Any], key: str) -> None:
    async with world() as here:
        messages = [*ASK, {"role": "assistant", "content": "Tokyo"}, {"role": "user", "content": "sure?"}]
        await post(here, {**body, "messages": messages}, **headers)
        (inbound,) = here.agent.inbounds
        assert (inbound.session_key, inbound.ephemeral, inbound.history) == (key, False, ())
        assert inbound.message == user("sure?")


async def test_a_model_override_must_be_known() -> None:
    async with world() as here:
        assert (await post(here, {"messages": ASK}, x_openclaw_model="fake/other"))[0] == 200
        assert here.agent.inbounds[-1].model == "fake/other"
        status, _, answer = await post(here, {"messages": ASK}, x_openclaw_model="nope/nope")
        assert (status, answer["error"]["type"]) == (404, "invalid_request_error")
        assert "Unknown model: nope/nope" in answer["error"]["message"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ModelTimeout("late"), 504),
        (ModelOverloaded("busy", retry_after_s=3), 503),
        (ModelRateLimited("slow", retry_after_s=3), 429),
        (ModelAuth("bad key"), 502),
        (RunLimit("50 steps"), 422),
        (RunAborted("stopped"), 409),
    ],
    ids=lambda value: getattr(value, "code", ""),
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_failed_run_is_an_http_error_before_the_first_byte(
    error: OpenClawError, status: int, stream: bool
) -> None:
    async with world() as here:
        here.agent.error = error
        got, head, answer = await post(here, {"messages": ASK, "stream": stream})
        assert (got, answer["error"]["code"]) == (status, error.code)
        assert head.get("retry-after") == ("3" if error.retry_after_s else None)


@pytest.mark.parametrize(
    ("error", "status"),
    [(LaneBusy("full"), 429), (Unavailable("draining", retry_after_s=1), 503), (InvalidRequest("too long"), 400)],
    ids=lambda value: getattr(value, "code", ""),
)
async def test_a_refused_message_is_an_http_error(error: OpenClawError, status: int) -> None:
    async with world() as here:
        here.agent.refusal = error
        assert (await post(here, {"messages": ASK, "stream": True}))[0] == status


async def test_a_failure_in_mid_stream_is_told_in_the_stream() -> None:
    async with world() as here:
        here.agent.error, here.agent.late_error = ModelTimeout("late"), True
        status, _, body = await post(here, {"messages": ASK, "stream": True})
        assert status == 200
        last = events(body)[-1]
        assert last["error"]["code"] == "MODEL_TIMEOUT"


async def test_tool_use_before_the_first_word_commits_to_a_stream() -> None:
    async with world() as here:
        here.agent.uses_tool, here.agent.error = True, ModelTimeout("late")
        status, _, body = await post(here, {"messages": ASK, "stream": True})
        assert (status, "error" in events(body)[-1]) == (200, True)


@pytest.mark.parametrize("stream", [False, True])
async def test_hanging_up_stops_a_run_nobody_can_come_back_to(stream: bool) -> None:
    async with world() as here:
        here.agent.hold = True
        reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
        writer.write(http("POST", "/v1/chat/completions", json.dumps({"stream": stream, "messages": ASK}).encode()))
        await until(lambda: here.agent.runs)
        writer.close()
        (run,) = here.agent.runs.values()
        await asyncio.wait_for(run.ended.wait(), 5)
        assert here.agent.aborts == [(run.inbound.session_key, run.id, "disconnect")]
        del reader


async def test_hanging_up_leaves_a_kept_session_running() -> None:
    async with world() as here:
        here.agent.hold = True
        _, writer = await asyncio.open_connection("127.0.0.1", here.port)
        writer.write(http("POST", "/v1/chat/completions", json.dumps({"user": "a", "messages": ASK}).encode()))
        await until(lambda: here.agent.runs)
        writer.close()
        await until(lambda: not here.server.connections)
        assert here.agent.aborts == []
        next(iter(here.agent.runs.values())).gate.set()


async def test_a_connection_serves_one_request_after_another() -> None:
    async with world() as here:
        reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
        for stream in (False, True, False):
            writer.write(http("POST", "/v1/chat/completions", json.dumps({"stream": stream, "messages": ASK}).encode()))
            assert (await asyncio.wait_for(read_answer(reader), 5))[0] == 200
        writer.close()
        await until(lambda: not here.server.connections)
        assert here.agent.aborts == []


def chat(*messages: dict[str, Any]) -> list[ChatMessage]:
    import msgspec

    return msgspec.convert(list(messages), list[ChatMessage])


def test_calls_are_paired_with_their_results() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    other = {**call, "id": "c2"}
    messages = chat(
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": None, "tool_calls": [call, other]},
        {"role": "tool", "tool_call_id": "c2", "content": "2"},
        {"role": "tool", "tool_call_id": "c1", "content": "1"},
        {"role": "user", "content": "and?"},
    )
    history = conversation(messages, keeps_session=False).history
    assert history[1] == Message("assistant", (ToolCall("c1", "add", "{}"), ToolCall("c2", "add", "{}")))
    assert history[2] == Message("tool", (ToolOutcome("c2", "add", "2"), ToolOutcome("c1", "add", "1")))
    with pytest.raises(InvalidRequest, match="c1"):
        conversation([*messages[:3], messages[4]], keeps_session=False)


def test_images_and_several_user_messages_make_one_message() -> None:
    messages = chat(
        {"role": "user", "content": "look"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "here"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
                {"type": "image_url", "image_url": {"url": "https://x.test/y.png"}},
            ],
        },
    )
    parts = conversation(messages, keeps_session=True).message.parts
    assert parts == (TextPart("look\n\nhere"), ImagePart("image/png", "aGk="), ImagePart(url="https://x.test/y.png"))


@given(st.text())
def test_any_user_fits_in_a_session_key(name: str) -> None:
    assert 0 < len(session_name(name)) <= 128
    assert session_name(name).isprintable()


@pytest.mark.parametrize("name", [None, "", "openclaw", "openclaw/default", "openclaw:default"])
def test_these_names_mean_the_default_agent(name: str | None) -> None:
    assert agent_name(name) == ""


CONTENT = (
    st.none()
    | st.text(max_size=5)
    | st.lists(
        st.fixed_dictionaries(
            {"type": st.sampled_from(["text", "image_url", "x"])},
            optional={
                "text": st.text(max_size=4),
                "image_url": st.text(max_size=4) | st.just("data:image/png;base64,"),
            },
        ),
        max_size=2,
    )
)
CALLS = st.lists(st.builds(lambda i: {"id": i, "function": {"name": "f"}}, st.sampled_from(["a", "b", ""])), max_size=2)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "user", "assistant", "tool", "developer", "?"])},
        optional={"content": CONTENT, "tool_calls": CALLS, "tool_call_id": st.sampled_from(["a", "b", ""])},
    ),
    max_size=8,
)


@given(MESSAGES, st.booleans())
def test_any_messages_are_a_valid_conversation_or_refused(messages: list[dict[str, Any]], keeps: bool) -> None:
    try:
        said = conversation(chat(*messages), keeps_session=keeps)
    except InvalidRequest:
        return
    assert said.message.role == "user"
    assert said.message.parts
    waiting: set[str] = set()
    for message in said.history:
        if message.role == "tool":
            for part in message.parts:
                assert isinstance(part, ToolOutcome)
                waiting.remove(part.call_id)
        else:
            assert not waiting
            waiting = {call.id for call in message.tool_calls}
    assert not waiting
