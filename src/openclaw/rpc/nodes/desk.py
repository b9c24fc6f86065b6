"""The desk for nodes: takes them in, asks them, and holds what they may do to what was approved.

1. A node is known by its device. A device proves itself in the handshake; without one (protocol 3) a node is known by
   what it calls itself, for one connection alone, and never by a name that a device or a record has.
2. What a node may be asked = what it offers on this connection ∩ what was approved, and then the door decides.
3. A repeated idempotency key of the same owner gets the first answer, also while the first is still running.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable
from typing import Any, Final

import msgspec

from openclaw.base.bounded import BoundedMap
from openclaw.base.clock import Clock
from openclaw.base.errors import Conflict, InvalidRequest, RateLimited
from openclaw.base.ids import new_id
from openclaw.base.principal import Principal
from openclaw.base.tasks import TaskSet
from openclaw.identity.scopes import lacking_scope
from openclaw.policy.gatekeeper import Ask, Gatekeeper, Verdict
from openclaw.policy.node_door import KIND, NEEDS_ADMIN, reason_code
from openclaw.protocol.limits import CUT
from openclaw.rpc.hub import Hub
from openclaw.rpc.nodes.book import NodeBook
from openclaw.rpc.nodes.live import (
    MAX_PARAMS_BYTES,
    MAX_RUNNING,
    MAX_RUNNING_OF_NODE,
    Invoke,
    Live,
    NodeSession,
    Outcome,
    failed,
)
from openclaw.rpc.nodes.record import NodeRecord, PairRequest, node_info, shown, surface
from openclaw.rpc.nodes.rows import pending_row, request_scopes
from openclaw.rpc.nodes.work import NodeWork
from openclaw.rpc.peer import Peer
from openclaw.store.shelf import Shelf

MAX_LIVE: Final = 1024
MAX_ANSWERS: Final = 512
MAX_WRITTEN: Final = 100
"""Characters of a command that the ledger keeps."""
MAX_KEPT_BYTES: Final = 64 * 1024
"""Bigger answers are not kept for repeats; with MAX_ANSWERS this bounds what the memory of answers may hold."""

DEFAULT_TIMEOUT_MS: Final = 30_000
MAX_TIMEOUT_MS: Final = 600_000
REPLACED: Final = (4000, "replaced by a newer connection")
REMOVED: Final = (CUT, "node removed")
_log = logging.getLogger("openclaw.nodes")


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody asks of a node. `params_json` None = the command takes none."""

    node_id: str
    command: str
    params_json: str | None = None
    idempotency_key: str
    timeout_ms: int = DEFAULT_TIMEOUT_MS
    exec_policy: bool = False

    @property
    def fingerprint(self) -> bytes:
        """What a repeat must have in common with the first."""
        parts = msgspec.json.encode((self.node_id, self.command, self.params_json))
        return hashlib.sha256(parts).digest()


class _Answered(msgspec.Struct, frozen=True):
    """How a finished invoke ended, for repeats; None when that was too big to keep."""

    fingerprint: bytes
    outcome: Outcome | None


class Nodes:
    """Every node that is or was here. A hub's observer."""

    def __init__(
        self,
        hub: Hub,
        gate: Gatekeeper,
        clock: Clock,
        shelf: Shelf | None = None,
        paired_at_ms: Callable[[str], int] = lambda device_id: 0,
    ) -> None:
        """`paired_at_ms` says since when a device is paired: what was approved of it before that is void."""
        self._hub = hub
        self._gate = gate
        self._clock = clock
        self._paired_at_ms = paired_at_ms
        self._tasks = TaskSet("rpc.nodes")
        self.live = Live()
        self.work = NodeWork(clock)
        self.book = NodeBook(shelf, clock, self._tasks, lambda node_id: self.live.get(node_id) is None)
        self._answers: BoundedMap[tuple[str, str, str], _Answered] = BoundedMap("rpc.node_answers", MAX_ANSWERS)
        self._asked: dict[tuple[str, str, str], Invoke] = {}
        hub.observe(self)

    @classmethod
    async def open(
        cls, hub: Hub, gate: Gatekeeper, clock: Clock, shelf: Shelf, paired_at_ms: Callable[[str], int]
    ) -> Nodes:
        """Return the desk with the records of earlier gateways."""
        nodes = cls(hub, gate, clock, shelf, paired_at_ms)
        await nodes.book.load()
        return nodes

    async def close(self) -> None:
        """Let go of everybody who waits, and write what is not written."""
        for session in self.live:
            session.fail_all("SHUTDOWN", "the gateway is stopping")
        await self.book.close()
        await self._tasks.close()

    # who is here

    def joined(self, peer: Peer) -> None:
        """Take a node in; see Hub.observe."""
        if peer.principal.role != "node":
            return
        proved = bool(peer.principal.device)
        node_id = peer.principal.device or (shown(peer.client.instance_id) or peer.client.id)
        holder = self.live.get(node_id)
        record = self.book.get(node_id)
        taken = (holder is not None and bool(holder.peer.principal.device)) or (record is not None and record.lasting)
        if not proved and taken:
            _log.warning("node_id_taken", extra={"fields": {"node": node_id}})
            peer.close(1008, "device identity required")
            return
        if holder is None and len(self.live) >= MAX_LIVE:
            peer.close(1013, "too many nodes")
            return
        offered = surface(peer.client.caps, peer.client.commands, peer.client.permissions)
        older = self.live.add(NodeSession(node_id, peer, node_info(peer.client), offered))
        if older is not None:
            self._dismiss(older, *REPLACED)
        if proved:
            self.book.forget_approval(node_id, before_ms=self._paired_at_ms(node_id))
        request = self.book.greet(node_id, node_info(peer.client), offered, lasting=proved)
        record = self.book.get(node_id)
        if request is not None and record is not None:
            self.tell_requested(record, request)

    def left(self, peer: Peer) -> None:
        """Forget a connection: a node's, or that of somebody who waits for one; see Hub.observe."""
        session = self.live.remove(peer.conn_id)
        if session is not None:
            session.fail_all("DISCONNECTED", "node disconnected")
            self.book.seen(session.node_id, "disconnect")
            self.book.forget_passing(session.node_id)
            return
        for invoke in self.live.running():
            if peer.conn_id in invoke.waiting:
                invoke.waiting.discard(peer.conn_id)
                if not invoke.waiting:
                    invoke.node.call_off(invoke, failed("ABORTED", "node invoke cancelled"))

    def _dismiss(self, session: NodeSession, code: int, reason: str) -> None:
        self.book.forget_passing(session.node_id)
        session.fail_all("DISCONNECTED", "node disconnected")
        self._hub.leave(session.peer)
        session.peer.close(code, reason)

    def session(self, peer: Peer) -> NodeSession:
        """Return the node that a peer is. Raises: InvalidRequest when another connection has taken its place."""
        session = self.live.of(peer)
        if session is None:
            raise InvalidRequest("node not registered on this connection")
        return session

    # what it may do

    def approved(self, session: NodeSession) -> tuple[str, ...]:
        """Return the commands that a node offers and that were approved."""
        record = self.book.get(session.node_id)
        granted = frozenset(record.approved.commands) if record and record.approved else frozenset[str]()
        return tuple(command for command in session.offered.commands if command in granted)

    def is_approved(self, session: NodeSession) -> bool:
        """Say whether an operator has approved this node at all."""
        record = self.book.get(session.node_id)
        return record is not None and record.approved is not None

    def verdict(
        self, session: NodeSession, principal: Principal, command: str, *, exec_policy: bool = False
    ) -> Verdict:
        """Return what the door would say to a command for a connected node."""
        return self._gate.judge(self._ask(session, principal, command, exec_policy))

    async def check_away(self, record: NodeRecord, principal: Principal, command: str) -> None:
        """Pass the door for a node that need not be here now. Raises: Forbidden, InvalidRequest, Unavailable."""
        approved = record.approved.commands if record.approved else ()
        ask = _ask(record.node_id, approved, approved, principal, command, False)
        require(await self._gate.admit(ask), principal, command)

    def _ask(self, session: NodeSession, principal: Principal, command: str, exec_policy: bool) -> Ask:
        offered = session.offered.commands
        return _ask(session.node_id, offered, self.approved(session), principal, command, exec_policy)

    # asking it

    async def invoke(self, caller: Peer, asked: Command) -> Outcome:
        """Ask a node and wait for its answer. Raises: NodeError and others as the node or the door has it."""
        principal = caller.principal
        memory = (principal.tenant, principal.owner, asked.idempotency_key)
        running = self._asked.get(memory)
        earlier = self._answers.get(memory)
        if running is None and earlier is not None:
            return _repeated(earlier, asked)
        if running is None:
            session = self._connected(asked.node_id)
            ask = self._ask(session, principal, asked.command, asked.exec_policy)
            require(await self._gate.admit(ask), principal, asked.command)
            running = self._asked.get(memory)  # the same command may have come in again meanwhile
        if running is None:
            session = self._connected(asked.node_id)  # it may be another by now, or approved for less
            verdict = self.verdict(session, principal, asked.command, exec_policy=asked.exec_policy)
            require(verdict, principal, asked.command)
            running = self._begin(session, asked, memory)
        elif running.fingerprint != asked.fingerprint:
            raise _other_command()
        running.waiting.add(caller.conn_id)
        outcome = await asyncio.shield(running.ended)
        if outcome.error is not None:
            raise outcome.error
        return outcome

    def _connected(self, node_id: str) -> NodeSession:
        session = self.live.get(node_id)
        if session is None:
            raise failed("NOT_CONNECTED", "node not connected")
        return session

    def _begin(self, session: NodeSession, asked: Command, memory: tuple[str, str, str]) -> Invoke:
        if len((asked.params_json or "").encode()) > MAX_PARAMS_BYTES:
            raise InvalidRequest(f"invalid node.invoke params: at /params: over {MAX_PARAMS_BYTES} bytes of JSON")
        if len(session.invokes) >= MAX_RUNNING_OF_NODE or len(self._asked) >= MAX_RUNNING:
            raise RateLimited("too many node invokes are running; wait for one to end", retry_after_s=1)
        invoke = Invoke(new_id(), session, asked.command, asked.fingerprint)
        session.invokes[invoke.id] = self._asked[memory] = invoke
        invoke.ended.add_done_callback(lambda ended: self._ended(memory, invoke, ended))
        timeout_ms = min(asked.timeout_ms or DEFAULT_TIMEOUT_MS, MAX_TIMEOUT_MS)
        invoke.timer = asyncio.get_running_loop().call_later(timeout_ms / 1000, _expire, session, invoke)
        fields = {"node": session.node_id, "command": asked.command, "invoke": invoke.id}
        _log.info("node_invoked", extra={"fields": fields})
        request = {
            "id": invoke.id,
            "nodeId": session.node_id,
            "command": asked.command,
            "timeoutMs": timeout_ms,
            "idempotencyKey": asked.idempotency_key,
        }
        if asked.params_json is not None:
            request["paramsJSON"] = asked.params_json
        session.tell("node.invoke.request", request)
        return invoke

    def _ended(self, memory: tuple[str, str, str], invoke: Invoke, ended: asyncio.Future[Outcome]) -> None:
        self._asked.pop(memory, None)
        outcome = ended.result()
        kept = outcome if outcome.size() <= MAX_KEPT_BYTES else None
        self._answers.put(memory, _Answered(invoke.fingerprint, kept))

    # pairing

    async def approve(self, request_id: str, principal: Principal) -> tuple[NodeRecord, str]:
        """Approve what waits, as far as the caller's own scopes go.

        Raises: InvalidRequest for an unknown request, Forbidden.
        """
        _, request = self.book.waiting(request_id)
        require_scopes(principal, request_scopes(request))
        record, token = await self.book.approve(request_id)
        self._tell_resolved(request_id, record.node_id, "approved")
        return record, token

    async def reject(self, request_id: str) -> NodeRecord:
        """Refuse what waits. Raises: InvalidRequest."""
        record = await self.book.reject(request_id)
        self._tell_resolved(request_id, record.node_id, "rejected")
        return record

    async def remove(self, node_id: str) -> None:
        """Forget a node: nothing that was approved holds any more, what runs on it ends, its connection closes.

        Raises: InvalidRequest.
        """
        await self.book.remove(node_id)
        self.work.forget(node_id)
        self._tell_resolved("", node_id, "removed")
        session = self.live.get(node_id)
        if session is not None:
            session.fail_all("PAIRING_CHANGED", "node pairing changed while invocation was active", retry=True)
            self._hub.leave(session.peer)
            session.peer.close(*REMOVED)

    def tell_requested(self, record: NodeRecord, request: PairRequest) -> None:
        """Tell whoever may approve it that a request waits."""
        self._hub.broadcast("node.pair.requested", pending_row(record, request), scope="operator.pairing")

    def tell_presence(self, session: NodeSession) -> None:
        """Tell readers when a node was last used."""
        payload: dict[str, Any] = {"nodeId": session.node_id, "presenceUpdatedAtMs": session.presence_at_ms}
        if session.last_active_at_ms:
            payload["lastActiveAtMs"] = session.last_active_at_ms
        self._hub.broadcast("node.presence", payload)

    def _tell_resolved(self, request_id: str, node_id: str, decision: str) -> None:
        payload = {"requestId": request_id, "nodeId": node_id, "decision": decision, "ts": self._clock.now_ms()}
        self._hub.broadcast("node.pair.resolved", payload, scope="operator.pairing")
        session = self.live.get(node_id)
        if session is not None:
            session.tell("node.pair.resolved", payload)


def _ask(
    node_id: str,
    declared: tuple[str, ...],
    approved: tuple[str, ...],
    principal: Principal,
    command: str,
    exec_policy: bool,
) -> Ask:
    facts = {"command": command, "declared": declared, "approved": approved, "exec_policy": exec_policy}
    written = {"command": command[:MAX_WRITTEN]}
    return Ask(kind=KIND, principal=principal, action="node.invoke", target=node_id, facts=facts, written=written)


def require(verdict: Verdict, principal: Principal, command: str) -> None:
    """Go on when the door is open. Raises: Forbidden for a missing scope, InvalidRequest in the words of the field."""
    if verdict.answer == "allow":
        return
    if verdict.rule_id == NEEDS_ADMIN:
        require_scopes(principal, ("operator.admin",))
    raise InvalidRequest(
        f"node command not allowed: {verdict.reason}",
        details={"reason": reason_code(verdict), "command": command, "rule": verdict.rule_id},
    )


def require_scopes(principal: Principal, scopes: tuple[str, ...]) -> None:
    """Raise Forbidden naming the first scope that a principal lacks."""
    for scope in scopes:
        if not principal.may(scope):
            raise lacking_scope(scope, scopes)


def _expire(session: NodeSession, invoke: Invoke) -> None:
    session.call_off(invoke, failed("TIMEOUT", "node invoke timed out"))


def _repeated(earlier: _Answered, asked: Command) -> Outcome:
    if earlier.fingerprint != asked.fingerprint:
        raise _other_command()
    if earlier.outcome is None:
        raise Conflict(
            "this idempotencyKey has had its answer, which was too big to keep", hint="Ask again under a new key."
        )
    if earlier.outcome.error is not None:
        raise earlier.outcome.error
    return earlier.outcome


def _other_command() -> Conflict:
    return Conflict("idempotencyKey was used for another command", hint="Use a new key for each command.")
