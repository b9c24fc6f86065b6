"""What the study does for tools: no deadlock, no second effect, nothing left when the asker is stopped."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from openclaw.agent.errands import Errands
from openclaw.base.clock import ManualClock
from openclaw.base.ids import AgentId, RunId
from openclaw.base.model import ModelEvent, ModelFinish, ToolCallDelta
from openclaw.base.principal import LOCAL_OPERATOR
from openclaw.models.fake.client import FakeClient
from openclaw.models.fake.knob import Knobs, knobs
from openclaw.tools.builtin.subagent import Errand

from .house import KEY, MAIN, config_of, house, until

pytestmark = pytest.mark.anyio


class SlowClient(FakeClient):
    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock=clock)

    def _knobs(self, model: str) -> Knobs:
        return knobs("fake-n100-d50") or Knobs()


def errand(task: str, run_key: str = "parent:c1") -> Errand:
    return Errand(
        agent_id=MAIN,
        task=task,
        principal=LOCAL_OPERATOR,
        depth=1,
        run_key=run_key,
        parent_session=KEY,
        parent_run=RunId("parent"),
    )


async def test_a_task_is_done_in_a_session_of_its_own(tmp_path: Path) -> None:
    async with house(tmp_path, FakeClient(["done it"])) as here:
        sent = await Errands(here.study).run(errand("do it"))
        assert (sent.state, sent.text) == ("ok", "done it")
        assert await here.texts() == []
        rows, _ = await here.study.sessions(LOCAL_OPERATOR, include_ephemeral=True)
        assert [row.key.rpartition(":")[0] for row in rows] == ["agent:main:sub"]


async def test_a_repeated_errand_finds_the_first_tries_answer(tmp_path: Path) -> None:
    async with house(tmp_path, FakeClient(["one", "two"])) as here:
        errands = Errands(here.study)
        assert [(await errands.run(errand("x"))).text for _ in range(2)] == ["one", "one"]


async def test_a_run_that_waits_for_another_agent_does_not_keep_it_from_its_slot(tmp_path: Path) -> None:
    step: list[ModelEvent] = [ToolCallDelta(0, "c1", "delegate", "{}"), ModelFinish("tool_calls")]
    client = FakeClient([step, "from below", "from above"])
    async with house(tmp_path, client, config=config_of(max_concurrent=1)) as here:
        here.box.functions = {"delegate": str}
        call = here.box.call

        async def delegate(name: str, arguments: str, context: object) -> tuple[str, bool]:
            await call(name, arguments, context)  # type: ignore[arg-type]
            return (await Errands(here.study).run(errand("go"))).text, False

        here.box.call = delegate  # type: ignore[method-assign]
        async with asyncio.timeout(5):
            reply = await (await here.say("start")).result()
        assert reply.text == "from above"
        assert reply.actions[0].result == "from below"


async def test_stopping_the_asker_stops_what_it_asked_for(tmp_path: Path) -> None:
    clock = ManualClock()  # the model's pace is never due: only the stop can end it
    async with house(tmp_path, SlowClient(clock)) as here:
        task = asyncio.ensure_future(Errands(here.study).run(errand("/slow")))
        await until(lambda: here.study.running() == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: here.study.running() == 0)


async def test_a_message_to_another_session_is_answered_there_or_goes_on(tmp_path: Path) -> None:
    async with house(tmp_path, FakeClient(["hello from there"])) as here:
        errands = Errands(here.study)
        other = errands.resolve_key(LOCAL_OPERATOR, "other", AgentId("main"))
        sent = await errands.send(other, "hi", LOCAL_OPERATOR, wait_s=5, run_key="k1")
        assert sent.text == "hello from there"
        assert await here.texts(other) == ["hi", "hello from there"]
        assert (await errands.send(other, "again", LOCAL_OPERATOR, wait_s=0, run_key="k2")).state in {"running", "ok"}
