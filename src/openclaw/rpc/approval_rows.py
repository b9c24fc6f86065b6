"""Approvals and grants as clients are shown them, and the events about them."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from openclaw.policy.approval import Approval, Kind, may_review
from openclaw.policy.grant import Grant
from openclaw.rpc.hub import Hub
from openclaw.rpc.peer import Peer

SCOPES: Final[dict[Kind, str]] = {
    "exec": "operator.approvals",
    "plugin": "operator.approvals",
    "system-agent": "operator.approvals",
    "question": "operator.questions",
}
"""Who hears of what waits for a person."""

_EVENTS: Final[dict[Kind, str]] = {
    "exec": "exec.approval",
    "plugin": "plugin.approval",
    "system-agent": "openclaw.approval",
    "question": "question",
}


def decision_row(approval: Approval) -> dict[str, Any]:
    """Return how a request ended, as its asker is told. `decision` is a person's, or null: nobody decided."""
    return {
        "id": approval.id,
        "decision": approval.decision if approval.reason == "user" else None,
        "createdAtMs": approval.created_at_ms,
        "expiresAtMs": approval.expires_at_ms,
    }


def pending_row(approval: Approval) -> dict[str, Any]:
    """Return a pending request, as listed and as told by `…requested`."""
    return {
        "approvalKind": approval.kind,
        "id": approval.id,
        "request": approval.request,
        "createdAtMs": approval.created_at_ms,
        "expiresAtMs": approval.expires_at_ms,
    }


def snapshot(approval: Approval) -> dict[str, Any]:
    """Return a request of any kind but a question, in the one shape of `approval.*`."""
    shown: dict[str, Any] = {
        "id": approval.id,
        "urlPath": f"/approve/{quote(approval.id, safe='')}",
        "createdAtMs": approval.created_at_ms,
        "expiresAtMs": approval.expires_at_ms,
        "presentation": _presentation(approval),
        "status": approval.status,
    }
    if approval.status == "pending":
        return shown | ({"sourceSessionKey": approval.session_key} if approval.session_key else {})
    by_person = approval.reason == "user"
    shown |= {
        "resolvedAtMs": approval.resolved_at_ms,
        "reason": approval.reason,
        "resolver": {"kind": "device", "id": approval.resolved_by} if by_person else {"kind": "system"},
    }
    source = {"agentId": approval.agent_id, "sessionKey": approval.session_key}
    shown["source"] = {name: value for name, value in source.items() if value}
    if approval.decision is not None:
        shown["decision"] = approval.decision
    return shown


_EXEC: Final[tuple[str, ...]] = ("commandPreview", "warningText", "host", "nodeId", "agentId", "scope")
_PLUGIN: Final[tuple[str, ...]] = (
    "title",
    "description",
    "severity",
    "pluginId",
    "toolName",
    "agentId",
    "scope",
    "detail",
)
_NULLABLE: Final = frozenset(("commandPreview", "warningText", "host", "nodeId", "agentId", "pluginId", "toolName"))


def _presentation(approval: Approval) -> dict[str, Any]:
    request = approval.request
    shown: dict[str, Any] = {"kind": approval.kind, "allowedDecisions": approval.offered}
    names = _PLUGIN
    if approval.kind == "exec":
        shown["commandText"] = request["command"]
        names = _EXEC
    for name in names:
        value = request.get(name) or None
        if value is not None or name in _NULLABLE:
            shown[name] = value
    return shown


def grant_row(grant: Grant) -> dict[str, Any]:
    """Return a standing grant as listed."""
    return {
        "grantId": grant.id,
        "mintedByApprovalId": grant.approval_id,
        "agentId": grant.agent_id,
        "cronJobId": grant.automation,
        "cronJobName": None,
        "command": grant.command,
        "cwd": grant.cwd[:512] or None,
        "createdAtMs": grant.created_at_ms,
        "expiresAtMs": grant.expires_at_ms or None,
        "revokedAtMs": grant.revoked_at_ms or None,
        "revokedBy": grant.revoked_by or None,
        "lastUsedAtMs": grant.last_used_at_ms or None,
        "useCount": grant.uses,
    }


def question_row(asked: Approval) -> dict[str, Any]:
    """Return a set of questions and what became of it."""
    shown: dict[str, Any] = {
        "id": asked.id,
        **asked.request,
        "createdAtMs": asked.created_at_ms,
        "expiresAtMs": asked.expires_at_ms,
        **question_end(asked),
    }
    return shown | ({"resolvedBy": asked.resolved_by} if asked.resolved_by else {})


def question_end(asked: Approval) -> dict[str, Any]:
    """Return the state of a set of questions, with the answers when there are some."""
    if asked.answers is None:
        return {"status": asked.status}
    return {"status": asked.status, "answers": {"answers": asked.answers}}


class ApprovalBridge:
    """Tells what happens at the desk to the clients that may decide it."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def __call__(self, approval: Approval) -> None:
        """Hear of a request that was made or has ended."""
        kind = approval.kind
        pending = approval.status == "pending"
        if kind == "question":
            payload = question_row(approval) if pending else {"id": approval.id, **question_end(approval)}
        elif pending:
            payload = pending_row(approval)
        elif approval.reason == "user":
            payload = {
                "approvalKind": kind,
                "id": approval.id,
                "decision": approval.decision,
                "resolvedBy": approval.resolved_by or None,
                "ts": approval.resolved_at_ms,
                "request": approval.request,
            }
        else:
            return  # clients drop by `expiresAtMs` what nobody decided

        def may(peer: Peer) -> bool:
            return may_review(peer.principal, approval)

        event = f"{_EVENTS[kind]}.{'requested' if pending else 'resolved'}"
        self._hub.broadcast(event, payload, SCOPES[kind], only=may)
