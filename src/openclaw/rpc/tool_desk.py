"""Tools called by a person or a program instead of a model: the same toolbox, the same door before every call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import msgspec

from openclaw.agent.api import AgentService
from openclaw.agent.directory import AgentSpec, Directory
from openclaw.agent.session_key import parse_key
from openclaw.base import own_names
from openclaw.base.errors import NotFound, PolicyDenied
from openclaw.base.ids import AgentId, SessionKey, new_run_id
from openclaw.base.model import ToolSpec
from openclaw.base.principal import Principal
from openclaw.policy.tool_door import KIND as TOOL
from openclaw.rpc.reach import agent_meant, default_for
from openclaw.tools.api import ToolContext
from openclaw.tools.builtin.command.tools import NAMES as COMMANDS

AGENTS_ONLY: Final = frozenset((*COMMANDS, "run_agent", "sessions_send"))
"""What starts commands or runs: people and programs have their own ways to both, with the checks of those."""


class ToolAnswer(msgspec.Struct, frozen=True):
    """What a call gave; `is_error` says that the tool refused or failed.

    `rule` is the policy's that shut a door on the way; the text says how an operator opens it.
    """

    name: str
    text: str
    is_error: bool = False
    rule: str = ""


class ToolPort(Protocol):
    """What the doors need to call tools."""

    def tools(self, principal: Principal, session_key: str, agent_id: str) -> tuple[AgentId, tuple[ToolSpec, ...]]:
        """Return the agent that a session's name means, and its tools. Raises: NotFound, InvalidRequest."""
        ...

    async def invoke(
        self,
        principal: Principal,
        name: str,
        arguments: Mapping[str, Any],
        *,
        session_key: str = "",
        agent_id: str = "",
        dry_run: bool = False,
    ) -> ToolAnswer:
        """Call a tool; a dry run only makes sure that there is one.

        Raises: NotFound, also for a tool that the policy does not allow, and for AGENTS_ONLY.
        """
        ...


class ToolDesk:
    """Implements ToolPort over the agents of this moment."""

    def __init__(self, directory: Callable[[], Directory], agent: AgentService) -> None:
        self._directory = directory
        self._agent = agent

    def tools(self, principal: Principal, session_key: str, agent_id: str) -> tuple[AgentId, tuple[ToolSpec, ...]]:
        """See ToolPort."""
        spec, _ = self._place(principal, session_key, agent_id)
        return agent_meant(principal, self._agent, spec.id), spec.toolbox.specs()

    async def invoke(
        self,
        principal: Principal,
        name: str,
        arguments: Mapping[str, Any],
        *,
        session_key: str = "",
        agent_id: str = "",
        dry_run: bool = False,
    ) -> ToolAnswer:
        """See ToolPort."""
        spec, key = self._place(principal, session_key, agent_id)
        if name in AGENTS_ONLY:
            raise _unavailable(name)
        if not principal.may_talk_to(spec.id):
            raise _unavailable(name)
        if not any(tool.name == name for tool in spec.toolbox.specs()):
            raise _unavailable(name)
        if dry_run:
            return ToolAnswer(name, "")
        shut: list[PolicyDenied] = []
        context = await self._context(principal, spec, key, shut.append)
        text, is_error = await spec.toolbox.call(name, msgspec.json.encode(arguments).decode(), context)
        if not (shut and is_error):
            return ToolAnswer(name, text, is_error)
        said = shut[-1]
        if said.details.get("kind", TOOL) == TOOL:
            raise _unavailable(name)
        return ToolAnswer(name, said.message, is_error, str(said.details.get("rule") or said.code))

    def _place(self, principal: Principal, session_key: str, agent_id: str) -> tuple[AgentSpec, SessionKey]:
        named = self._agent.resolve_agent(agent_id) if agent_id else default_for(principal, self._agent)
        agent, key = parse_key(session_key, named)
        return self._directory().require(agent), own_names.kept_key(principal, key)

    async def _context(
        self, principal: Principal, spec: AgentSpec, key: SessionKey, refused: Callable[[PolicyDenied], None]
    ) -> ToolContext:
        row = await self._agent.session(key, principal)
        facts: dict[str, Any] = {"model": spec.model.primary}
        if row is not None:
            facts |= {"sessionId": row.id, "inputTokens": row.input_tokens, "outputTokens": row.output_tokens}
        run_id = new_run_id()
        return ToolContext(
            principal=principal,
            agent_id=spec.id,
            session_key=key,
            run_id=run_id,
            workspace=spec.workspace,
            facts=facts,
            refused=refused,
        )


def _unavailable(name: str) -> NotFound:
    return NotFound(f"Tool not available: {name[:128]}")
