"""What the counter knows of a connected client, whatever carries its frames."""

from __future__ import annotations

from typing import Protocol

import msgspec

from openclaw.base.principal import Principal


class ClientInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Who the client says it is; never evidence, only for display and event shapes."""

    id: str
    version: str = ""
    platform: str = ""
    mode: str = ""
    device_family: str = ""
    instance_id: str = ""
    display_name: str = ""
    host: str = ""
    """The peer's address as text, or empty."""
    caps: tuple[str, ...] = ()
    """What the client says it can show or do, e.g. `tool-events`."""
    commands: tuple[str, ...] = ()
    """Of a node: what it offers to be invoked with."""
    permissions: dict[str, bool] = {}
    """Of a node: what its system lets it do."""
    path_env: str = ""
    model_identifier: str = ""


class Peer(Protocol):
    """One authenticated connection. Attributes but `behind` never change while it lives."""

    @property
    def conn_id(self) -> str: ...

    @property
    def protocol(self) -> int:
        """The negotiated version, 3 or 4: the shapes that this client reads."""
        ...

    @property
    def principal(self) -> Principal: ...

    @property
    def client(self) -> ClientInfo: ...

    @property
    def connected_at_ms(self) -> int: ...

    @property
    def behind(self) -> bool:
        """Much of what was sent still waits to be read; more of it should be left out where that loses nothing."""
        ...

    def send(self, frame: bytes) -> None:
        """Queue a frame. Never blocks or raises; a queue over its limit closes the peer with 1008 `slow consumer`."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Close after what is queued. Never blocks or raises; closing twice is the first close."""
        ...
