"""A scheduler and heartbeats over a real store and a study that the test drives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from openclaw.automation.job import AgentTurn, Job, JobChange, JobOwner, Payload
from openclaw.automation.pulse import Beat
from openclaw.automation.room import Automation
from openclaw.automation.schedule import Every, Schedule
from openclaw.automation.system_event import SystemEvents
from openclaw.base.clock import ManualClock
from openclaw.base.ids import DEFAULT_TENANT, OPERATOR
from openclaw.config.schema import Config
from openclaw.store.sqlite import SqliteStore
from tests.fakes.agent_service import FakeAgentService, FakeRun

MINUTE_S = 60.0
OWNER = JobOwner(DEFAULT_TENANT, OPERATOR, ("operator.admin",))


class Desk:
    """What a test needs in its hands."""

    def __init__(self, store: SqliteStore, clock: ManualClock, agent: FakeAgentService, config: Config) -> None:
        self.store, self.clock, self.agent, self.config = store, clock, agent, config
        self.told: list[JobChange] = []
        self.beats: list[Beat] = []
        self.events = SystemEvents(store.shelf, clock)
        self.room = Automation(
            shelf=store.shelf,
            events=self.events,
            agent=agent,
            clock=clock,
            config=lambda: self.config,
            tell_job=self.told.append,
            tell_beat=self.beats.append,
        )
        self.jobs = self.room.jobs

    def job(
        self, name: str = "a job", schedule: Schedule | None = None, payload: Payload | None = None, **more: Any
    ) -> Job:
        now_ms = self.clock.now_ms()
        return Job(
            id=f"id-{name}",
            name=name,
            owner=more.pop("owner", OWNER),
            created_at_ms=now_ms,
            updated_at_ms=now_ms,
            schedule=schedule or Every(every_ms=60_000),
            payload=payload or AgentTurn(message=f"do {name}"),
            session_target=more.pop("session_target", "isolated"),
            **more,
        )

    async def pass_s(self, seconds: float) -> None:
        """Let time pass, and everything that it starts come to rest."""
        await self.rest()
        self.clock.advance(seconds)
        await self.rest()

    async def rest(self) -> None:
        """Let the loop and the store's threads come to rest."""
        for _ in range(8):
            await self.store.ping()
            for _ in range(20):
                await asyncio.sleep(0)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await self.store.ping()
                await asyncio.sleep(0)

    def runs(self) -> list[FakeRun]:
        return list(self.agent.runs.values())

    def actions(self) -> list[str]:
        return [change.action for change in self.told]

    async def log(self) -> list[str]:
        """Return the run log as `job status`, the oldest first."""
        return [f"{entry.job_name} {entry.status}" for entry in reversed(await self.jobs.runs())]


@asynccontextmanager
async def desk(
    folder: Path,
    *,
    clock: ManualClock | None = None,
    agent: FakeAgentService | None = None,
    config: Config | None = None,
    answer: str | None = "done",
    start: bool = True,
) -> AsyncIterator[Desk]:
    """Open one over the store in a folder; a second one over the same folder is the next start of the gateway."""
    clock = clock or ManualClock()
    store = await SqliteStore.open(folder / "openclaw.db", clock=clock)
    made = Desk(store, clock, agent or FakeAgentService(clock, answer), config or Config())
    try:
        await made.events.load()
        if start:
            await made.room.start()
            await made.rest()
        yield made
    finally:
        await made.room.close()
        await store.close()
