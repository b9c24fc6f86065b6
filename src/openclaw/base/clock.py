"""The one place that tells time, so that tests can own it."""

from __future__ import annotations

import asyncio
import heapq
import time
from pathlib import Path
from typing import Protocol


class Clock(Protocol):
    """Source of time. `now_ms` is Unix wall time in milliseconds; `monotonic_s` only goes forward."""

    def now_ms(self) -> int:
        """Return Unix time in milliseconds."""
        ...

    def monotonic_s(self) -> float:
        """Return seconds on a clock that never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for that many seconds of this clock."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Return Unix time in milliseconds."""
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        """Return seconds on a clock that never goes back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait in real time."""
        await asyncio.sleep(seconds)


class ManualClock:
    """A clock that moves only when told to: `advance` wakes every sleeper that is due."""

    def __init__(self, now_ms: int = 1_800_000_000_000) -> None:
        self._ms = float(now_ms)
        self._mono = 0.0
        self._order = 0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now_ms(self) -> int:
        """Return Unix time in milliseconds."""
        return int(self._ms)

    def monotonic_s(self) -> float:
        """Return seconds advanced since creation."""
        return self._mono

    async def sleep(self, seconds: float) -> None:
        """Wait until `advance` has moved the clock that far."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._order += 1
        heapq.heappush(self._sleepers, (self._mono + seconds, self._order, future))
        await future

    def advance(self, seconds: float) -> None:
        """Move time forward and wake the sleepers that are due."""
        self._mono += seconds
        self._ms += seconds * 1000
        while self._sleepers and self._sleepers[0][0] <= self._mono:
            future = heapq.heappop(self._sleepers)[2]
            if not future.done():
                future.set_result(None)

    def step(self, ms: int) -> None:
        """Set the time of day otherwise, as a person or NTP does; nobody is woken."""
        self._ms += ms


SYSTEM_CLOCK = SystemClock()


def boot_id() -> str:
    """Return the name of this start of the machine, whose `monotonic_s` its processes share; "" where it has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""
