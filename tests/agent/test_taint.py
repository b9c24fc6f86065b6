"""Text from outside marks what follows from it: later calls, later turns, other sessions, after a restart too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from openclaw.agent.compaction import summarise
from openclaw.agent.condensing import _dropped
from openclaw.agent.conversation import Conversation
from openclaw.agent.errands import Errands
from openclaw.agent.taint import CALLER_TOOLS, EVENT, IMAGE, brought_in, marked, outside_of
from openclaw.base.ids import RunId, SessionKey
from openclaw.base.message import ImagePart, Message, ToolCall, ToolOutcome, assistant, outcomes, user
from openclaw.base.model import ModelEvent, ModelFinish, ToolCallDelta, Usage
from openclaw.base.principal import LOCAL_OPERATOR
from openclaw.models.calling.single import SingleCaller
from openclaw.models.fake.client import FakeClient, Step
from openclaw.store.api import PendingStep
from openclaw.tools.builtin.subagent import Errand
from tests.agent.house import KEY, MAIN, House, OneModel, house, inbound

pytestmark = pytest.mark.anyio

OTHER = SessionKey("agent:main:other")
FUNCTIONS = {"fetch": lambda _: "a page", "look": lambda _: "3 files"}


def calls(*names: str) -> list[ModelEvent]:
    asked: list[ModelEvent] = [ToolCallDelta(at, f"c{at}", name, "{}") for at, name in enumerate(names)]
    return [*asked, ModelFinish("tool_calls")]


async def said(here: House, text: str, *, key: SessionKey = KEY) -> None:
    reply = await (await here.say(text, key=key)).result()
    assert reply.state == "ok", reply.error


def script(*steps: Step) -> FakeClient:
    return FakeClient(steps)


async def test_what_a_tool_brings_in_marks_the_calls_after_it_and_the_turns_after_that(tmp_path: Path) -> None:
    client = script(calls("look", "fetch", "look"), calls("look"), "done", calls("look"), "done", calls("look"), "done")
    async with house(tmp_path, client, functions=FUNCTIONS) as here:
        here.box.outside = {"fetch"}
        await said(here, "read the page")
        await said(here, "and now?")
        await said(here, "another talk", key=OTHER)
        assert here.box.taints == ["", "", "fetch", "fetch", "fetch", ""]


async def test_the_mark_survives_a_restart_and_ends_with_the_session(tmp_path: Path) -> None:
    async with house(tmp_path, script(calls("fetch"), "done"), functions=FUNCTIONS) as here:
        here.box.outside = {"fetch"}
        await said(here, "read the page")
    async with house(tmp_path, script(calls("look"), "done", calls("look"), "done"), functions=FUNCTIONS) as here:
        await said(here, "and now?")
        await here.study.reset_session(KEY, LOCAL_OPERATOR)
        await said(here, "afresh")
        assert here.box.taints == ["fetch", ""]


async def test_a_run_that_a_crash_interrupted_between_two_calls_is_still_marked(tmp_path: Path) -> None:
    async with house(tmp_path, functions=FUNCTIONS) as here:
        asked = inbound("read the page", run_id="crashed")
        await here.store.accept(asked, 1, start=True)
        known = ToolOutcome("c0", "fetch", "a page", outside="fetch")
        wish = assistant("", [ToolCall("c0", "fetch"), ToolCall("c1", "look")])
        pending = PendingStep(
            message=wish,
            outcomes=(known,),
            usage=Usage(),
            latency_ms=0,
            first_token_ms=0,
            model="echo",
            provider="fake",
        )
        await here.store.pend(RunId("crashed"), pending)
        await here.study.resume()
        await (await here.study.submit(asked)).result()
        assert (here.box.calls, here.box.taints) == (["look"], ["fetch"])


async def test_a_summary_of_marked_messages_is_marked_whatever_it_says(tmp_path: Path) -> None:
    old = [
        user("read it"),
        assistant("", [ToolCall("c", "fetch")]),
        outcomes([ToolOutcome("c", "fetch", "…", outside="fetch")]),
    ]
    models = OneModel(FakeClient(["all is well"]))
    summary = await summarise(old, SingleCaller(models), ("fake/echo",), None, [])
    assert summary.message.outside == "fetch"
    assert _dropped(old).outside == "fetch"
    kept = Conversation([(1, tuple(old)), (2, (user("next"),))])
    kept.replace(1, user("nothing happened"))
    assert kept.outside() == "fetch"
    clean = await summarise(
        [user("hello")], SingleCaller(OneModel(FakeClient(["a greeting"]))), ("fake/echo",), None, []
    )
    assert clean.message.outside == ""


async def test_what_is_said_after_text_from_outside_is_marked_by_itself(tmp_path: Path) -> None:
    async with house(tmp_path, script(calls("fetch"), "as the page says"), functions=FUNCTIONS) as here:
        here.box.outside = {"fetch"}
        await said(here, "read the page")
        last = (await here.transcript())[-1]
        assert (last.text, last.outside) == ("as the page says", "fetch")


async def test_messages_to_other_sessions_and_tasks_of_other_agents_take_the_mark_along(tmp_path: Path) -> None:
    client = script(calls("look"), "done", calls("look"), "done")
    async with house(tmp_path, client, functions=FUNCTIONS) as here:
        errands = Errands(here.study)
        task = Errand(
            agent_id=MAIN,
            task="go on",
            principal=LOCAL_OPERATOR,
            depth=1,
            run_key="r:c1",
            parent_session=KEY,
            parent_run=RunId("r"),
            tainted="fetch",
        )
        await errands.run(task)
        await errands.send(OTHER, "hello", LOCAL_OPERATOR, wait_s=5, run_key="r:c2", tainted="fetch", depth=2)
        assert here.box.taints == ["fetch", "fetch"]


async def test_an_event_that_a_message_takes_along_marks_it(tmp_path: Path) -> None:
    client = script(calls("look"), "done")
    async with house(tmp_path, client, functions=FUNCTIONS, announcing=True) as here:
        await here.events.queue(KEY, "a node says hello", LOCAL_OPERATOR.tenant, LOCAL_OPERATOR.owner)
        await said(here, "anything new?")
        assert here.box.taints == [EVENT]


@pytest.mark.parametrize(
    ("message", "history", "source"),
    [
        (user("hello"), (), ""),
        (Message("user", (ImagePart("image/png", "AAAA"),)), (), IMAGE),
        (user("go on"), (assistant("", [ToolCall("c", "t")]), outcomes([ToolOutcome("c", "t", "x")])), CALLER_TOOLS),
        (user("go on"), (user("hello"), assistant("hello")), ""),
    ],
)
def test_images_and_the_outcomes_of_the_callers_tools_come_from_outside(
    message: Message, history: Sequence[Message], source: str
) -> None:
    asked = inbound("x", history=tuple(history))
    brought = brought_in(msgspec.structs.replace(asked, message=message))
    assert outside_of((*brought.history, brought.message)) == source


def test_the_first_source_stays() -> None:
    assert marked(marked(user("x"), "a"), "b").outside == "a"
    clean = user("x")
    assert marked(clean, "") is clean
