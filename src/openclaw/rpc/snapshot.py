"""The health snapshot: built at most once a second, encoded once per protocol, served as bytes."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from openclaw.automation.pulse import shown
from openclaw.base.errors import OpenClawError
from openclaw.base.ids import OPERATOR, AgentId
from openclaw.base.principal import Principal
from openclaw.base.tasks import TaskSet
from openclaw.protocol.versions import SUPPORTED
from openclaw.rpc.versions import old_health

if TYPE_CHECKING:
    from openclaw.rpc.deps import RpcDeps
    from openclaw.store.api import SessionRow

MAX_AGE_S: Final = 1.0
RECENT_SESSIONS: Final = 5
SLOW_LOOP_MS: Final = 200.0
MAX_AGENTS: Final = 50
ALL: Final = ""
"""Stands for all agents together; no agent id is empty."""

_OPERATOR: Final = Principal(scopes=frozenset(("operator.read",)))
_NO_SESSIONS: Final[dict[str, Any]] = {"count": 0, "recent": []}
_Sessions: TypeAlias = "tuple[list[SessionRow], int]"
_log = logging.getLogger("openclaw.rpc")


def for_strangers(value: dict[str, Any]) -> dict[str, Any]:
    """Return a snapshot for somebody who may not read: that the gateway is well, in the shape that clients show."""
    nothing = {"agents": [], "sessions": {"path": "", "count": 0, "recent": []}, "channels": {}, "channelOrder": []}
    shown = ("ok", "ts", "durationMs", "defaultAgentId")
    return {**{name: value[name] for name in shown}, **nothing, "channelLabels": {}, "heartbeatSeconds": 0}


def for_others(value: dict[str, Any], principal: Principal) -> dict[str, Any]:
    """Return a snapshot for somebody whose sessions are not those that it shows: the agents are who it may talk to."""
    allowed = [one for one in value["agents"] if principal.may_talk_to(one["agentId"])]
    agents = [{**agent, "sessions": {**agent["sessions"], **_NO_SESSIONS}} for agent in allowed]
    default = value["defaultAgentId"]
    if allowed and default not in (ids := [agent["agentId"] for agent in allowed]):
        default = ids[0]
    sessions = {**value["sessions"], **_NO_SESSIONS}
    return {**value, "agents": agents, "sessions": sessions, "defaultAgentId": default}


def of_operator(principal: Principal) -> bool:
    """Say whether the sessions of the snapshot, which are the operator's, may be shown to somebody."""
    return principal.rows_of in (None, OPERATOR)


class HealthSnapshot:
    """Answers `health` without work: `payload` is a clock read and a dict lookup while the snapshot is fresh.

    What needs no waiting is rebuilt on the spot when a second has passed; the sessions, which live in the archive, are
    read behind the answer's back when one of them has changed.
    """

    def __init__(self, deps: RpcDeps, tasks: TaskSet) -> None:
        self._deps = deps
        self._tasks = tasks
        self._built_s = float("-inf")
        self._encoded: dict[int, bytes] = {}
        self._value: dict[str, Any] = {}
        self._sessions: dict[str, _Sessions] = {}
        self._stale_sessions = True
        self._reading = False

    def sessions_changed(self) -> None:
        """Note that the sessions shown are no longer the latest."""
        self._stale_sessions = True

    def payload(self, protocol: int) -> bytes:
        """Return the encoded snapshot, at most a second old."""
        if self._deps.clock.monotonic_s() - self._built_s >= MAX_AGE_S:
            self._build()
            if self._stale_sessions and not self._reading:
                self._reading = True
                with contextlib.suppress(RuntimeError):  # closing: the old list will do
                    self._tasks.spawn(self._read_quietly(), "health-sessions")
        return self._encoded[protocol]

    def value(self, protocol: int) -> dict[str, Any]:
        """Return the snapshot as a dict, for hello and events."""
        self.payload(protocol)
        return self._value if protocol >= 4 else old_health(self._value)

    async def refresh(self) -> None:
        """Read everything afresh."""
        await self._read_sessions()
        self._build()

    async def _read_quietly(self) -> None:
        try:
            await self._read_sessions()
            self._built_s = float("-inf")
        except OpenClawError as error:
            _log.warning("health_sessions_unread", extra={"fields": {"code": error.code}})
        finally:
            self._reading = False

    async def _read_sessions(self) -> None:
        self._stale_sessions = False
        try:
            agent = self._deps.agent
            found = {ALL: await agent.sessions(_OPERATOR, limit=RECENT_SESSIONS)}
            for info in agent.agents()[:MAX_AGENTS]:
                found[info.id] = await agent.sessions(_OPERATOR, agent_id=info.id, limit=RECENT_SESSIONS)
            self._sessions = found
        except BaseException:
            self._stale_sessions = True
            raise

    def _build(self) -> None:
        clock = self._deps.clock
        start_s = clock.monotonic_s()
        value = self._collect(clock.now_ms())
        value["durationMs"] = int((clock.monotonic_s() - start_s) * 1000)
        self._value = value
        self._encoded = {
            protocol: msgspec.json.encode(value if protocol >= 4 else old_health(value)) for protocol in SUPPORTED
        }
        self._built_s = start_s

    def _collect(self, now_ms: int) -> dict[str, Any]:
        deps = self._deps
        default = deps.agent.default_agent()
        lag_ms = round(deps.health.loop_lag_ms(), 1)
        slow = lag_ms > SLOW_LOOP_MS
        return {
            "ok": True,
            "ts": now_ms,
            "durationMs": 0,
            "plugins": {"loaded": [], "errors": [], "unavailable": []},
            "configReload": {"hotReloadStatus": _reload_status(deps.config().config.gateway.reload.mode)},
            "channels": {},
            "channelOrder": [],
            "channelLabels": {},
            "heartbeatSeconds": deps.automation.heartbeats.period_s() if deps.automation else 0,
            "defaultAgentId": default,
            "agents": [
                {
                    "agentId": agent.id,
                    "isDefault": agent.default,
                    "heartbeat": heartbeat(deps, agent.id),
                    "sessions": self._shown_sessions(agent.id, now_ms),
                }
                for agent in deps.agent.agents()[:MAX_AGENTS]
            ],
            "sessions": self._shown_sessions(ALL, now_ms),
            "modelRuntime": {"degraded": bool(deps.models.problems()), "pendingAgents": []},
            "eventLoop": {
                "degraded": slow,
                "degradedSinceMs": None,
                "reasons": ["event_loop_delay"] if slow else [],
                "intervalMs": 500,
                "delayP99Ms": lag_ms,
                "delayMaxMs": round(deps.health.worst_loop_lag_ms(), 1),
                "utilization": 0,
                "cpuCoreRatio": 0,
            },
        }

    def _shown_sessions(self, agent_id: str, now_ms: int) -> dict[str, Any]:
        rows, count = self._sessions.get(agent_id, ([], 0))
        recent = [
            {"key": row.key, "updatedAt": row.updated_at_ms, "age": max(0, now_ms - row.updated_at_ms)} for row in rows
        ]
        return {"path": str(self._deps.state_dir or ""), "count": count, "recent": recent}


def heartbeat(deps: RpcDeps, agent_id: AgentId) -> dict[str, Any]:
    """Return how an agent acts on its own."""
    return deps.automation.heartbeats.shown(agent_id) if deps.automation else shown(None, on=False)


def _reload_status(mode: str) -> str:
    return "disabled" if mode in ("off", "restart") else "active"
