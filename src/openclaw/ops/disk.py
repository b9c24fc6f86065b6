"""How full the disk under the state directory is: a warning first, then no new work, long before writes fail."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from openclaw.base.clock import Clock
from openclaw.base.errors import Unavailable
from openclaw.config.schema import StorageConfig

LOOK_EVERY_S: Final = 5.0
RETRY_AFTER_S: Final = 30.0
_MARGIN: Final = 10
"""Free space must be a tenth above the limit before work is taken again: no flapping at the edge."""
SMALL_DISK: Final = 1_000_000_000
"""Bytes of a whole disk below which the limits are shares of it: of a small volume all would else be kept free."""
_HINT: Final = "The gateway host has run out of room: `openclaw status` shows what takes how much."
_log = logging.getLogger("openclaw.ops")


class Space(NamedTuple):
    """What ordinary users may still write, and the whole disk, in bytes."""

    free: int
    total: int

    def least(self, limit: int) -> int:
        """Return how much of `limit` is to stay free on this disk."""
        return limit if self.total >= SMALL_DISK else min(limit, self.total // 10)


def space(path: Path) -> Space:
    """Return what is free on the disk of a path. Raises: OSError."""
    found = shutil.disk_usage(path)
    return Space(found.free, found.total)


class DiskWatch:
    """Looks at the free space now and then; `problem` answers at once from the last look."""

    def __init__(
        self,
        path: Path,
        limits: Callable[[], StorageConfig],
        clock: Clock,
        measure: Callable[[Path], Space] = space,
    ) -> None:
        self._path = path
        self._limits = limits
        self._clock = clock
        self._measure = measure
        self._full = False
        self._low = False
        self.free = -1
        """Bytes at the last look; -1 before it, or when it failed."""
        self._wanted = 0

    def problem(self) -> str | None:
        """Return why no work is taken, None while there is room."""
        if not self._full:
            return None
        return f"the disk of {self._path} is full: {self.free:,} bytes are free, {self._wanted:,} are to stay free"

    def refusal(self) -> Unavailable | None:
        """Return why a new message is not taken in, None when it is."""
        problem = self.problem()
        return None if problem is None else Unavailable(problem, hint=_HINT, retry_after_s=RETRY_AFTER_S)

    async def look(self) -> None:
        """Measure, in a thread: a network disk may be slow."""
        try:
            found = await asyncio.to_thread(self._measure, self._path)
        except OSError as error:
            self.free = -1
            _log.warning("disk_unknown", extra={"fields": {"path": str(self._path), "why": error.strerror}})
            return
        self.free = found.free
        limits = self._limits()
        self._wanted = found.least(limits.min_free_bytes)
        self._full = self._turned("disk_full", self._full, self._wanted)
        self._low = self._turned("disk_low", self._low, found.least(limits.warn_free_bytes))

    def _turned(self, event: str, was: bool, limit: int) -> bool:
        now = self.free < (limit + limit // _MARGIN if was else limit)
        if now != was:
            fields = {"path": str(self._path), "free_bytes": self.free, "limit_bytes": limit}
            level = logging.INFO if not now else logging.ERROR if event == "disk_full" else logging.WARNING
            _log.log(level, event if now else f"{event}_over", extra={"fields": fields})
        return now

    async def watch(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            await self._clock.sleep(LOOK_EVERY_S)
