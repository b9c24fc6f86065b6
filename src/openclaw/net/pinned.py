"""Connections to judged addresses: a name is looked up once, every address is judged, only those are connected to.

1. One address that may not be reached refuses the name (DNS rebinding).
2. The address is judged again as the socket is made: it is the last thing before the connection, whoever chose it.
3. Who judges goes with the request (`aimed`); without a judge nothing is looked up and no socket is made.
4. Requests of tools keep no connection and remember no name. No cookie is stored; the environment's proxies are unread.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

from openclaw.net.egress import is_address

if TYPE_CHECKING:
    import aiohttp
    from aiohttp.abc import ResolveResult

Judge = Callable[[str], str]
"""An IP address → why it is refused, "" when it may be reached."""
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""A host name and a port → its IP addresses. Raises: OSError."""

CONNECTIONS_PER_ORIGIN = 256
CONNECTIONS = 1024
TOOL_CONNECTIONS = 64
KEEP_ALIVE_S = 30.0
DNS_CACHE_S = 10
READ_BUFFER_BYTES = 256 * 1024
MAX_ADDRESSES = 16

_judge: ContextVar[Judge | None] = ContextVar("openclaw.net.judge", default=None)


class RefusedAddress(OSError):
    """An address that may not be reached. `reason` is free of what a server could have chosen but the address."""

    def __init__(self, host: str, address: str, kind: str) -> None:
        stands = host if host == address else f"{host} stands for {address}, which"
        super().__init__(f"{stands} is {kind}: it may not be reached")
        self.address = address
        self.reason = str(self)


@contextmanager
def aimed(judge: Judge) -> Iterator[None]:
    """Judge the addresses of the request within by `judge`."""
    token = _judge.set(judge)
    try:
        yield
    finally:
        _judge.reset(token)


class Carrier(Protocol):
    """An operator's proxy (`net.onward`)."""

    def names(self, host: str) -> bool:
        """Say whether it looks this name up."""
        ...

    def carries(self, host: str, address: str) -> bool:
        """Say whether a connection goes through it."""
        ...

    async def connected(self, host: str, port: int) -> socket.socket:
        """Return a socket at whose other end is that server. Raises: OSError."""
        ...


def judged_session(
    library: Any, user_agent: str, resolve: Resolve, *, kept: bool, carrier: Carrier | None = None
) -> aiohttp.ClientSession:
    """Return the session that requests go through; `kept` keeps connections and remembers names for a moment.

    Bodies come as sent: they are not decompressed.
    """

    class Resolver(library.abc.AbstractResolver):  # type: ignore[misc]  # the library is imported late
        async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
            judge = _judge_of(host)
            named = carrier is not None and carrier.names(host)
            addresses = [host] if named else await looked_up(host, port, judge, resolve)
            return [_result(host, port, address) for address in addresses]

        async def close(self) -> None: ...

    def make_socket(info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, where = info
        if why := _judge_of(where[0])(where[0]):
            raise RefusedAddress(where[0], where[0], why)
        return socket.socket(family, kind, protocol)

    class Connector(library.TCPConnector):  # type: ignore[misc]  # the library is imported late
        async def _wrap_create_connection(self, *args: Any, addr_infos: Any, req: Any, **more: Any) -> Any:
            host, places = req.url.raw_host, [info[4][:2] for info in addr_infos]
            if carrier is None or not carrier.carries(host, places[0][0]):
                return await super()._wrap_create_connection(*args, addr_infos=addr_infos, req=req, **more)
            try:
                sock = await carried(carrier, host, places)
                ours = {name: value for name, value in more.items() if name not in ("timeout", "client_error")}
                return await self._loop.create_connection(*args, **ours, sock=sock)
            except ssl.SSLError as error:
                raise library.ClientConnectorSSLError(req.connection_key, error) from error
            except OSError as error:
                addr_infos.clear()  # each of them was tried
                raise library.ClientConnectorError(req.connection_key, error) from error

    keeping = (
        {"limit": CONNECTIONS, "limit_per_host": CONNECTIONS_PER_ORIGIN, "keepalive_timeout": KEEP_ALIVE_S}
        | {"ttl_dns_cache": DNS_CACHE_S}
        if kept
        else {"limit": TOOL_CONNECTIONS, "use_dns_cache": False, "force_close": True}
    )
    session: aiohttp.ClientSession = library.ClientSession(
        connector=Connector(resolver=Resolver(), socket_factory=make_socket, **keeping),
        cookie_jar=library.DummyCookieJar(),
        # A compressed stream is held back by the compressor and costs CPU on both sides.
        headers={"User-Agent": user_agent, "Accept-Encoding": "identity"},
        read_bufsize=READ_BUFFER_BYTES,
        auto_decompress=kept,
        trust_env=False,
    )
    return session


async def carried(carrier: Carrier, host: str, places: Sequence[tuple[str, int]]) -> socket.socket:
    """Return a socket through the operator's proxy to the first of these that it reaches, each judged once more.

    Raises: RefusedAddress, OSError.
    """
    failure = OSError("no address")
    for address, port in places:
        if is_address(address) and (why := _judge_of(host)(address)):
            raise RefusedAddress(host, address, why)
        try:
            return await carrier.connected(address, port)
        except OSError as error:
            failure = error
    raise failure


async def looked_up(host: str, port: int, judge: Judge, resolve: Resolve) -> list[str]:
    """Return the addresses of a host, judged; an address stands for itself.

    Raises: RefusedAddress when any of them is refused, OSError.
    """
    addresses = list(await resolve(host, port))
    for address in addresses:
        if why := judge(address):
            raise RefusedAddress(host, address, why)
    return addresses[:MAX_ADDRESSES]


def _judge_of(host: str) -> Judge:
    judge = _judge.get()
    if judge is None:
        raise RefusedAddress(host, host, "a host that nobody judged")
    return judge


def _result(host: str, port: int, address: str) -> ResolveResult:
    return {
        "hostname": host,
        "host": address,
        "port": port,
        "family": socket.AF_INET6 if ":" in address else socket.AF_INET,
        "proto": 0,
        "flags": socket.AI_NUMERICHOST,
    }


async def system_resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
