"""What an entry of an egress list means, and quick answers about whole lists.

1. An entry is a host, `*.suffix` (hosts below the suffix, not the suffix itself), an IP address or a CIDR network; each
   may end in `:port`. Without a port it opens 80 and 443; with one, that port alone.
2. Names are compared in lower case and in ASCII, without a final dot, whole labels only.
3. An inner address (private, loopback …) is opened by an address or network alone, and by a network only when the whole
   of it is of that kind: 0.0.0.0/0 opens nothing inner. Metadata and disguised addresses are opened one by one.
4. What is none of these opens nothing; `problem` says why.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from openclaw.base.network import Network
from openclaw.net.egress import WEB_PORTS as SCHEMES
from openclaw.net.egress import in_ascii, is_address, refusal

WEB_PORTS: Final = tuple(sorted(set(SCHEMES.values())))
_ONE_BY_ONE: Final = ("metadata", "disguise", "unspecified", "multicast", "not an IP")


class Entry(NamedTuple):
    """One entry as it is compared: a name, or a network; `port` None means both web ports."""

    name: str
    network: Network | None
    port: int | None

    def at(self, port: int) -> bool:
        """Say whether it opens this port."""
        return port in WEB_PORTS if self.port is None else port == self.port


class Allowlist:
    """Entries, ready to be asked: what a question costs does not grow with the names that are listed."""

    def __init__(self, entries: Sequence[str]) -> None:
        self._names: dict[str, list[Entry]] = {}
        self._networks: dict[tuple[int, int], dict[int, list[Entry]]] = {}
        for text in entries:
            entry = parsed_entry(text)
            if entry is None:
                continue
            if entry.network is not None:
                size = (entry.network.version, entry.network.prefixlen)
                held = self._networks.setdefault(size, {})
                held.setdefault(int(entry.network.network_address), []).append(entry)
            else:
                self._names.setdefault(entry.name, []).append(entry)

    def opens(self, host: str, port: int) -> bool:
        """Say whether a host, as `plain` writes it, or an address is opened at a port."""
        if is_address(host):
            return self.opens_address(host, port)
        if self._opens(host, port):
            return True
        at = host.find(".")
        while at > 0:
            if self._opens("*" + host[at:], port):
                return True
            at = host.find(".", at + 1)
        return False

    def opens_address(self, address: str, port: int, *, named: bool = False) -> bool:
        """Say whether an entry is, or holds, this address and opens the port.

        `named`: the port was opened by the host's name; an entry without a port opens the address then.
        """
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        kind = refusal(address)
        for (version, length), held in self._networks.items():
            if version == parsed.version:
                spare = parsed.max_prefixlen - length
                for entry in held.get(int(parsed) >> spare << spare, ()):
                    fits = entry.at(port) or (named and entry.port is None)
                    if fits and entry.network is not None and _reaches(entry.network, kind):
                        return True
        return False

    def _opens(self, name: str, port: int) -> bool:
        return any(entry.at(port) for entry in self._names.get(name, ()))


def _reaches(network: Network, kind: str) -> bool:
    if not kind or network.prefixlen == network.max_prefixlen:
        return True
    if one_by_one(kind):
        return False
    return refusal(str(network[0])) == refusal(str(network[-1])) == kind


def one_by_one(kind: str) -> bool:
    """Say whether addresses of this kind (`net.egress.refusal`) are opened by their own entry alone."""
    return any(word in kind for word in _ONE_BY_ONE)


@lru_cache(maxsize=512)
def allowlist(entries: tuple[str, ...]) -> Allowlist:
    """Return the list of these entries, made once."""
    return Allowlist(entries)


def parsed_entry(text: str) -> Entry | None:
    """Return what an entry means, or None when it means nothing."""
    entry = text.strip()
    if not entry or any(ch in "@\\?# \t" for ch in entry) or "://" in entry:
        return None
    name, colon, digits = entry.rpartition(":")
    port: int | None = None
    if colon and not entry.endswith("]") and (":" not in name or name.endswith("]")):
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 5 and 0 < int(digits) < 65536):
            return None
        port = int(digits)
    else:
        name = entry
    bare = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    if "%" not in bare:
        try:
            return Entry("", ipaddress.ip_network(bare, strict=False), port)
        except ValueError:
            pass
    return Entry(plain(name), None, port) if _is_name(plain(name)) else None


def problem(text: str) -> str:
    """Say why an entry opens nothing; "" when it opens something."""
    if parsed_entry(text) is not None:
        return ""
    if "://" in text or "/" in text:
        return "is neither a host nor a network: write the host alone, without scheme and path"
    if text.strip().strip(".") in ("*", ""):
        return "names nothing: networkPolicy.allowEgress opens the whole web"
    return "is not host, *.suffix, IP address or CIDR, each with or without :port"


def plain(host: str) -> str:
    """Return a host in the spelling in which names are compared."""
    bare = host.strip().removeprefix("[").removesuffix("]").removesuffix(".").lower()
    try:  # requests name hosts in ASCII, operators as they read them
        return in_ascii(bare)
    except ValueError:
        return bare


def shown(host: str) -> str:
    """Return a host as an entry writes it."""
    return f"[{host}]" if ":" in host else host


def _is_name(name: str) -> bool:
    labels = name.removeprefix("*.").split(".")
    return (
        name.isascii()
        and not is_address(name)
        and all(label and label.replace("-", "").replace("_", "").isalnum() for label in labels)
    )
