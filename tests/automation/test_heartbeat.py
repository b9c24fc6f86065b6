"""Heartbeats on a clock that the test moves."""

from __future__ import annotations

from pathlib import Path

import pytest

from openclaw.base.errors import LaneBusy
from openclaw.base.ids import DEFAULT_TENANT, OPERATOR, AgentId, OwnerId
from openclaw.base.principal import LOCAL_OPERATOR
from openclaw.base.run import Inbound
from openclaw.config.schema import ActiveHoursConfig, AgentDefaults, AgentsConfig, Config, HeartbeatConfig
from tests.automation.desk import Desk, desk
from tests.fakes.agent_service import FakeAgentService

pytestmark = pytest.mark.anyio
HALF_HOUR_S = 1_800


def beating(**settings: object) -> Config:
    heartbeat = HeartbeatConfig(**{"every": "30m", **settings})  # type: ignore[arg-type]  # a test's shorthand
    return Config(agents=AgentsConfig(defaults=AgentDefaults(heartbeat=heartbeat)))


async def waits(here: Desk, text: str = "the build is red") -> None:
    await here.events.queue(here.agent.resolve_key(LOCAL_OPERATOR, "main"), text, DEFAULT_TENANT, OPERATOR)


def statuses(here: Desk) -> list[str]:
    return [f"{beat.status} {beat.reason}".strip() for beat in here.beats]


async def test_nothing_happens_unless_it_is_configured(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        await waits(here)
        await here.pass_s(86_400)
        assert (here.runs(), here.beats) == ([], [])


async def test_a_heartbeat_with_nothing_to_look_at_calls_no_model(tmp_path: Path) -> None:
    async with desk(tmp_path, config=beating()) as here:
        for _ in range(3):
            await here.pass_s(HALF_HOUR_S)
        assert here.runs() == []
        assert statuses(here) == ["skipped empty-heartbeat-file"] * 3


async def test_what_waits_makes_a_turn_on_the_timer_in_the_main_session(tmp_path: Path) -> None:
    async with desk(tmp_path, config=beating(model="fake/cheap", timeout_seconds=9)) as here:
        here.agent.make_session(here.agent.resolve_key(LOCAL_OPERATOR, "main"), OwnerId("ann"))
        await waits(here)
        await here.pass_s(HALF_HOUR_S - 1)
        assert here.runs() == []
        await here.pass_s(1)
        (run,) = here.runs()
        inbound = run.inbound
        assert (inbound.session_key, inbound.source, inbound.lane_mode) == ("agent:main:main", "heartbeat", "reject")
        assert (inbound.model, inbound.timeout_s, inbound.principal.owner) == ("fake/cheap", 9, "ann")
        assert "operator.admin" not in inbound.principal.scopes
        assert here.beats[-1].preview == "done"
        assert here.room.heartbeats.last == here.beats[-1]


async def test_a_checklist_in_the_workspace_is_something_to_look_at(tmp_path: Path) -> None:
    class Agent(FakeAgentService):
        def agents(self) -> list:  # type: ignore[type-arg]  # as the fake's
            from msgspec.structs import replace

            return [replace(agent, workspace=str(tmp_path)) for agent in super().agents()]

    async with desk(tmp_path, config=beating(), agent=Agent(answer="HEARTBEAT_OK")) as here:
        (tmp_path / "HEARTBEAT.md").write_text("# Now\n- water the plants\n")
        await here.pass_s(HALF_HOUR_S)
        assert len(here.runs()) == 1
        assert statuses(here) == ["ok-token"]
        assert here.beats[0].preview == ""


async def test_a_busy_session_and_quiet_hours_are_left_alone(tmp_path: Path) -> None:
    class Busy(FakeAgentService):
        async def submit(self, inbound: Inbound) -> object:  # type: ignore[override]  # it only refuses
            raise LaneBusy("busy")

    async with desk(tmp_path, config=beating(), agent=Busy()) as here:
        await waits(here)
        await here.pass_s(HALF_HOUR_S)
        assert statuses(here) == ["skipped requests-in-flight"]
    quiet = beating(active_hours=ActiveHoursConfig(start="00:00", end="00:01"))
    async with desk(tmp_path, config=quiet) as here:
        await here.pass_s(HALF_HOUR_S)
        assert statuses(here) == ["skipped quiet-hours"]


async def test_somebody_who_asks_gets_a_turn_without_any_configuration(tmp_path: Path) -> None:
    async with desk(tmp_path, answer=None) as here:
        await waits(here)
        for _ in range(5):
            here.room.heartbeats.wake(AgentId("main"), here.agent.resolve_key(LOCAL_OPERATOR, "main"))
        await here.rest()
        (run,) = here.runs()
        assert run.inbound.lane_mode == "followup"
        run.end()
        await here.rest()
        assert len(here.runs()) == 2, "four more wishes meanwhile are one more turn"
        here.events.take(here.agent.resolve_key(LOCAL_OPERATOR, "main"))
        here.room.heartbeats.wake(AgentId("main"), here.agent.resolve_key(LOCAL_OPERATOR, "main"))
        here.runs()[1].end()
        await here.rest()
        assert len(here.runs()) == 2, "nothing waits any more"


async def test_turned_off_means_off_and_on_again_means_as_configured(tmp_path: Path) -> None:
    async with desk(tmp_path, config=beating()) as here:
        await waits(here)
        here.room.heartbeats.set_enabled(False)
        here.room.heartbeats.wake(AgentId("main"), here.agent.resolve_key(LOCAL_OPERATOR, "main"))
        await here.pass_s(4 * HALF_HOUR_S)
        assert here.runs() == []
        assert statuses(here) == ["skipped disabled"]
        assert here.room.heartbeats.period_s() == 0
        here.room.heartbeats.set_enabled(True)
        await here.pass_s(HALF_HOUR_S)
        assert len(here.runs()) == 1


async def test_a_changed_configuration_takes_effect_at_once(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        await waits(here)
        here.config = beating(every="5m")
        await here.room.reloaded()
        await here.pass_s(300)
        assert len(here.runs()) == 1
        assert here.room.heartbeats.shown(AgentId("main"))["every"] == "5m"
        here.config = Config()
        await here.room.reloaded()
        await here.pass_s(86_400)
        assert len(here.runs()) == 1
        assert here.room.heartbeats.shown(AgentId("main"))["enabled"] is False


@pytest.mark.parametrize("session", ["agent:bob:main", "agent:"])
async def test_a_session_that_is_not_the_agents_own_is_no_place_for_its_heartbeats(
    tmp_path: Path, session: str
) -> None:
    async with desk(tmp_path, config=beating(session=session)) as here:
        await here.pass_s(HALF_HOUR_S)
        assert [beat.status for beat in here.beats] == ["failed"]
        assert here.runs() == []
