"""What every room is opened with: the configuration of the moment, which they outlive, and the ground they stand on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import NamedTuple

from openclaw.base.clock import Clock
from openclaw.config.load import Loaded
from openclaw.config.paths import StatePaths
from openclaw.config.schema import Config


class Present:
    """What is in use now. Rooms keep this and ask it each time: so a reload reaches them all at once."""

    def __init__(self, loaded: Loaded, widened: Callable[[Config], Config]) -> None:
        self.loaded = loaded
        self._widened = widened

    @property
    def config(self) -> Config:
        """The configuration."""
        return self.loaded.config

    @property
    def effective(self) -> Config:
        """The same with what an administrator has opened for a time."""
        return self._widened(self.config)


class Site(NamedTuple):
    """Where rooms are opened; `stack` closes them, the last opened first."""

    stack: AsyncExitStack
    present: Present
    paths: StatePaths
    clock: Clock
