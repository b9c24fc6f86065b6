"""system-presence: who is here."""

from __future__ import annotations

from typing import Any

from openclaw.protocol.validate import NoParams
from openclaw.rpc.method import MethodSpec
from openclaw.rpc.peer import Peer
from openclaw.rpc.room import Room


def system_presence(room: Room, peer: Peer, params: NoParams) -> list[dict[str, Any]]:
    """Return the presence list."""
    return room.deps.hub.presence(peer.principal)


METHODS = (
    MethodSpec(
        "system-presence",
        NoParams,
        "operator.read",
        system_presence,
        "Lists the gateway and the clients that are connected or left lately.",
        "`[{host, version, platform, mode, reason, text, ts, instanceId?, roles?, scopes?}]`, the gateway first.",
    ),
)
