"""What an administrator may ask of the running process: its secrets read again, and a restart."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from openclaw.base.errors import ConfigError, ModelAuth, NotSupported
from openclaw.base.principal import Principal
from openclaw.config.keypath import format_path
from openclaw.gateway.calls import read_credentials
from openclaw.rpc.upkeep_port import ProviderAuth, SecretState

if TYPE_CHECKING:
    from openclaw.gateway.rooms import Rooms

SUPERVISED = "OPENCLAW_SUPERVISED"
_SYSTEMD_PID = "SYSTEMD_EXEC_PID"
"""systemd gives every service its own process id; what a service starts inherits it, and is not that process."""


class Upkeep:
    """Acts on the rooms of one gateway. Whoever runs it sets `restart` (by a supervisor) and `begin_again`."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self.restart: Callable[[], None] | None = None
        self.begin_again: Callable[[], None] | None = None

    async def reload_secrets(self, by: Principal) -> int:
        """Read environment files, credentials and configuration again. Return how many things are wrong with them.

        Raises: ConfigError when what they say now cannot be used; what was in use goes on.
        """
        rooms = self._rooms
        await rooms.secrets.load(rooms.config_desk.environment(), again="all")
        outcome = await rooms.config_desk.reload(by)
        if outcome.error:
            raise ConfigError(f"nothing was reloaded: {outcome.error}")
        read_credentials(rooms.failover.credentials)
        await rooms.models.reload(rooms.config.models, rooms.loaded.env.get)
        rooms.failover.reset()
        rooms.hub.broadcast("chat.metadata.changed", {})
        missing = sum(issue.kind in ("missing-env", "unresolved-secret") for issue in rooms.loaded.issues)
        return missing + len(rooms.failover.credentials.issues)

    def doubt_refused_keys(self) -> None:
        """Have the keys that model providers turn away asked for again: they may have been rotated at their source."""
        refused = self._rooms.failover.cooldowns.closed_for(ModelAuth.code)
        paths = {format_path(("models", "providers", provider, "apiKey")) for provider in refused}
        for placed in self._rooms.loaded.references:
            if placed.path in paths:
                self._rooms.secrets.doubt(placed.reference)

    def secret_states(self) -> list[SecretState]:
        """Return when each reference had its value last, and what is wrong with it."""
        rooms, found = self._rooms, []
        for placed in rooms.loaded.references:
            one = placed.reference
            when_ms = rooms.secrets.resolved_ms(one)
            found.append(SecretState(placed.path, one.source, one.provider, one.id, when_ms, placed.problem))
        return found

    def provider_auth(self) -> list[ProviderAuth]:
        """Return how each provider that is configured or built in is signed in to."""
        rooms = self._rooms
        configured = rooms.config.models.providers
        found: list[ProviderAuth] = []
        for provider in rooms.models.providers():
            own = configured.get(provider.id)
            in_config = own is not None and own.api_key is not None
            found.append(
                ProviderAuth(
                    provider.id,
                    tuple(each.name for each in rooms.failover.credentials.of(provider.id)),
                    "config" if in_config else "env" if rooms.models.has_own_key(provider.id) else "",
                    provider.takes_key,
                    provider.problem if provider.configured else "",
                )
            )
        return found

    def request_restart(self) -> None:
        """Begin a restart. Raises: NotSupported when nobody would start the gateway again."""
        env = self._rooms.loaded.env
        supervised = (env.get(SUPERVISED) or "").lower() in ("1", "true", "yes")
        if self.restart is None or not (supervised or env.get(_SYSTEMD_PID) == str(os.getpid())):
            raise NotSupported(
                "nobody would start this gateway again once it has stopped",
                hint=f"Restart it where it was started; under a supervisor other than systemd set {SUPERVISED}=1.",
            )
        self.restart()
