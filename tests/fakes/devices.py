"""A room of devices that nothing outlives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp

from openclaw.base.clock import Clock
from openclaw.identity.devices.book import Devices
from openclaw.store.shelf import Change, Record


class NoShelf:
    """A shelf for devices that nothing outlives: the real one needs a file."""

    async def list(self, kind: str, *, after: str = "", limit: int = 1000) -> list[Record]:
        return []

    async def apply(self, changes: Sequence[Change], now_ms: int) -> None:
        pass


def no_devices(clock: Clock) -> Devices:
    """A room without devices, with a key of its own."""
    return Devices(NoShelf(), clock, Path(mkdtemp()) / "gateway-identity")
