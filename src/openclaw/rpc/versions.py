"""Where the two protocol versions differ, and nowhere else.

Handlers and the event bridge speak protocol 4. What protocol 3 calls otherwise is said here, per method and event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from openclaw.protocol.validate import NoParams, Params

NOT_SENT: Final = object()
"""What an event's payload becomes for a version that does not know it."""

EVENTS: Final[Mapping[int, tuple[str, ...]]] = {
    3: ("connect.challenge", "agent", "chat", "presence", "tick", "shutdown", "health"),
    4: (
        "connect.challenge",
        "agent",
        "chat",
        "session.message",
        "session.operation",
        "sessions.changed",
        "usage.notice",
        "presence",
        "tick",
        "shutdown",
        "health",
    ),
}
"""Events we send, by protocol, as announced in hello."""

CAPABILITIES: Final = ("published-model-catalog",)
"""What protocol 4 clients look for before they use a feature."""

OLD_PARAMS: Final[Mapping[str, type[Params]]] = {"models.list": NoParams}
"""Methods whose parameters were others in protocol 3."""


def _without(*names: str) -> Callable[[Any], Any]:
    dropped = frozenset(names)

    def adapt(result: Any) -> Any:
        return {key: value for key, value in result.items() if key not in dropped}

    return adapt


def _old_chat_send(result: dict[str, Any]) -> dict[str, Any]:
    if result.get("status") == "timeout":
        return {"runId": result["runId"], "status": "ok"}
    return result


def _old_agent(result: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in result.items() if key not in ("sessionKey", "agentId")}
    if kept.get("summary") == "aborted":
        kept = {key: value for key, value in kept.items() if key not in ("stopReason", "endedAt")}
        kept["status"] = "ok"
    return kept


def _old_agents_list(result: dict[str, Any]) -> dict[str, Any]:
    agents = [{key: agent[key] for key in ("id", "name", "identity") if key in agent} for agent in result["agents"]]
    return {**_without("ownership", "selectionRequired")(result), "agents": agents}


def _old_models_list(result: dict[str, Any]) -> dict[str, Any]:
    drop = _without("tags", "available", "supportsTools", "thinkingLevels", "thinkingDefault", "unavailableReason")
    return {"models": [drop(model) for model in result["models"] if model.get("available", True)]}


_ROW_ONLY_4: Final = ("agentId", "isMain", "createdAt", "totalTokensFresh", "archived", "pinned", "status", "lastRunId")


def _old_sessions_list(result: dict[str, Any]) -> dict[str, Any]:
    drop = _without(*_ROW_ONLY_4)
    kept = _without("totalCount", "limitApplied", "nextOffset", "hasMore", "owners")(result)
    return {**kept, "sessions": [drop(row) for row in result["sessions"]]}


def _old_usage_cost(result: dict[str, Any]) -> dict[str, Any]:
    """Days without a call are left out, and the number of days counts the one that has just begun twice."""
    daily = [day for day in result["daily"] if day["totalTokens"] or day["totalCost"] or day["missingCostEntries"]]
    return {**result, "days": result["days"] + 1, "daily": daily}


OLD_RESULTS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "status": _without(
        "runtimeVersion", "hostDesktop", "degradedSecretOwners", "degradedPlugins", "tasks", "taskAudit"
    ),
    "chat.send": _old_chat_send,
    "agent": _old_agent,
    "agent.wait": _without("stopReason", "livenessState"),
    "agents.list": _old_agents_list,
    "agent.identity.get": _without("nameSource"),
    "models.list": _old_models_list,
    "sessions.list": _old_sessions_list,
    "sessions.resolve": _without("agentId", "displayName", "candidates"),
    "sessions.compact": _without("reason", "result"),
    "usage.cost": _old_usage_cost,
    "config.get": _without("runtimeConfig", "sourceConfig", "configRevisionHash", "appliedConfigHash"),
}
"""From protocol 4's result to protocol 3's."""

_HEALTH_ONLY_4: Final = ("plugins", "configReload", "modelRuntime", "eventLoop", "deliveryQueues")
old_health: Final = _without(*_HEALTH_ONLY_4)
"""Health as protocol 3 knows it, in answers, events and the hello snapshot."""


def result_for(method: str, result: Any, protocol: int) -> Any:
    """Return a method's result in the shape of a protocol."""
    if protocol >= 4:
        return result
    adapt = OLD_RESULTS.get(method)
    return result if adapt is None else adapt(result)


_OLD_STREAMS: Final = frozenset(("lifecycle", "assistant", "tool", "thinking", "compaction", "error"))


def _old_agent_event(payload: dict[str, Any]) -> Any:
    if payload["stream"] not in _OLD_STREAMS or payload["data"].get("phase") == "model":
        return NOT_SENT
    data = payload["data"]
    if "itemId" in data:
        data = {key: value for key, value in data.items() if key != "itemId"}
    return {
        "runId": payload["runId"],
        "stream": payload["stream"],
        "data": data,
        "sessionKey": payload["sessionKey"],
        "seq": payload["seq"],
        "ts": payload["ts"],
    }


def _old_chat_event(payload: dict[str, Any]) -> Any:
    if payload["state"] == "status":
        return NOT_SENT
    return {key: value for key, value in payload.items() if key not in ("agentId", "deltaText", "errorKind")}


_OLD_EVENTS: Final[Mapping[str, Callable[[Any], Any]]] = {"agent": _old_agent_event, "chat": _old_chat_event}


def event_payload(event: str, payload: Any, protocol: int) -> Any:
    """Return an event's payload in the shape of a protocol, or NOT_SENT."""
    if protocol >= 4:
        return payload
    adapt = _OLD_EVENTS.get(event)
    return payload if adapt is None else adapt(payload)
