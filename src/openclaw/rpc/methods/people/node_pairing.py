"""node.pair.*: what nodes offer, and who lets it be used."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from openclaw.base.secret import masked
from openclaw.protocol.validate import NoParams, Params
from openclaw.rpc.method import MethodSpec, Rate
from openclaw.rpc.methods.people.nodes import NodeId, NodeParams
from openclaw.rpc.nodes.record import MAX_CAPS, MAX_COMMANDS, NAME_CHARS, NodeInfo, shown, surface
from openclaw.rpc.nodes.rows import paired_row, pending_row
from openclaw.rpc.peer import Peer
from openclaw.rpc.room import Room

Text = Annotated[str, Meta(min_length=1, max_length=128)]
Name = Annotated[str, Meta(min_length=1, max_length=NAME_CHARS)]


class PairRequestParams(Params, frozen=True):
    """What a node offers, said in its name. `silent` is accepted and changes nothing."""

    node_id: NodeId
    display_name: Text | None = None
    platform: Text | None = None
    version: Text | None = None
    core_version: Text | None = None
    ui_version: Text | None = None
    device_family: Text | None = None
    model_identifier: Text | None = None
    caps: Annotated[tuple[Name, ...], Meta(max_length=MAX_CAPS)] = ()
    commands: Annotated[tuple[Name, ...], Meta(max_length=MAX_COMMANDS)] = ()
    remote_ip: Text | None = None
    silent: bool = False


class RequestIdParams(Params, frozen=True):
    """Names what waits."""

    request_id: Annotated[str, Meta(min_length=1, max_length=128)]


class PairVerifyParams(Params, frozen=True):
    """A token that an approval gave."""

    node_id: NodeId
    token: Annotated[str, Meta(min_length=1, max_length=512)]

    __repr__ = masked


def pair_list(room: Room, peer: Peer, params: NoParams) -> dict[str, Any]:
    """Return what waits, oldest first, and what was approved."""
    records = room.nodes().book.all()
    pending = [pending_row(record, record.pending) for record in records if record.pending is not None]
    paired = [paired_row(record) for record in records if record.approved is not None]
    return {"pending": sorted(pending, key=lambda row: row["ts"]), "paired": paired}


async def pair_approve(room: Room, peer: Peer, params: RequestIdParams) -> dict[str, Any]:
    """Let a node be asked for what it offered when the request was made."""
    record, token = await room.nodes().approve(params.request_id, peer.principal)
    node = {**paired_row(record), "token": token} if token else paired_row(record)
    return {"requestId": params.request_id, "node": node}


async def pair_reject(room: Room, peer: Peer, params: RequestIdParams) -> dict[str, Any]:
    """Refuse what waits."""
    record = await room.nodes().reject(params.request_id)
    return {"requestId": params.request_id, "nodeId": record.node_id}


async def pair_remove(room: Room, peer: Peer, params: NodeParams) -> dict[str, Any]:
    """Forget a node with everything that was approved of it."""
    await room.nodes().remove(params.node_id)
    return {"nodeId": params.node_id}


async def pair_request(room: Room, peer: Peer, params: PairRequestParams) -> dict[str, Any]:
    """Ask in a node's name."""
    nodes = room.nodes()
    info = NodeInfo(
        display_name=shown(params.display_name or ""),
        platform=shown(params.platform or ""),
        version=shown(params.version or ""),
        device_family=shown(params.device_family or ""),
        model_identifier=shown(params.model_identifier or ""),
        remote_ip=shown(params.remote_ip or ""),
    )
    record, request, created = await nodes.book.ask(params.node_id, info, surface(params.caps, params.commands, {}))
    if created:
        nodes.tell_requested(record, request)
    return {"status": "pending", "request": pending_row(record, request), "created": created}


def pair_verify(room: Room, peer: Peer, params: PairVerifyParams) -> dict[str, Any]:
    """Say whether a token is that node's."""
    nodes = room.nodes()
    record = nodes.book.get(params.node_id)
    if record is None or not nodes.book.verifies(params.node_id, params.token):
        return {"ok": False}
    return {"ok": True, "node": paired_row(record)}


METHODS = (
    MethodSpec(
        "node.pair.list",
        NoParams,
        "operator.pairing",
        pair_list,
        "Lists the requests of nodes that wait for an operator, and the approved nodes.",
        "`{pending: [{requestId, nodeId, caps[], commands[], requiredApproveScopes[], ts, …}], paired: [{nodeId, "
        "caps[], commands[], createdAtMs, approvedAtMs, …}]}`; protocol 3 has no `requiredApproveScopes`.",
    ),
    MethodSpec(
        "node.pair.approve",
        RequestIdParams,
        "operator.pairing",
        pair_approve,
        "Approves a request. Commands need `operator.write` of the caller, too, and those that run programs "
        "`operator.admin`.",
        "`{requestId, node}`; `node.token` when the request came by node.pair.request, this once.",
    ),
    MethodSpec(
        "node.pair.reject",
        RequestIdParams,
        "operator.pairing",
        pair_reject,
        "Refuses a request; what was approved earlier stays.",
        "`{requestId, nodeId}`",
    ),
    MethodSpec(
        "node.pair.remove",
        NodeParams,
        "operator.pairing",
        pair_remove,
        "Forgets a node and its approvals, ends what runs on it, and closes its connection.",
        "`{nodeId}`",
        since=4,
    ),
    MethodSpec(
        "node.pair.request",
        PairRequestParams,
        "operator.pairing",
        pair_request,
        "Makes a request in a node's name.",
        '`{status: "pending", request, created}`',
        rate=Rate(20, 1),
        until=3,
    ),
    MethodSpec(
        "node.pair.verify",
        PairVerifyParams,
        "operator.pairing",
        pair_verify,
        "Checks the token that an approval gave to a node.",
        "`{ok, node?}`",
        rate=Rate(20, 1),
        until=3,
    ),
)
