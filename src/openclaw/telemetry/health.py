"""Is the gateway well? The one board that probes, RPC health and the CLI read."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Literal

import msgspec

from openclaw.base.clock import Clock
from openclaw.base.errors import OpenClawError

Phase = Literal["starting", "ready", "draining"]
LAG_INTERVAL_S = 0.05
LAG_SAMPLES = 600
"""Wake-ups that the percentile looks back on: half a minute."""
LAG_LIMIT_MS = 1000.0
"""Beyond this the loop is too slow to take more work: the readiness probe says so."""
LAG_RECENT = 20
"""Wake-ups, a second and more, in which one that was too late counts: no flapping from one to the next."""
LOOK_S = 2.0
"""How long a look that has to wait may take, and for how long its answer is good."""


class Standing(msgspec.Struct, frozen=True):
    """How the running configuration stands to the file: settings that wait for a restart, why a change was refused."""

    waiting: tuple[str, ...] = ()
    problem: str = ""


class HealthBoard:
    """Holds the phase, the named checks and the loop's lag. A check returns None when well, else what is wrong."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._started_s = clock.monotonic_s()
        self._checks: dict[str, Callable[[], str | None]] = {}
        self._lag_ms = 0.0
        self._worst_lag_ms = 0.0
        self._lags_ms: deque[float] = deque(maxlen=LAG_SAMPLES)
        self._looks: dict[str, Callable[[], Awaitable[None]]] = {}
        self._seen: dict[str, str | None] = {}
        self._looked_s = -LOOK_S
        self.phase: Phase = "starting"
        self.configuration = Standing()
        self.lag_limit_ms: Callable[[], float] = lambda: LAG_LIMIT_MS

    def add_look(self, name: str, look: Callable[[], Awaitable[None]]) -> None:
        """Register a check that has to wait; it raises what is wrong. It is made when somebody asks, not before."""
        self._looks[name] = look

    async def look(self) -> None:
        """Make the checks that have to wait, unless that was done a moment ago."""
        if self._clock.monotonic_s() - self._looked_s < LOOK_S:
            return
        self._looked_s = self._clock.monotonic_s()
        for name, look in self._looks.items():
            try:
                async with asyncio.timeout(LOOK_S):
                    await look()
                self._seen[name] = None
            except TimeoutError:
                self._seen[name] = f"no answer within {LOOK_S:.0f} s"
            except OpenClawError as error:
                self._seen[name] = error.message

    def add_check(self, name: str, check: Callable[[], str | None]) -> None:
        """Register a check under a name; a second one of that name replaces it."""
        self._checks[name] = check

    def results(self) -> dict[str, str | None]:
        """Return every check with its problem, or None."""
        found: dict[str, str | None] = {name: check() for name, check in self._checks.items()}
        found.update(self._seen)
        found["phase"] = None if self.phase == "ready" else self.phase
        found["eventLoop"] = self.slow()
        return found

    def slow(self) -> str | None:
        """Return that the loop was too late within the last second, None when it was not."""
        recent = self._lags_ms
        worst = max((recent[-at] for at in range(1, min(LAG_RECENT, len(recent)) + 1)), default=0.0)
        return f"event loop lag {worst:.0f} ms" if worst > self.lag_limit_ms() else None

    def failing(self) -> list[str]:
        """Return the names of what is not well, sorted; [] means ready."""
        return sorted(name for name, problem in self.results().items() if problem is not None)

    def uptime_ms(self) -> int:
        """Return milliseconds since the board was made."""
        return int((self._clock.monotonic_s() - self._started_s) * 1000)

    def loop_lag_ms(self) -> float:
        """Return how late the last wake-up of the monitor was."""
        return self._lag_ms

    def worst_loop_lag_ms(self) -> float:
        """Return the latest wake-up since the start."""
        return self._worst_lag_ms

    def p99_loop_lag_ms(self) -> float:
        """Return the lag that 99 of the last 100 wake-ups stayed below. Shape: over LAG_SAMPLES, 0 before the first."""
        lags = sorted(self._lags_ms)
        return lags[(len(lags) - 1) * 99 // 100] if lags else 0.0

    async def watch_loop(self) -> None:
        """Measure the loop's lag until cancelled."""
        while True:
            before = self._clock.monotonic_s()
            await self._clock.sleep(LAG_INTERVAL_S)
            self._lag_ms = max(0.0, (self._clock.monotonic_s() - before - LAG_INTERVAL_S) * 1000)
            self._lags_ms.append(self._lag_ms)
            self._worst_lag_ms = max(self._worst_lag_ms, self._lag_ms)
