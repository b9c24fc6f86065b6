"""The fake provider: deterministic, scriptable, and able to fail like a real one."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.clock import ManualClock
from openclaw.base.errors import (
    ModelAuth,
    ModelError,
    ModelNotFound,
    ModelOverloaded,
    ModelProtocol,
    ModelRateLimited,
    ModelUnreachable,
)
from openclaw.base.message import Message, ToolCall, ToolOutcome, assistant, outcomes, user
from openclaw.base.model import ModelEvent, ModelFinish, ModelRequest, TextDelta
from openclaw.models.fake.client import FakeClient
from openclaw.models.fake.knob import Knobs, knobs
from tests.models.clients import ask, events_of, joined

pytestmark = pytest.mark.anyio


async def test_it_echoes_the_last_user_text_word_by_word() -> None:
    events = await events_of(FakeClient(), ask("What is  the capital?\n", model="echo"))
    assert joined(events, TextDelta) == "fake: What is  the capital?\n"
    assert len(events) > 4
    finish = events[-1]
    assert isinstance(finish, ModelFinish)
    assert finish.reason == "stop"
    assert finish.usage.output_tokens == len(events) - 1


async def test_whole_and_streamed_answers_agree() -> None:
    result = await FakeClient().generate(ask("hello", model="echo"))
    assert result.message == assistant("fake: hello")


async def test_knobs_set_pieces_and_size() -> None:
    events = await events_of(FakeClient(), ask(model="fake-n7-b3"))
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["xxx"] * 7


async def test_delays_pass_on_the_clock_piece_by_piece() -> None:
    clock = ManualClock()
    stream = FakeClient(clock=clock).stream(ask(model="fake-n3-d10-l500"))
    first = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    assert not first.done()
    clock.advance(0.5)
    assert len(await first) == 1
    await stream.aclose()


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("fake-err401", ModelAuth),
        ("fake-err429", ModelRateLimited),
        ("fake-n4-err529", ModelOverloaded),
        ("fake-n4-errdrop", ModelUnreachable),
        ("fake-errhalf", ModelProtocol),
        ("gpt-9", ModelNotFound),
        ("fake-x1", ModelNotFound),
    ],
)
async def test_it_fails_on_demand(model: str, kind: type[ModelError]) -> None:
    with pytest.raises(ModelError) as caught:
        await events_of(FakeClient(), ask(model=model))
    assert type(caught.value) is kind
    assert caught.value.details["provider"] == "fake"


async def test_tool_lines_become_calls_step_by_step() -> None:
    client = FakeClient()
    said = user('/tool write_file {"path":"a"}\n/tool list_files\n/then\n/tool read_file {"path":"a"}')
    first = await client.generate(ModelRequest(model="echo", messages=(said,)))
    assert first.finish_reason == "tool_calls"
    assert [(c.name, c.arguments) for c in first.message.tool_calls] == [
        ("write_file", '{"path":"a"}'),
        ("list_files", "{}"),
    ]
    done = outcomes([ToolOutcome(call.id, call.name, "ok") for call in first.message.tool_calls])
    second = await client.generate(ModelRequest(model="echo", messages=(said, first.message, done)))
    (call,) = second.message.tool_calls
    assert (call.name, call.arguments) == ("read_file", '{"path":"a"}')
    assert call.id not in {other.id for other in first.message.tool_calls}
    told: tuple[Message, ...] = (outcomes([ToolOutcome(call.id, call.name, "hello", is_error=True)]),)
    last = await client.generate(ModelRequest(model="echo", messages=(said, first.message, done, *told)))
    assert last.message.text == "fake: error: read_file → hello"


async def test_a_script_is_played_in_order_then_the_echo_follows() -> None:
    scripted: list[ModelEvent] = [TextDelta("x"), ModelFinish("length")]
    client = FakeClient(["one two", scripted, ModelOverloaded("busy")])
    assert (await client.generate(ask("a", model="anything"))).message.text == "one two"
    assert (await client.generate(ask("b"))).finish_reason == "length"
    with pytest.raises(ModelOverloaded):
        await client.generate(ask("c"))
    assert (await client.generate(ask("d", model="echo"))).message.text == "fake: d"
    assert [request.messages[0].text for request in client.requests] == list("abcd")


async def test_calls_may_be_scripted_too() -> None:
    from openclaw.base.model import ToolCallDelta

    result = await FakeClient([[ToolCallDelta(0, "c1", "f", "{}")]]).generate(ask())
    assert result.finish_reason == "tool_calls"
    assert result.message.tool_calls == (ToolCall("c1", "f", "{}"),)


@given(st.integers(0, 999_999), st.integers(0, 999_999))
def test_knobs_are_read_in_any_order(chunks: int, delay: int) -> None:
    expected = Knobs(chunks=chunks, delay_ms=delay)
    assert knobs(f"fake-n{chunks}-d{delay}") == knobs(f"fake-d{delay}-n{chunks}") == expected


@given(st.text())
def test_other_names_are_not_ours(name: str) -> None:
    found = knobs(name)
    assert found is None or name == "echo" or name.startswith("fake")
