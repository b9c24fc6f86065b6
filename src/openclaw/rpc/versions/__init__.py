"""Where the two protocol versions differ, and nowhere else.

Handlers and the event bridge speak protocol 4. What protocol 3 calls otherwise is said here: one file per family of
methods with its RESULTS (and PARAMS, where protocol 3 takes others, ERRORS, where it words them otherwise), and one
for events.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, Final

from openclaw.rpc.versions import approvals, config, cron, devices, doors, gateway, nodes, runs, sessions
from openclaw.rpc.versions.events import EVENTS, event_payload
from openclaw.rpc.versions.gateway import old_health
from openclaw.rpc.versions.hello import hello_auth
from openclaw.rpc.versions.shaping import NOT_SENT, Errors, OldParams, Refusals, Results

__all__ = (
    "CAPABILITIES",
    "EVENTS",
    "NOT_SENT",
    "OLD_ERRORS",
    "OLD_PARAMS",
    "error_for",
    "event_payload",
    "hello_auth",
    "old_health",
    "result_for",
    "result_instead",
)

CAPABILITIES: Final = ("published-model-catalog", "session-scoped-chat-metadata", "session-unread-ack-contract")
"""What protocol 4 clients look for before they use a feature."""

_FAMILIES: Final[tuple[ModuleType, ...]] = (approvals, config, cron, devices, doors, gateway, nodes, runs, sessions)

OLD_PARAMS: Final[OldParams] = {
    name: params for family in _FAMILIES for name, params in getattr(family, "PARAMS", {}).items()
}
"""Methods whose parameters were others in protocol 3."""

_OLD_RESULTS: Final[Results] = {
    name: adapt for family in _FAMILIES for name, adapt in getattr(family, "RESULTS", {}).items()
}

OLD_ERRORS: Final[Errors] = {
    name: adapt for family in _FAMILIES for name, adapt in getattr(family, "ERRORS", {}).items()
}
"""Methods whose refusals protocol 3 words otherwise."""


def error_for(method: str, error: dict[str, Any], protocol: int) -> dict[str, Any]:
    """Return a method's error object in the words of a protocol."""
    if protocol >= 4 or method not in OLD_ERRORS:
        return error
    adapted: dict[str, Any] = OLD_ERRORS[method](error)
    return adapted


_OLD_REFUSALS: Final[Refusals] = {
    name: answers for family in _FAMILIES for name, answers in getattr(family, "REFUSALS", {}).items()
}


def result_instead(method: str, code: object, protocol: int) -> Any:
    """Return what a protocol answers instead of refusing with that `details.code`, or None."""
    return _OLD_REFUSALS.get(method, {}).get(str(code)) if protocol < 4 else None


def result_for(method: str, result: Any, protocol: int) -> Any:
    """Return a method's result in the shape of a protocol."""
    if protocol >= 4:
        return result
    adapt = _OLD_RESULTS.get(method)
    return result if adapt is None else adapt(result)
