"""What the study does for tools: messages to other sessions, tasks for other agents, within the caller's own rights."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from hashlib import sha256

from openclaw.agent.api import AgentService, Run
from openclaw.agent.session_key import parse_key, session_key
from openclaw.base import own_names
from openclaw.base.ids import AgentId, RunId, SessionKey
from openclaw.base.message import Message, user
from openclaw.base.principal import Principal
from openclaw.base.run import Inbound, Reply
from openclaw.store.api import SessionRow, StepRow
from openclaw.tools.builtin.sessions import Sent
from openclaw.tools.builtin.subagent import Errand


class Errands:
    """Implements tools.sessions.SessionPort and tools.subagent.SubagentPort over the study."""

    def __init__(self, study: AgentService) -> None:
        self._study = study

    def resolve_key(self, principal: Principal, raw: str, agent_id: AgentId | None = None) -> SessionKey:
        """See SessionPort."""
        return self._study.resolve_key(principal, raw, agent_id)

    async def sessions(
        self,
        principal: Principal,
        *,
        agent_id: AgentId | None = None,
        active_since_ms: int = 0,
        include_ephemeral: bool = False,
        limit: int = 100,
        offset: int = 0,
    ) -> tuple[list[SessionRow], int]:
        """See SessionPort."""
        return await self._study.sessions(
            principal,
            agent_id=agent_id,
            active_since_ms=active_since_ms,
            include_ephemeral=include_ephemeral,
            limit=limit,
            offset=offset,
        )

    async def session(self, key: SessionKey, principal: Principal) -> SessionRow | None:
        """See SessionPort."""
        return await self._study.session(key, principal)

    async def history(self, key: SessionKey, principal: Principal, limit: int = 200) -> list[StepRow]:
        """See SessionPort."""
        return await self._study.history(key, principal, limit)

    async def send(
        self,
        key: SessionKey,
        text: str,
        principal: Principal,
        *,
        wait_s: float,
        run_key: str,
        tainted: str = "",
        depth: int = 0,
    ) -> Sent:
        """See SessionPort."""
        agent_id = parse_key(key, self._study.default_agent())[0]
        run = await self._submit(key, agent_id, user(text, tainted), principal, run_key, depth)
        try:
            async with asyncio.timeout(wait_s):
                return _told(await run.result())
        except TimeoutError:
            return Sent(run.id, "running")

    def agents(self) -> Sequence[AgentId]:
        """See SubagentPort."""
        return [agent.id for agent in self._study.agents() if not agent.problem]

    async def run(self, errand: Errand) -> Sent:
        """See SubagentPort. A repeated run key finds the first try's run."""
        name = sha256(errand.run_key.encode()).hexdigest()[:24]
        key = own_names.kept_key(errand.principal, session_key(errand.agent_id, f"sub:{name}"))
        who, run_key = errand.principal, errand.run_key
        try:
            task = user(errand.task, errand.tainted)
            run = await self._submit(key, errand.agent_id, task, who, run_key, errand.depth, ephemeral=True)
            return _told(await run.result())
        except asyncio.CancelledError:
            await self._study.abort(key, who, RunId(run_key), reason="the agent that asked was stopped")
            raise

    async def _submit(
        self,
        key: SessionKey,
        agent_id: AgentId,
        message: Message,
        principal: Principal,
        run_key: str,
        depth: int,
        *,
        ephemeral: bool = False,
    ) -> Run:
        inbound = Inbound(
            run_id=RunId(run_key),
            session_key=key,
            agent_id=agent_id,
            message=message,
            principal=principal,
            ephemeral=ephemeral,
            depth=depth,
        )
        return await self._study.submit(inbound)


def _told(reply: Reply) -> Sent:
    error = reply.error or {}
    return Sent(reply.run_id, reply.state, reply.text or str(error.get("message", "")))
