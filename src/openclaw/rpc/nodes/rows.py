"""Nodes as the wire shows them, in the shapes of protocol 4."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from openclaw.policy.node_door import approval_scopes
from openclaw.rpc.nodes.live import NodeSession
from openclaw.rpc.nodes.record import NodeInfo, NodeRecord, PairRequest, Surface


def node_row(
    record: NodeRecord | None, session: NodeSession | None, commands: Iterable[str], *, with_pending: bool
) -> dict[str, Any]:
    """Return a node as listed; `commands` are those that were approved, of a connected node those that it still offers.
    `with_pending` is for those who may approve it. At least one of record and session is there.
    """
    info = session.info if session is not None else record.info if record is not None else NodeInfo()
    row = _described(record, info)
    row["nodeId"] = session.node_id if session is not None else record.node_id if record is not None else ""
    if info.path_env:
        row["pathEnv"] = info.path_env
    approved = record.approved if record is not None else None
    row |= {
        "caps": _caps(approved, session),
        "commands": list(commands),
        "sessionHost": False,
        "approvalState": record.state if record is not None else "unapproved",
        "paired": approved is not None,
        "connected": session is not None,
    }
    offered = session.offered if session is not None else approved
    if offered is not None and offered.permissions and approved is not None:
        row["permissions"] = offered.permissions
    if with_pending and record is not None and record.pending is not None:
        request = record.pending
        row |= {
            "pendingRequestId": request.request_id,
            "pendingDeclaredCaps": list(request.surface.caps),
            "pendingDeclaredCommands": list(request.surface.commands),
            "pendingDeclaredPermissions": request.surface.permissions,
        }
    return {**row, **_times(record, session)}


def _caps(approved: Surface | None, session: NodeSession | None) -> list[str]:
    granted = approved.caps if approved is not None else ()
    return [cap for cap in granted if session is None or cap in session.offered.caps]


def _times(record: NodeRecord | None, session: NodeSession | None) -> dict[str, Any]:
    times: dict[str, Any] = {}
    if session is not None:
        times = {
            "connectedAtMs": session.connected_at_ms,
            "lastActiveAtMs": session.last_active_at_ms,
            "presenceUpdatedAtMs": session.presence_at_ms,
        }
    if record is not None:
        times |= {
            "lastConnectedAtMs": record.last_connected_at_ms,
            "lastDisconnectedAtMs": record.last_disconnected_at_ms,
            "lastSeenAtMs": record.last_seen_at_ms,
            "lastSeenReason": record.last_seen_reason,
            "approvedAtMs": record.approved_at_ms,
        }
    return {name: value for name, value in times.items() if value}


def pending_row(record: NodeRecord, request: PairRequest) -> dict[str, Any]:
    """Return what waits for an operator."""
    row = {
        "requestId": request.request_id,
        "nodeId": record.node_id,
        **_described(record, record.info),
        "caps": list(request.surface.caps),
        "commands": list(request.surface.commands),
        "requiredApproveScopes": list(request_scopes(request)),
        "silent": request.silent,
        "isRepair": record.approved is not None,
        "ts": request.at_ms,
    }
    if request.surface.permissions:
        row["permissions"] = request.surface.permissions
    return row


def request_scopes(request: PairRequest) -> tuple[str, ...]:
    """Return the scopes that approving a request takes."""
    return approval_scopes(request.surface.commands, attaches=request.surface.permissions.get("attach") is True)


def paired_row(record: NodeRecord) -> dict[str, Any]:
    """Return an approved node."""
    approved = record.approved or Surface()
    row = {
        "nodeId": record.node_id,
        **_described(record, record.info),
        "caps": list(approved.caps),
        "commands": list(approved.commands),
        "createdAtMs": record.created_at_ms,
        "approvedAtMs": record.approved_at_ms,
    }
    if approved.permissions:
        row["permissions"] = approved.permissions
    if record.last_connected_at_ms:
        row["lastConnectedAtMs"] = record.last_connected_at_ms
    return row


def _described(record: NodeRecord | None, info: NodeInfo) -> dict[str, Any]:
    """Return what a node is called and says of itself; the operator's name for it goes before its own."""
    words = {
        "displayName": (record.name if record is not None else "") or info.display_name,
        "platform": info.platform,
        "version": info.version,
        "clientId": info.client_id,
        "clientMode": info.client_mode,
        "remoteIp": info.remote_ip,
        "deviceFamily": info.device_family,
        "modelIdentifier": info.model_identifier,
    }
    return {name: text for name, text in words.items() if text}
