"""node.list, node.describe, node.rename, node.invoke, exec.approvals.node.*: nodes as operators use them."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from openclaw.base.errors import InvalidRequest, Unavailable
from openclaw.base.ids import new_id
from openclaw.protocol.validate import NoParams, Params
from openclaw.rpc.method import MethodSpec, Rate
from openclaw.rpc.nodes.desk import Command, Nodes
from openclaw.rpc.nodes.live import Outcome, failed
from openclaw.rpc.nodes.record import shown
from openclaw.rpc.nodes.rows import node_row
from openclaw.rpc.nodes.work import ItemType, Priority, item_row
from openclaw.rpc.peer import Peer
from openclaw.rpc.room import Room

NodeId = Annotated[str, Meta(min_length=1, max_length=256)]
CommandName = Annotated[str, Meta(min_length=1, max_length=128)]
IdempotencyKey = Annotated[str, Meta(min_length=1, max_length=256)]
Place = Annotated[str, Meta(max_length=512)]


class NodeParams(Params, frozen=True):
    """Names a node."""

    node_id: NodeId


class NodeRenameParams(NodeParams, frozen=True):
    """The new name, as people will read it."""

    display_name: Annotated[str, Meta(min_length=1, max_length=128)]


class NodeInvokeParams(NodeParams, frozen=True):
    """`timeoutMs` 0 means the usual time. What concerns the turn that asks is accepted and changes nothing."""

    command: CommandName
    idempotency_key: IdempotencyKey
    params: Any = UNSET
    timeout_ms: Annotated[int, Meta(ge=0)] = 0
    session_key: Annotated[str, Meta(min_length=1, max_length=512)] | UnsetType = UNSET
    turn_source_channel: Place = ""
    turn_source_to: Place = ""
    turn_source_account_id: Place = ""
    turn_source_thread_id: Annotated[str, Meta(max_length=512)] | float = ""


class NodeEnqueueParams(NodeParams, frozen=True):
    """What the node shall tell when it next looks. `wake` is accepted: there is no push service to wake it with."""

    type: ItemType
    priority: Priority = "normal"
    expires_in_ms: Annotated[int, Meta(ge=1000, le=86_400_000)] | UnsetType = UNSET
    wake: bool = True


class ExecApprovalsNodeSetParams(NodeParams, frozen=True):
    """Either a `file` of approvals, or `native` rules with the hash of what they replace."""

    file: dict[str, Any] | UnsetType = UNSET
    native: dict[str, Any] | UnsetType = UNSET
    base_hash: Annotated[str, Meta(min_length=1, max_length=256)] | UnsetType = UNSET


def node_list(room: Room, peer: Peer, params: NoParams) -> dict[str, Any]:
    """Return every node that this caller may know of, the connected ones first."""
    nodes = room.nodes()
    ids = [session.node_id for session in nodes.live]
    ids += [record.node_id for record in nodes.book.all() if nodes.live.get(record.node_id) is None]
    rows = [row for node_id in ids if (row := _row(nodes, peer, node_id)) is not None]
    rows.sort(key=lambda row: (not row["connected"], row.get("displayName", "").lower(), row["nodeId"]))
    return {"ts": room.deps.clock.now_ms(), "nodes": rows}


def node_describe(room: Room, peer: Peer, params: NodeParams) -> dict[str, Any]:
    """Return one node."""
    row = _row(room.nodes(), peer, params.node_id)
    if row is None:
        raise InvalidRequest("unknown nodeId")
    return {"ts": room.deps.clock.now_ms(), **row}


def _row(nodes: Nodes, peer: Peer, node_id: str) -> dict[str, Any] | None:
    """Return a node's row. Who may not pair is not told what waits, nor of nodes that are neither approved nor here."""
    session, record = nodes.live.get(node_id), nodes.book.get(node_id)
    pairs = peer.principal.may("operator.pairing")
    if session is None and (record is None or (record.approved is None and not pairs)):
        return None
    approved = record.approved.commands if record is not None and record.approved is not None else ()
    commands = approved if session is None else nodes.approved(session)
    return node_row(record, session, commands, with_pending=pairs)


async def node_rename(room: Room, peer: Peer, params: NodeRenameParams) -> dict[str, Any]:
    """Give a node a name that stays."""
    name = shown(params.display_name).strip()
    if not name:
        raise InvalidRequest("displayName required")
    await room.nodes().book.rename(params.node_id, name)
    return {"nodeId": params.node_id, "displayName": name}


async def node_invoke(room: Room, peer: Peer, params: NodeInvokeParams) -> dict[str, Any]:
    """Have a node carry out a command, and return what it answers."""
    nodes = room.nodes()
    asked = Command(
        node_id=params.node_id,
        command=params.command.strip(),
        params_json=None if params.params is UNSET else json_text(params.params, "node.invoke", "params"),
        idempotency_key=params.idempotency_key,
        timeout_ms=params.timeout_ms,
    )
    try:
        outcome = await nodes.invoke(peer, asked)
    except Unavailable as error:
        _queue_for_later(nodes, peer, asked, error)
        raise
    return {
        "ok": True,
        "nodeId": asked.node_id,
        "command": asked.command,
        "payload": outcome.payload,
        "payloadJSON": outcome.payload_json,
    }


def _queue_for_later(nodes: Nodes, caller: Peer, asked: Command, error: Unavailable) -> None:
    """Keep a command for a phone that cannot do it in the background. Raises: Unavailable saying so."""
    node_error = error.details.get("nodeError") or {}
    session = nodes.live.get(asked.node_id)
    if node_error.get("code") != "NODE_BACKGROUND_UNAVAILABLE" or session is None:
        return
    action = nodes.work.put_action(
        asked.node_id, asked.command, asked.params_json, asked.idempotency_key, caller.principal
    )
    if action is None:
        return
    raise Unavailable(
        "node command queued until its app returns to the foreground",
        details={
            "code": "QUEUED_UNTIL_FOREGROUND",
            "queuedActionId": action.id,
            "nodeId": asked.node_id,
            "command": asked.command,
            "nodeError": node_error,
        },
    ) from None


def json_text(value: Any, method: str, name: str) -> str:
    """Return a parameter as JSON text. Raises: InvalidRequest when it is nested too deeply to be sent on."""
    try:
        return msgspec.json.encode(value).decode()
    except RecursionError:
        raise InvalidRequest(f"invalid {method} params: at /{name}: must not be nested this deeply") from None


async def node_pending_enqueue(room: Room, peer: Peer, params: NodeEnqueueParams) -> dict[str, Any]:
    """Leave a question for a node. Its place is only asked for where `location.get` may be invoked."""
    nodes = room.nodes()
    record = nodes.book.known(params.node_id)
    if record.approved is None:
        raise InvalidRequest("node not paired")
    if params.type == "location.request":
        await nodes.check_away(record, peer.principal, "location.get")
    life_ms = 0 if isinstance(params.expires_in_ms, UnsetType) else params.expires_in_ms
    item, revision = nodes.work.put_item(params.node_id, params.type, params.priority, life_ms)
    return {"nodeId": params.node_id, "revision": revision, "queued": item_row(item), "wakeTriggered": False}


async def exec_approvals_node_get(room: Room, peer: Peer, params: NodeParams) -> dict[str, Any]:
    """Return a node's own execution approvals."""
    return await _exec_policy(room, peer, params.node_id, "system.execApprovals.get", {})


async def exec_approvals_node_set(room: Room, peer: Peer, params: ExecApprovalsNodeSetParams) -> dict[str, Any]:
    """Have a node replace its execution approvals."""
    wanted = {
        name: value
        for name, value in (("file", params.file), ("native", params.native), ("baseHash", params.base_hash))
        if not isinstance(value, UnsetType)
    }
    if ("file" in wanted) == ("native" in wanted) or ("native" in wanted and "baseHash" not in wanted):
        raise InvalidRequest(
            "invalid exec.approvals.node.set params: either file, or native with baseHash, must be there"
        )
    return await _exec_policy(room, peer, params.node_id, "system.execApprovals.set", wanted)


async def _exec_policy(room: Room, peer: Peer, node_id: str, command: str, params: dict[str, Any]) -> dict[str, Any]:
    asked = Command(
        node_id=node_id,
        command=command,
        params_json=json_text(params, "exec.approvals.node", "file"),
        idempotency_key=f"{command}:{new_id()}",
        exec_policy=True,
    )
    return _without_token(await room.nodes().invoke(peer, asked))


def _without_token(outcome: Outcome) -> dict[str, Any]:
    """Return a node's answer without the credential of its approval socket. Raises: NodeError."""
    answer = msgspec.json.decode(outcome.payload)
    if not isinstance(answer, dict):
        raise failed("INVALID_PAYLOAD", "the node sent no exec approvals")
    file = answer.get("file")
    if isinstance(file, dict) and isinstance(file.get("socket"), dict):
        file["socket"] = {name: value for name, value in file["socket"].items() if name == "path"}
    return answer


INVOKES = Rate(200, 50)
"""Commands of one principal: nodes do physical things, one at a time."""

METHODS = (
    MethodSpec(
        "node.list",
        NoParams,
        "operator.read",
        node_list,
        "Lists the nodes: those that are connected, and those that were approved. Who may pair also sees what waits.",
        "`{ts, nodes: [{nodeId, displayName?, platform, version, caps[], commands[], paired, connected, …}]}`; "
        "`commands` are those that were approved. Protocol 4 adds `approvalState`, `pendingRequestId`, `lastSeenAtMs`.",
    ),
    MethodSpec(
        "node.describe",
        NodeParams,
        "operator.read",
        node_describe,
        "Describes one node.",
        "`{ts, nodeId, …}` as in node.list.",
    ),
    MethodSpec(
        "node.rename",
        NodeRenameParams,
        "operator.pairing",
        node_rename,
        "Gives a node the name that people see.",
        "`{nodeId, displayName}`",
    ),
    MethodSpec(
        "node.invoke",
        NodeInvokeParams,
        "operator.write",
        node_invoke,
        "Has a connected node carry out a command that it offers, that was approved, and that "
        "`gateway.nodes.commands` lets through. Commands that run programs need `operator.admin`. A repeated "
        "`idempotencyKey` gets the first answer. Who asked and leaves calls the command off.",
        "`{ok, nodeId, command, payload, payloadJSON}`. Errors: `NOT_CONNECTED`, `TIMEOUT`, `DISCONNECTED`, or the "
        "node's own in `details.nodeError`.",
        rate=INVOKES,
    ),
    MethodSpec(
        "node.pending.enqueue",
        NodeEnqueueParams,
        "operator.write",
        node_pending_enqueue,
        "Leaves a question that a node finds when it next looks.",
        "`{nodeId, revision, queued{id, type, priority, createdAtMs, expiresAtMs}, wakeTriggered: false}`",
        since=4,
    ),
    MethodSpec(
        "exec.approvals.node.get",
        NodeParams,
        "operator.admin",
        exec_approvals_node_get,
        "Asks a node for its own execution approvals.",
        "As the node answers: `{path, exists, hash, file}`; without the credential of its socket.",
        rate=INVOKES,
    ),
    MethodSpec(
        "exec.approvals.node.set",
        ExecApprovalsNodeSetParams,
        "operator.admin",
        exec_approvals_node_set,
        "Has a node replace its own execution approvals.",
        "As exec.approvals.node.get, after the change.",
        rate=INVOKES,
    ),
)
