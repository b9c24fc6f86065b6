"""What acts without being asked: jobs, system events and heartbeats, opened and closed together."""

from __future__ import annotations

from collections.abc import Callable

from openclaw.agent.api import AgentService
from openclaw.automation.book import Book
from openclaw.automation.heartbeat import Heartbeats
from openclaw.automation.job import JobChange
from openclaw.automation.pulse import Beat
from openclaw.automation.scheduler import Scheduler
from openclaw.automation.system_event import SystemEvents
from openclaw.base.clock import Clock
from openclaw.config.schema import Config
from openclaw.store.shelf import Shelf


class Automation:
    """The room. `start` once the study has resumed its runs, `pause` before it drains, `close` at the end."""

    def __init__(
        self,
        *,
        shelf: Shelf,
        events: SystemEvents,
        agent: AgentService,
        clock: Clock,
        config: Callable[[], Config],
        tell_job: Callable[[JobChange], None],
        tell_beat: Callable[[Beat], None],
    ) -> None:
        self.events = events
        self.heartbeats = Heartbeats(events, agent, clock, config, tell_beat)
        self.jobs = Scheduler(Book(shelf, clock), events, agent, clock, config, tell_job, self.heartbeats.wake)

    async def start(self) -> None:
        """Begin to keep time. Raises: Unavailable."""
        await self.heartbeats.start()
        await self.jobs.start()

    async def reloaded(self) -> None:
        """Take up a changed configuration."""
        self.heartbeats.reloaded()
        await self.jobs.reloaded()

    def pause(self) -> None:
        """Begin nothing more; what is going may end."""
        self.jobs.pause()
        self.heartbeats.pause()

    async def close(self) -> None:
        """Let go of everything."""
        await self.jobs.close()
        await self.heartbeats.close()
