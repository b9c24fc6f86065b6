"""Notices that a file changed, by asking for its stat: it works on every file system and mount, at no cost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from openclaw.base.clock import Clock

POLL_S = 0.5
_Signature = tuple[int, int, int] | None


class Watcher:
    """Watches one file, which need not exist yet. `debounce_ms` may be changed while it runs."""

    def __init__(self, path: Path, clock: Clock, debounce_ms: int) -> None:
        self._path = path
        self._clock = clock
        self.debounce_ms = debounce_ms
        self._seen = self._signature()

    async def changes(self) -> AsyncIterator[Path]:
        """Yield the path after each change, once the file has been quiet for `debounce_ms`.

        *Cancels* at any await; a change that was not yielded is noticed by the next call.
        """
        while True:
            await self._clock.sleep(POLL_S)
            if self._signature() != self._seen:
                await self._quiet()
                yield self._path

    async def _quiet(self) -> None:
        before = self._signature()
        while True:
            await self._clock.sleep(self.debounce_ms / 1000)
            now = self._signature()
            if now == before:
                self._seen = now
                return
            before = now

    def _signature(self) -> _Signature:
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino
