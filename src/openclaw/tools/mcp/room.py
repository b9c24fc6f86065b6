"""The room of the MCP servers: a link for each, and all their tools together as a source for the registry."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from openclaw.base.clock import Clock
from openclaw.base.errors import ConfigError
from openclaw.base.tasks import TaskSet
from openclaw.config.schema import McpServerConfig
from openclaw.net.http import HttpClient
from openclaw.processes.spawner import Spawner
from openclaw.tools.mcp.api import Connect, ServerStatus, Surroundings
from openclaw.tools.mcp.link import Link
from openclaw.tools.mcp.tool import McpTool

MAX_SERVERS = 64
CLOSE_S = 10.0
"""Longest that all links together may take to end; whatever child is left then is the spawner's to end."""


class McpRoom:
    """Implements ToolSource. Nothing is connected, and the library is not loaded, before `start`.

    Raises: ConfigError when there are more servers than one gateway should have.
    """

    def __init__(
        self,
        servers: Mapping[str, McpServerConfig],
        spawner: Spawner,
        clock: Clock,
        *,
        http: HttpClient,
        cwd: Path,
        version: str = "0",
    ) -> None:
        self._around = Surroundings(spawner, http, clock, cwd, version)
        self._tasks = TaskSet("mcp")
        self._links: dict[str, Link] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._started = False
        self._version = 0
        self._put(servers)

    @property
    def version(self) -> int:
        """Changes whenever `tools` does."""
        return self._version

    def tools(self) -> tuple[McpTool, ...]:
        """The tools of all servers, in the order of their names; a server that is down keeps its last ones."""
        return tuple(tool for name in sorted(self._links) for tool in self._links[name].tools())

    def problems(self) -> dict[str, str]:
        """Why a server cannot be used, by `mcp:<server>`."""
        return {f"mcp:{each.name}": each.problem for each in self.servers() if each.problem}

    def servers(self) -> list[ServerStatus]:
        """How each server stands, sorted by name."""
        return [self._links[name].status() for name in sorted(self._links)]

    async def start(self) -> None:
        """Begin to connect, and return at once: no server, however slow, delays anybody."""
        self._started = True
        for name, link in self._links.items():
            if name not in self._running:
                self._running[name] = self._tasks.spawn(link.run(), name)

    async def reload(self, servers: Mapping[str, McpServerConfig]) -> None:
        """Take up a changed configuration: only servers that are new, changed or gone are touched. Returns at once."""
        self._put(servers)
        if self._started:
            await self.start()

    async def tried(self) -> None:
        """Wait until every server has been tried once."""
        await asyncio.gather(*(link.tried.wait() for link in self._links.values()))

    async def close(self) -> None:
        """End every connection and every child that was started for one."""
        self._running.clear()
        await self._tasks.close(CLOSE_S)

    def _put(self, servers: Mapping[str, McpServerConfig]) -> None:
        wanted = {name: config for name, config in servers.items() if config.enabled}
        if len(wanted) > MAX_SERVERS:
            raise ConfigError(f"mcp.servers names {len(wanted)} servers; the limit is {MAX_SERVERS}.")
        for name, link in list(self._links.items()):
            if wanted.get(name) != link.config:
                del self._links[name]
                if name in self._running:
                    self._running.pop(name).cancel()
        for name, config in wanted.items():
            if name not in self._links:
                self._links[name] = Link(name, config, self._around, _load, self._changed)
        self._changed()

    def _changed(self) -> None:
        self._version += 1


async def _load() -> Connect:
    """Load the library beside the loop: it takes most of a second."""
    try:
        connect: Connect = await asyncio.to_thread(_library)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"MCP servers need a package that is not installed ({error.name}).",
            hint="Install it: pip install 'openclaw-gateway[mcp]'",
        ) from None
    return connect


def _library() -> Any:
    importlib.import_module("jsonschema")  # the library would load it at the first result that it checks
    return importlib.import_module("openclaw.tools.mcp.connect").connect
