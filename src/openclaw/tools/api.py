"""What every tool offers to the runner."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec

from openclaw.base.ids import AgentId, RunId, SessionKey
from openclaw.base.model import ToolSpec
from openclaw.base.principal import Principal

Safety = Literal["safe", "write", "dangerous"]


class ToolContext(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls, from where, in which workspace. `facts` carries what session_status reports (model, tokens …).

    `progress`, when set, hears short texts while a call runs; it is called on the loop and must not block.
    """

    principal: Principal
    agent_id: AgentId
    session_key: SessionKey
    run_id: RunId
    workspace: Path
    facts: Mapping[str, Any] = {}
    progress: Callable[[str], None] | None = None


class Tool(Protocol):
    """A callable with a schema. Its result text goes to the model; a ToolError goes there as an error."""

    @property
    def spec(self) -> ToolSpec:
        """What the model sees."""
        ...

    @property
    def safety(self) -> Safety:
        """What the policy doors go by."""
        ...

    async def call(self, arguments: Mapping[str, Any], context: ToolContext) -> str:
        """Run it. Raises: ToolError, InvalidRequest for wrong arguments; cancelling stops it at once."""
        ...


class ToolBox(Protocol):
    """The tools that one agent may use now."""

    def specs(self) -> tuple[ToolSpec, ...]:
        """What the model is shown, in a byte-stable order."""
        ...

    async def call(self, name: str, arguments: str, context: ToolContext) -> tuple[str, bool]:
        """Run a tool by name with JSON text as the model wrote it. Return (text, is_error); only cancelling raises."""
        ...
