"""Which walls a command gets, by the configuration and by what this machine can do."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from openclaw.base.clock import Clock
from openclaw.config.schema import SandboxConfig
from openclaw.processes.sandbox.bubblewrap import Bubblewrap
from openclaw.processes.sandbox.carried import Bare
from openclaw.processes.sandbox.docker import Docker
from openclaw.processes.sandbox.job import Sandbox
from openclaw.processes.spawner import Spawner

FIX: Final = "install bubblewrap, or set agents.defaults.sandbox.mode to off to run commands without walls"


class Choice(msgspec.Struct, frozen=True):
    """Shape: `no_walls` says why there are none though there should be some; empty when all is as configured."""

    sandbox: Sandbox
    no_walls: str = ""


class Sandboxes:
    """The walls of this machine. `owner` tells one gateway's containers from another's."""

    def __init__(self, spawner: Spawner, clock: Clock, *, owner: str = "") -> None:
        self.bare = Bare(spawner)
        self.bubblewrap = Bubblewrap(spawner, clock)
        self.docker = Docker(spawner, clock, owner=owner)

    async def choose(self, config: SandboxConfig, *, main: bool) -> Choice:
        """Return the walls for a session; `main` is an agent's main one. What is named is taken or fails later."""
        if config.mode == "off" or (config.mode == "non-main" and main):
            return Choice(self.bare)
        if config.backend == "docker" or (config.backend == "auto" and config.docker.image):
            return Choice(self.docker.with_settings(config))
        if config.backend == "bubblewrap":
            return Choice(self.bubblewrap)
        problem = await self.bubblewrap.problem()
        return Choice(self.bare, f"{problem}; {FIX}") if problem else Choice(self.bubblewrap)


def owner_of(state_dir: Path) -> str:
    """Return what a gateway's containers are known by."""
    return sha256(os.fsencode(state_dir)).hexdigest()[:16]
