"""The sockets: binds addresses, serves the app on them, and stops without dropping what is going on."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.server import ServerState

from openclaw.base.clock import SYSTEM_CLOCK, Clock
from openclaw.base.errors import ConfigError
from openclaw.base.tasks import TaskSet
from openclaw.listeners.http_protocol import HttpProtocol
from openclaw.listeners.ws_socket import Socket

BACKLOG: Final = 1024
KEEP_ALIVE_S: Final = 75
SWEEP_S: Final = 5.0
HANDSHAKE_S: Final = 10.0
"""Time for a TLS handshake, and thereby what a silent socket costs."""
_TLS_TIMES: Final = {"ssl_handshake_timeout": HANDSHAKE_S, "ssl_shutdown_timeout": 2.0}
_NO_SUCH_ADDRESS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT)
_log = logging.getLogger("openclaw.listeners")


class GatewayServer:
    """Serves one app on one port of several hosts. Installs no signal handlers: the gateway owns them."""

    def __init__(
        self,
        app: Any,
        hosts: Sequence[str],
        port: int,
        *,
        clock: Clock = SYSTEM_CLOCK,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._app = app
        self._tls = tls
        self._hosts = tuple(hosts)
        self._clock = clock
        self._state = ServerState()
        self._servers: list[asyncio.Server] = []
        self._tasks = TaskSet("listeners.server")
        self.port = port
        """The port listened on; set by `start` when it was 0."""
        self.addresses: list[str] = []
        self.scheme = "https" if tls else "http"

    @property
    def connections(self) -> int:
        """How many sockets are open."""
        return len(self._state.connections)

    async def start(self) -> None:
        """Listen; return once connections are taken. Raises: ConfigError when the port is taken or cannot be bound."""
        config = Config(
            self._app,
            interface="asgi3",
            http=HttpProtocol,
            ws="none",
            lifespan="off",
            loop="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
        )
        config.load()
        loop = asyncio.get_running_loop()

        def connection() -> HttpProtocol:
            return HttpProtocol(config, self._state, {}, loop)

        tls: dict[str, Any] = {"ssl": self._tls, **_TLS_TIMES} if self._tls else {}
        sockets = self._bind()
        try:
            for sock in sockets:
                self._servers.append(await loop.create_server(connection, sock=sock, backlog=BACKLOG, **tls))
        except OSError:
            for sock in sockets:
                sock.close()
            raise
        self._tasks.spawn(self._sweep(loop), "sweep")

    def _bind(self) -> list[socket.socket]:
        sockets: list[socket.socket] = []
        try:
            for host in self._hosts:
                sock = self._bind_one(host)
                if sock is not None:
                    sockets.append(sock)
                    self.port = sock.getsockname()[1]
                    self.addresses.append(f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}")
        except ConfigError:
            for sock in sockets:
                sock.close()
            raise
        if not sockets:
            raise ConfigError(f"none of the addresses {', '.join(self._hosts)} exists on this machine")
        return sockets

    def _bind_one(self, host: str) -> socket.socket | None:
        """Return a bound socket, or None for an IPv6 address on a machine without IPv6."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock: socket.socket | None = None
        try:
            sock = socket.socket(family, socket.SOCK_STREAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.setblocking(False)
            sock.bind((host, self.port))
            sock.listen(BACKLOG)
        except OSError as error:
            if sock is not None:
                sock.close()
            if family == socket.AF_INET6 and error.errno in _NO_SUCH_ADDRESS:
                _log.info("address_skipped", extra={"fields": {"host": host, "reason": error.strerror}})
                return None
            raise self._bind_error(host, error) from None
        return sock

    def _bind_error(self, host: str, error: OSError) -> ConfigError:
        if error.errno == errno.EADDRINUSE:
            owner = port_owner(self.port, host) or "another process"
            return ConfigError(
                f"port {self.port} on {host} is in use by {owner}",
                hint="Stop that process, or choose another port: `openclaw gateway run --port N` or gateway.port.",
                details={"port": self.port, "host": host, "owner": owner},
            )
        return ConfigError(
            f"cannot listen on {host} port {self.port}: {error.strerror}",
            hint="Check gateway.bind, gateway.customBindHost and gateway.port.",
        )

    async def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            await self._clock.sleep(SWEEP_S)
            now = loop.time()
            for connection in list(self._state.connections):
                if isinstance(connection, HttpProtocol):
                    connection.sweep(now)

    async def stop(self, grace_s: float = 10.0) -> None:
        """Stop listening, let requests end for at most `grace_s` seconds, then cut what is left."""
        for server in self._servers:
            server.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        deadline = self._clock.monotonic_s() + grace_s
        # uvicorn keeps plain sets, which nothing signals
        while (self._state.connections or self._state.tasks) and self._clock.monotonic_s() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        for task in list(self._state.tasks):
            task.cancel()
        left: list[object] = list(self._state.connections)
        for unfinished in left:
            if isinstance(unfinished, HttpProtocol | Socket):
                unfinished.abort()
        await self._tasks.close()
        for server in self._servers:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(server.wait_closed(), 1)
        self._servers.clear()


def port_owner(port: int, host: str, proc: Path = Path("/proc")) -> str | None:
    """Return `name (pid N)` of the process that keeps others from a TCP port of an address, or None when it is unseen.

    Whoever has the same port of another address is in nobody's way.
    """
    from openclaw.ops.doctor.listening import listeners

    wanted = ip_address(host.partition("%")[0])
    for one in listeners(port, proc) or ():
        if one.pid and _collide(ip_address(one.address), wanted):
            return f"{one.program} (pid {one.pid})"
    return None


def _collide(held: IPv4Address | IPv6Address, wanted: IPv4Address | IPv6Address) -> bool:
    """Whether a socket of one address keeps others from its port of another; one of `::` may hold IPv4 as well."""
    held = getattr(held, "ipv4_mapped", None) or held
    if held.version == wanted.version:
        return held == wanted or held.is_unspecified or wanted.is_unspecified
    return held == IPv6Address("::")
