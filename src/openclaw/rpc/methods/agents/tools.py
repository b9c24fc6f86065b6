"""tools.catalog, tools.effective and tools.invoke: an agent's tools, seen and called by an operator."""

from __future__ import annotations

from typing import Any

import msgspec

from openclaw.base.errors import NotFound
from openclaw.base.ids import AgentId
from openclaw.base.model import ToolSpec
from openclaw.protocol.validate import Params
from openclaw.rpc.method import MethodSpec, Rate
from openclaw.rpc.peer import Peer
from openclaw.rpc.room import Room


class ToolsCatalogParams(Params, frozen=True):
    """`includePlugins` changes nothing: there is one catalogue."""

    agent_id: str = ""
    include_plugins: bool = True


class ToolsEffectiveParams(Params, frozen=True):
    """The session says which agent's tools are meant."""

    session_key: str
    agent_id: str = ""


class ToolsInvokeParams(Params, frozen=True):
    """`confirm` is accepted; a tool that needs an approval is not available here."""

    name: str
    args: dict[str, Any] = msgspec.field(default_factory=dict)
    session_key: str = ""
    agent_id: str = ""
    confirm: bool = False
    idempotency_key: str = ""
    conversation_read_origin: str = ""


def tools_catalog(room: Room, peer: Peer, params: ToolsCatalogParams) -> dict[str, Any]:
    """Return every tool of an agent."""
    agent, specs = _tools(room, peer, "", params.agent_id)
    rows = [{**_row(spec), "defaultProfiles": ["full"]} for spec in specs]
    return {"agentId": agent, "profiles": [{"id": "full", "label": "Full"}], "groups": _group(rows)}


def tools_effective(room: Room, peer: Peer, params: ToolsEffectiveParams) -> dict[str, Any]:
    """Return the tools that a session's agent may use."""
    agent, specs = _tools(room, peer, params.session_key, params.agent_id)
    rows = [{**_row(spec), "rawDescription": spec.description} for spec in specs]
    return {"agentId": agent, "profile": "full", "groups": _group(rows)}


async def tools_invoke(room: Room, peer: Peer, params: ToolsInvokeParams) -> dict[str, Any]:
    """Call a tool; what goes wrong with it is part of the answer."""

    async def act() -> dict[str, Any]:
        return await _invoke(room, peer, params)

    try:
        if not params.idempotency_key:
            return await act()
        return await room.once.run(peer.principal, "tools.invoke", params.idempotency_key, params, act)
    except NotFound as error:
        answer = {"ok": False, "toolName": params.name, "source": "core"}
        return {**answer, "error": {"code": "not_found", "message": error.message}}


async def _invoke(room: Room, peer: Peer, params: ToolsInvokeParams) -> dict[str, Any]:
    answer: dict[str, Any] = {"ok": False, "toolName": params.name, "source": "core"}
    if room.deps.tools is None:
        raise NotFound(f"Tool not available: {params.name}")
    found = await room.deps.tools.invoke(
        peer.principal, params.name, params.args, session_key=params.session_key, agent_id=params.agent_id
    )
    if found.rule:
        told = {"code": "policy_denied", "message": found.text, "details": {"rule": found.rule}}
        return {**answer, "error": told}
    if found.is_error:
        return {**answer, "error": {"code": "tool_error", "message": found.text or "the tool failed"}}
    return {**answer, "ok": True, "output": {"content": [{"type": "text", "text": found.text}]}}


def _tools(room: Room, peer: Peer, session_key: str, agent_id: str) -> tuple[AgentId, tuple[ToolSpec, ...]]:
    if room.deps.tools is not None:
        return room.deps.tools.tools(peer.principal, session_key, agent_id)
    if session_key:
        return room.agent_of(room.session_key(peer.principal, session_key, agent_id)), ()
    return room.agent(peer.principal, agent_id), ()


def _row(spec: ToolSpec) -> dict[str, Any]:
    return {"id": spec.name, "label": spec.name, "description": spec.description, "source": "core"}


def _group(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"id": "core", "label": "Tools", "source": "core", "tools": rows}] if rows else []


METHODS = (
    MethodSpec(
        "tools.catalog",
        ToolsCatalogParams,
        "operator.read",
        tools_catalog,
        "Lists an agent's tools.",
        "`{agentId, profiles[], groups: [{id, label, source, tools: [{id, label, description, source, …}]}]}`",
        since=4,
    ),
    MethodSpec(
        "tools.effective",
        ToolsEffectiveParams,
        "operator.read",
        tools_effective,
        "Lists the tools that a session may use.",
        "`{agentId, profile, groups: [{id, label, source, tools: [{id, label, description, source, …}]}]}`",
        since=4,
    ),
    MethodSpec(
        "tools.invoke",
        ToolsInvokeParams,
        "operator.write",
        tools_invoke,
        "Calls a tool, through the same door as a model's call.",
        "`{ok, toolName, source, output?: {content[]}, error?: {code, message, details?}}`; `not_found` stands also "
        "for a tool that is not allowed, `policy_denied` with `details.rule` for what the tool wanted and may not.",
        rate=Rate(60, 10),
        since=4,
    ),
)
