"""exec.approval.*, plugin.approval.*, openclaw.approval.list, approval.*: one desk, by kind and together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, Literal

from openclaw.base.errors import Conflict
from openclaw.base.principal import Scope
from openclaw.policy.approval import Approval, Kind, may_review, unknown
from openclaw.policy.approvals import NewApproval
from openclaw.protocol.validate import NoParams, Params
from openclaw.rpc.approval_params import (
    ApprovalDecideParams,
    ApprovalHistoryParams,
    ApprovalIdParams,
    ApprovalResolveParams,
    ExecApprovalRequestParams,
    GrantsListParams,
    GrantsRevokeParams,
    PluginApprovalRequestParams,
)
from openclaw.rpc.approval_rows import decision_row, grant_row, pending_row, snapshot
from openclaw.rpc.method import MethodSpec, Rate
from openclaw.rpc.peer import Peer
from openclaw.rpc.room import Room

APPROVALS: Final[Scope] = "operator.approvals"
ASKS: Final = Rate(60, 5)

Named = Literal["exec", "plugin"]


async def _request(
    room: Room, peer: Peer, params: ExecApprovalRequestParams | PluginApprovalRequestParams
) -> AsyncIterator[dict[str, Any]]:
    """Ask, and answer when somebody has decided; in stages also at once."""
    desk = room.approvals
    new: NewApproval = params.asked()

    def reachable(approval: Approval) -> bool:
        def other(client: Peer) -> bool:
            return client.conn_id != peer.conn_id and may_review(client.principal, approval)

        return room.deps.hub.has_hearer(APPROVALS, other)

    approval = await desk.request(peer.principal, new, reachable)
    if approval.status == "pending":
        if params.in_stages():
            yield {
                "status": "accepted",
                "id": approval.id,
                "deliveryRoute": "operator-client",
                "createdAtMs": approval.created_at_ms,
                "expiresAtMs": approval.expires_at_ms,
            }
        approval = await desk.wait(peer.principal, approval.id)
    yield decision_row(approval)


def _wait(kind: Named) -> Callable[[Room, Peer, ApprovalIdParams], Awaitable[dict[str, Any]]]:
    async def wait_decision(room: Room, peer: Peer, params: ApprovalIdParams) -> dict[str, Any]:
        """Wait for the end of a request; one that has ended answers at once."""
        approval = await room.approvals.wait(peer.principal, params.id, kind)
        await room.overlooked(peer, (approval,))
        row = decision_row(approval)
        return row if approval.reason == "user" else {**row, "terminalReason": approval.reason}

    return wait_decision


def _list(kind: Kind) -> Callable[[Room, Peer, NoParams], Awaitable[list[dict[str, Any]]]]:
    async def pending(room: Room, peer: Peer, params: NoParams) -> list[dict[str, Any]]:
        """Return what waits for a decision, the oldest first."""
        found = room.approvals.pending(peer.principal, kind)
        await room.overlooked(peer, found)
        return [pending_row(approval) for approval in found]

    return pending


def _resolve(kind: Named) -> Callable[[Room, Peer, ApprovalDecideParams], Awaitable[dict[str, Any]]]:
    async def resolve(room: Room, peer: Peer, params: ApprovalDecideParams) -> dict[str, Any]:
        """Decide a request of this kind."""
        await _decide(room, peer, params, kind)
        return {"ok": True}

    return resolve


async def _decide(room: Room, peer: Peer, params: ApprovalDecideParams, kind: Kind) -> Approval:
    return await room.approvals.decide(
        peer.principal,
        params.id,
        params.chosen(),
        by=decider(peer),
        kind=kind,
        grant_days=params.grant_expires_in_days,
    )


def decider(peer: Peer) -> str:
    """Return whom to name as having decided: the device that proved itself, else what the client calls itself."""
    return (peer.principal.device or peer.client.display_name or peer.client.id)[:200]


async def exec_approval_get(room: Room, peer: Peer, params: ApprovalIdParams) -> dict[str, Any]:
    """Return a pending command for whoever is to decide it."""
    approval = await room.approvals.get(peer.principal, params.id, "exec")
    await room.overlooked(peer, (approval,))
    if approval.status != "pending":
        raise unknown(params.id)
    request = approval.request
    return {
        "id": approval.id,
        "commandText": request["command"],
        "commandPreview": request.get("commandPreview"),
        "allowedDecisions": approval.offered,
        "host": request.get("host"),
        "nodeId": request.get("nodeId"),
        "agentId": approval.agent_id or None,
        "expiresAtMs": approval.expires_at_ms,
    }


async def approval_get(room: Room, peer: Peer, params: ApprovalIdParams) -> dict[str, Any]:
    """Return a request of any kind but a question, pending or ended."""
    approval = await room.approvals.get(peer.principal, params.id)
    await room.overlooked(peer, (approval,))
    if approval.kind == "question":
        raise unknown(params.id)
    return {"approval": snapshot(approval)}


async def approval_resolve(room: Room, peer: Peer, params: ApprovalResolveParams) -> dict[str, Any]:
    """Decide a request; one that has ended is returned as it ended, not applied."""
    try:
        return {"applied": True, "approval": snapshot(await _decide(room, peer, params, params.kind))}
    except Conflict:
        approval = await room.approvals.get(peer.principal, params.id, params.kind)
        return {"applied": False, "approval": snapshot(approval)}


async def approval_history(room: Room, peer: Peer, params: ApprovalHistoryParams) -> dict[str, Any]:
    """Return what was decided, or ended without a decision, the latest first."""
    rows, cursor = await room.approvals.history(
        peer.principal, kind=params.kind or None, cursor=params.cursor, limit=params.limit
    )
    await room.overlooked(peer, rows)
    answer: dict[str, Any] = {"items": [snapshot(row) for row in rows]}
    return answer | ({"nextCursor": cursor} if cursor else {})


async def grants_list(room: Room, peer: Peer, params: GrantsListParams) -> dict[str, Any]:
    """Return the standing grants, the latest first."""
    return {"grants": [grant_row(grant) for grant in await room.approvals.grants.list(peer.principal, params.limit)]}


async def grants_revoke(room: Room, peer: Peer, params: GrantsRevokeParams) -> dict[str, Any]:
    """Take a standing grant back."""
    return {"outcome": await room.approvals.grants.revoke(peer.principal, params.grant_id, decider(peer))}


def _family(
    kind: Named, asks: type[Params], what: str, shows: str, since: int
) -> tuple[MethodSpec, MethodSpec, MethodSpec, MethodSpec]:
    """Return the four methods that every kind of approval has."""
    name = f"{kind}.approval"
    return (
        MethodSpec(
            f"{name}.request",
            asks,
            APPROVALS,
            _request,
            f"Asks operators whether {what} may happen, and answers when one has decided or time is up; with "
            "`twoPhase` also at once. Without another client that may decide, nobody is asked: `decision` is null.",
            '`{id, decision: "allow-once"|"allow-always"|"deny"|null, createdAtMs, expiresAtMs}`; in stages first '
            '`{status: "accepted", id, deliveryRoute, createdAtMs, expiresAtMs}`.',
            rate=ASKS,
            since=since,
        ),
        MethodSpec(
            f"{name}.waitDecision",
            ApprovalIdParams,
            APPROVALS,
            _wait(kind),
            "Waits for the decision about a request that was made before.",
            '`{id, decision, createdAtMs, expiresAtMs, terminalReason?: "timeout"|"no-route"|"run-aborted"|'
            '"gateway-restart"}`',
            since=4,
            passing="waits",
        ),
        MethodSpec(
            f"{name}.resolve",
            ApprovalDecideParams,
            APPROVALS,
            _resolve(kind),
            "Decides a request: the first decision holds. Only its owner and administrators can.",
            "`{ok: true}`",
            since=since,
        ),
        MethodSpec(
            f"{name}.list",
            NoParams,
            APPROVALS,
            _list(kind),
            f"Lists {shows} that wait for a decision.",
            "`[{approvalKind, id, request, createdAtMs, expiresAtMs}]`",
            since=4,
        ),
    )


METHODS = (
    *_family("exec", ExecApprovalRequestParams, "a command", "commands", since=3),
    *_family("plugin", PluginApprovalRequestParams, "an act of a plugin or a tool", "acts of plugins and tools", 4),
    MethodSpec(
        "exec.approval.get",
        ApprovalIdParams,
        APPROVALS,
        exec_approval_get,
        "Returns one command that waits for a decision.",
        "`{id, commandText, commandPreview, allowedDecisions[], host, nodeId, agentId, expiresAtMs}`",
        since=4,
    ),
    MethodSpec(
        "openclaw.approval.list",
        NoParams,
        APPROVALS,
        _list("system-agent"),
        "Lists changes that the gateway's own agent proposes: none, for there is no such agent.",
        "`[]`",
        since=4,
    ),
    MethodSpec(
        "approval.get",
        ApprovalIdParams,
        APPROVALS,
        approval_get,
        "Returns one request of any kind, also when it has ended.",
        "`{approval: {id, urlPath, createdAtMs, expiresAtMs, presentation, status, decision?, reason?, resolver?}}`",
        since=4,
    ),
    MethodSpec(
        "approval.resolve",
        ApprovalResolveParams,
        APPROVALS,
        approval_resolve,
        "Decides a request; one that has ended comes back as it ended.",
        "`{applied, approval}`, as in approval.get.",
        since=4,
    ),
    MethodSpec(
        "approval.history",
        ApprovalHistoryParams,
        APPROVALS,
        approval_history,
        "Lists requests that have ended, the latest first.",
        "`{items[], nextCursor?}`, items as in approval.get.",
        since=4,
    ),
    MethodSpec(
        "exec.approval.grants.list",
        GrantsListParams,
        APPROVALS,
        grants_list,
        "Lists the standing grants that `allow-always` gave to automations.",
        "`{grants: [{grantId, mintedByApprovalId, agentId, cronJobId, command, cwd, createdAtMs, expiresAtMs, "
        "revokedAtMs, useCount, …}]}`",
        since=4,
    ),
    MethodSpec(
        "exec.approval.grants.revoke",
        GrantsRevokeParams,
        APPROVALS,
        grants_revoke,
        "Takes a standing grant back.",
        '`{outcome: "revoked"|"already-revoked"|"not-found"}`',
        since=4,
    ),
)
