"""What nodes themselves call: answers to invokes, events, work that waits for them."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from openclaw.base.errors import InvalidRequest, NotSupported, TooLarge
from openclaw.protocol.validate import NoParams, Params
from openclaw.rpc.method import MethodSpec, Rate
from openclaw.rpc.methods.people.nodes import NodeId, json_text
from openclaw.rpc.nodes.live import ERROR_CHARS, MAX_RESULT_BYTES, NodeError, NodeSession, Outcome, failed
from openclaw.rpc.nodes.record import shown
from openclaw.rpc.nodes.told import hear, told
from openclaw.rpc.nodes.work import item_row
from openclaw.rpc.peer import Peer
from openclaw.rpc.room import Room

MAX_EVENT_CHARS: Final = 256 * 1024
MAX_TOOLS: Final = 256
MAX_SKILLS: Final = 64
Id = Annotated[str, Meta(min_length=1, max_length=128)]
TOOL_NAME: Final = "^[A-Za-z][A-Za-z0-9_-]{0,63}$"
SKILL_NAME: Final = "^(?!.*--)[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$"


class NodeFailure(Params, frozen=True):
    """Why a node did not do it."""

    code: Annotated[str, Meta(min_length=1)] | UnsetType = UNSET
    message: Annotated[str, Meta(min_length=1)] | UnsetType = UNSET


class InvokeResultParams(Params, frozen=True):
    """`payloadJSON` is JSON as text and comes first; hosts that have nothing to say may send null."""

    id: Id
    node_id: NodeId
    ok: bool
    payload: Any = UNSET
    payload_json: str | None = msgspec.field(default=None, name="payloadJSON")
    error: NodeFailure | None = None


class InvokeProgressParams(Params, frozen=True):
    """A piece of output while the command runs."""

    invoke_id: Id
    node_id: NodeId
    seq: Annotated[int, Meta(ge=0)]
    chunk: Annotated[str, Meta(max_length=16_384)]


class NodeEventParams(Params, frozen=True):
    """`payloadJSON` is JSON as text and comes first."""

    event: Annotated[str, Meta(min_length=1, max_length=128)]
    payload: Any = UNSET
    payload_json: str | None = msgspec.field(default=None, name="payloadJSON")


class PendingAckParams(Params, frozen=True):
    """The actions that the node has taken on."""

    ids: Annotated[tuple[Id, ...], Meta(min_length=1, max_length=256)]


class PendingDrainParams(Params, frozen=True):
    """How many items the node takes at once."""

    max_items: Annotated[int, Meta(ge=1, le=10)] = 4


class SurfaceParams(Params, frozen=True):
    """Names a surface of a plugin."""

    surface: Annotated[str, Meta(min_length=1, max_length=128)]


class McpTool(Params, frozen=True):
    """The MCP tool that a tool stands for."""

    server: Annotated[str, Meta(min_length=1, max_length=256)]
    tool: Annotated[str, Meta(min_length=1, max_length=256)]


class PluginTool(Params, frozen=True):
    """A tool that a plugin on the node offers."""

    plugin_id: Annotated[str, Meta(min_length=1, max_length=128)]
    name: Annotated[str, Meta(pattern=TOOL_NAME)]
    description: Annotated[str, Meta(min_length=1, max_length=8192)]
    parameters: dict[str, Any] | UnsetType = UNSET
    command: Annotated[str, Meta(min_length=1, max_length=128)] | UnsetType = UNSET
    mcp: McpTool | UnsetType = UNSET


class PluginToolsParams(Params, frozen=True):
    """Every tool of the node's plugins."""

    tools: Annotated[tuple[PluginTool, ...], Meta(max_length=MAX_TOOLS)]


class NodeSkill(Params, frozen=True):
    """A skill that the node brings."""

    name: Annotated[str, Meta(pattern=SKILL_NAME)]
    description: Annotated[str, Meta(min_length=1, max_length=1024)]
    content: Annotated[str, Meta(min_length=1, max_length=65_536)]


class SkillsParams(Params, frozen=True):
    """Every skill of the node."""

    skills: Annotated[tuple[NodeSkill, ...], Meta(max_length=MAX_SKILLS)]


def invoke_result(room: Room, peer: Peer, params: InvokeResultParams) -> dict[str, Any]:
    """Hand a node's answer to who asked. One that nobody waits for any more, or that is another's, is ignored."""
    session = _self(room, peer, params.node_id)
    invoke = session.invokes.get(params.id)
    if invoke is None:
        return {"ok": True, "ignored": True}
    try:
        invoke.end(_outcome(params))
    except TooLarge:
        invoke.end(Outcome(error=failed("RESULT_TOO_LARGE", f"the node's answer is over {MAX_RESULT_BYTES} bytes")))
        raise
    return {"ok": True}


def _self(room: Room, peer: Peer, node_id: str) -> NodeSession:
    session = room.nodes().session(peer)
    if session.node_id != node_id:
        raise InvalidRequest("nodeId mismatch")
    return session


def _outcome(params: InvokeResultParams) -> Outcome:
    if not params.ok:
        return Outcome(error=_failure(params.error))
    text = params.payload_json
    if text:
        payload = _checked(text)
    else:
        payload = (
            b"null" if params.payload is UNSET else json_text(params.payload, "node.invoke.result", "payload").encode()
        )
    if len(payload) > MAX_RESULT_BYTES:
        raise TooLarge(f"node.invoke.result: the payload is over {MAX_RESULT_BYTES} bytes")
    return Outcome(payload=msgspec.Raw(payload), payload_json=text)


def _checked(text: str) -> bytes:
    """Return JSON text as bytes; what is no JSON becomes an object that holds the text."""
    raw = text.encode()
    if len(raw) > MAX_RESULT_BYTES:
        return raw
    try:
        msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return msgspec.json.encode({"payloadJSON": text})
    return raw


def _failure(error: NodeFailure | None) -> NodeError:
    code = error.code if error is not None and isinstance(error.code, str) else ""
    message = error.message if error is not None and isinstance(error.message, str) else ""
    code, message = shown(code, 64), shown(message, ERROR_CHARS) or "node invoke failed"
    node_error = {"code": code, "message": message} if code else {"message": message}
    return failed(code or "NODE_ERROR", f"{code}: {message}" if code else message, nodeError=node_error)


def invoke_progress(room: Room, peer: Peer, params: InvokeProgressParams) -> dict[str, Any]:
    """Take note of output on the way: the answer carries all of it, so that nothing is told before."""
    session = _self(room, peer, params.node_id)
    return {"ok": True} if params.invoke_id in session.invokes else {"ok": True, "ignored": True}


async def node_event(room: Room, peer: Peer, params: NodeEventParams) -> dict[str, Any]:
    """Take what a node tells."""
    nodes = room.nodes()
    session = nodes.session(peer)
    text = params.payload_json
    if text is None and params.payload is not UNSET:
        text = json_text(params.payload, "node.event", "payload")
    if len(text or "") > MAX_EVENT_CHARS:
        raise TooLarge(f"node.event: the payload is over {MAX_EVENT_CHARS} characters")
    return told(params.event, await hear(room, nodes, session, params.event, text))


def pending_pull(room: Room, peer: Peer, params: NoParams) -> dict[str, Any]:
    """Return the commands that wait for this node and that it may still be asked for."""
    nodes = room.nodes()
    session = nodes.session(peer)
    actions = [
        action
        for action in nodes.work.actions(session.node_id)
        if nodes.verdict(session, action.principal, action.command).answer == "allow"
    ]
    return {
        "nodeId": session.node_id,
        "actions": [
            {
                "id": action.id,
                "command": action.command,
                "paramsJSON": action.params_json,
                "enqueuedAtMs": action.at_ms,
            }
            for action in actions
        ],
    }


def pending_ack(room: Room, peer: Peer, params: PendingAckParams) -> dict[str, Any]:
    """Take commands off this node's queue."""
    nodes = room.nodes()
    node_id = nodes.session(peer).node_id
    ids = tuple(dict.fromkeys(params.ids))
    return {"nodeId": node_id, "ackedIds": ids, "remainingCount": nodes.work.acknowledge(node_id, frozenset(ids))}


def pending_drain(room: Room, peer: Peer, params: PendingDrainParams) -> dict[str, Any]:
    """Hand over the questions that wait for this node."""
    nodes = room.nodes()
    node_id = nodes.session(peer).node_id
    items, revision, more = nodes.work.drain(node_id, params.max_items)
    return {"nodeId": node_id, "revision": revision, "items": [item_row(item) for item in items], "hasMore": more}


def plugin_surface_refresh(room: Room, peer: Peer, params: SurfaceParams) -> dict[str, Any]:
    """Refuse: this gateway serves no surfaces of plugins to nodes."""
    room.nodes().session(peer)
    raise NotSupported(f"{shown(params.surface)} plugin surface unavailable")


def plugin_tools_update(room: Room, peer: Peer, params: PluginToolsParams) -> dict[str, Any]:
    """Take what the node's plugins offer, and use none of it: text from a node never becomes an agent's tool."""
    return {"ok": True, "nodeId": room.nodes().session(peer).node_id, "accepted": 0}


def skills_update(room: Room, peer: Peer, params: SkillsParams) -> dict[str, Any]:
    """Take the node's skills, and use none of them: text from a node never becomes an agent's instructions."""
    return {"ok": True, "nodeId": room.nodes().session(peer).node_id, "accepted": 0}


def skills_bins(room: Room, peer: Peer, params: NoParams) -> dict[str, Any]:
    """Return the programs that skills need: there are no skills."""
    return {"bins": []}


_TOLD: Final = Rate(200, 50)

METHODS = (
    MethodSpec(
        "node.invoke.result",
        InvokeResultParams,
        None,
        invoke_result,
        "Answers a `node.invoke.request` of this connection.",
        "`{ok: true}`; `{ok: true, ignored: true}` when nobody waits for it (any more) on this connection.",
        role="node",
    ),
    MethodSpec(
        "node.invoke.progress",
        InvokeProgressParams,
        None,
        invoke_progress,
        "Tells output of a command that is still running. It is not passed on: the answer carries everything.",
        "`{ok: true, ignored?}`",
        role="node",
        since=4,
    ),
    MethodSpec(
        "node.event",
        NodeEventParams,
        None,
        node_event,
        "Tells what happened on the node. `chat.subscribe`, `chat.unsubscribe`, `agent.request` and `voice.transcript` "
        "need an approved node and concern its own session `node-<id>`, unless `gateway.nodes.sessions` is `any`; "
        "`node.presence.alive` and `node.presence.activity` keep `lastSeenAtMs` and `lastActiveAtMs`.",
        "`{ok, event, handled, reason?}`; protocol 3: `{ok: true}`.",
        rate=_TOLD,
        role="node",
    ),
    MethodSpec(
        "node.pending.pull",
        NoParams,
        None,
        pending_pull,
        "Lists the commands that wait for the node to be in the foreground.",
        "`{nodeId, actions: [{id, command, paramsJSON, enqueuedAtMs}]}`",
        role="node",
        since=4,
    ),
    MethodSpec(
        "node.pending.ack",
        PendingAckParams,
        None,
        pending_ack,
        "Takes commands off the queue.",
        "`{nodeId, ackedIds[], remainingCount}`",
        role="node",
        since=4,
    ),
    MethodSpec(
        "node.pending.drain",
        PendingDrainParams,
        None,
        pending_drain,
        "Takes the questions that operators left, urgent ones first.",
        "`{nodeId, revision, items: [{id, type, priority, createdAtMs, expiresAtMs}], hasMore}`",
        role="node",
        since=4,
    ),
    MethodSpec(
        "node.pluginSurface.refresh",
        SurfaceParams,
        None,
        plugin_surface_refresh,
        "Always refused: nodes are served no surfaces of plugins.",
        "Never; the error is `NOT_SUPPORTED`.",
        role="node",
        since=4,
    ),
    MethodSpec(
        "node.pluginTools.update",
        PluginToolsParams,
        None,
        plugin_tools_update,
        "Tells the tools of the node's plugins. They are not offered to agents.",
        "`{ok, nodeId, accepted: 0}`",
        rate=_TOLD,
        role="node",
        since=4,
    ),
    MethodSpec(
        "node.skills.update",
        SkillsParams,
        None,
        skills_update,
        "Tells the node's skills. They are not shown to agents.",
        "`{ok, nodeId, accepted: 0}`",
        rate=_TOLD,
        role="node",
        since=4,
    ),
    MethodSpec(
        "skills.bins",
        NoParams,
        None,
        skills_bins,
        "Lists the programs that skills need.",
        "`{bins: []}`: there are no skills yet.",
        role="node",
    ),
)
