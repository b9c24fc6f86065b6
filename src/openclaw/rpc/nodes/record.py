"""What is known of a node, and what it offers. Everything a node says of itself is cut to size here, once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from openclaw.rpc.peer import ClientInfo

MAX_CAPS: Final = 64
MAX_COMMANDS: Final = 128
MAX_PERMISSIONS: Final = 64
NAME_CHARS: Final = 96
"""The longest real command has 30."""

TEXT_CHARS: Final = 128
PATH_CHARS: Final = 4096


class Surface(msgspec.Struct, frozen=True):
    """What a node offers: kinds of ability, commands, and what its system lets it do."""

    caps: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    permissions: dict[str, bool] = {}

    def covers(self, other: Surface) -> bool:
        """Say whether everything that the other one offers is in this one, too."""
        return set(other.caps) <= set(self.caps) and set(other.commands) <= set(self.commands)


class NodeInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a node describes itself; for display alone."""

    display_name: str = ""
    platform: str = ""
    version: str = ""
    device_family: str = ""
    model_identifier: str = ""
    client_id: str = ""
    client_mode: str = ""
    remote_ip: str = ""
    path_env: str = ""


class PairRequest(msgspec.Struct, frozen=True):
    """What waits for an operator: the surface exactly as it was when the request was made.

    `silent`: it came with a connection, nobody asked for it in words (`node.pair.request`).
    """

    request_id: str
    surface: Surface
    at_ms: int
    silent: bool = True


class NodeRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A node as it is kept. Times are Unix ms, 0 for never.

    `lasting` False: nobody proved the node's id, so the record, with any approval, ends with the connection.
    `token_hash`: SHA-256 of the token that `node.pair.verify` of protocol 3 checks.
    """

    node_id: str
    info: NodeInfo
    created_at_ms: int
    name: str = ""
    approved: Surface | None = None
    approved_at_ms: int = 0
    pending: PairRequest | None = None
    last_connected_at_ms: int = 0
    last_disconnected_at_ms: int = 0
    last_seen_at_ms: int = 0
    last_seen_reason: str = ""
    token_hash: str = ""
    lasting: bool = True

    @property
    def state(self) -> str:
        """The word that clients of protocol 4 show."""
        if self.approved is None:
            return "pending-approval" if self.pending else "unapproved"
        return "pending-reapproval" if self.pending else "approved"


def shown(text: str, limit: int = TEXT_CHARS) -> str:
    """Return a text without what could steer a terminal, cut to size."""
    return "".join(char for char in text[:limit] if char.isprintable())


def surface(caps: Iterable[str], commands: Iterable[str], permissions: dict[str, bool]) -> Surface:
    """Return what a node offers, each name once; what is overlong or unprintable is not offered."""
    granted = dict([(name, held) for name, held in permissions.items() if _is_name(name)][:MAX_PERMISSIONS])
    return Surface(_names(caps, MAX_CAPS), _names(commands, MAX_COMMANDS), granted)


def node_info(client: ClientInfo) -> NodeInfo:
    """Return what a connected node says of itself."""
    return NodeInfo(
        display_name=shown(client.display_name),
        platform=shown(client.platform),
        version=shown(client.version),
        device_family=shown(client.device_family),
        model_identifier=shown(client.model_identifier),
        client_id=shown(client.id),
        client_mode=shown(client.mode),
        remote_ip=shown(client.host),
        path_env=shown(client.path_env, PATH_CHARS),
    )


def _names(names: Iterable[str], limit: int) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if _is_name(name)))[:limit]


def _is_name(name: str) -> bool:
    return 0 < len(name) <= NAME_CHARS and name.isprintable() and name == name.strip()
