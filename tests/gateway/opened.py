"""The rooms of a gateway in this process, over a configuration on disk; the model is the fake one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from openclaw.base import own_names
from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.base.ids import AgentId, SessionKey, new_run_id
from openclaw.base.message import user
from openclaw.base.principal import LOCAL_OPERATOR, Principal
from openclaw.base.run import Inbound, Reply, ToolRecord
from openclaw.gateway import state
from openclaw.gateway.rooms import Rooms, open_rooms
from openclaw.store.audit import Row, Wanted
from openclaw.store.lock import StateLock
from tests.config.make import Home

MAIN = AgentId("main")


def tool(name: str, /, **arguments: Any) -> str:
    """Return the line by which the fake model is told to call a tool."""
    return f"/tool {name} {msgspec.json.encode(arguments).decode()}"


class Opened:
    """A gateway without listeners."""

    def __init__(self, rooms: Rooms) -> None:
        self.rooms = rooms
        self.workspace = rooms.paths.workspace

    async def turn(
        self, *lines: str, key: str = "agent:main:main", who: Principal = LOCAL_OPERATOR, outside: str = "", **more: Any
    ) -> Reply:
        """Have the agent make these calls, a step each, and return the reply."""
        inbound = Inbound(
            run_id=new_run_id(),
            session_key=own_names.kept_key(who, SessionKey(key)),
            agent_id=MAIN,
            message=user("\n/then\n".join(lines), outside),
            principal=who,
            **more,
        )
        return await (await self.rooms.study.submit(inbound)).result()

    async def calls(self, *lines: str, **more: Any) -> tuple[ToolRecord, ...]:
        """Have the agent make these calls and return what they gave."""
        return (await self.turn(*lines, **more)).actions

    async def rows(self, *kinds: str, **more: Any) -> list[Row]:
        """Return rows of the ledger, oldest first."""
        return await self.rooms.store.audit.query(Wanted(kinds=kinds, last_first=False, limit=1000, **more))


@asynccontextmanager
async def opened(folder: Path, **sections: Any) -> AsyncIterator[Opened]:
    """Open the rooms of a configuration; the same folder again is the gateway after a restart."""
    home = Home(folder)
    if not home.paths().config_path.exists():
        home.write(json.dumps({"agents": {"defaults": {"model": "fake/echo"}}, **sections}))
    paths = home.paths()
    state.prepare(paths.state_dir)
    lock = StateLock(paths.state_dir)
    lock.acquire()
    rooms = await open_rooms(home.load(), paths, SYSTEM_CLOCK, lock)
    try:
        yield Opened(rooms)
    finally:
        await rooms.study.stop(1)
        await rooms.close()
        lock.release()
