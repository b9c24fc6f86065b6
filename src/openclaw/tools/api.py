"""What every tool offers to the runner."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec

from openclaw.base.errors import PolicyDenied
from openclaw.base.ids import AgentId, RunId, SessionKey
from openclaw.base.message import ImagePart
from openclaw.base.model import ToolSpec
from openclaw.base.principal import Principal

Safety = Literal["safe", "write", "dangerous"]


class ToolContext(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls, from where, in which workspace. `facts` carries what session_status reports (model, tokens …).

    `progress`, when set, hears short texts while a call runs; it is called on the loop and must not block.
    `show`, when set, takes the images that go to the model with the call's text; a model that cannot see has none.
    `depth` says how many agents stand above this one: 0 for a run that a person or a program started.
    """

    principal: Principal
    agent_id: AgentId
    session_key: SessionKey
    run_id: RunId
    workspace: Path
    facts: Mapping[str, Any] = {}
    progress: Callable[[str], None] | None = None
    show: Callable[[ImagePart], None] | None = None
    depth: int = 0
    tainted: str = ""
    """By what way text from outside came into what the model has read; empty: it has read none."""
    took_in: Callable[[str], None] | None = None
    """Told the way by which the call's result brings text from outside."""
    refused: Callable[[PolicyDenied], None] | None = None
    """Told what a door said, when one stayed shut: the text of the result is for the model."""
    idempotency_key: str = ""
    """The same for every try of one call, also after a crash: a tool that acts outside can give it along."""


READ_SKILL = "read_skill"
SIDE_TOOLS = frozenset(
    {
        *("memory_search", "memory_write", "memory_forget", "web_fetch", "http_request", "run_agent", "read_image"),
        *("sessions_list", "sessions_history", "sessions_send", "propose_config", READ_SKILL),
    }
)
"""Built-in tools that a model with `few_tools` is not shown."""


class Caller(Protocol):
    """For whom a tool acts: what doors and the ledger go by. ToolContext is one."""

    @property
    def principal(self) -> Principal: ...
    @property
    def agent_id(self) -> AgentId: ...
    @property
    def session_key(self) -> SessionKey: ...
    @property
    def run_id(self) -> RunId: ...
    @property
    def tainted(self) -> str: ...


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

    @property
    def inward(self) -> bool:
        """Whether what it changes stays with the agent, or passes a door of its own: see `Capabilities`."""
        ...

    @property
    def own_words(self) -> bool:
        """Whether its results hold nothing that a stranger may have written."""
        ...

    async def call(self, arguments: Mapping[str, Any], context: ToolContext) -> str:
        """Run it. Raises: ToolError, InvalidRequest for wrong arguments; cancelling stops it at once."""
        ...


class ToolSource(Protocol):
    """Tools that come and go while the gateway runs, such as those of MCP servers."""

    @property
    def version(self) -> int:
        """Changes whenever `tools` does."""
        ...

    def tools(self) -> Iterable[Tool]:
        """The tools that are there now."""
        ...

    def problems(self) -> Mapping[str, str]:
        """Why something is missing, by its name."""
        ...


class ToolBox(Protocol):
    """The tools that one agent may use now."""

    def specs(self) -> tuple[ToolSpec, ...]:
        """What the model is shown, in a byte-stable order."""
        ...

    async def call(self, name: str, arguments: str, context: ToolContext) -> tuple[str, bool]:
        """Run a tool by name with JSON text as the model wrote it. Return (text, is_error); only cancelling raises."""
        ...
