from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.errors import InvalidRequest, ModelOverloaded, ModelRateLimited, OpenClawError
from openclaw.base.ids import AgentId, RunId, SessionId, SessionKey
from openclaw.base.message import ImagePart, TextPart, ToolCall, assistant, user
from openclaw.base.model import TextDelta
from openclaw.base.run import Reply, RunStarted
from openclaw.listeners.responses_api.answer import begun
from openclaw.listeners.responses_api.request import Item, ResponsesRequest, messages
from openclaw.listeners.responses_api.stream import Narrator
from tests.listeners.fakes import TOKEN, World, http, raw_request, until, world

pytestmark = pytest.mark.anyio

TEXT_EVENTS = [
    "response.created",
    "response.in_progress",
    "response.output_item.added",
    "response.content_part.added",
    *["response.output_text.delta"] * 4,
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.completed",
]


def client(here: World) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key=TOKEN, base_url=f"{here.url}/v1", max_retries=0, timeout=10)


async def ask(
    here: World, body: Any, path: str = "/v1/responses", method: str = "POST", **headers: Any
) -> tuple[int, Any]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    status, head, answer = await raw_request(here.port, http(method, path, raw, **headers))
    return status, json.loads(answer) if head["content-type"].startswith("application/json") else answer.decode()


async def test_the_official_client_gets_a_response() -> None:
    async with world() as here, client(here) as sdk:
        answer = await sdk.responses.create(
            model="openclaw", input="What is the capital of Japan?", instructions="Be brief.", metadata={"a": "b"}
        )
        assert answer.output_text == "Tokyo is the capital."
        assert (answer.status, answer.object, answer.model) == ("completed", "response", "openclaw")
        assert answer.id.startswith("resp_")
        assert answer.metadata == {"a": "b"}
        assert answer.usage is not None
        assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.total_tokens) == (10, 20, 30)
        assert answer.usage.input_tokens_details.cached_tokens == 4
        (inbound,) = here.agent.inbounds
        assert (inbound.system, inbound.ephemeral, inbound.message) == (
            "Be brief.",
            True,
            user("What is the capital of Japan?"),
        )
        assert inbound.stateless
        assert inbound.session_key == f"agent:main:openai-resp:{inbound.run_id}"


async def test_a_stream_has_the_events_in_order() -> None:
    async with world() as here:
        here.agent.uses_tool = True
        status, body = await ask(here, {"model": "openclaw/main", "input": "x", "stream": True})
        assert status == 200
        blocks = [block.split("\n") for block in body.split("\n\n") if block]
        assert blocks[-1] == ["data: [DONE]"]
        events = [json.loads(data.removeprefix("data: ")) for _, data in blocks[:-1]]
        assert [event["type"] for event in events] == TEXT_EVENTS
        assert [name for name, _ in blocks[:-1]] == [f"event: {kind}" for kind in TEXT_EVENTS]
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        assert events[0]["response"]["status"] == "in_progress"
        last = events[-1]["response"]
        assert last["output"][0]["content"][0]["text"] == "Tokyo is the capital."
        assert last["output"][0] == events[-2]["item"]
        assert last["usage"]["total_tokens"] == 30


async def test_the_official_client_reads_the_stream() -> None:
    async with world() as here, client(here) as sdk, sdk.responses.stream(model="openclaw", input="x") as stream:
        kinds = [event.type async for event in stream]
        assert kinds == TEXT_EVENTS
        final = await stream.get_final_response()
        assert final.output_text == "Tokyo is the capital."


async def test_a_response_is_continued_by_its_id_any_number_of_times() -> None:
    async with world() as here, client(here) as sdk:
        first = await sdk.responses.create(model="openclaw/coder", input="one")
        for word in ("two", "three"):
            await sdk.responses.create(model="openclaw", input=word, previous_response_id=first.id)
            latest = here.agent.inbounds[-1]
            assert latest.history == (user("one"), assistant("Tokyo is the capital."))
            assert (latest.message, latest.agent_id) == (user(word), "coder")
        assert len({inbound.session_key for inbound in here.agent.inbounds}) == 3


async def test_a_response_of_a_kept_session_is_continued_in_it() -> None:
    async with world() as here, client(here) as sdk:
        first = await sdk.responses.create(model="openclaw", input="one", user="ann")
        await sdk.responses.create(model="openclaw", input="two", previous_response_id=first.id)
        kept = here.agent.inbounds
        assert [inbound.session_key for inbound in kept] == ["agent:main:openai-user:ann"] * 2
        assert (kept[1].history, kept[1].ephemeral) == ((), False)
        with pytest.raises(openai.BadRequestError, match="delete the session"):
            await sdk.responses.delete(first.id)


async def test_a_response_can_be_shown_and_deleted() -> None:
    async with world() as here, client(here) as sdk:
        made = await sdk.responses.create(model="openclaw", input="one")
        shown = await sdk.responses.retrieve(made.id)
        assert (shown.output_text, shown.status, shown.created_at) == (made.output_text, "completed", 5)
        await sdk.responses.delete(made.id)
        with pytest.raises(openai.NotFoundError):
            await sdk.responses.retrieve(made.id)
        with pytest.raises(openai.BadRequestError, match="Previous response"):
            await sdk.responses.create(model="openclaw", input="two", previous_response_id=made.id)


async def test_a_background_response_is_asked_for_and_cancelled() -> None:
    async with world() as here, client(here) as sdk:
        here.agent.hold = True
        made = await sdk.responses.create(model="openclaw", input="one", background=True)
        assert made.status == "queued"
        assert not here.agent.inbounds[0].stateless  # a restart goes on with it: its caller can still ask for it
        assert (await sdk.responses.retrieve(made.id)).status == "in_progress"
        with pytest.raises(openai.BadRequestError, match="in progress"):
            await sdk.responses.create(model="openclaw", input="two", previous_response_id=made.id)
        assert (await sdk.responses.cancel(made.id)).status == "cancelled"
        assert here.agent.aborts[0][2] == "cancel"
        assert (await sdk.responses.cancel(made.id)).status == "cancelled"


async def test_hanging_up_stops_a_response_in_the_foreground() -> None:
    async with world() as here:
        here.agent.hold = True
        with pytest.raises(openai.APITimeoutError):
            async with client(here) as sdk:
                await sdk.responses.create(model="openclaw", input="one", timeout=0.3)
        await until(lambda: here.agent.aborts)


@pytest.mark.parametrize(("reason", "told"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
async def test_an_answer_that_was_cut_is_incomplete(reason: Any, told: str) -> None:
    async with world() as here, client(here) as sdk:
        here.agent.finish_reason = reason
        answer = await sdk.responses.create(model="openclaw", input="x", max_output_tokens=5)
        assert answer.status == "incomplete"
        assert answer.incomplete_details is not None
        assert answer.incomplete_details.reason == told
        stream = await sdk.responses.create(model="openclaw", input="x", stream=True)
        assert [event.type async for event in stream][-1] == "response.incomplete"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(ModelOverloaded("busy"), 503, "server_error"), (ModelRateLimited("slow"), 429, "rate_limit_exceeded")],
)
async def test_a_failure_is_a_status_before_the_first_byte_and_an_event_after_it(
    error: OpenClawError, status: int, code: str
) -> None:
    async with world() as here, client(here) as sdk:
        here.agent.error = error
        for stream in (False, True):
            got, answer = await ask(here, {"model": "openclaw", "input": "x", "stream": stream})
            assert (got, answer["error"]["message"]) == (status, error.message)
        here.agent.late_error = True
        events = [event async for event in await sdk.responses.create(model="openclaw", input="x", stream=True)]
        last: Any = events[-1]
        assert (last.type, last.response.status, last.response.error.code) == ("response.failed", "failed", code)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{bad", "Invalid JSON"),
        ({"model": "openclaw"}, "input"),
        ({"input": "x"}, "model"),
        ({"model": "gpt-5", "input": "x"}, "Invalid `model`"),
        ({"model": "openclaw", "input": ""}, "Missing user message in `input`."),
        ({"model": "openclaw", "input": []}, "Missing user message in `input`."),
        ({"model": "openclaw", "input": [{"content": "x"}]}, "input[0].role"),
        ({"model": "openclaw", "input": [{"type": "item_reference", "id": "x"}]}, "input[0].type"),
        ({"model": "openclaw", "input": [{"type": "function_call", "name": "f"}]}, "input[0]: a function_call"),
        ({"model": "openclaw", "input": [{"type": "function_call_output"}]}, "input[0]: a function_call_output"),
        (
            {"model": "openclaw", "input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]},
            "no tool call 'c'",
        ),
        ({"model": "openclaw", "input": "x", "max_output_tokens": 0}, "max_output_tokens"),
        ({"model": "openclaw", "input": "x", "temperature": 3}, "temperature"),
        ({"model": "openclaw", "input": "x", "metadata": {str(n): "" for n in range(17)}}, "metadata"),
        ({"model": "openclaw", "input": "x", "tools": [{"type": "web_search"}]}, "tools[0]"),
        ({"model": "openclaw", "input": "x", "previous_response_id": "resp_nope"}, "not found"),
        ({"model": "openclaw", "input": "x", "previous_response_id": "nope"}, "not found"),
    ],
)
async def test_bad_input_is_400_and_says_where(body: Any, message: str) -> None:
    async with world() as here:
        status, answer = await ask(here, body)
        assert status == 400, answer
        assert answer["error"]["type"] == "invalid_request_error"
        assert message in answer["error"]["message"]


async def test_unknown_responses_are_404() -> None:
    async with world() as here:
        for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/cancel")):
            for name in ("resp_nope", "nope"):
                status, answer = await ask(here, b"", f"/v1/responses/{name}{path}", method)
                assert (status, answer["error"]["type"]) == (404, "invalid_request_error")


async def test_items_bring_the_whole_conversation() -> None:
    async with world() as here:
        items = [
            {"role": "developer", "content": "Be brief."},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "one"}]},
            {"type": "reasoning", "summary": []},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "two"}]},
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "three"},
                    {"type": "input_image", "image_url": "data:image/png;base64,AAAA"},
                ],
            },
        ]
        status, _ = await ask(here, {"model": "openclaw", "input": items}, x_openclaw_agent_id="coder")
        assert status == 200
        (inbound,) = here.agent.inbounds
        assert (inbound.system, inbound.agent_id) == ("Be brief.", "coder")
        assert inbound.history == (user("one"), assistant("two"))
        assert inbound.message.parts == (TextPart("three"), ImagePart("image/png", "AAAA"))


@given(
    st.lists(
        st.builds(
            Item,
            st.sampled_from(["message", "function_call", "function_call_output", "reasoning", "x"]),
            st.sampled_from([None, "user", "assistant"]),
            st.none() | st.text(max_size=3),
            call_id=st.sampled_from([None, "a"]),
            name=st.sampled_from([None, "f"]),
            output=st.none() | st.text(max_size=3),
        ),
        max_size=6,
    )
)
def test_any_items_are_messages_or_refused(items: list[Item]) -> None:
    try:
        found = messages(items)
    except InvalidRequest:
        return
    assert sum(len(message.tool_calls or ()) for message in found) == sum(
        item.type == "function_call" for item in items
    )


def test_events_that_clients_are_not_told_add_nothing() -> None:
    narrator = Narrator(begun(RunId("r"), 0, ResponsesRequest("openclaw", "x")), "r")
    assert narrator.say([RunStarted("m", "p", 0)]) == (b"", None)


@given(
    st.lists(st.lists(st.text(min_size=1, max_size=5), max_size=3), max_size=4),
    st.lists(st.sampled_from(["f", "g"]), max_size=2),
    st.sampled_from(["ok", "error", "aborted"]),
)
def test_any_run_is_told_as_items_that_open_and_close(words: list[list[str]], calls: list[str], state: Any) -> None:
    narrator = Narrator(begun(RunId("r"), 0, ResponsesRequest("openclaw", "x")), "r")
    text = "".join(word for batch in words for word in batch)
    reply = Reply(
        run_id=RunId("r"),
        session_key=SessionKey("k"),
        session_id=SessionId("s"),
        agent_id=AgentId("main"),
        state=state,
        text=text,
        client_calls=tuple(ToolCall(f"c{index}", name) for index, name in enumerate(calls)),
    )
    raw = narrator.begin() + b"".join(narrator.say([TextDelta(word) for word in batch])[0] for batch in words)
    blocks = (raw + narrator.end(reply)).decode().split("\n\n")
    assert blocks[-2:] == ["data: [DONE]", ""]
    events = [json.loads(block.split("\n")[1].removeprefix("data: ")) for block in blocks[:-2]]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    opened = [event["output_index"] for event in events if event["type"] == "response.output_item.added"]
    done = [event for event in events if event["type"] == "response.output_item.done"]
    last = events[-1]["response"]
    assert opened == [event["output_index"] for event in done] == list(range(len(last["output"])))
    assert [event["item"] for event in done] == last["output"]
    assert "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta") == text
    assert events[-1]["type"] == ("response.completed" if state == "ok" else "response.failed")
