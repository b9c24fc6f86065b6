"""The answer to `connect`: what this gateway can do and how it stands now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from openclaw.base.ids import OPERATOR
from openclaw.identity.devices.record import Issued
from openclaw.protocol.limits import MAX_BUFFERED_BYTES, MAX_PAYLOAD_BYTES, TICK_INTERVAL_MS
from openclaw.rpc.method import holds
from openclaw.rpc.peer import Peer
from openclaw.rpc.reach import agents_for, default_for
from openclaw.rpc.room import Room
from openclaw.rpc.snapshot import for_others
from openclaw.rpc.versions import CAPABILITIES, EVENTS, hello_auth

MAX_IMAGE_BYTES: Final = 6 * 1024 * 1024
MAX_ATTACHMENT_BYTES: Final = 19_464_192
"""The largest file whose base64 still fits in one frame beside the message."""

MAIN_KEY: Final = "main"
_OPEN: Final = frozenset(("ok", "ts"))
"""What every connected peer may know of the gateway's health."""


def hello_ok(peer: Peer, room: Room, methods: Sequence[str], issued: Sequence[Issued] = ()) -> dict[str, Any]:
    """Return the hello-ok payload for a peer that has just been let in, with the tokens of its device."""
    protocol = peer.protocol
    hello: dict[str, Any] = {
        "type": "hello-ok",
        "protocol": protocol,
        "server": {"version": room.deps.version, "connId": peer.conn_id},
        "features": {"methods": list(methods), "events": list(EVENTS[protocol])},
        "snapshot": _snapshot(peer, room),
        "auth": hello_auth(peer.principal, protocol, issued),
        "policy": {
            "maxPayload": MAX_PAYLOAD_BYTES,
            "maxBufferedBytes": MAX_BUFFERED_BYTES,
            "tickIntervalMs": TICK_INTERVAL_MS,
        },
    }
    if protocol >= 4:
        hello["features"]["capabilities"] = list(CAPABILITIES)
        hello["server"]["bootId"] = room.boot_id
        hello["policy"] |= {
            "attachments": {"maxBytes": MAX_ATTACHMENT_BYTES, "maxImageBytes": MAX_IMAGE_BYTES},
            "allowedSessionVisibilities": ["shared"],
            "hasMultipleSessionSharingIdentities": False,
        }
        hello["snapshot"] |= _only_4(peer, room)
    return hello


def _only_4(peer: Peer, room: Room) -> dict[str, Any]:
    agents, default = agents_for(peer.principal, room.deps.agent), default_for(peer.principal, room.deps.agent)
    defaults = {
        **_session_defaults(peer, room),
        "modelConfigured": any(info.id == default and not info.problem for info in agents),
        "ownership": "sole" if len(agents) == 1 else "explicit",
        "selectionRequired": False,
    }
    more = {"suspension": {"phase": "accepting"}, "sessionDefaults": defaults}
    return {**more, "authMode": room.deps.config().config.gateway.auth.mode} if room.is_admin(peer) else more


def _session_defaults(peer: Peer, room: Room) -> dict[str, Any]:
    default = default_for(peer.principal, room.deps.agent)
    main = f"agent:{default}:{MAIN_KEY}"
    return {"defaultAgentId": default, "mainKey": MAIN_KEY, "mainSessionKey": main, "scope": "per-sender"}


def _snapshot(peer: Peer, room: Room) -> dict[str, Any]:
    deps = room.deps
    health = room.health.value(peer.protocol)
    if peer.principal.owner != OPERATOR:
        health = for_others(health, peer.principal)
    reads = holds(peer.principal, "operator.read")
    snapshot: dict[str, Any] = {
        # Who is here and which sessions there are is for readers alone, as in the methods that tell it.
        "presence": deps.hub.presence(peer.principal) if reads else [],
        "health": {key: value for key, value in health.items() if key != "modelRuntime" and (reads or key in _OPEN)},
        "stateVersion": deps.hub.state_version(),
        "uptimeMs": deps.health.uptime_ms(),
        "sessionDefaults": _session_defaults(peer, room),
    }
    if peer.principal.may("operator.admin"):
        snapshot["configPath"] = str(deps.config().path)
        if deps.state_dir is not None:
            snapshot["stateDir"] = str(deps.state_dir)
    return snapshot
