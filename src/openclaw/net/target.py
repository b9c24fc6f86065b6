"""Where a request may go: http and https only, no credentials in the address."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

from openclaw.net.error import NetError


class Target(NamedTuple):
    """The part of an address that names a server. `host` is lower-case and has no brackets."""

    scheme: str
    host: str
    port: int

    @property
    def origin(self) -> str:
        """`scheme://host:port`, safe to show."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


@lru_cache(maxsize=256)
def target(url: str) -> Target:
    """Take an address apart. Raises: NetError `refused-url`, whose text never repeats the address itself."""
    if any(ch.isspace() or ord(ch) < 0x20 for ch in url):
        raise NetError("refused-url", "", "the address has spaces or control characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise NetError("refused-url", "", "the address is malformed") from None
    if parts.scheme not in ("http", "https"):
        raise NetError("refused-url", "", "the address must begin with http:// or https://")
    if "@" in parts.netloc:
        raise NetError("refused-url", "", "the address holds credentials: give them as an API key instead")
    if not parts.hostname:
        raise NetError("refused-url", "", "the address names no host")
    if parts.fragment:
        raise NetError("refused-url", "", "the address has a #fragment")
    return Target(parts.scheme, parts.hostname, port or (443 if parts.scheme == "https" else 80))
