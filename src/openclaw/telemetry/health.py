"""Is the gateway well? The one board that probes, RPC health and the CLI read."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Literal

from openclaw.base.clock import Clock

Phase = Literal["starting", "ready", "draining"]
LAG_INTERVAL_S = 0.05
LAG_SAMPLES = 600
"""Wake-ups that the percentile looks back on: half a minute."""
LAG_LIMIT_MS = 1000.0
"""Beyond this the loop is too slow to take more work: the readiness probe says so."""


class HealthBoard:
    """Holds the phase, the named checks and the loop's lag. A check returns None when well, else what is wrong."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._started_s = clock.monotonic_s()
        self._checks: dict[str, Callable[[], str | None]] = {}
        self._lag_ms = 0.0
        self._worst_lag_ms = 0.0
        self._lags_ms: deque[float] = deque(maxlen=LAG_SAMPLES)
        self.phase: Phase = "starting"

    def add_check(self, name: str, check: Callable[[], str | None]) -> None:
        """Register a check under a name; a second one of that name replaces it."""
        self._checks[name] = check

    def results(self) -> dict[str, str | None]:
        """Return every check with its problem, or None."""
        found: dict[str, str | None] = {name: check() for name, check in self._checks.items()}
        found["phase"] = None if self.phase == "ready" else self.phase
        slow = self._lag_ms > LAG_LIMIT_MS
        found["eventLoop"] = f"event loop lag {self._lag_ms:.0f} ms" if slow else None
        return found

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
