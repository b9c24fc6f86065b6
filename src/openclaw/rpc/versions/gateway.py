"""The gateway itself, its agents, models and configuration, for protocol 3."""

from __future__ import annotations

from typing import Any, Final

from openclaw.protocol.validate import NoParams
from openclaw.rpc.versions.shaping import OldParams, Results, without

_HEALTH_ONLY_4: Final = ("plugins", "configReload", "modelRuntime", "eventLoop", "deliveryQueues")
old_health: Final = without(*_HEALTH_ONLY_4)
"""Health as protocol 3 knows it, in answers, events and the hello snapshot."""


def _agents_list(result: dict[str, Any]) -> dict[str, Any]:
    agents = [{key: agent[key] for key in ("id", "name", "identity") if key in agent} for agent in result["agents"]]
    return {**without("ownership", "selectionRequired")(result), "agents": agents}


def _models_list(result: dict[str, Any]) -> dict[str, Any]:
    drop = without("tags", "available", "supportsTools", "thinkingLevels", "thinkingDefault", "unavailableReason")
    return {"models": [drop(model) for model in result["models"] if model.get("available", True)]}


def _usage_cost(result: dict[str, Any]) -> dict[str, Any]:
    """Days without a call are left out, and the number of days counts the one that has just begun twice."""
    daily = [day for day in result["daily"] if day["totalTokens"] or day["totalCost"] or day["missingCostEntries"]]
    return {**result, "days": result["days"] + 1, "daily": daily}


PARAMS: Final[OldParams] = {"models.list": NoParams}

RESULTS: Final[Results] = {
    "status": without(
        "runtimeVersion", "configReload", "hostDesktop", "degradedSecretOwners", "degradedPlugins", "tasks", "taskAudit"
    ),
    "agents.list": _agents_list,
    "agent.identity.get": without("nameSource"),
    "models.list": _models_list,
    "usage.cost": _usage_cost,
    "agents.delete": without("removed", "failed"),
}
