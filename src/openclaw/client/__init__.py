"""The client of the Gateway protocol and of its HTTP API, used by the CLI, tests and integrators (docs/client.md).

from openclaw.client import Credentials, GatewayLink, Role, chat
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openclaw.client.conversation import ChatUpdate, chat
    from openclaw.client.device import DeviceStore
    from openclaw.client.errors import GatewayDown, RpcError
    from openclaw.client.handshake import Credentials, Role
    from openclaw.client.link import Down, GatewayLink, Up
    from openclaw.client.tls import Trust
    from openclaw.client.ws import Event, GatewayClient

__all__ = (
    "ChatUpdate",
    "Credentials",
    "DeviceStore",
    "Down",
    "Event",
    "GatewayClient",
    "GatewayDown",
    "GatewayLink",
    "Role",
    "RpcError",
    "Trust",
    "Up",
    "chat",
)

_HOMES = {
    "ChatUpdate": "conversation",
    "chat": "conversation",
    "DeviceStore": "device",
    "GatewayDown": "errors",
    "RpcError": "errors",
    "Credentials": "handshake",
    "Role": "handshake",
    "Down": "link",
    "GatewayLink": "link",
    "Up": "link",
    "Trust": "tls",
    "Event": "ws",
    "GatewayClient": "ws",
}


def __getattr__(name: str) -> Any:
    """Load a name when it is first asked for: commands that never connect must not pay for it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
