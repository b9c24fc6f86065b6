"""Notices that a file changed, by asking for its stat: it works on every file system and mount, at no cost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

from openclaw.base.clock import Clock

POLL_S = 0.25
"""With the default debounce of 0.3 s, whoever loses a right by an edit of the file loses it well within a second."""
_Signature = tuple[int, int, int, int] | None


class Watcher:
    """Watches one file, which need not exist yet, and what it includes. `debounce_ms` is asked at each change.

    `related` names the included files; it is asked, in a thread, before the first look and after each change.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        debounce_ms: Callable[[], int],
        related: Callable[[Path], Iterable[Path]] | None = None,
    ) -> None:
        self._path = path
        self._clock = clock
        self._debounce_ms = debounce_ms
        self._related = related
        self._paths: tuple[Path, ...] = (path,)
        self._seen = self._signature()

    async def changes(self) -> AsyncIterator[Path]:
        """Yield the path after each change, once the file has been quiet for `debounce_ms`.

        *Cancels* at any await; a change that was not yielded is noticed by the next call.
        """
        await self._look_for_related()
        while True:
            await self._clock.sleep(POLL_S)
            if self._signature() != self._seen:
                await self._quiet()
                await self._look_for_related()
                yield self._path

    async def _look_for_related(self) -> None:
        """Watch what the file includes now; what changes from here on is noticed."""
        if self._related is None:
            return
        paths = tuple(dict.fromkeys((self._path, *await asyncio.to_thread(self._related, self._path))))
        if paths != self._paths:
            main = self._seen[0]
            self._paths = paths
            self._seen = (main, *self._signature()[1:])

    async def _quiet(self) -> None:
        before = self._signature()
        while True:
            await self._clock.sleep(self._debounce_ms() / 1000)
            now = self._signature()
            if now == before:
                self._seen = now
                return
            before = now

    def _signature(self) -> tuple[_Signature, ...]:
        return tuple(map(_signature_of, self._paths))


def _signature_of(path: Path) -> _Signature:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino  # ctime: a file that may be read again
