"""Who is connected: the gateway itself, its clients, and those that left a while ago."""

from __future__ import annotations

import platform
import sys
from typing import Any, Final

from openclaw.base.bounded import BoundedMap
from openclaw.base.clock import Clock
from openclaw.base.ids import new_id
from openclaw.base.principal import Principal
from openclaw.rpc.peer import Peer
from openclaw.rpc.snapshot import of_operator

MAX_ENTRIES = 50
"""Entries shown: every change is told to every client, so the list must stay small even with thousands of sockets."""

PASSING_MODES = frozenset(("cli", "probe", "backend"))
"""Clients that come for one call; announcing each would wake everybody once a second."""


EVERYBODYS: Final = "*"
MAX_LINE: Final = 256
"""Characters of a line that is shown: it goes to everybody with every change."""


class Presence:
    """The presence list. `version` grows with every change."""

    def __init__(self, clock: Clock, version: str) -> None:
        self._clock = clock
        self._entries: BoundedMap[tuple[str, str], tuple[str, dict[str, Any]]]
        self._entries = BoundedMap("presence", MAX_ENTRIES)
        """By whose it is and what it is of; whose it is stands beside it, too."""
        self.version = 1
        host = platform.node() or "gateway"
        self._self = {
            "host": host,
            "version": version or "unknown",
            "platform": f"{sys.platform} {platform.release()}".strip(),
            "deviceFamily": platform.system() or "unknown",
            "mode": "gateway",
            "reason": "self",
            "instanceId": new_id(),
            "text": f"Gateway: {host} · app {version or 'unknown'} · mode gateway · reason self",
        }

    def entries(self, viewer: Principal | None = None) -> list[dict[str, Any]]:
        """Return the gateway first, then clients, latest change first. A user sees no others' clients."""
        all_of_it = viewer is None or of_operator(viewer)
        own = (EVERYBODYS, "" if viewer is None else viewer.owner)
        rows = [entry for whose, entry in self._entries.values() if all_of_it or whose in own]
        return [{**self._self, "ts": self._clock.now_ms()}, *reversed(rows)]

    def note(self, peer: Peer, reason: str) -> bool:
        """Record that a peer came or went. Say whether the list changed."""
        client = peer.client
        if client.mode in PASSING_MODES:
            return False
        shown = {
            "host": client.display_name or client.id,
            "ip": client.host,
            "version": client.version,
            "platform": client.platform,
            "deviceFamily": client.device_family,
            "mode": client.mode,
            "instanceId": client.instance_id,
            "deviceId": peer.principal.device,
        }
        entry: dict[str, Any] = {key: value for key, value in shown.items() if value}
        entry["reason"] = reason
        entry["roles"] = [peer.principal.role]
        entry["scopes"] = sorted(peer.principal.scopes)
        entry["text"] = f"{client.display_name or client.id} · mode {client.mode or 'unknown'} · reason {reason}"
        entry["ts"] = self._clock.now_ms()
        whose = peer.principal.owner
        self._entries.put((whose, client.instance_id or peer.conn_id), (whose, entry))
        self.version += 1
        return True

    def line(self, text: str) -> None:
        """Show a line that somebody left, in the place of an equal one."""
        text = text[:MAX_LINE]
        self._entries.put((EVERYBODYS, text), (EVERYBODYS, {"text": text, "ts": self._clock.now_ms()}))
        self.version += 1
