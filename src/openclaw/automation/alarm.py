"""One sleeper that rings at a time, or when told to: how a room waits without asking again and again."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from openclaw.base.clock import Clock
from openclaw.base.tasks import TaskSet

MAX_SLEEP_S: Final = 300.0
"""A machine that slept, or whose clock was set, is noticed within this time; it is no cost worth naming."""


class Alarm:
    """Rings an event. Setting it again replaces what it was set to."""

    def __init__(self, clock: Clock, tasks: TaskSet) -> None:
        self._clock = clock
        self._tasks = tasks
        self._rung = asyncio.Event()
        self._sleeper: asyncio.Task[Any] | None = None

    def set(self, at_ms: int | None) -> None:
        """Ring at a time, at the latest in MAX_SLEEP_S; None: only when told to."""
        if self._sleeper is not None:
            self._sleeper.cancel()
            self._sleeper = None
        if at_ms is not None:
            delay_s = (at_ms - self._clock.now_ms()) / 1000
            self._sleeper = self._tasks.spawn(self._sleep(min(max(delay_s, 0.0), MAX_SLEEP_S)), "alarm")

    def ring(self) -> None:
        """Ring now."""
        self._rung.set()

    async def wait(self) -> None:
        """Wait until it rings."""
        await self._rung.wait()
        self._rung.clear()

    async def _sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._rung.set()
