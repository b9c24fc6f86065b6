"""health, status: is the gateway well, and what does it do?"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any

import msgspec

from openclaw.base.ids import AgentId
from openclaw.protocol.validate import Params
from openclaw.rpc.deps import RpcDeps
from openclaw.rpc.hub import sees
from openclaw.rpc.method import MethodSpec, holds
from openclaw.rpc.peer import Peer
from openclaw.rpc.reach import agents_for, default_for
from openclaw.rpc.room import Room
from openclaw.rpc.rows import split_ref
from openclaw.rpc.snapshot import for_others, for_strangers, heartbeat, of_operator
from openclaw.store.api import SessionRow

RECENT = 10


class HealthParams(Params, frozen=True):
    """`probe` asks for a fresh snapshot."""

    probe: bool = False
    include_sensitive: bool = False


class StatusParams(Params, frozen=True):
    """What to leave out; protocol 4's own CLI sends both."""

    include_channel_summary: bool = True
    include_cli_projection: bool = False


def health(room: Room, peer: Peer, params: HealthParams) -> bytes | Awaitable[bytes]:
    """Return the cached snapshot at once, or read a fresh one. Who may not read sees that it is well."""
    if not holds(peer.principal, "operator.read"):
        return msgspec.json.encode(for_strangers(room.health.value(peer.protocol)))
    return _probe(room, peer) if params.probe else _shown(room, peer)


def _shown(room: Room, peer: Peer) -> bytes:
    if of_operator(peer.principal):
        return room.health.payload(peer.protocol)
    return msgspec.json.encode(for_others(room.health.value(peer.protocol), peer.principal))


async def _probe(room: Room, peer: Peer) -> bytes:
    await room.health.refresh()
    room.deps.hub.tell_health()
    return _shown(room, peer)


async def status(room: Room, peer: Peer, params: StatusParams) -> dict[str, Any]:
    """Return runs, sessions and defaults in one answer."""
    deps = room.deps
    agents = agents_for(peer.principal, deps.agent)
    default = default_for(peer.principal, deps.agent)
    provider_model, context_tokens = room.default_model()
    rows, count = await deps.agent.sessions(peer.principal, limit=RECENT)
    recent = _recent(room, rows)
    by_agent = []
    for agent in agents:
        of_agent, of_count = await deps.agent.sessions(peer.principal, agent_id=agent.id, limit=RECENT)
        shown = _recent(room, of_agent)
        by_agent.append({"agentId": agent.id, "path": room.state_path(), "count": of_count, "recent": shown})
    running, queued = deps.agent.load(peer.principal)
    standing = deps.health.configuration
    return {
        "runtimeVersion": deps.version,
        "configReload": {
            "mode": deps.config().config.gateway.reload.mode,
            "restartRequired": list(standing.waiting),
            "problem": standing.problem,
        },
        "hostDesktop": {"enabled": False, "state": "disabled"},
        "heartbeat": {
            "defaultAgentId": default,
            "agents": [_heartbeat_row(deps, agent.id) for agent in agents],
        },
        "channelSummary": [],
        "queuedSystemEvents": _queued_events(room, peer),
        "degradedSecretOwners": [],
        "degradedPlugins": [],
        "tasks": {"total": running + queued, "active": running, "byStatus": {"queued": queued, "running": running}},
        "taskAudit": {"total": 0, "warnings": 0, "errors": 0},
        "sessions": {
            "paths": [room.state_path()],
            "count": count,
            "defaults": {"model": split_ref(provider_model)[1], "contextTokens": context_tokens or None},
            "recent": recent,
            "byAgent": by_agent,
        },
    }


def _recent(room: Room, rows: Sequence[SessionRow]) -> list[dict[str, Any]]:
    """Return sessions with how long ago they were used (ms) and how much of the model's context is left."""
    now_ms = room.deps.clock.now_ms()
    return [{**row, "age": now_ms - row["updatedAt"], "flags": [], **_left(row)} for row in room.session_rows(rows)]


def _left(row: dict[str, Any]) -> dict[str, Any]:
    size = row.get("contextTokens", 0)
    if not size or not row["totalTokensFresh"]:
        return {"remainingTokens": None, "percentUsed": None}
    used = row["totalTokens"]
    return {"remainingTokens": max(0, size - used), "percentUsed": min(999, round(100 * used / size))}


def _heartbeat_row(deps: RpcDeps, agent_id: AgentId) -> dict[str, Any]:
    row = heartbeat(deps, agent_id)
    return {"agentId": agent_id, **{name: row[name] for name in ("enabled", "every", "everyMs")}}


def _queued_events(room: Room, peer: Peer) -> list[str]:
    """Return what waits for the default agent's main session, as far as it is the caller's."""
    automation = room.deps.automation
    if automation is None:
        return []
    lines = automation.events.waiting(room.session_key(peer.principal, "main"))
    return [line.text for line in lines if sees(peer.principal, line)]


METHODS = (
    MethodSpec(
        "health",
        HealthParams,
        None,
        health,
        "Says how the gateway stands: a snapshot at most a second old; `probe` reads it afresh. Without the scope "
        "operator.read it says no more than that it is there.",
        "`{ok, ts, durationMs, agents[], sessions{count, recent[]}, channels{}, defaultAgentId}`; "
        "protocol 4 adds `plugins`, `configReload`, `modelRuntime`, `eventLoop`.",
    ),
    MethodSpec(
        "status",
        StatusParams,
        "operator.read",
        status,
        "Says what the gateway does: runs, sessions, defaults.",
        "`{sessions{paths, count, defaults, recent[], byAgent[]}, heartbeat, channelSummary[]}`; "
        "protocol 4 adds `runtimeVersion`, `tasks` and others.",
    ),
)
