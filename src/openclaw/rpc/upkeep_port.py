"""The running process as handlers see it: its credentials, and its end; gateway/upkeep.py does the work."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from openclaw.base.principal import Principal


class ProviderAuth(msgspec.Struct, frozen=True):
    """How a model provider's callers prove themselves: `profiles` are names of credentials, never the secrets."""

    provider: str
    profiles: tuple[str, ...] = ()
    key: Literal["", "config", "env"] = ""
    """Where its own key comes from, "" when it has none."""
    takes_key: bool = True
    problem: str = ""


class SecretState(msgspec.Struct, frozen=True, rename="camel"):
    """What the running gateway knows of one secret by reference; `resolved_at_ms` is Unix ms, 0 for never."""

    path: str
    source: str
    provider: str
    id: str
    resolved_at_ms: int
    problem: str = ""


class UpkeepPort(Protocol):
    """What an administrator may ask of the process."""

    async def reload_secrets(self, by: Principal) -> int:
        """Read environment files, credentials and configuration again. Return how many things are wrong with them.

        Raises: ConfigError when what they say now cannot be used; what was in use goes on.
        """
        ...

    def secret_states(self) -> list[SecretState]:
        """Return when each reference had its value last, and what is wrong with it."""
        ...

    def provider_auth(self) -> list[ProviderAuth]: ...

    def request_restart(self) -> None:
        """Begin a restart: runs get to end or are parked, clients are told.

        Raises: NotSupported when nobody would start the gateway again.
        """
        ...
