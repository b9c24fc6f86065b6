"""What a request that starts a run says besides its message: which agent, which session, which model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from openclaw.agent.api import AgentService
from openclaw.base.errors import InvalidRequest, NotFound, OpenClawError
from openclaw.base.ids import AgentId, SessionKey
from openclaw.base.run import Inbound
from openclaw.base.tasks import TaskSet
from openclaw.listeners.http import Request
from openclaw.listeners.openai_api.request import agent_name, session_name


class Intake:
    """Shared by the OpenAI-compatible routes."""

    def __init__(self, agent: AgentService, resolve_model: Callable[[str], Any], tasks: Callable[[], TaskSet]) -> None:
        self._agent = agent
        self._resolve_model = resolve_model
        self._tasks = tasks

    def agent_id(self, request: Request, model: str | None) -> AgentId:
        """Return the agent that a header or the model's name means. Raises: InvalidRequest."""
        named = agent_name(model)
        name = request.header(b"x-openclaw-agent-id") or named
        try:
            return self._agent.resolve_agent(name)
        except NotFound:
            raise InvalidRequest(f"Unknown agent '{name[:64]}'.") from None

    def kept_session(self, request: Request, user: str | None, agent_id: AgentId) -> SessionKey | None:
        """Return the session that is to remember the turn, None when the request stands alone."""
        header = request.header(b"x-openclaw-session-key")
        if header:
            return self._agent.resolve_key(request.caller, header, agent_id)
        if user:
            name = f"agent:{agent_id}:openai-user:{session_name(user)}"
            return self._agent.resolve_key(request.caller, name, agent_id)
        return None

    def model(self, request: Request) -> str | None:
        """Return the model that a header asks for. Raises: NotFound."""
        ref = request.header(b"x-openclaw-model") or None
        if ref is not None:
            try:
                self._resolve_model(ref)
            except OpenClawError as error:
                raise NotFound(f"Unknown model: {ref[:128]}. {error.message}") from None
        return ref

    def abandon_when_gone(self, request: Request, inbound: Inbound) -> None:
        """Stop a turn when its client hangs up: nobody waits for it, and nobody can come back to it."""

        def abandon() -> None:
            abort = self._agent.abort(inbound.session_key, inbound.principal, inbound.run_id, "disconnect")
            self._tasks().spawn(abort, "abandon")

        request.on_gone(abandon)
