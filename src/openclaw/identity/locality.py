"""Where a request really comes from. The only file that reads forwarding headers.

1. The peer's socket address is the truth; a header never makes anyone more local.
2. *Direct* = the peer is loopback and no forwarding header is there.
3. Forwarding headers count only from a listed proxy, read from the right: the first address that is no listed proxy.
4. A forwarding header from anyone else leaves the request unattributed: it is refused on every authenticated route.
5. A listed proxy on this machine could be any program that runs here. Where a secret is agreed with the proxy, its
   headers count only with it; a user's name from such a proxy never counts without. Where none is agreed, the client
   that it names is told apart from others, but `via` holds for all of them: no program here has guesses without end by
   naming another client with each.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final, Literal

import msgspec

from openclaw.base.network import parse_network
from openclaw.base.secret import Secret
from openclaw.identity.federated.federation import Carried

FORWARDING_HEADERS: Final = frozenset(
    (
        b"forwarded",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-proto",
        b"x-forwarded-port",
        b"x-forwarded-server",
        b"x-original-forwarded-for",
        b"x-real-ip",
        b"x-client-ip",
        b"x-cluster-client-ip",
        b"true-client-ip",
        b"cf-connecting-ip",
        b"fly-client-ip",
        b"via",
    )
)

_MAX_HOPS = 32

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Browser = Literal["no", "own", "allowed", "foreign"]
NOT_ALLOWED: Final = (
    "origin not allowed (open the Control UI from the gateway host or allow it in gateway.controlUi.allowedOrigins)"
)
"""No page; one of ours; one of an origin that the configuration allows; any other."""


class Source(msgspec.Struct, frozen=True):
    """Where a request comes from.

    Shape: `key` is the canonical client address (IPv6 by /64) for rate limits; `browser` says whether an Origin header
    is there and whether it is one of ours; `https` that the client came by TLS, to us or to a listed proxy; `by_proxy`
    that a listed proxy sent it, and proved itself where it has to; `via`, else empty, is the key of a proxy that did
    not. `carried` is what the headers say of the caller.
    """

    key: str
    direct: bool
    attributed: bool = True
    browser: Browser = "no"
    https: bool = False
    by_proxy: bool = False
    carried: Carried | None = None
    via: str = ""

    @property
    def local(self) -> bool:
        """A program on this machine: direct, and no browser, whose pages come from anywhere."""
        return self.direct and self.browser == "no"

    @property
    def near(self) -> bool:
        """A program on this machine, or our own page in a browser on it, which sends what a person typed into it."""
        return self.direct and self.browser in ("no", "own")


class TrustedProxies:
    """The addresses and networks whose forwarding headers are believed; an entry that is none trusts nobody."""

    def __init__(self, entries: Iterable[str] = (), proof_header: str = "", secret: Secret | None = None) -> None:
        self._networks = tuple(network for entry in entries if (network := parse_network(entry)) is not None)
        self._header = proof_header.lower().encode("latin-1", "replace")
        self._secret = secret

    def believes(self, address: Address | None, headers: Mapping[bytes, bytes]) -> bool:
        """Say whether the forwarding headers of a peer count."""
        if address is None or address not in self:
            return False
        return not address.is_loopback or self._secret is None or self.proven(headers)

    def names_users(self, address: Address | None, headers: Mapping[bytes, bytes]) -> bool:
        """Say whether the name of a user counts that a peer sends."""
        return address is not None and address in self and (not address.is_loopback or self.proven(headers))

    def proven(self, headers: Mapping[bytes, bytes]) -> bool:
        """Say whether a request has the secret that was agreed with the proxy."""
        return (
            bool(self._secret)
            and self._secret is not None
            and self._secret.matches(headers.get(self._header, b"").decode("utf-8", "surrogateescape"))
        )

    def __contains__(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._networks)

    def __bool__(self) -> bool:
        return bool(self._networks)


@lru_cache(maxsize=4096)
def parse_address(text: str) -> Address | None:
    """Return the address with IPv4-mapped forms and zones undone, or None."""
    host = text.strip()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


@lru_cache(maxsize=4096)
def client_key(text: str) -> str:
    """Return the one key of a client, whatever form its address is written in."""
    address = parse_address(text)
    if address is None:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address) and not address.is_loopback:
        return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))
    return str(address)


def is_loopback(text: str) -> bool:
    """Say whether an address is this machine's own."""
    address = parse_address(text)
    return address is not None and address.is_loopback


def locate(
    peer: str, headers: Mapping[bytes, bytes], trusted: TrustedProxies, browser: Browser = "no", *, tls: bool = False
) -> Source:
    """Return where a request comes from. `headers` has lower-case names; `tls` that it came to us encrypted."""
    if FORWARDING_HEADERS.isdisjoint(headers):
        if not trusted:
            return Source(client_key(peer), is_loopback(peer), True, browser, tls)
        by_proxy = trusted.names_users(parse_address(peer), headers)
        direct = is_loopback(peer) and not by_proxy
        return Source(client_key(peer), direct, True, browser, tls, by_proxy)
    address = parse_address(peer)
    if not trusted.believes(address, headers):
        return Source(client_key(peer), False, False, browser)
    https = headers.get(b"x-forwarded-proto", b"").strip().lower() == b"https"
    by_proxy = trusted.names_users(address, headers)
    key, via = client_key(_forwarded_for(peer, headers, trusted)), "" if by_proxy else f"by {client_key(peer)}"
    return Source(key, False, True, browser, https, by_proxy, via=via)


def _forwarded_for(peer: str, headers: Mapping[bytes, bytes], trusted: TrustedProxies) -> str:
    hops = headers.get(b"x-forwarded-for", b"").decode("latin-1").split(",")
    for hop in reversed(hops[-_MAX_HOPS:]):
        address = parse_address(hop)
        if address is None:
            break
        if address not in trusted:
            return str(address)
    return peer
