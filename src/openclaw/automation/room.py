"""What acts without being asked: jobs, system events and heartbeats, opened and closed together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from openclaw.agent.api import AgentService
from openclaw.automation.book import Book
from openclaw.automation.heartbeat import Heartbeats
from openclaw.automation.job import JobChange
from openclaw.automation.pulse import Beat
from openclaw.automation.scheduler import Scheduler
from openclaw.automation.system_event import SystemEvents
from openclaw.base.bounded import BoundedMap
from openclaw.base.clock import Clock
from openclaw.base.ids import DEFAULT_TENANT, OPERATOR
from openclaw.base.principal import Principal
from openclaw.config.schema import Config
from openclaw.store.shelf import Shelf

_OPERATOR: Final = Principal(method="none")
"""Whose main session takes notes."""

MAX_ONCE: Final = 1_024
"""Notes whose repeats are known; an older one's repeat is a note of its own."""


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
        self._agent = agent
        self._once: BoundedMap[str, bool] = BoundedMap("wakes", MAX_ONCE)
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

    async def wake(self, text: str, *, now: bool, once: str = "") -> Literal["queued", "coalesced"]:
        """Leave the default agent a note in its main session, and let it look at once. Implements hooks' WakePort.

        A repeat of `once` does nothing. Raises: InvalidRequest, Unavailable.
        """
        if once and once in self._once:
            return "coalesced"
        key = self._agent.resolve_key(_OPERATOR, "main")
        fresh = await self.events.queue(key, text, DEFAULT_TENANT, OPERATOR)
        if once:
            self._once.put(once, True)
        if now:
            self.heartbeats.wake(self._agent.default_agent(), key)
        return "queued" if fresh else "coalesced"

    def pause(self) -> None:
        """Begin nothing more; what is going may end."""
        self.jobs.pause()
        self.heartbeats.pause()

    async def close(self) -> None:
        """Let go of everything."""
        await self.jobs.close()
        await self.heartbeats.close()
