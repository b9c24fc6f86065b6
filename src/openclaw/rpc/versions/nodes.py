"""Nodes, for protocol 3."""

from __future__ import annotations

from typing import Any, Final

from openclaw.rpc.versions.shaping import Results, without

_ROW_ONLY_4: Final = (
    "clientId",
    "clientMode",
    "sessionHost",
    "approvalState",
    "pendingRequestId",
    "pendingDeclaredCaps",
    "pendingDeclaredCommands",
    "pendingDeclaredPermissions",
    "lastActiveAtMs",
    "presenceUpdatedAtMs",
    "lastConnectedAtMs",
    "lastDisconnectedAtMs",
    "lastSeenAtMs",
    "lastSeenReason",
    "approvedAtMs",
)
_row: Final = without(*_ROW_ONLY_4)
old_pairing: Final = without("clientId", "clientMode", "requiredApproveScopes")


def _list(result: dict[str, Any]) -> dict[str, Any]:
    return {**result, "nodes": [_row(node) for node in result["nodes"]]}


def _pair_list(result: dict[str, Any]) -> dict[str, Any]:
    return {
        "pending": [old_pairing(request) for request in result["pending"]],
        "paired": [old_pairing(node) for node in result["paired"]],
    }


def _pair_request(result: dict[str, Any]) -> dict[str, Any]:
    return {**result, "request": old_pairing(result["request"])}


def _pair_approve(result: dict[str, Any]) -> dict[str, Any]:
    return {**result, "node": old_pairing(result["node"])}


RESULTS: Final[Results] = {
    "node.list": _list,
    "node.describe": _row,
    "node.pair.list": _pair_list,
    "node.pair.approve": _pair_approve,
    "node.pair.request": _pair_request,
    "node.event": without("event", "handled", "reason"),
}
