"""The public keys of identity providers: fetched when they are needed, kept for a while, fetched again when they turn.

1. Deciding never waits: `find` looks into what is there. Whoever may wait calls `prepare` first.
2. An unknown key id fetches anew: a key may turn right after a fetch. Made-up ids cost the provider next to nothing:
   BURST fetches may follow one another, then one in ROTATE_S, which finds every key that there is. Who comes while
   the fetch goes on waits for it: a start, or a key that turns, is met by many at once.
3. Keys that are STALE_S old are fetched again when somebody comes; those KEPT_S old are no longer believed.
4. A set that cannot be fetched or read leaves the old one as it is.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from openclaw.base.bounded import BoundedMap
from openclaw.base.clock import Clock
from openclaw.config.vouching import may_fetch
from openclaw.identity.federated.jws import BadToken, Key, Parsed, key_of_jwk, key_of_pem
from openclaw.telemetry.metrics import METRICS

_log = logging.getLogger("openclaw.identity")

ROTATE_S: Final = 30.0
BURST: Final = 4
ALB_BURST: Final = 8
STALE_S: Final = 3600.0
KEPT_S: Final = 86_400.0
MAX_KEYS: Final = 64
MAX_BODY_BYTES: Final = 512 * 1024

Fetch = Callable[[str], Awaitable[bytes]]
"""Returns the body of a GET with status 200. Raises: OSError or an OpenClawError, whatever it was that failed."""

_fetches = METRICS.counter("openclaw_identity_key_fetches", "Fetches of identity providers' keys.", ("outcome",))


class Keys(Protocol):
    """Where a token's key comes from."""

    def find(self, parsed: Parsed) -> Key:
        """Return the key. Raises: BadToken."""
        ...

    def wants(self, parsed: Parsed) -> bool:
        """Say whether `prepare` would fetch."""
        ...

    async def prepare(self, parsed: Parsed) -> None:
        """Fetch what is missing, if it may be. Never raises for what it cannot get."""
        ...


class FixedKeys:
    """Keys that are known, for `policy test`."""

    def __init__(self, keys: dict[str, Key]) -> None:
        self._keys = keys

    def find(self, parsed: Parsed) -> Key:
        """See Keys."""
        return _choose(self._keys, parsed)

    def wants(self, parsed: Parsed) -> bool:
        """See Keys."""
        return False

    async def prepare(self, parsed: Parsed) -> None:
        """See Keys."""


class OneKey(FixedKeys):
    """The one key that there is, whatever a token calls it: a PEM text has no id."""

    def __init__(self, key: Key) -> None:
        super().__init__({})
        self._key = key

    def find(self, parsed: Parsed) -> Key:
        """See Keys."""
        return self._key


class _Spare:
    """How many fetches may be made at once: at most `burst`, and one comes back every `every_s` seconds."""

    def __init__(self, burst: int, every_s: float, clock: Clock) -> None:
        self._burst, self._every_s, self._clock = burst, every_s, clock
        self._left, self._since_s = float(burst), clock.monotonic_s()

    def left(self) -> float:
        """Return how many there are."""
        come_back = (self._clock.monotonic_s() - self._since_s) / self._every_s
        return min(self._left + come_back, self._burst)

    def take(self) -> None:
        """Take one."""
        self._left, self._since_s = self.left() - 1, self._clock.monotonic_s()


class JwksKeys:
    """The keys of one issuer. Without a `url` its discovery document says where they are."""

    def __init__(self, issuer: str, url: str, fetch: Fetch, clock: Clock) -> None:
        self._issuer = issuer
        self._url = url
        self._fetch = fetch
        self._clock = clock
        self._keys: dict[str, Key] = {}
        self._fetched_s: float | None = None
        self._spare = _Spare(BURST, ROTATE_S, clock)
        self._turn = asyncio.Lock()

    def find(self, parsed: Parsed) -> Key:
        """See Keys."""
        if self._fetched_s is None or self._clock.monotonic_s() - self._fetched_s > KEPT_S:
            raise BadToken("no_keys", "the keys of the identity provider cannot be had at the moment")
        return _choose(self._keys, parsed)

    def wants(self, parsed: Parsed) -> bool:
        """See Keys."""
        return self._lacks(parsed) if self._turn.locked() else self._due(parsed)

    def _due(self, parsed: Parsed) -> bool:
        if self._spare.left() < 1:
            return False
        stale_s = self._clock.monotonic_s() - STALE_S
        return self._fetched_s is None or self._fetched_s <= stale_s or self._lacks(parsed)

    def _lacks(self, parsed: Parsed) -> bool:
        try:
            self.find(parsed)
        except BadToken:
            return True
        return False

    async def prepare(self, parsed: Parsed) -> None:
        """See Keys."""
        async with self._turn:
            if self._due(parsed):
                await self.refresh()

    async def refresh(self) -> None:
        """Fetch the keys, and keep the old ones when that fails."""
        self._spare.take()
        try:
            keys = keys_of(await _safely(self._fetch, self._url or await self._discovered()))
        except Exception as error:  # noqa: BLE001  # whatever a provider sends, the gateway goes on with what it has
            _fetches.inc("failed")
            _log.error("identity_keys_not_fetched", extra={"fields": {"issuer": self._issuer, "why": str(error)[:200]}})
            return
        _fetches.inc("ok")
        self._keys, self._fetched_s = keys, self._clock.monotonic_s()

    async def _discovered(self) -> str:
        document = await _safely(self._fetch, self._issuer.rstrip("/") + "/.well-known/openid-configuration")
        found = msgspec.json.decode(document, type=_Discovery)
        if found.issuer != self._issuer:
            raise BadToken("issuer", "the discovery document is of another issuer")
        self._url = found.jwks_uri
        return self._url


async def _safely(fetch: Fetch, url: str) -> bytes:
    """Fetch over an encrypted line, or from this machine. Raises: BadToken for any other address."""
    if not may_fetch(url):
        raise BadToken("address", "keys come by https only")
    return await fetch(url)


class _Discovery(msgspec.Struct, frozen=True):
    issuer: str
    jwks_uri: str


class _Jwks(msgspec.Struct, frozen=True):
    keys: list[dict[str, Any]]


def keys_of(body: bytes) -> dict[str, Key]:
    """Return the usable keys of a JWKS by id. Raises: BadToken, msgspec.MsgspecError."""
    if len(body) > MAX_BODY_BYTES:
        raise BadToken("jwks", "the key set is too large")
    return usable(msgspec.json.decode(body, type=_Jwks).keys)


def usable(jwks: Sequence[Mapping[str, Any]]) -> dict[str, Key]:
    """Return the keys that can be used by id; the first of an id wins."""
    found: dict[str, Key] = {}
    for jwk in jwks[:MAX_KEYS]:
        kid = jwk.get("kid", "")
        try:
            key = key_of_jwk(jwk) if isinstance(kid, str) and kid not in found else None
        except (BadToken, TypeError) as error:  # one bad key of a set is as if it were not there
            _log.warning("identity_key_unusable", extra={"fields": {"why": str(error)[:200]}})
            continue
        if key is not None:
            found[kid] = key
    return found


def _choose(keys: dict[str, Key], parsed: Parsed) -> Key:
    """Return the key that a token names; without a name the only one there is."""
    key = keys.get(parsed.kid) if parsed.kid else next(iter(keys.values())) if len(keys) == 1 else None
    if key is None:
        raise BadToken("unknown_key", "the token's key is not one of the identity provider's")
    return key


_ALB_KID: Final = re.compile(r"[A-Za-z0-9-]{1,64}\Z")


class AlbKeys:
    """The keys of a region's load balancers: one PEM file each, by key id below a fixed address."""

    def __init__(self, url: str, fetch: Fetch, clock: Clock) -> None:
        self._url = url.rstrip("/") + "/"
        self._fetch = fetch
        self._clock = clock
        self._keys: BoundedMap[str, tuple[Key, float]] = BoundedMap("identity.alb_keys", MAX_KEYS)
        self._tried: BoundedMap[str, float] = BoundedMap("identity.alb_tried", MAX_KEYS)
        self._spare = _Spare(ALB_BURST, 1.0, clock)
        self._fetching = ""
        self._turn = asyncio.Lock()

    def find(self, parsed: Parsed) -> Key:
        """See Keys."""
        kept = self._keys.get(parsed.kid)
        if kept is None or self._clock.monotonic_s() - kept[1] > KEPT_S:
            raise BadToken("unknown_key", "the load balancer's key is not known")
        return kept[0]

    def wants(self, parsed: Parsed) -> bool:
        """See Keys. One id is asked for once in ROTATE_S; ALB_BURST others may follow at once, then one a second."""
        if self._turn.locked() and parsed.kid == self._fetching:
            return self._keys.get(parsed.kid) is None
        return self._due(parsed)

    def _due(self, parsed: Parsed) -> bool:
        now_s = self._clock.monotonic_s()
        tried_s = self._tried.get(parsed.kid)
        if not _ALB_KID.match(parsed.kid) or (tried_s is not None and now_s - tried_s < ROTATE_S):
            return False
        if self._spare.left() < 1:
            return False
        kept = self._keys.get(parsed.kid)
        return kept is None or now_s - kept[1] >= STALE_S

    async def prepare(self, parsed: Parsed) -> None:
        """See Keys."""
        async with self._turn:
            if not self._due(parsed):
                return
            self._fetching = parsed.kid
            self._spare.take()
            self._tried.put(parsed.kid, self._clock.monotonic_s())
            try:
                key = key_of_pem(await _safely(self._fetch, self._url + parsed.kid))
            except Exception as error:  # noqa: BLE001  # as in JwksKeys.refresh
                _fetches.inc("failed")
                _log.error("identity_keys_not_fetched", extra={"fields": {"issuer": "alb", "why": str(error)[:200]}})
                return
            _fetches.inc("ok")
            self._keys.put(parsed.kid, (key, self._clock.monotonic_s()))
