"""Which agents are there for a caller: those that its roles let it talk to. Of the others it hears nothing.

The parameters of every method are looked at before it runs, so that none can forget to. Who names no agent means the
one that answers it: a method asks `agent_meant` for it, never for the default of the house.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from openclaw.agent.api import AgentInfo, AgentService
from openclaw.base.errors import Forbidden
from openclaw.base.ids import AgentId
from openclaw.base.principal import Principal

_KEYS: Final = ("session_key", "key", "parent_session_key", "spawned_by")
_LISTS: Final = ("session_keys", "keys")


def agents_for(principal: Principal, service: AgentService) -> list[AgentInfo]:
    """Return the agents that there are for a caller, the default first."""
    return [info for info in service.agents() if principal.may_talk_to(info.id)]


def default_for(principal: Principal, service: AgentService) -> AgentId:
    """Return the agent that answers a caller who names none: the default, or the first that it may talk to."""
    default = service.default_agent()
    if principal.may_talk_to(default):
        return default
    return next((AgentId(info.id) for info in agents_for(principal, service)), default)


def agent_meant(principal: Principal, service: AgentService, name: str) -> AgentId:
    """Return the agent that a caller names, or the one that answers it. Raises: NotFound, Forbidden."""
    agent = service.resolve_agent(name) if name else default_for(principal, service)
    if not principal.may_talk_to(agent):
        raise Forbidden(
            f"none of your roles may talk to the agent '{agent}'", hint="agents.list names those that you may."
        )
    return agent


def check_reach(principal: Principal, params: Any, service: AgentService) -> None:
    """Look at the agents that a method's parameters name. Raises: NotFound, Forbidden."""
    if principal.limits is None or principal.limits.agents is None:
        return
    for name in _named(params):
        agent_meant(principal, service, name)


def _named(params: Any) -> Iterator[str]:
    if isinstance(given := getattr(params, "agent_id", ""), str) and given:
        yield given
    keys: Iterable[Any] = [getattr(params, name, "") for name in _KEYS]
    for name in _LISTS:
        keys = [*keys, *(getattr(params, name, None) or ())]
    for key in keys:  # other keys are of the agent that answers the caller, or of no session at all
        if isinstance(key, str) and key.startswith("agent:") and (agent := key.split(":")[1]):
            yield agent
