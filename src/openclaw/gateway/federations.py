"""Who may come in: the authenticator made from a configuration, with the rooms that it needs."""

from __future__ import annotations

from openclaw.base.clock import Clock
from openclaw.base.errors import Unavailable
from openclaw.config.schema import GatewayConfig
from openclaw.identity.federated.federation import Federation, build_federation
from openclaw.identity.federated.keys import MAX_BODY_BYTES
from openclaw.net.http import HttpClient, Timeouts

KEYS_TIMEOUTS = Timeouts(connect=3.0, first_byte=5.0, idle=3.0, total=8.0)
"""Somebody waits to be let in meanwhile."""


class Federations:
    """Makes federations."""

    def __init__(self, http: HttpClient, clock: Clock) -> None:
        self._http = http
        self._clock = clock

    def federation(self, gateway: GatewayConfig) -> Federation | None:
        """Return who vouches for callers by a configuration; None where they prove themselves."""
        return build_federation(gateway.auth, gateway.roles, self._fetch, self._clock)

    async def _fetch(self, url: str) -> bytes:
        """Get an identity provider's document. Raises: NetError, Unavailable for another status than 200."""
        answer = await self._http.get_json(url, purpose="identity", timeouts=KEYS_TIMEOUTS, limit_bytes=MAX_BODY_BYTES)
        if answer.status != 200:
            raise Unavailable(f"{url[:200]} answered {answer.status}")
        return answer.body
