"""Turns for answers that are megabytes while they are made: however many are asked for, few are in memory at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

MOST: Final = 4
"""Of all connections at once. One connection has one at a time, so that it can keep the others waiting for one only."""


class _Line:
    __slots__ = ("lock", "waiting")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.waiting = 0


class Turns:
    """Who may make a large answer now."""

    def __init__(self, most: int = MOST) -> None:
        self._all = asyncio.Semaphore(most)
        self._lines: dict[str, _Line] = {}
        """By connection; one is there only as long as somebody stands in it."""

    @contextlib.asynccontextmanager
    async def turn(self, conn_id: str) -> AsyncIterator[None]:
        """Wait for a connection's turn, in the order of asking, and hold it."""
        line = self._lines.setdefault(conn_id, _Line())
        line.waiting += 1
        try:
            async with line.lock, self._all:
                yield
        finally:
            line.waiting -= 1
            if not line.waiting:
                del self._lines[conn_id]
