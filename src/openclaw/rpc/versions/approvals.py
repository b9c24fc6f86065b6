"""Approvals, for protocol 3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from openclaw.rpc.approval_params import OldExecApprovalRequestParams
from openclaw.rpc.versions.shaping import Adapt, Errors, OldParams, Results, without

_REQUEST: Final = ("command", "cwd", "host", "security", "ask", "agentId", "resolvedPath", "sessionKey")


def _requested(payload: dict[str, Any]) -> dict[str, Any]:
    request = {name: payload["request"].get(name) for name in _REQUEST}
    return {**without("approvalKind")(payload), "request": request}


def _plain(error: dict[str, Any]) -> dict[str, Any]:
    """Protocol 3 has no details here, and other words for an id that is not there."""
    unknown = error.get("details", {}).get("reason") == "APPROVAL_NOT_FOUND"
    return {**without("details")(error), **({"message": "unknown approval id"} if unknown else {})}


PARAMS: Final[OldParams] = {"exec.approval.request": OldExecApprovalRequestParams}

RESULTS: Final[Results] = {
    "exec.approvals.get": without("resolvedDefaults"),
    "exec.approvals.set": without("resolvedDefaults"),
}

ERRORS: Final[Errors] = {"exec.approval.resolve": _plain}

EVENTS: Final[Mapping[str, Adapt]] = {
    "exec.approval.requested": _requested,
    "exec.approval.resolved": without("approvalKind", "request"),
}
