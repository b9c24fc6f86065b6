"""What handlers share while the gateway runs: the rooms below, the health snapshot, what must not run twice."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from openclaw.agent.api import Owned
from openclaw.base import own_names
from openclaw.base.bounded import BoundedMap
from openclaw.base.errors import Conflict, NotSupported, RateLimited, Unavailable
from openclaw.base.ids import AgentId, RunId, SessionKey, new_id
from openclaw.base.principal import Principal
from openclaw.base.tasks import TaskSet
from openclaw.policy.approvals import Approvals
from openclaw.rpc.deps import RpcDeps
from openclaw.rpc.events import EventBridge
from openclaw.rpc.hub import sees
from openclaw.rpc.method import Rate
from openclaw.rpc.nodes.desk import Nodes
from openclaw.rpc.once import Once
from openclaw.rpc.peer import Peer
from openclaw.rpc.reach import agent_meant, default_for
from openclaw.rpc.rows import session_row
from openclaw.rpc.session_news import SessionNews
from openclaw.rpc.snapshot import HealthSnapshot
from openclaw.store.api import SessionRow
from openclaw.store.shelf import Shelf


class Room:
    """Handed to every handler. Holds no state of a connection."""

    def __init__(self, deps: RpcDeps) -> None:
        self.deps = deps
        self.boot_id = new_id()
        """Tells clients that come back whether this is still the gateway they left."""
        self.tasks = TaskSet("rpc")
        self.health = HealthSnapshot(deps, self.tasks)
        news = SessionNews(deps.hub, deps.clock, self.tasks, self.session_row, deps.agent.session)
        self.bridge = EventBridge(
            deps.hub, deps.clock, self.tasks, news, self.health.sessions_changed, self._is_silence
        )
        self.once = Once(deps.shelf, deps.clock, self.tasks)
        self._buckets: BoundedMap[tuple[str, str, str], list[float]] = BoundedMap("rpc.buckets", 4096)

    @property
    def approvals(self) -> Approvals:
        """The desk where requests to people wait. Raises: Unavailable where there is none."""
        if self.deps.approvals is None:
            raise Unavailable("this gateway has no desk for approvals")
        return self.deps.approvals

    def _is_silence(self, agent_id: AgentId, text: str) -> bool:
        automation = self.deps.automation
        return automation is not None and automation.heartbeats.is_silence(agent_id, text)

    def session_key(self, principal: Principal, raw: str, agent_id: str = "") -> SessionKey:
        """Return the key of what a caller calls so.

        Raises: InvalidRequest, NotFound for an unknown agent and for somebody else's session.
        """
        service = self.deps.agent
        agent = service.resolve_agent(agent_id) if agent_id else default_for(principal, service)
        return service.resolve_key(principal, raw, agent)

    def agent(self, principal: Principal, name: str) -> AgentId:
        """Return the agent that a caller names, or the one that answers it. Raises: NotFound, Forbidden."""
        return agent_meant(principal, self.deps.agent, name)

    def as_called(self, raw: str, key: SessionKey) -> str:
        """Return a session's key for an answer: a short name as the caller said it."""
        return key if raw.startswith("agent:") else raw

    async def abort(self, principal: Principal, key: SessionKey, run_id: str | None) -> list[RunId]:
        """Stop a session's run, or the one that the principal calls so, and what waits. Return the ids stopped."""
        if run_id is None:
            return await self.deps.agent.abort(key, principal)
        meant = own_names.runs_meant(principal, run_id)
        return [each for one in meant for each in await self.deps.agent.abort(key, principal, one)]

    async def overlooked(self, peer: Peer, rows: Iterable[Owned], what: str = "approval") -> None:
        """Note that a peer is about to see what is other people's, if some of it is. Raises: Unavailable."""
        await self.deps.agent.overlooked(peer.principal, rows, what)

    def agent_of(self, key: SessionKey) -> AgentId:
        """Return the agent that a session key belongs to."""
        return AgentId(key.split(":", 2)[1])

    def default_model(self) -> tuple[str, int]:
        """Return the default agent's `provider/model` and that model's context size (0 when it is unknown)."""
        default = self.deps.agent.default_agent()
        ref = next((agent.model for agent in self.deps.agent.agents() if agent.id == default), "")
        size = next((model.context_tokens for model in self.deps.models.models() if model.ref == ref), 0)
        return ref, size

    def session_row(self, row: SessionRow) -> dict[str, Any]:
        """Return a session as the wire shows it."""
        return self.session_rows((row,))[0]

    def session_rows(self, rows: Iterable[SessionRow]) -> list[dict[str, Any]]:
        """Return sessions as the wire shows them."""
        default, default_size = self.default_model()
        sizes = {model.ref: model.context_tokens for model in self.deps.models.models()}
        now_ms, runs = self.deps.clock.now_ms(), self.deps.agent.register.runs

        def shown(row: SessionRow) -> dict[str, Any]:
            size = sizes.get(row.model, 0) if row.model else default_size
            return session_row(row, default, size, runs(row.key), now_ms)

        return [shown(row) for row in rows]

    def shelf(self) -> Shelf:
        """Return the small records of the house. Raises: Unavailable."""
        if self.deps.shelf is None:
            raise Unavailable("nothing can be kept here")
        return self.deps.shelf

    def thinking(self, key: SessionKey, row: SessionRow | None = None) -> str:
        """Return how much a session's models think: as it was set, else as its agent has it."""
        if row is not None and row.thinking:
            return row.thinking
        agent_id = self.agent_of(key)
        own = next((agent.thinking for agent in self.deps.agent.agents() if agent.id == agent_id), "")
        return own or "off"

    async def expect_session(self, peer: Peer, key: SessionKey, session_id: str) -> None:
        """Insist that a session, if there is one, is still that one. Raises: Conflict after a reset."""
        row = await self.deps.agent.session(key, peer.principal)
        if row is not None and row.id != session_id:
            raise Conflict(f"session {key} was reset: it is now {row.id}", hint="Load the history and send again.")

    def nodes(self) -> Nodes:
        """Return the desk for nodes. Raises: NotSupported where there is none."""
        if self.deps.nodes is None:
            raise NotSupported("this gateway takes no nodes")
        return self.deps.nodes

    def state_path(self) -> str:
        """Return where sessions live, as shown to people."""
        return str(self.deps.state_dir or "")

    def may_see(self, viewer: Principal, owner: Principal) -> bool:
        """Say whether what belongs to `owner` may be shown to `viewer`."""
        return sees(viewer, owner)

    def is_admin(self, peer: Peer) -> bool:
        """Say whether a peer sees the rows of every owner."""
        return peer.principal.may("operator.admin")

    def spend(self, principal: Principal, method: str, rate: Rate) -> None:
        """Take one call from the principal's bucket of a method. Raises: RateLimited."""
        now_s = self.deps.clock.monotonic_s()
        key = (principal.tenant, principal.owner, method)
        bucket = self._buckets.get(key)
        if bucket is None:
            self._buckets.put(key, [rate.burst - 1.0, now_s])
            return
        tokens = min(float(rate.burst), bucket[0] + (now_s - bucket[1]) * rate.per_s)
        bucket[1] = now_s
        if tokens < 1.0:
            bucket[0] = tokens
            raise RateLimited(
                f"rate limit exceeded for {method}: {rate.burst} at once, then {rate.per_s:g} a second",
                retry_after_s=(1.0 - tokens) / rate.per_s,
            )
        bucket[0] = tokens - 1.0
