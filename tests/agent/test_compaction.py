"""Conversations that outgrow their model: they go on, whole, and each loss is visible."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import pytest

from openclaw.agent.compaction import MARK
from openclaw.agent.context import valid_history
from openclaw.agent.conversation import Conversation
from openclaw.base.errors import ModelContextOverflow, ModelOverloaded
from openclaw.base.ids import RunId, SessionId
from openclaw.base.message import Message, ToolOutcome, assistant, user
from openclaw.base.model import ModelEvent, ModelFinish, ModelRequest, TextDelta, ToolCallDelta
from openclaw.base.principal import LOCAL_OPERATOR
from openclaw.base.run import Compacted
from openclaw.models.fake.client import FakeClient
from openclaw.models.tokens import estimate_tokens
from openclaw.store.api import StepRow

from .house import KEY, House, house

pytestmark = pytest.mark.anyio

SMALL = {"context_tokens": 2_000, "max_output_tokens": 300}


class Talker(FakeClient):
    """Answers at length, calls a tool at every third message, and refuses prompts over its context as providers do."""

    def __init__(self, context: int = 2_000, summary: str = "they talked") -> None:
        super().__init__()
        self.context = context
        self.summary = summary
        self.too_long = 0

    def script_for(self, request: ModelRequest) -> list[ModelEvent]:
        if request.purpose == "summary":
            return [TextDelta(self.summary), ModelFinish("stop")]
        last = request.messages[-1]
        if last.role == "user" and last.text.endswith("tool") and request.tools:
            return [ToolCallDelta(0, f"call{len(self.requests)}", "look", "{}"), ModelFinish("tool_calls")]
        return [TextDelta(f"answer to {last.text[:20]} " + "word " * 60), ModelFinish("stop")]

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[ModelEvent], None]:
        if estimate_tokens(request) > self.context:
            self.too_long += 1
            raise ModelContextOverflow("prompt is too long")
        self._script.append(self.script_for(request))
        async for batch in super().stream(request):
            yield batch


async def talk(here: House, turns: int) -> None:
    for number in range(turns):
        text = f"message {number} " + "pad " * 30 + ("tool" if number % 3 == 0 else "")
        reply = await (await here.say(text)).result()
        assert reply.state == "ok", reply.error


async def test_two_hundred_turns_in_a_small_context_never_die_nor_break_a_pair(tmp_path: Path) -> None:
    client = Talker()
    async with house(tmp_path, client, functions={"look": lambda _: "seen " * 100}, profile=SMALL) as here:
        await talk(here, 200)
        for request in client.requests:
            assert list(request.messages) == valid_history(request.messages)
            assert estimate_tokens(request) <= client.context
        steps = await here.store.steps(await session_id(here), limit=5000)
        summaries = [step for step in steps if step.kind == "summary"]
        assert len(summaries) >= 5
        assert all(step.covers_seq < step.seq for step in summaries)
        assert sum(step.kind == "inbound" for step in steps) == 200, "the archive keeps every message"


async def session_id(here: House) -> SessionId:
    row = await here.study.session(KEY, LOCAL_OPERATOR)
    assert row is not None
    return row.id


async def test_the_model_is_shown_the_summary_and_readers_are_told(tmp_path: Path) -> None:
    client = Talker(summary="They like tea.")
    async with house(tmp_path, client, profile=SMALL) as here:
        await talk(here, 12)
        told: list[Compacted] = []
        for number in range(6):
            run = await here.say(f"more {number} " + "pad " * 40)
            told += [event async for batch in run.events() for event in batch if isinstance(event, Compacted)]
        assert told
        assert told[0].summary == MARK + "They like tea."
        shown = [r for r in client.requests if r.messages[0] == user(MARK + "They like tea.")]
        assert shown


async def test_a_failing_summary_costs_old_messages_but_not_the_turn(tmp_path: Path) -> None:
    class NoSummary(Talker):
        def script_for(self, request: ModelRequest) -> list[ModelEvent]:
            if request.purpose == "summary":
                raise ModelOverloaded("busy")
            return super().script_for(request)

    async with house(tmp_path, NoSummary(), profile=SMALL) as here:
        await talk(here, 40)
        steps = await here.store.steps(await session_id(here), limit=1000)
        assert not [step for step in steps if step.kind == "summary"]


async def test_a_provider_that_finds_less_room_than_it_said_is_asked_again_with_less(tmp_path: Path) -> None:
    client = Talker(context=1_200)
    async with house(tmp_path, client, profile={"context_tokens": 8_000, "max_output_tokens": 300}) as here:
        await talk(here, 30)
        assert client.too_long > 0


async def test_a_single_message_that_cannot_fit_ends_in_a_clear_error(tmp_path: Path) -> None:
    async with house(tmp_path, Talker(), profile=SMALL) as here:
        reply = await (await here.say("x" * 20_000)).result()
        assert reply.error is not None
        assert reply.error["code"] == "MODEL_CONTEXT_OVERFLOW"
        assert (await (await here.say("short")).result()).state == "ok", "the session goes on"


def step(seq: int, kind: str, *messages: Message, covers: int = 0) -> StepRow:
    return StepRow(
        session_id=SessionId("s"),
        seq=seq,
        run_id=RunId("r"),
        kind=kind,  # type: ignore[arg-type]
        messages=messages,
        at_ms=0,
        covers_seq=covers,
    )


def test_a_conversation_begins_with_its_last_summary() -> None:
    steps = [
        step(1, "inbound", user("a")),
        step(2, "model", assistant("b")),
        step(3, "inbound", user("c")),
        step(4, "summary", user("S1"), covers=2),
        step(5, "model", assistant("d")),
    ]
    assert [m.text for m in Conversation.of(steps).messages()] == ["S1", "c", "d"]


def test_what_is_split_off_ends_before_a_users_message_and_leaves_the_last_one() -> None:
    talk_ = Conversation([(i, (user(f"q{i}") if i % 2 else assistant("a" * 50),)) for i in range(1, 8)])
    found = talk_.split(keep_tokens=1)
    assert found is not None
    seq, going = found
    assert seq == 6
    assert going[-1].role == "assistant"
    assert talk_.replace(seq, user("S")) == 6
    assert [m.text for m in talk_.messages()] == ["S", "q7"]
    assert Conversation([(1, (user("only"),))]).split(1) is None


def test_outcomes_never_lead_a_conversation() -> None:
    orphan = Message("tool", (ToolOutcome("1", "t", "x"),))
    assert Conversation([(1, (orphan,)), (2, (user("q"),))]).messages() == [user("q")]
