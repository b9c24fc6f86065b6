"""Tools that the caller runs itself, over chat completions and responses, by the official client."""

from __future__ import annotations

from typing import Any, cast

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.errors import InvalidRequest
from openclaw.base.message import Message, TextPart, ToolCall, ToolOutcome, assistant, user
from openclaw.listeners.openai_api.client_tool import (
    ChatTool,
    FunctionName,
    FunctionSpec,
    NamedChoice,
    ResponseTool,
    chat_offer,
    response_offer,
)
from openclaw.listeners.openai_api.conversation import conversation
from openclaw.listeners.openai_api.request import ChatMessage, FunctionIn, ToolCallIn
from tests.listeners.fakes import TOKEN, World, world

pytestmark = pytest.mark.anyio

PARAMETERS: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOLS: list[Any] = [{"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}]
CALLS = (ToolCall("c1", "weather", '{"city":"Paris"}'), ToolCall("c2", "weather", '{"city":"Rome"}'))
ASK: list[Any] = [{"role": "user", "content": "How is the weather?"}]


def client(here: World) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key=TOKEN, base_url=f"{here.url}/v1", max_retries=0, timeout=10)


async def test_a_chat_completion_ends_in_calls_and_goes_on_with_their_results() -> None:
    async with world() as here, client(here) as sdk:
        here.agent.calls, here.agent.words = CALLS, []
        first = await sdk.chat.completions.create(model="openclaw", messages=ASK, tools=TOOLS)
        choice = first.choices[0]
        assert choice.finish_reason == "tool_calls"
        assert choice.message.content is None
        assert [(c.id, c.function.name, c.function.arguments) for c in choice.message.tool_calls or ()] == [  # type: ignore[union-attr]
            (call.id, call.name, call.arguments) for call in CALLS
        ]
        results: list[Any] = [{"role": "tool", "tool_call_id": call.id, "content": "sunny"} for call in CALLS]
        here.agent.calls = ()
        here.agent.words = ["Fine."]
        second = await sdk.chat.completions.create(
            model="openclaw", messages=[*ASK, cast("Any", choice.message.model_dump()), *results], tools=TOOLS
        )
        assert second.choices[0].message.content == "Fine."
        assert here.agent.inbounds[0].client_tools[0].parameters == PARAMETERS
        again = here.agent.inbounds[1]
        assert again.history == (user("How is the weather?"), assistant("", CALLS))
        assert again.message == Message("tool", tuple(ToolOutcome(call.id, call.name, "sunny") for call in CALLS))


async def test_calls_are_streamed_as_indexed_deltas() -> None:
    async with world() as here, client(here) as sdk:
        here.agent.calls = CALLS
        stream = await sdk.chat.completions.create(model="openclaw", messages=ASK, tools=TOOLS, stream=True)
        chunks = [chunk async for chunk in stream]
        built: dict[int, list[str]] = {}
        for chunk in chunks:
            for call in chunk.choices[0].delta.tool_calls or ():
                piece = built.setdefault(call.index, ["", "", ""])
                assert call.function is not None
                piece[0] += call.id or ""
                piece[1] += call.function.name or ""
                piece[2] += call.function.arguments or ""
        assert built == {i: [call.id, call.name, call.arguments] for i, call in enumerate(CALLS)}
        assert chunks[-1].choices[0].finish_reason == "tool_calls"
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Tokyo is the capital."


async def test_a_response_ends_in_calls_of_which_each_needs_its_result() -> None:
    async with world() as here, client(here) as sdk:
        here.agent.calls, here.agent.words = CALLS, []
        tools: Any = [{"type": "function", "name": "weather", "parameters": PARAMETERS, "strict": False}]
        first = await sdk.responses.create(model="openclaw", input="How is the weather?", tools=tools)
        assert [(item.type, item.call_id) for item in first.output] == [  # type: ignore[union-attr]
            ("function_call", "c1"),
            ("function_call", "c2"),
        ]
        results: Any = [{"type": "function_call_output", "call_id": call.id, "output": "sunny"} for call in CALLS]
        with pytest.raises(openai.BadRequestError, match="has no result"):
            await sdk.responses.create(model="openclaw", input=results[:1], tools=tools, previous_response_id=first.id)


async def test_results_after_a_response_continue_with_its_calls() -> None:
    async with world() as here, client(here) as sdk:
        here.agent.calls, here.agent.words = CALLS, []
        tools: Any = [{"type": "function", "name": "weather", "parameters": PARAMETERS, "strict": False}]
        first = await sdk.responses.create(model="openclaw", input="How is the weather?", tools=tools)
        results: Any = [{"type": "function_call_output", "call_id": call.id, "output": "sunny"} for call in CALLS]
        await sdk.responses.create(model="openclaw", input=results, tools=tools, previous_response_id=first.id)
        again = here.agent.inbounds[-1]
        assert again.history == (user("How is the weather?"), assistant("", CALLS))
        assert again.message == Message("tool", tuple(ToolOutcome(call.id, call.name, "sunny") for call in CALLS))
        assert again.session_key != here.agent.inbounds[0].session_key


async def test_calls_of_a_response_are_streamed_item_by_item() -> None:
    async with world() as here, client(here) as sdk:
        here.agent.calls = CALLS[:1]
        tools: Any = [{"type": "function", "name": "weather", "parameters": PARAMETERS, "strict": False}]
        stream = await sdk.responses.create(model="openclaw", input="x", tools=tools, stream=True)
        events = [event async for event in stream]
        assert [event.sequence_number for event in events] == list(range(len(events)))
        kinds = [event.type for event in events]
        assert kinds[-5:] == [
            "response.output_item.added",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
            "response.output_item.done",
            "response.completed",
        ]
        done: Any = events[-2]
        assert (done.output_index, done.item.arguments) == (1, CALLS[0].arguments)


def test_a_kept_session_is_told_results_in_words() -> None:
    said = [
        ChatMessage("user", "How is the weather?"),
        ChatMessage("assistant", None, [ToolCallIn("c1", FunctionIn("weather"))]),
        ChatMessage("tool", "sunny", tool_call_id="c1"),
    ]
    found = conversation(said, keeps_session=True)
    assert found.message == Message("user", (TextPart("[Result of weather]\nsunny"),))
    assert found.history == ()


SPEC = FunctionSpec("weather", "Tells.", PARAMETERS)


def test_a_choice_narrows_what_is_offered() -> None:
    tools = [ChatTool(SPEC), ChatTool(FunctionSpec("time"))]
    assert [tool.name for tool in chat_offer(tools, None).tools] == ["weather", "time"]
    assert chat_offer(tools, "none") == ((), "")
    assert [tool.name for tool in chat_offer(tools, "required").tools] == ["weather", "time"]
    assert chat_offer(tools, "required").choice == "required"
    named = chat_offer(tools, NamedChoice("function", FunctionName("time")))
    assert ([tool.name for tool in named.tools], named.choice) == (["time"], "time")
    flat = response_offer([ResponseTool(name="time")], NamedChoice("function", name="time"))
    assert flat.tools[0].parameters == {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    "tools",
    [
        [ChatTool(None)],
        [ChatTool(SPEC, "web_search")],
        [ChatTool(SPEC), ChatTool(SPEC)],
        [ChatTool(FunctionSpec("a b"))],
        [ChatTool(FunctionSpec("a", parameters={"type": "array"}))],
        [ChatTool(FunctionSpec(f"t{n}")) for n in range(129)],
    ],
)
def test_tools_that_cannot_be_offered_are_refused(tools: list[ChatTool]) -> None:
    with pytest.raises(InvalidRequest, match="tools"):
        chat_offer(tools, None)


@pytest.mark.parametrize("choice", ["required", NamedChoice("function", name="nope"), NamedChoice("allowed_tools")])
def test_a_choice_of_what_is_not_offered_is_refused(choice: Any) -> None:
    with pytest.raises(InvalidRequest, match="tool_choice"):
        chat_offer([], choice)


_MESSAGES = st.lists(
    st.one_of(
        st.builds(ChatMessage, st.just("user"), st.text(max_size=3)),
        st.builds(
            ChatMessage,
            st.just("assistant"),
            st.none(),
            st.lists(st.builds(ToolCallIn, st.sampled_from(["a", "b"]), st.just(FunctionIn("f"))), max_size=2),
        ),
        st.builds(ChatMessage, st.just("tool"), st.text(max_size=3), tool_call_id=st.sampled_from(["a", "b"])),
    ),
    max_size=8,
)


@given(_MESSAGES)
def test_whatever_is_accepted_pairs_every_call_with_its_result(messages: list[ChatMessage]) -> None:
    try:
        found = conversation(messages, keeps_session=False)
    except InvalidRequest:
        return
    waiting: set[str] = set()
    for message in (*found.history, found.message):
        assert not waiting or message.role == "tool"
        waiting |= {call.id for call in message.tool_calls}
        waiting -= {part.call_id for part in message.parts if isinstance(part, ToolOutcome)}
    assert not waiting


async def test_a_choice_and_a_level_of_thinking_reach_the_agent() -> None:
    async with world() as here, client(here) as sdk:
        named: Any = {"type": "function", "function": {"name": "weather"}}
        await sdk.chat.completions.create(
            model="openclaw", messages=ASK, tools=TOOLS, tool_choice=named, reasoning_effort="xhigh"
        )
        tools: Any = [{"type": "function", "name": "weather", "parameters": PARAMETERS, "strict": False}]
        await sdk.responses.create(
            model="openclaw", input="x", tools=tools, tool_choice="required", reasoning={"effort": "none"}
        )
        await sdk.responses.create(model="openclaw", input="x", reasoning={"summary": "auto"})
        assert [(inbound.tool_choice, inbound.thinking, inbound.system) for inbound in here.agent.inbounds] == [
            ("weather", "high", ""),
            ("required", "off", ""),
            ("", "", ""),
        ]
        wrong: Any = "lots"
        with pytest.raises(openai.BadRequestError, match="reasoning_effort"):
            await sdk.chat.completions.create(model="openclaw", messages=ASK, reasoning_effort=wrong)


def test_a_tool_that_is_called_like_a_choice_can_be_named() -> None:
    tools = [ChatTool(FunctionSpec("none")), ChatTool(FunctionSpec("other"))]
    offer = chat_offer(tools, NamedChoice("function", FunctionName("none")))
    assert ([tool.name for tool in offer.tools], offer.choice) == (["none"], "required")
