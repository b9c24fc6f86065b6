"""How loaded the gateway is: beyond a watermark nothing new is taken in, so that what is going on can end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from openclaw.base.errors import Unavailable
from openclaw.config.schema import ShedConfig
from openclaw.telemetry.health import HealthBoard

RETRY_AFTER_S: Final = 5.0
SHARE: Final = 0.9
"""Of the memory that the system gives: beyond it the kernel may end us at any moment."""
_HINT: Final = "Try again in a moment; gateway.shed has the limits, `openclaw gateway health` what is going on."


class LoadWatch:
    """Compares memory, waiting messages and the loop's lag with their watermarks, whenever somebody asks."""

    def __init__(
        self,
        limits: Callable[[], ShedConfig],
        health: HealthBoard,
        *,
        resident_bytes: Callable[[], float],
        queued: Callable[[], int],
        given_bytes: int,
    ) -> None:
        self._limits = limits
        self._health = health
        self._resident_bytes = resident_bytes
        self._queued = queued
        self._given_bytes = given_bytes
        health.lag_limit_ms = lambda: limits().loop_lag_ms
        health.add_check("memory", self.memory)
        health.add_check("queue", self.queue)

    def memory(self) -> str | None:
        """Return that too much memory is used, None when it is not."""
        limit = self._limits().memory_bytes or int(self._given_bytes * SHARE)
        used = self._resident_bytes() if limit else 0
        return f"{used / 1e6:,.0f} MB of memory are used, {limit / 1e6:,.0f} MB are the limit" if used > limit else None

    def queue(self) -> str | None:
        """Return that too many messages wait, None when they do not."""
        waiting, limit = self._queued(), self._limits().queued
        return f"{waiting:,} of at most {limit:,} messages wait" if waiting >= limit else None

    def refusal(self) -> Unavailable | None:
        """Return why a new message is not taken in, None when it is."""
        problem = self._health.slow() or self.queue() or self.memory()
        return None if problem is None else Unavailable(problem, hint=_HINT, retry_after_s=RETRY_AFTER_S)


def given_memory_bytes(proc: Path = Path("/proc/self/cgroup"), groups: Path = Path("/sys/fs/cgroup")) -> int:
    """Return what memory the service or container of this process may use, 0 when nothing says."""
    try:
        lines = [line.split(":", 2) for line in proc.read_text().splitlines()]
    except OSError:
        return 0
    found = []
    for _, controllers, name in (line for line in lines if len(line) == 3):
        if controllers in ("", "memory"):
            top = groups if not controllers else groups / controllers
            here = top / name.strip("/")
            for folder in (here, *here.parents):
                if folder.is_relative_to(top):
                    found += _limits(folder)
    return min(found, default=0)


def _limits(folder: Path) -> list[int]:
    found = []
    for name in ("memory.max", "memory.limit_in_bytes"):
        try:
            text = (folder / name).read_text().strip()
        except OSError:
            continue
        if text.isdigit() and int(text) < 1 << 60:  # version 1 writes a huge number for none
            found.append(int(text))
    return found
