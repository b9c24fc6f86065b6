"""Which addresses a tool may reach, and the one spelling of a URL that is checked and sent.

1. Addresses are classified by our own tables: `ipaddress` calls NAT64, 6to4, `::/96`, `fec0::/10` and multicast global,
   CGNAT not private, and `::ffff:127.0.0.1` not a loopback address.
2. IPv6 is refused unless it is global unicast (2000::/3), less what is set aside there or carries an IPv4 address.
3. Whatever the resolver of the system takes for an address (`127.1`, `0x7f.1`, `2130706433`, octal) is one here too;
   a URL that writes an address so is refused.
4. What is checked is what is sent: a URL is rebuilt from its checked parts, so no second parser can read it otherwise.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from openclaw.net.error import NetError

WEB_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
URL_LIMIT = 8_000
_NAME_LIMIT = 253

_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?\.?")
_NETLOC = re.compile(r"(?:\[[^\[\]]*:[^\[\]]*\]|[^\[\]:]*)(?::[0-9]*)?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_NAMEABLE = frozenset({"loopback", "private", "a carrier's own (CGNAT)", "for benchmarks"})
"""Inner addresses at which a server stands that a setting names: model servers, vaults, proxies with invented ones."""
_INSIDE = "localhost localdomain local internal lan home corp private intranet svc arpa onion"
_NEVER_PUBLIC = frozenset(_INSIDE.split())
_CARRIERS = (ipaddress.IPv6Network("::ffff:0:0/96"), ipaddress.IPv6Network("64:ff9b::/96"))
# Sources: IANA's special-purpose registries of IPv4 and IPv6 (2025), RFC 6890. Metadata: 169.254.169.254 (most clouds),
# 169.254.170.2 and .23 (credentials of ECS, EKS), 100.100.100.200 (Alibaba), 168.63.129.16 (Azure), 192.0.0.192 and
# fd00:c1:: (Oracle), fd00:ec2::/32 (AWS), fd00:42:: (Scaleway), fd20:ce:: (Google).
_IPV4 = (
    ("0.0.0.0/8", "unspecified"),
    ("10.0.0.0/8", "private"),
    ("100.100.100.200/32", "metadata of a cloud"),
    ("100.64.0.0/10", "a carrier's own (CGNAT)"),
    ("127.0.0.0/8", "loopback"),
    ("168.63.129.16/32", "metadata of a cloud"),
    ("169.254.169.254/32", "metadata of a cloud"),
    ("169.254.170.2/32", "metadata of a cloud"),
    ("169.254.170.23/32", "metadata of a cloud"),
    ("169.254.0.0/16", "link-local"),
    ("172.16.0.0/12", "private"),
    ("192.0.0.192/32", "metadata of a cloud"),
    ("192.0.0.0/24", "reserved for protocols"),
    ("192.0.2.0/24", "for documentation"),
    ("192.31.196.0/24", "reserved for protocols"),
    ("192.52.193.0/24", "reserved for protocols"),
    ("192.88.99.0/24", "a 6to4 relay"),
    ("192.168.0.0/16", "private"),
    ("192.175.48.0/24", "reserved for protocols"),
    ("198.18.0.0/15", "for benchmarks"),
    ("198.51.100.0/24", "for documentation"),
    ("203.0.113.0/24", "for documentation"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved"),
)
_IPV6 = (
    ("::/128", "unspecified"),
    ("::1/128", "loopback"),
    ("::ffff:0:0/96", "an IPv4 address in disguise"),
    ("::/96", "an IPv4 address in disguise"),
    ("::ffff:0:0:0/96", "an IPv4 address in disguise"),
    ("64:ff9b::/96", "an IPv4 address in disguise (NAT64)"),
    ("64:ff9b:1::/48", "an IPv4 address in disguise (NAT64)"),
    ("fd00:ec2::/32", "metadata of a cloud"),
    ("fd00:c1::a9fe:a9fe/128", "metadata of a cloud"),
    ("fd00:42::42/128", "metadata of a cloud"),
    ("fd20:ce::254/128", "metadata of a cloud"),
    ("fc00::/7", "private"),
    ("fe80::/10", "link-local"),
    ("fec0::/10", "site-local"),
    ("ff00::/8", "multicast"),
    ("2001::/32", "an IPv4 address in disguise (Teredo)"),
    ("2001::/23", "reserved for protocols"),
    ("2001:db8::/32", "for documentation"),
    ("2002::/16", "an IPv4 address in disguise (6to4)"),
    ("2620:4f:8000::/48", "reserved for protocols"),
    ("3fff::/20", "for documentation"),
)


class _Range(NamedTuple):
    network: int
    mask: int
    reason: str


_RANGES4 = tuple(
    _Range(int(net.network_address), int(net.netmask), reason)
    for net, reason in ((ipaddress.IPv4Network(text), reason) for text, reason in _IPV4)
)
_RANGES6 = tuple(
    _Range(int(net.network_address), int(net.netmask), reason)
    for net, reason in ((ipaddress.IPv6Network(text), reason) for text, reason in _IPV6)
)
_GLOBAL6 = _Range(0x2000 << 112, 0xE000 << 112, "global unicast")
_ISATAP = (0x00005EFE, 0x02005EFE)


def refusal(address: str) -> str:
    """Say what kind of address this is if no tool may reach it; "" for a public one. What is no address is refused."""
    number = _ipv4(address)
    if number is not None:
        plainly = address.count(".") == 3 and socket.inet_ntoa(number.to_bytes(4)) == address
        return _within(number, _RANGES4) or ("" if plainly else "not an IP address")
    try:
        parsed = ipaddress.IPv6Address(address)
    except ValueError:
        return "not an IP address"
    if parsed.scope_id is not None:
        return "bound to one network interface"
    number = int(parsed)
    if reason := _within(number, _RANGES6):
        return reason
    if number & _GLOBAL6.mask != _GLOBAL6.network:
        return "reserved"
    return "an IPv4 address in disguise (ISATAP)" if (number >> 32) & 0xFFFFFFFF in _ISATAP else ""


def refusal_of_named(host: str, address: str) -> str:
    """Say what is wrong with an address of a server that a setting of the operator names; "" when it may be reached.

    Such a server may be inside, but not where machines ask who they are, unless the setting has the very address.
    """
    kind = refusal(address)
    if not kind or kind in _NAMEABLE:
        return ""
    parsed = _parsed(address)
    if parsed is not None and parsed == _parsed(host):
        return ""
    carried = next((each for each in _CARRIERS if parsed in each), None) if parsed is not None else None
    return refusal_of_named(host, str(ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF))) if carried and parsed else kind


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(address)
    except ValueError:
        return None


def is_address(host: str) -> bool:
    """Say whether the system's resolver takes a host for an address, in any notation."""
    return ":" in host or _ipv4(host) is not None


def _within(number: int, ranges: tuple[_Range, ...]) -> str:
    for network, mask, reason in ranges:
        if number & mask == network:
            return reason
    return ""


def _ipv4(text: str) -> int | None:
    try:
        return int.from_bytes(socket.inet_aton(text))
    except (OSError, ValueError):
        return None


def is_public_name(host: str) -> bool:
    """Say whether a host can be one of the public web: an address, or a name below a domain of it."""
    return is_address(host) or ("." in host and host.rpartition(".")[2] not in _NEVER_PUBLIC)


class Place(NamedTuple):
    """A URL in the one spelling that is checked and sent, and the server it names."""

    url: str
    scheme: str
    host: str
    port: int

    @property
    def origin(self) -> str:
        """`scheme://host:port`."""
        return f"{self.scheme}://{_bracketed(self.host)}:{self.port}"


def place(url: str) -> Place:
    """Rebuild a URL from its parts: ASCII host in lower case, path and query quoted, no fragment, no credentials.

    Raises: NetError `refused-url`; a host name that is not plain is refused, never repaired.
    """
    if len(url) > URL_LIMIT:
        raise _refused(f"is longer than {URL_LIMIT} characters")
    if any(ch <= " " or ch in '\\"<>^`{|}\x7f' for ch in url):
        raise _refused("has spaces, quotes, backslashes or control characters; percent-encode them")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        path = quote(parts.path, safe="/%:@!$&'()*+,;=~-._") or "/"
        query = quote(parts.query, safe="/%:@!$&'()*+,;=~-._?")
    except ValueError:
        raise _refused("is malformed") from None
    if parts.scheme not in WEB_PORTS:
        raise _refused("must begin with http:// or https:// (or ws://, wss://)")
    if "@" in parts.netloc:
        raise _refused("holds credentials: send them in a header instead")
    try:
        host = in_ascii(host)
    except ValueError:
        raise _refused("names its host in signs that stand for others: write it as DNS has it (xn--…)") from None
    host = _one_spelling(host) if _NETLOC.fullmatch(parts.netloc) else ""
    if port == 0 or not host:
        raise _refused("names no valid host and port")
    port = port or WEB_PORTS[parts.scheme]
    at = f"{_bracketed(host)}:{port}" if port != WEB_PORTS[parts.scheme] else _bracketed(host)
    return Place(f"{parts.scheme}://{at}{path}{'?' + query if query else ''}", parts.scheme, host, port)


def public_place(url: str) -> Place:
    """Return the place of a URL that somebody else is to fetch. Raises: NetError for what is not of the public web."""
    found = place(url)
    kind = refusal(found.host) if is_address(found.host) else ""
    if kind or not is_public_name(found.host):
        raise NetError("refused-target", found.origin, f"{found.host} is {kind or 'no name of the public web'}")
    return found


def in_ascii(host: str) -> str:
    """Return a host name as DNS has it.

    Raises: ValueError for one that this would change into another: invisible and full-width signs are a disguise, and
    where the two editions of IDNA differ (ß) nobody knows which server was meant.
    """
    if host.isascii():
        return host
    if len(host) > _NAME_LIMIT:
        raise ValueError("the name is too long")
    found = host.lower().encode("idna").decode()
    if found.encode().decode("idna") != host.lower():
        raise ValueError("the name has signs that no name of the internet has; write it as xn--")
    return found


def _one_spelling(host: str) -> str:
    """Return a host as it is judged and sent; "" for what is neither a plain name nor a plainly written address."""
    if ":" in host:
        parsed = _parsed(host)
        return str(parsed) if parsed is not None and "%" not in host else ""
    name = host.removesuffix(".")
    if not _HOST.fullmatch(host) or ".." in name:
        return ""
    if _NUMBER.fullmatch(name.rpartition(".")[2]):
        return name if str(_parsed(name)) == name else ""
    return name


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _refused(why: str) -> NetError:
    return NetError("refused-url", "", f"the address {why}")
