"""Jobs and heartbeats through a real study: what is asked of the model, whose run it is, what a restart does."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from openclaw.automation.heartbeat import Heartbeats
from openclaw.automation.job import AgentTurn, Job, JobOwner
from openclaw.automation.room import Automation
from openclaw.automation.schedule import Every
from openclaw.base.clock import ManualClock
from openclaw.base.ids import DEFAULT_TENANT, OPERATOR, AgentId
from openclaw.base.principal import LOCAL_OPERATOR
from openclaw.config.schema import Config
from openclaw.models.fake.client import FakeClient
from tests.agent.house import KEY, House, house

pytestmark = pytest.mark.anyio


def automation(here: House, clock: ManualClock) -> Automation:
    return Automation(
        shelf=here.store.shelf,
        events=here.events,
        agent=here.study,
        clock=clock,
        config=Config,
        tell_job=lambda change: None,
        tell_beat=lambda beat: None,
    )


def a_job(clock: ManualClock) -> Job:
    return Job(
        id="tea",
        name="tea",
        owner=JobOwner(DEFAULT_TENANT, OPERATOR, ("operator.admin",)),
        created_at_ms=clock.now_ms(),
        updated_at_ms=clock.now_ms(),
        schedule=Every(every_ms=60_000),
        payload=AgentTurn(message="make tea"),
        session_target="isolated",
    )


async def settled(room: Automation) -> None:
    async with asyncio.timeout(5):
        while not await room.jobs.runs():  # noqa: ASYNC110  # the log is on the shelf
            await asyncio.sleep(0.01)


async def test_a_run_cut_off_by_a_shutdown_is_resumed_by_the_next_start_and_logged_once(tmp_path: Path) -> None:
    clock = ManualClock()
    async with house(tmp_path, FakeClient(["never said"]), clock=clock) as here:
        room = automation(here, clock)
        await room.start()
        await room.jobs.add(a_job(clock))
        started = await room.jobs.run("tea")
        room.pause()
        await here.study.stop(0)  # before the model has answered
        await room.close()
    async with house(tmp_path, FakeClient(["tea is ready"]), clock=clock) as here:
        resumed, _ = await here.study.resume()
        room = automation(here, clock)
        await room.start()
        await settled(room)
        (entry,) = await room.jobs.runs()
        assert (entry.run_id, entry.status) == (started.run_id, "ok")
        row = await here.store.run(started.run_id)  # type: ignore[arg-type]  # an id is an id
        assert row is not None
        assert row.attempts <= 2
        kinds = [step.kind for step in await here.store.steps(row.session_id)]
        assert kinds == ["inbound", "model"]
        assert resumed <= 1
        await room.close()


async def test_a_heartbeat_is_counted_as_one_and_sees_what_waits(tmp_path: Path) -> None:
    clock, client = ManualClock(), FakeClient(["It is on its way."])
    async with house(tmp_path, client, clock=clock, announcing=True) as here:
        room = automation(here, clock)
        await room.start()
        assert await room.wake("the parcel is late", now=True, once="k") == "queued"
        assert await room.wake("the parcel is late", now=True, once="k") == "coalesced"
        async with asyncio.timeout(5):
            while room.heartbeats.last is None:  # noqa: ASYNC110  # it comes from the study's own tasks
                await asyncio.sleep(0.01)
        (request,) = client.requests
        assert request.purpose == "heartbeat"
        assert "the parcel is late" in request.messages[-1].text
        assert isinstance(room.heartbeats, Heartbeats)
        assert room.heartbeats.last.status == "sent"
        (usage,) = await here.store.usage_since(0)
        assert (usage.purpose, usage.channel, usage.owner) == ("heartbeat", "heartbeat", OPERATOR)
        session = await here.study.session(KEY, LOCAL_OPERATOR)
        assert session is not None
        assert session.agent_id == AgentId("main")
        await room.close()
