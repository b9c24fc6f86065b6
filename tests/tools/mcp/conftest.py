"""A room with real servers, and everything that it needs."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.base.message import ImagePart
from openclaw.config.schema import McpServerConfig
from openclaw.net.http import HttpClient
from openclaw.processes.child import Child
from openclaw.processes.spawner import Spawner
from openclaw.testing import make_context
from openclaw.tools.api import ToolContext
from openclaw.tools.mcp.api import ServerStatus
from openclaw.tools.mcp.room import McpRoom
from openclaw.tools.mcp.tool import McpTool
from tests.processes.waiting import until

HERE = Path(__file__).parent


class House:
    """What a room of MCP servers needs around it, and short ways to look into it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.spawner = Spawner(Variables())
        self.http = HttpClient()
        self.rooms: list[McpRoom] = []
        self.said: list[str] = []
        self.shown: list[ImagePart] = []

    @property
    def context(self) -> ToolContext:
        """A call that listens and can see."""
        return msgspec.structs.replace(make_context(self.folder, progress=self.said.append), show=self.shown.append)

    def stdio(self, **more: Any) -> McpServerConfig:
        """The test server as a program."""
        args = (str(HERE / "server.py"), "stdio", str(self.folder))
        return McpServerConfig(command=sys.executable, args=args, **more)

    def legacy(self, *tools: dict[str, Any], **more: Any) -> McpServerConfig:
        """The older server, with these tools."""
        self.offer(*tools)
        return McpServerConfig(command=sys.executable, args=(str(HERE / "legacy.py"), str(self.folder)), **more)

    def offer(self, *tools: dict[str, Any]) -> None:
        """Set what the older server offers from now on."""
        (self.folder / "tools.json").write_bytes(msgspec.json.encode(tools))

    async def listening(self, port: int = 0, how: str = "http") -> tuple[Child, str]:
        """Start the test server on loopback; return its process and its address."""
        said = self.folder / "port"
        said.unlink(missing_ok=True)
        argv = (sys.executable, str(HERE / "server.py"), how, str(port), str(self.folder))
        child = await self.spawner.spawn(argv)
        await until(said.exists, 20)
        return child, f"http://127.0.0.1:{said.read_text()}/mcp"

    async def room(self, clock: Any = SYSTEM_CLOCK, /, **servers: McpServerConfig) -> McpRoom:
        """Open a room and wait until each server has been tried."""
        room = McpRoom(servers, self.spawner, clock, http=self.http, cwd=self.folder)
        self.rooms.append(room)
        await room.start()
        await room.tried()
        return room

    async def call(self, room: McpRoom, name: str, /, **arguments: Any) -> str:
        """Call a tool and return what its server said."""
        return inside(await tool(room, name).call(arguments, self.context))

    async def close(self) -> None:
        """Close everything."""
        for room in self.rooms:
            await room.close()
        await self.spawner.close()
        await self.http.close()


class Variables:
    """An environment with a key in it."""

    _values: ClassVar = {"PATH": "/usr/bin:/bin", "HOME": "/nowhere", "OPENAI_API_KEY": "sk-secret"}

    def get(self, name: str) -> str | None:
        """Return one."""
        return self._values.get(name)

    def names(self) -> list[str]:
        """Return all names."""
        return list(self._values)


def tool(room: McpRoom, name: str) -> McpTool:
    """Return a tool by its server's name for it."""
    return next(each for each in room.tools() if each.remote.name == name)


def inside(text: str) -> str:
    """Return what stands between the two marks."""
    _, mark, *said, end = text.split("\n")
    assert mark.replace("<", "</") == end
    return "\n".join(said)


def only(room: McpRoom) -> ServerStatus:
    """Return how the one server stands."""
    (status,) = room.servers()
    return status


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """Return an open house; nothing is left running when it closes."""
    made = House(tmp_path)
    try:
        yield made
    finally:
        await made.close()
        assert made.spawner.children() == 0
