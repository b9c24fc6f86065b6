"""A server's list of tools → Tools of the registry: renamed, cleaned, bounded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from openclaw.base.model import ToolSpec
from openclaw.tools.api import Safety, ToolContext
from openclaw.tools.mcp.api import RemoteTool
from openclaw.tools.mcp.name import clean, clean_schema, tool_name

MAX_TOOLS = 256
MAX_DESCRIPTION = 2_000
MAX_SCHEMA_BYTES = 32 * 1024
SPARE_S = 5.0
"""How much longer the toolbox waits than the link does, whose message names the server."""

Call = Callable[[str, Mapping[str, Any], ToolContext], Awaitable[str]]


class McpTool:
    """A server's tool as a Tool of the registry."""

    def __init__(self, remote: RemoteTool, spec: ToolSpec, call: Call, timeout_s: float) -> None:
        self.remote = remote
        self.timeout_s = timeout_s + SPARE_S
        self._spec = spec
        self._call = call

    @property
    def spec(self) -> ToolSpec:
        """What the model sees."""
        return self._spec

    @property
    def safety(self) -> Safety:
        """What the server's hints say: `write` unless they say more."""
        return self.remote.safety

    @property
    def inward(self) -> bool:
        """False: nobody here knows where it leads."""
        return False

    @property
    def own_words(self) -> bool:
        """False."""
        return False

    async def call(self, arguments: Mapping[str, Any], context: ToolContext) -> str:
        """Have the server run it. Raises: ToolError. Cancels: the server is told."""
        return await self._call(self.remote.name, arguments, context)


def take(
    server: str,
    remotes: Iterable[RemoteTool],
    allow: Sequence[str],
    call: Call,
    timeout_s: float,
    known: Iterable[McpTool] = (),
) -> tuple[tuple[McpTool, ...], str]:
    """Return the tools to offer, and what was left out if anything was.

    A tool that is in `known` already, and is described as before, is that same object.
    """
    before = {tool.spec.name: tool for tool in known}
    taken: dict[str, McpTool] = {}
    refused: list[str] = []
    for remote in remotes:
        if allow and remote.name not in allow:
            continue
        name = tool_name(server, remote.name)
        if name in taken or len(taken) == MAX_TOOLS:
            refused.append(f"{clean(remote.name, 80)} ({'twice' if name in taken else f'over {MAX_TOOLS} tools'})")
            continue
        old = before.get(name)
        if old is not None and old.remote == remote:
            taken[name] = old
            continue
        try:
            taken[name] = McpTool(remote, _spec(server, name, remote), call, timeout_s)
        except ValueError as error:
            refused.append(f"{clean(remote.name, 80)} ({error})")
    shown = ", ".join(refused[:3]) + (", …" if len(refused) > 3 else "")
    problem = f"{len(refused)} of its tools left out: {shown}" if refused else ""
    return tuple(taken[name] for name in sorted(taken)), problem


def _spec(server: str, name: str, remote: RemoteTool) -> ToolSpec:
    try:
        schema = {"type": "object", **clean_schema(remote.schema, MAX_DESCRIPTION)}
        size = len(msgspec.json.encode(schema))
    except (TypeError, RecursionError, OverflowError) as error:
        raise ValueError(f"its schema is not JSON: {error}") from None
    if schema["type"] != "object":
        raise ValueError("its schema is not an object's")
    if size > MAX_SCHEMA_BYTES:
        raise ValueError(f"its schema has {size} bytes, the limit is {MAX_SCHEMA_BYTES}")
    told = clean(remote.description.strip(), MAX_DESCRIPTION) or "(no description)"
    return ToolSpec(name, f"[{clean(server, 80)}] {told}", schema)
