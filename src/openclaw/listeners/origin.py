"""Browsers: which Host and which Origin are ours. Keeps foreign pages and rebound names away from a local gateway.

1. On a loopback bind the Host must be a name of loopback, or the host of gateway.publicBaseUrl; a listed proxy may send
   any. This holds for every route, public ones too: a rebound name is a browser's doing, never a program's.
2. An Origin is ours when it is the Host we were called by. The publicBaseUrl's, and those in
   gateway.controlUi.allowedOrigins, are allowed. `null`, and anything that is no http(s) origin, is foreign.
3. No Origin proves nothing: it is how programs look.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from openclaw.identity.locality import Browser, is_loopback, parse_address

MISSING: Final = "origin missing or invalid"
FOREIGN: Final = "origin not allowed"
_PORTS: Final = {"http": ":80", "https": ":443"}


@lru_cache(maxsize=1024)
def host_name(authority: str) -> str:
    """Return the lower-case host of `host[:port]`, without brackets; "" when it is malformed."""
    text = authority.strip().lower()
    if any(character in text for character in "/@?#\\ "):
        return ""
    if text.startswith("["):
        inner, bracket, rest = text[1:].partition("]")
        return inner if bracket and (not rest or rest.startswith(":")) else ""
    return text.partition(":")[0].rstrip(".") if text.count(":") <= 1 else ""


@lru_cache(maxsize=1024)
def origin_authority(origin: str) -> str:
    """Return `host[:port]` of an http(s) origin in lower case, without its scheme's port; "" when it is none."""
    try:
        parts = urlsplit(origin.strip().lower())
        _ = parts.port
    except ValueError:
        return ""
    if parts.scheme not in _PORTS or not parts.netloc or "@" in parts.netloc or parts.path not in ("", "/"):
        return ""
    return parts.netloc.removesuffix(_PORTS[parts.scheme])


def public_authority(public_base_url: str) -> str:
    """Return `host[:port]` of the address that people call the gateway by, whatever path and scheme it has there."""
    place = public_base_url.strip().lower()
    scheme, found, rest = place.partition("://")
    return origin_authority(f"{scheme.replace('ws', 'http', 1)}://{rest.partition('/')[0]}") if found else ""


class OriginRules:
    """The rules above for one configuration."""

    def __init__(self, loopback_bind: bool, public_base_url: str, allowed: Iterable[str]) -> None:
        self._loopback_bind = loopback_bind
        self._public = public_authority(public_base_url)
        self._allowed = frozenset(filter(None, map(origin_authority, allowed)))

    def host_allowed(self, host: bytes | None) -> bool:
        """Apply rule 1. A missing Host (HTTP/1.0) is no browser."""
        if host is None or not self._loopback_bind:
            return True
        return self._is_ours(host_name(host.decode("latin-1")))

    def _is_ours(self, name: str) -> bool:
        if name == "localhost" or (self._public and name == host_name(self._public)):
            return True
        return parse_address(f"[{name}]" if ":" in name else name) is not None and is_loopback(name)

    def classify(self, origin: bytes | None, host: bytes | None) -> Browser:
        """Apply rule 2."""
        if origin is None:
            return "no"
        text = origin.decode("latin-1")
        authority = origin_authority(text)
        if not authority:
            return "foreign"
        scheme = text.strip().lower().partition("://")[0]
        same = host is not None and authority == host.decode("latin-1").strip().lower().removesuffix(_PORTS[scheme])
        if same:
            return "own"
        return "allowed" if authority == self._public or authority in self._allowed else "foreign"
