"""Run as a program in a network of its own: the real resolver, a DNS server, public servers and canaries, all inside.

`unshare -rmn sh -c '…' sh python -m tests.stand_ins.inner_net` prints JSON: what each request came to, by its URL, and
how many connections the canaries saw. There is nothing in this network but what stands here.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec

from openclaw.base.errors import OpenClawError
from openclaw.config.schema import NetworkPolicyConfig
from openclaw.net.egress import Place
from openclaw.net.http import HttpClient
from openclaw.policy.egress_door import KIND, EgressRules, Errand, egress_rule
from openclaw.policy.egress_way import EgressGate, EgressWay
from openclaw.testing import make_context
from openclaw.tools.api import Caller
from openclaw.tools.builtin.egress import Egress
from tests.fakes.doors import LedgerRows, gatekeeper
from tests.stand_ins.dns import DnsStandIn

PUBLIC, OTHER = "93.184.216.34", "151.101.1.140"
"""Addresses of the open web, which this network has at its loopback interface."""
INNER = ("127.0.0.1", "10.20.30.40", "::1", "fd00::99")
SETUP = " && ".join(
    (
        "ip link set lo up",
        *(f"ip addr add {address} dev lo nodad" for address in (PUBLIC, OTHER, "10.20.30.40", "fd00::99")),
        'mount --bind "$1" /etc/resolv.conf',
        'mount --bind "$2" /etc/hosts',
        'shift 2; exec "$@"',
    )
)
NAMES: dict[str, list[Any]] = {
    "site.example": [[PUBLIC]],
    "other.example": [[OTHER]],
    "rebind.example": [[PUBLIC], ["127.0.0.1"]],
    "mixed.example": [[PUBLIC, "127.0.0.1"]],
    "inner.example": [["10.20.30.40"]],
    "six.example": [["fd00::99"]],
    "mapped.example": [["::ffff:127.0.0.1"]],
    "hop.example": [[PUBLIC]],
    "secret.example": [[PUBLIC]],
}


class Server:
    """Counts connections, and answers by the path: `/to/URL` redirects there."""

    def __init__(self) -> None:
        self.heads: list[str] = []
        self.connections = 0

    async def open(self, host: str, port: int) -> None:
        """Take connections for ever."""
        await asyncio.start_server(self._met, host, port)

    async def _met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.heads.append(head)
            path = unquote(head.split(" ")[1])
            if path.startswith("/to/"):
                writer.write(f"HTTP/1.1 302 Found\r\nLocation: {path[4:]}\r\nContent-Length: 0\r\n\r\n".encode())
            else:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello")
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        writer.close()


async def main() -> None:
    """Ask for every URL given as an argument, in their order."""
    site, canary, rows = Server(), Server(), LedgerRows()
    for address in (PUBLIC, OTHER):
        await site.open(address, 80)
    for address in INNER:
        await canary.open(address, 80)
    rules = EgressRules(NetworkPolicyConfig(allow_egress=True))
    gate = EgressGate(gatekeeper({KIND: egress_rule(lambda: rules)}, rows), lambda: rules)

    async def door(caller: Caller, action: str, place: Place) -> EgressWay:
        return await gate.leave(caller.principal, Errand("tools", action), place.host, place.port)

    came_to: dict[str, str] = {}
    headers = {"Authorization": "Bearer s3cret", "Accept": "text/plain"}
    async with DnsStandIn(NAMES, 53) as dns, HttpClient() as http:
        egress, caller = Egress(http, door), make_context(Path("/nowhere"))
        for number, url in enumerate(sys.argv[1:]):
            try:
                answer = await egress.request(caller, "tool x", "GET", url, headers=headers, limit_bytes=99)
                came_to[f"{number} {url}"] = answer.body.decode()
            except OpenClawError as error:
                came_to[f"{number} {url}"] = error.message
        seen = {"came_to": came_to, "canary": canary.connections, "heads": site.heads, "asked": dns.asked}
    print(json.dumps({**seen, "rows": msgspec.to_builtins(rows.entries)}))


if __name__ == "__main__":
    asyncio.run(main())
