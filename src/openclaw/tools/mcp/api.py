"""What a link needs of a connection to an MCP server, free of the library's types."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec

from openclaw.base.clock import Clock
from openclaw.base.message import ImagePart
from openclaw.config.schema import McpServerConfig
from openclaw.net.http import HttpClient
from openclaw.processes.spawner import Spawner
from openclaw.tools.api import Safety

State = Literal["connecting", "ready", "down", "off"]


class RemoteTool(msgspec.Struct, frozen=True):
    """A tool as its server describes it: untrusted text."""

    name: str
    description: str
    schema: dict[str, Any]
    safety: Safety


class Answer(msgspec.Struct, frozen=True):
    """What a call gave."""

    text: str
    is_error: bool = False
    images: tuple[ImagePart, ...] = ()


class ServerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One server as people see it. `server` is what it calls itself; `problem` says why it is not ready."""

    name: str
    transport: Literal["stdio", "http"]
    state: State
    server: str = ""
    protocol: str = ""
    tools: tuple[str, ...] = ()
    problem: str = ""


class Surroundings(msgspec.Struct, frozen=True):
    """What every connection is made from. `cwd` is where programs start that name no folder; `version` is ours."""

    spawner: Spawner
    http: HttpClient
    clock: Clock
    cwd: Path
    version: str = "0"


class Signal:
    """What a connection tells its link: the list of tools is another one, or the connection has ended."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._gone = False
        self.why = ""
        """How the connection ended, where that is known."""

    def changed(self) -> None:
        """Say that the tools have changed."""
        self._event.set()

    def gone(self, why: str = "") -> None:
        """Say that the connection has ended, and how if that is known."""
        self._gone = True
        self.why = self.why or why
        self._event.set()

    async def wait(self) -> bool:
        """Wait for the next word: True for changed tools, False for the end."""
        await self._event.wait()
        if self._gone:
            return False
        self._event.clear()
        return True


class Session(Protocol):
    """A connection that has been set up."""

    @property
    def server(self) -> str:
        """What the server calls itself, with its version."""
        ...

    @property
    def protocol(self) -> str:
        """The protocol version that both speak."""
        ...

    async def tools(self) -> list[RemoteTool]:
        """Ask for all tools. Raises: ToolError."""
        ...

    async def call(self, tool: str, arguments: Mapping[str, Any], tell: Callable[[str], None] | None) -> Answer:
        """Call a tool; `tell` hears how it goes on. Cancelling tells the server. Raises: ToolError."""
        ...


Connect = Callable[[str, McpServerConfig, Surroundings, Signal], AbstractAsyncContextManager[Session]]
"""Connects to a server by its name and configuration; whatever it starts has ended when the context is left."""


def leaf(error: BaseException) -> BaseException:
    """Return what is at the bottom of an exception group: its first member's first member …"""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
