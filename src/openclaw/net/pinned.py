"""Connections for tools: the addresses of a name are looked up once, all judged, and only those are connected to.

1. Every address that a name stands for must be public; one that is not refuses the name (DNS rebinding).
2. The address is judged again as the socket is made: it is the last thing before the connection, whoever chose it.
3. No connection is kept, no name is remembered, no cookie is stored and nothing is sent twice.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import aiohttp
    from aiohttp.abc import ResolveResult

Judge = Callable[[str], str]
"""An IP address → why it is refused, "" when it may be reached."""
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""A host name and a port → its IP addresses. Raises: OSError."""

CONNECTIONS = 64
MAX_ADDRESSES = 16


class RefusedAddress(OSError):
    """An address that tools may not reach. `reason` is free of what a server could have chosen but the address."""

    def __init__(self, host: str, address: str, kind: str) -> None:
        super().__init__(f"{host} stands for {address}, which is {kind}: tools reach public addresses only")
        self.reason = str(self)


def pinned_session(library: Any, user_agent: str, judge: Judge, resolve: Resolve) -> aiohttp.ClientSession:
    """Return the session that requests of tools go through. Bodies come as sent: they are not decompressed."""

    class Resolver(library.abc.AbstractResolver):  # type: ignore[misc]  # the library is imported late
        async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
            return judged(host, port, await resolve(host, port), judge)

        async def close(self) -> None: ...

    def make_socket(info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, where = info
        if why := judge(where[0]):
            raise RefusedAddress(where[0], where[0], why)
        return socket.socket(family, kind, protocol)

    session: aiohttp.ClientSession = library.ClientSession(
        connector=library.TCPConnector(
            limit=CONNECTIONS, use_dns_cache=False, force_close=True, resolver=Resolver(), socket_factory=make_socket
        ),
        cookie_jar=library.DummyCookieJar(),
        headers={"User-Agent": user_agent, "Accept-Encoding": "identity"},
        auto_decompress=False,
        trust_env=False,
    )
    return session


def judged(host: str, port: int, addresses: Sequence[str], judge: Judge) -> list[ResolveResult]:
    """Return the addresses as the connector wants them. Raises: RefusedAddress when any of them is refused."""
    for address in addresses:
        if why := judge(address):
            raise RefusedAddress(host, address, why)
    return [
        {
            "hostname": host,
            "host": address,
            "port": port,
            "family": socket.AF_INET6 if ":" in address else socket.AF_INET,
            "proto": 0,
            "flags": socket.AI_NUMERICHOST,
        }
        for address in addresses[:MAX_ADDRESSES]
    ]


async def system_resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
