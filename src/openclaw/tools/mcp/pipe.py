"""MCP over a child's standard streams: one JSON message per line. The child is the spawner's, the pumping is ours."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter
from pydantic import ValidationError

from openclaw.base.errors import ToolError
from openclaw.base.tasks import TaskSet
from openclaw.config.schema import McpServerConfig
from openclaw.processes.child import Child
from openclaw.processes.environment import BASIC, NETWORK
from openclaw.tools.mcp.api import Signal, Surroundings

_log = logging.getLogger("openclaw.tools")

MESSAGE_LIMIT_BYTES = 16 * 1024 * 1024
"""Longest line that a server may send: an image of 5 MiB fits twice, as base64."""
PARTING_S = 2.0
"""Time that a server gets to end by itself once its input has closed, and again once it was asked to."""
_BLOCK = 64 * 1024

Streams = tuple[
    MemoryObjectReceiveStream[SessionMessage | Exception],
    MemoryObjectSendStream[SessionMessage],
]


class Lines:
    """Bytes as they come → whole lines. Raises: ValueError for a line over the limit."""

    def __init__(self, limit: int = MESSAGE_LIMIT_BYTES) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes in and return the lines that they complete, without their ends and without empty ones."""
        *ended, rest = data.split(b"\n")
        lines: list[bytes] = []
        for piece in ended:
            self._keep(piece)
            lines.append(b"".join(self._parts))
            self._parts.clear()
            self._size = 0
        self._keep(rest)
        return [line for line in lines if line.strip()]

    def _keep(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._limit:
            raise ValueError(f"the server sent a line of more than {self._limit} bytes")
        if piece:
            self._parts.append(piece)


@asynccontextmanager
async def piped(name: str, config: McpServerConfig, around: Surroundings, signal: Signal) -> AsyncIterator[Streams]:
    """Start the server's program and offer its streams; it has ended when the context is left.

    Raises: ToolError when it cannot be started.
    """
    child = await _spawn(name, config, around)
    pumps = TaskSet(f"mcp-{name}")
    to_session, from_server = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    to_server, from_session = anyio.create_memory_object_stream[SessionMessage](0)
    try:
        pumps.spawn(_read(name, child, to_session, signal), "read")
        pumps.spawn(_write(child, from_session, to_session), "write")
        yield from_server, to_server
    finally:
        for stream in (from_server, to_server, to_session, from_session):
            stream.close()
        await _part(child)
        signal.gone(_ending(child))
        await pumps.close()


async def _spawn(name: str, config: McpServerConfig, around: Surroundings) -> Child:
    try:
        return await around.spawner.spawn(
            (config.command, *config.args),
            name=f"mcp:{name}",
            allow=(*BASIC, *NETWORK),
            env=config.env,
            cwd=_folder(config, around),
            stdin=True,
            stdout=True,
        )
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ToolError(f"{config.command!r} cannot be started: {why}.") from None


def _folder(config: McpServerConfig, around: Surroundings) -> Path:
    return Path(config.cwd).expanduser() if config.cwd else around.cwd


async def _part(child: Child) -> None:
    """End the child the way the protocol wants it: close its input, then ask, then make it."""
    child.close_stdin()
    try:
        async with asyncio.timeout(PARTING_S):
            await child.wait()
    except TimeoutError:
        await child.terminate(PARTING_S)


async def _read(
    name: str, child: Child, to_session: MemoryObjectSendStream[SessionMessage | Exception], signal: Signal
) -> None:
    try:
        async with to_session:
            await _forward(name, child, to_session)
    except (anyio.ClosedResourceError, anyio.BrokenResourceError):
        pass
    except ValueError as error:
        signal.gone(str(error))
    while await child.stdout.read(_BLOCK):
        pass  # nobody listens any more, but a full pipe would never say that it has closed
    await _end_noticed(child)
    signal.gone(_ending(child))


async def _forward(name: str, child: Child, to_session: MemoryObjectSendStream[SessionMessage | Exception]) -> None:
    lines = Lines()
    while data := await child.stdout.read(_BLOCK):
        for line in lines.feed(data):
            message = _message(line)
            if message is None:
                _log.debug("mcp_line_ignored", extra={"fields": {"server": name, "bytes": len(line)}})
            else:
                await to_session.send(message)


async def _end_noticed(child: Child) -> None:
    """A program's output closes a moment before its status is known."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PARTING_S):
            await child.wait()


def _ending(child: Child) -> str:
    if child.returncode is None:
        return "it closed its output"
    last = child.stderr_tail.strip().rpartition("\n")[2]
    return f"the program ended with status {child.returncode}{': ' if last else ''}{last}"


def _message(line: bytes) -> SessionMessage | None:
    """Parse a line; programs that print something else to their output are not failed for it."""
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValidationError:
        return None


async def _write(
    child: Child,
    from_session: MemoryObjectReceiveStream[SessionMessage],
    to_session: MemoryObjectSendStream[SessionMessage | Exception],
) -> None:
    try:
        async with from_session:
            async for each in from_session:
                await child.write(each.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n")
    except (anyio.ClosedResourceError, anyio.BrokenResourceError):
        return
    except (OSError, RuntimeError):  # the pipe is gone: whoever waits for an answer must hear of it
        to_session.close()
