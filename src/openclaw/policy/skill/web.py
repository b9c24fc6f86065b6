"""Which hosts a text names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_URL: Final = re.compile(r"(?:https?|wss?|ftps?|sftp|ssh|git|tcp|udp)://([^\s/?#\"'<>`\\)\]}|,;]{0,300})", re.I)
_HOST: Final = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?\.?", re.I)
_TURNED: Final = re.compile(r"\\+[^\s/\"']{0,200}@|%(?:40|5[cC]|2[fF])")
ANY: Final = "*"
_NAMESPACES_TEXT: Final = """
    www.w3.org w3.org schemas.openxmlformats.org purl.org schemas.microsoft.com docs.oasis-open.org schema.org
    json-schema.org www.sitemaps.org ns.adobe.com
"""
NAMESPACES: Final = frozenset(_NAMESPACES_TEXT.split())
"""Hosts whose addresses are names of vocabularies: data and programs hold them without asking anybody."""


def hosts(text: str) -> Iterator[str]:
    """Return the hosts of the addresses in a text; `*` for one that is made up at run time."""
    for found in _URL.finditer(text):
        # Readers do not agree on which side of `\\@` the host stands.
        yield ANY if _TURNED.match(text, found.end()) else host_of(found[1])


def host_of(authority: str) -> str:
    """Return the host of `user@host:port`, in lower case; `*` when it cannot be told."""
    host = authority.rsplit("@", 1)[-1]
    host = host.split(":", 1)[0].rstrip(".")
    return host.lower() if _HOST.fullmatch(host) else ANY


def covers(declared: tuple[str, ...], host: str) -> bool:
    """Say whether one of the declared names (`host`, `*.suffix`, `*`) stands for a host."""
    for entry in declared:
        name, _, port = entry.rpartition(":")
        name = name if port.isdigit() else entry
        if name in (ANY, host) or (name.startswith("*.") and host.endswith(name[1:])):
            return True
    return False
