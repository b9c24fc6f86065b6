"""Calling one action as a model would."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from openclaw.base.errors import ToolError
from openclaw.base.ids import AgentId, RunId, SessionKey
from openclaw.base.principal import LOCAL_OPERATOR
from openclaw.tools.action import build_tool
from openclaw.tools.api import ToolContext
from openclaw.tools.toolbox import Box


def make_context(
    workspace: Path, *, facts: Mapping[str, Any] | None = None, progress: Callable[[str], None] | None = None
) -> ToolContext:
    """Return what an action is called in: the local operator, a test session, and this workspace."""
    return ToolContext(
        principal=LOCAL_OPERATOR,
        agent_id=AgentId("test"),
        session_key=SessionKey("agent:test:main"),
        run_id=RunId("test-run"),
        workspace=workspace,
        facts=facts or {},
        progress=progress,
    )


def run_action(target: Any, /, *, in_context: ToolContext | None = None, **arguments: Any) -> str:
    """Call an action as a model would and return what the model would read.

    `target` is an Action instance, an Action class without arguments, or a function under `@action`. Without
    `in_context` it gets an empty workspace that is gone afterwards.

    Raises: ToolError with the text that the model would read as an error.
    """
    return asyncio.run(call_action(target, in_context=in_context, **arguments))


async def call_action(target: Any, /, *, in_context: ToolContext | None = None, **arguments: Any) -> str:
    """Do as `run_action` does, inside a running event loop. Raises: ToolError."""
    if in_context is None:
        with TemporaryDirectory(prefix="openclaw-test-") as folder:
            return await call_action(target, in_context=make_context(Path(folder)), **arguments)
    tool = build_tool(target)
    text, is_error = await Box([tool], open_gate).call(
        tool.spec.name, msgspec.json.encode(arguments).decode(), in_context
    )
    if is_error:
        raise ToolError(text)
    return text


async def open_gate(*_: object) -> None:
    """Let everything pass: a test asks no policy."""
