"""Events to everybody who listens.

1. A payload is encoded once per protocol version, never once per peer; a frame adds only the connection's own `seq`.
2. `Peer.send` never blocks, so a slow consumer costs the others nothing; its own queue closes it.
3. An event reaches only peers that hold its scope, and, when it belongs to someone, only that owner and admins.
4. A peer that is behind is spared the deltas of a stream; the first one after that says the whole text anew. What it
   was spared has no `seq` of its connection, so that it sees no gap.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Final, Literal, NamedTuple, Protocol

from openclaw.base import own_names
from openclaw.base.bounded import BoundedMap
from openclaw.base.clock import Clock
from openclaw.base.ids import OwnerId, SessionKey, TenantId
from openclaw.base.principal import Limits, Principal
from openclaw.base.tasks import TaskSet
from openclaw.protocol.frames import event_head, finish_event
from openclaw.protocol.limits import CUT, TICK_INTERVAL_MS
from openclaw.rpc.method import holds
from openclaw.rpc.peer import Peer
from openclaw.rpc.presence import EVERYBODYS, Presence
from openclaw.rpc.snapshot import for_others, of_operator
from openclaw.rpc.versions import EVENTS, NOT_SENT, event_payload

_ANYONE: Final = Principal()
_LIMITED: Final = Principal(limits=Limits(agents=()))
"""One event is for many: whose roles let them talk to some agents only finds those in `health`, not in the event."""
PRESENCE_PAUSE_S: Final = 1.0
"""Changes of presence within this time are told as one: a thousand sockets coming up make one event, not a million."""

TICKS_PER_HEALTH: Final = 2
"""A `health` event goes out with every second tick: once a minute."""


MAX_WATCHED: Final = 256
"""Sessions that one connection may watch by key; the one named first goes when there are more."""

MAX_SPARED: Final = 256
"""Streams whose missed deltas are made good by the next one, for each peer; the end of a run makes good all."""

TOOL_EVENTS: Final = "tool-events"
"""The capability of a client that shows what tools do."""

Audience = Literal["all", "sessions", "session", "tools"]
"""Everybody; who follows all sessions; who follows the session of the event; who shows what tools do."""


class Owner(Protocol):
    """Whose something is."""

    @property
    def tenant(self) -> TenantId: ...

    @property
    def owner(self) -> OwnerId: ...


class Kind(NamedTuple):
    """Peers that read the same bytes. `tools`: they show what tools do; `whole`: they missed the delta before."""

    protocol: int
    tools: bool = False
    whole: bool = False


class PeerObserver(Protocol):
    """Who wants to know when a peer comes and goes. Called on the loop; must not block or raise."""

    def joined(self, peer: Peer) -> None: ...

    def left(self, peer: Peer) -> None: ...


FOLLOWED: Final = frozenset(("agent", "chat"))
"""Events of a session that a peer without scopes is told when it follows that session."""

MAX_FOLLOWED: Final = 32


class _Member:
    __slots__ = ("follows", "oversees", "peer", "reads", "seq", "sessions", "spared", "tools", "watched")

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.seq = 0
        self.reads = holds(peer.principal, "operator.read")
        self.tools = TOOL_EVENTS in peer.client.caps
        self.sessions = False
        self.oversees = True
        self.follows: frozenset[str] = frozenset()
        self.watched: BoundedMap[SessionKey, None] | None = None
        self.spared: BoundedMap[str, None] | None = None

    def listens(self, audience: Audience, key: SessionKey | None) -> bool:
        if audience == "tools":
            return self.tools
        if self.sessions:
            return True
        return audience == "session" and self.watched is not None and key in self.watched

    def spare(self, stream: str) -> None:
        if self.spared is None:
            self.spared = BoundedMap("rpc.spared", MAX_SPARED)
        self.spared.put(stream, None)

    def was_spared(self, stream: str) -> bool:
        if self.spared is None or stream not in self.spared:
            return False
        self.spared.pop(stream)
        return True


class Hub:
    """The connected peers and what is told to them."""

    def __init__(self, clock: Clock, version: str = "", tick_interval_ms: int = TICK_INTERVAL_MS) -> None:
        self._clock = clock
        self._tick_interval_ms = tick_interval_ms
        self._members: dict[str, _Member] = {}
        self._tasks = TaskSet("rpc.hub")
        self._ticking = False
        self._telling_presence = False
        self._moved: set[str] = set()
        """Whose entries of the presence list have changed since it was told; at most one for each socket."""
        self._presence = Presence(clock, version)
        self._observers: list[PeerObserver] = []
        self._followers = 0
        self.readers = 0
        """Peers that may see runs; 0 means that nobody listens and events need not be made."""
        self.subscribers = 0
        """Peers that follow all sessions."""
        self.health_version = 1
        self.health_payload: Callable[[int], Any] | None = None
        """Makes the payload of the `health` event for a protocol; set by the counter."""

    def __len__(self) -> int:
        return len(self._members)

    def join(self, peer: Peer) -> None:
        """Take in a peer that has completed its handshake. The first one starts the ticks."""
        member = self._members[peer.conn_id] = _Member(peer)
        self.readers += member.reads
        for observer in self._observers:
            observer.joined(peer)
        if self._presence.note(peer, "connect"):
            self._presence_changed(peer.principal.owner)
        if not self._ticking:
            self._ticking = True
            self._tasks.spawn(self._tick(), "tick")

    def leave(self, peer: Peer) -> None:
        """Forget a peer; harmless when it is not there."""
        member = self._members.pop(peer.conn_id, None)
        if member is None:
            return
        self.readers -= member.reads or bool(member.follows)
        self._followers -= bool(member.follows)
        self.subscribers -= member.sessions
        for observer in self._observers:
            observer.left(peer)
        if self._presence.note(peer, "disconnect"):
            self._presence_changed(peer.principal.owner)

    def observe(self, observer: PeerObserver) -> None:
        """Tell an observer of every peer that comes and goes from now on."""
        self._observers.append(observer)

    def follow(self, peer: Peer, session_key: str, wanted: bool) -> bool:
        """Turn the FOLLOWED events of one session on or off for a peer that may not read all of them.

        Say whether it is as wanted now: a peer follows at most MAX_FOLLOWED sessions.
        """
        member = self._members.get(peer.conn_id)
        if member is None or member.reads:
            return member is not None
        before = member.follows
        after = before | {session_key} if wanted else before - {session_key}
        if len(after) > MAX_FOLLOWED:
            return False
        member.follows = after
        change = bool(after) - bool(before)
        self._followers += change
        self.readers += change
        return True

    def oversee(self, peer: Peer, wanted: bool) -> None:
        """Let an administrator hear what is other people's, or not (yet)."""
        member = self._members.get(peer.conn_id)
        if member is not None:
            member.oversees = wanted

    def subscribe_sessions(self, peer: Peer, wanted: bool) -> None:
        """Turn the events of every session (`sessions.changed`, `session.*`) on or off for one peer."""
        member = self._members.get(peer.conn_id)
        if member is not None and member.sessions is not wanted:
            member.sessions = wanted
            self.subscribers += 1 if wanted else -1

    def subscribe_messages(self, peer: Peer, key: SessionKey, wanted: bool) -> None:
        """Turn the `session.*` events of one session on or off for one peer."""
        member = self._members.get(peer.conn_id)
        if member is None:
            return
        if not wanted:
            if member.watched is not None:
                member.watched.pop(key)
            return
        if member.watched is None:
            member.watched = BoundedMap("rpc.watched", MAX_WATCHED)
        member.watched.put(key, None)

    def cut(self, wanted: Callable[[Principal], bool], reason: str, *, spare: str = "") -> int:
        """Close every peer whose principal is wanted with CUT, but the connection `spare`; return how many."""
        found = [
            member.peer
            for conn_id, member in self._members.items()
            if conn_id != spare and wanted(member.peer.principal)
        ]
        for peer in found:
            self.leave(peer)  # nothing is told any more to what has lost its right to hear it
            peer.close(CUT, reason)
        return len(found)

    def devices(self) -> frozenset[str]:
        """Return the ids of the devices that are connected."""
        return frozenset(member.peer.principal.device for member in self._members.values()) - {""}

    def presence(self, viewer: Principal | None = None) -> list[dict[str, Any]]:
        """Return the presence list: the gateway, then clients, as far as the viewer may know of them."""
        return self._presence.entries(viewer)

    def show_line(self, text: str) -> None:
        """Show a line in the presence list, and tell everybody who may read."""
        self._presence.line(text)
        self._presence_changed(EVERYBODYS)

    def state_version(self) -> dict[str, int]:
        """Return the versions of the two states that events carry."""
        return {"presence": self._presence.version, "health": self.health_version}

    def broadcast(
        self,
        event: str,
        payload: Any,
        scope: str | None = "operator.read",
        *,
        owner: Owner | None = None,
        audience: Audience = "all",
        key: SessionKey | None = None,
        delta: str = "",
        only: Callable[[Peer], bool] | None = None,
    ) -> int:
        """Tell an event to everybody who may hear it; return to how many.

        Shape: `payload` is protocol 4's, adapted here for older peers; a callable gets the Kind and returns the payload
        already adapted, or NOT_SENT. `owner` keeps it to that owner's peers and to admins, `only` to those of them for
        whom it holds. `key` is the session that the event is of, for the audience `session`. `delta` names the stream
        that it goes on with: see rule 4.
        """
        heads: dict[Kind, bytes | None] = {}
        told = 0
        for member in self._hearing(event, scope, owner, audience, key):
            if only is not None and not only(member.peer):
                continue
            if delta and member.peer.behind:
                member.spare(delta)
                continue
            kind = Kind(member.peer.protocol, member.tools, bool(delta) and member.was_spared(delta))
            if kind not in heads:
                heads[kind] = self._head(event, payload, kind)
            head = heads[kind]
            if head is not None:
                self._send(member, head)
                told += 1
        return told

    @staticmethod
    def _send(member: _Member, head: bytes) -> None:
        member.seq += 1
        member.peer.send(finish_event(own_names.told(member.peer.principal, head), member.seq))

    def has_hearer(self, scope: str, only: Callable[[Peer], bool]) -> bool:
        """Say whether an event of that scope would reach anybody for whom `only` holds."""
        peers = (member.peer for member in self._members.values())
        return any(holds(peer.principal, scope) and only(peer) for peer in peers)

    def _hearing(
        self, event: str, scope: str | None, owner: Owner | None, audience: Audience, key: SessionKey | None
    ) -> Iterator[_Member]:
        followed = self._followers > 0 and event in FOLLOWED
        for member in list(self._members.values()):
            principal = member.peer.principal
            may_hear = member.reads if scope == "operator.read" else holds(principal, scope)
            if not may_hear and not (followed and key in member.follows):
                continue
            if audience != "all" and not member.listens(audience, key):
                continue
            if owner is None or (sees(principal, owner) and (member.oversees or owner.owner == principal.owner)):
                yield member

    def _head(self, event: str, payload: Any, kind: Kind) -> bytes | None:
        if event not in EVENTS.get(kind.protocol, ()):
            return None
        adapted = payload(kind) if callable(payload) else event_payload(event, payload, kind.protocol)
        if adapted is NOT_SENT:
            return None
        head = event_head(event, adapted)
        if event in ("presence", "health"):
            states = self.state_version()
            head += b',"stateVersion":{"presence":%d,"health":%d}' % (states["presence"], states["health"])
        return head

    def tell_health(self) -> None:
        """Send the `health` event to everybody who may read."""
        payload = self.health_payload
        if payload is not None and self.readers:
            self.health_version += 1
            self.broadcast("health", lambda kind: payload(kind.protocol), only=_sees_operators)
            self.broadcast("health", lambda kind: for_others(payload(kind.protocol), _ANYONE), only=_sees_others)
            self.broadcast("health", lambda kind: for_others(payload(kind.protocol), _LIMITED), only=_is_limited)

    def _presence_changed(self, whose: str) -> None:
        self._moved.add(whose)
        if not self._telling_presence and self.readers:
            self._telling_presence = True
            with contextlib.suppress(RuntimeError):  # shutting down: nobody is left to tell
                self._tasks.spawn(self._tell_presence(), "presence")

    async def _tell_presence(self) -> None:
        await self._clock.sleep(PRESENCE_PAUSE_S)
        self._telling_presence = False
        moved, self._moved = self._moved, set()
        self.broadcast("presence", {"presence": self.presence()}, only=_sees_operators)
        for member in list(self._members.values()):
            user = member.peer.principal
            if member.reads and not of_operator(user) and (user.owner in moved or EVERYBODYS in moved):
                kind = Kind(member.peer.protocol, member.tools)
                head = self._head("presence", {"presence": self.presence(user)}, kind)
                if head is not None:
                    self._send(member, head)

    async def _tick(self) -> None:
        count = 0
        while True:
            await self._clock.sleep(self._tick_interval_ms / 1000)
            count += 1
            self.broadcast("tick", {"ts": self._clock.now_ms()}, scope=None)
            if count % TICKS_PER_HEALTH == 0:
                self.tell_health()

    async def shutdown(self, reason: str, restart_expected_ms: int | None = None) -> None:
        """Tell everybody that the gateway goes, then close each connection with 1012 `service restart`."""
        payload: dict[str, Any] = {"reason": reason}
        if restart_expected_ms is not None:
            payload["restartExpectedMs"] = restart_expected_ms
        self.broadcast("shutdown", payload, scope=None)
        for member in list(self._members.values()):
            member.peer.close(1012, "service restart")
        await self._tasks.close()
        await asyncio.sleep(0)  # let the carriers begin to write what was queued


def _sees_operators(peer: Peer) -> bool:
    return of_operator(peer.principal)


def _sees_others(peer: Peer) -> bool:
    return not of_operator(peer.principal) and not _has_fewer_agents(peer.principal)


def _is_limited(peer: Peer) -> bool:
    return not of_operator(peer.principal) and _has_fewer_agents(peer.principal)


def _has_fewer_agents(principal: Principal) -> bool:
    return principal.limits is not None and principal.limits.agents is not None


def sees(viewer: Principal, owner: Owner) -> bool:
    """Say whether what belongs to `owner` may be shown to `viewer`."""
    return viewer.tenant == owner.tenant and (viewer.owner == owner.owner or viewer.may("operator.admin"))
