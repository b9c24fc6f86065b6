"""Out through an operator's proxy: what was judged here is what the proxy is asked to connect to.

1. Only the proxy that the setting `proxy` names is used, never one of the environment. It is spoken to in plain HTTP
   and asked by CONNECT, for http too: it carries bytes that it need not understand, and TLS ends here.
2. With `lookup: "gateway"` names are looked up and judged here, and the proxy is given the judged address. With
   `"proxy"` it is given the name: what that stands for is then the proxy's affair, and its egress rules are the wall.
3. What stands inside (allowed inner addresses, names that cannot be public, `bypass`) is reached directly.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple

from openclaw.base.secret import Secret
from openclaw.config.load import Loaded
from openclaw.net.egress import is_address, is_public_name, refusal, refusal_of_named
from openclaw.net.error import NetError
from openclaw.net.pinned import Resolve, looked_up, system_resolve
from openclaw.net.target import target

HEAD_BYTES: Final = 16 * 1024
CONNECT_S: Final = 10.0


class ProxyFailed(OSError):
    """The proxy did not connect. `reason` holds nothing that a stranger could have chosen."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Onward(NamedTuple):
    """A proxy, and what goes to it. `authorization` is the value of Proxy-Authorization."""

    host: str
    port: int
    authorization: Secret | None = None
    looks_up: bool = False
    bypass: tuple[str, ...] = ()
    resolve: Resolve = system_resolve

    def names(self, host: str) -> bool:
        """Say whether the proxy is to look this name up."""
        return self.looks_up and not is_address(host) and is_public_name(host) and not self._passed_by(host)

    def carries(self, host: str, address: str) -> bool:
        """Say whether a connection for a host, to this address of it (or to its name), goes through the proxy."""
        if self._passed_by(host):
            return False
        return not refusal(address) if is_address(address) else self.names(host)

    def _passed_by(self, host: str) -> bool:
        name = host.removesuffix(".")
        return any(name == each or (each.startswith("*.") and name.endswith(each[1:])) for each in self.bypass)

    async def connected(self, host: str, port: int) -> socket.socket:
        """Return a socket at whose other end is that server. Raises: RefusedAddress, ProxyFailed, OSError."""
        if not self.host:
            raise ProxyFailed("the section `proxy` of the configuration is wrong, see openclaw config validate")
        try:
            async with asyncio.timeout(CONNECT_S):
                sock = await self._dialled()
                try:
                    await self._asked(sock, f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
                except BaseException:
                    sock.close()
                    raise
                return sock
        except TimeoutError:
            raise ProxyFailed(f"the proxy {self.host} did not connect within {CONNECT_S:g} s") from None

    async def _dialled(self) -> socket.socket:
        loop = asyncio.get_running_loop()
        resolve = _itself if is_address(self.host) else self.resolve
        for address in await looked_up(self.host, self.port, partial(refusal_of_named, self.host), resolve):
            sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
            sock.setblocking(False)
            try:
                await loop.sock_connect(sock, (address, self.port))
            except OSError:
                sock.close()
            except BaseException:
                sock.close()
                raise
            else:
                return sock
        raise ProxyFailed(f"the proxy {self.host} cannot be reached")

    async def _asked(self, sock: socket.socket, at: str) -> None:
        loop = asyncio.get_running_loop()
        proof = f"Proxy-Authorization: {self.authorization.reveal()}\r\n" if self.authorization else ""
        await loop.sock_sendall(sock, f"CONNECT {at} HTTP/1.1\r\nHost: {at}\r\n{proof}\r\n".encode("latin-1"))
        head = b""
        while b"\r\n\r\n" not in head:
            piece = await loop.sock_recv(sock, 4096)
            head += piece
            if not piece or len(head) > HEAD_BYTES:
                raise ProxyFailed(f"the proxy {self.host} gave no answer that can be read")
        version, _, rest = head.partition(b" ")
        status = rest[:3].decode("ascii", "replace")
        if not version.startswith(b"HTTP/1.") or not status.isdigit() or not head.endswith(b"\r\n\r\n"):
            raise ProxyFailed(f"the proxy {self.host} gave no answer that can be read")
        if not status.startswith("2"):
            raise ProxyFailed(f"the proxy {self.host} did not connect (status {status})")


async def _itself(host: str, port: int) -> Sequence[str]:
    return (host,)


def onward(loaded: Loaded) -> Onward | None:
    """Return the proxy of a configuration, None without one. One that is wrong lets nothing out."""
    config = loaded.config.proxy
    if any(issue.severity == "error" and issue.section == "proxy" for issue in loaded.issues):
        return _SHUT
    if not config.enabled or not config.proxy_url:
        return None
    try:
        there = target(config.proxy_url)
    except NetError:
        return _SHUT
    return Onward(
        there.host,
        there.port,
        config.authorization,
        config.lookup == "proxy",
        tuple(each.lower().removesuffix(".") for each in config.bypass),
    )


_SHUT: Final = Onward("", 0)
