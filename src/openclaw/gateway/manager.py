"""The gateway's side of the talk with its service manager: ready, reloading, stopping, still alive."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from openclaw.base.clock import Clock
from openclaw.net.notify import Notifier


class ManagerLine:
    """Says each thing when it is true. Without a manager nothing is said."""

    def __init__(self, get: Callable[[str], str | None], clock: Clock) -> None:
        self._notifier = Notifier(get)
        self._clock = clock

    def ready(self, status: str) -> None:
        """We listen, and what was left over is going on."""
        self._notifier.tell("READY=1", f"STATUS={status}")

    def leaving(self, *, again: bool) -> None:
        """We drain: to end, or to begin again in the same process, which is no end for the manager."""
        if again:
            self._notifier.tell("RELOADING=1", self._now(), "STATUS=restarting in place")
        else:
            self._notifier.tell("STOPPING=1", "STATUS=letting runs end")

    @contextlib.contextmanager
    def reloading(self) -> Iterator[None]:
        """A reload goes on for the length of the block."""
        self._notifier.tell("RELOADING=1", self._now())
        try:
            yield
        finally:
            self._notifier.tell("READY=1")

    async def watchdog(self) -> None:
        """Show that the loop turns, twice as often as is asked for, until cancelled."""
        while self._notifier.watchdog_s:
            self._notifier.tell("WATCHDOG=1")
            await self._clock.sleep(self._notifier.watchdog_s / 2)

    def _now(self) -> str:
        return f"MONOTONIC_USEC={int(self._clock.monotonic_s() * 1e6)}"
