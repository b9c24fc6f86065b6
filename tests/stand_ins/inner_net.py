"""Run as a program in a network of its own: the real resolver, a DNS server, public servers and canaries, all inside.

It reads `{"urls": […], "names": {name: [answers of the first lookup, of the second …]}}` and prints what each request
came to, by tools and through the proxy of a sandbox, and how many connections the canaries saw. There is nothing in
this network but what stands here.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from subprocess import run
from typing import Any
from urllib.parse import unquote

import msgspec

from openclaw.base.errors import OpenClawError
from openclaw.base.principal import LOCAL_OPERATOR
from openclaw.config.schema import NetworkPolicyConfig
from openclaw.net.child_proxy import BURST, open_child_proxy
from openclaw.net.egress import Place
from openclaw.net.http import HttpClient
from openclaw.policy.egress.door import KIND, EgressRules, Errand, egress_rule
from openclaw.policy.egress.way import EgressGate, EgressWay
from openclaw.testing import make_context
from openclaw.tools.api import Caller
from openclaw.tools.builtin.egress import Egress
from tests.fakes.doors import LedgerRows, gatekeeper
from tests.stand_ins.dns import DnsStandIn

ROOT = Path(__file__).parents[2]
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


@cache
def has_namespaces() -> bool:
    """Say whether this machine lets us make a network of our own, with its own mounts."""
    if sys.platform != "linux" or not shutil.which("unshare") or not shutil.which("ip"):
        return False
    return run(["unshare", "-rmn", "ip", "link", "set", "lo", "up"], capture_output=True, check=False).returncode == 0


async def in_a_network_of_its_own(folder: Path, urls: Sequence[str], names: Mapping[str, Any] = {}) -> dict[str, Any]:
    """Ask for URLs with the real resolver, where public servers and canaries stand."""
    resolver, hosts = folder / "resolv.conf", folder / "hosts"
    resolver.write_text("nameserver 127.0.0.1\n")
    hosts.write_text("")
    proxies = dict.fromkeys(("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"), "http://10.20.30.40:80")
    process = await asyncio.create_subprocess_exec(
        *("unshare", "-rmn", "sh", "-c", SETUP, "sh", str(resolver), str(hosts)),
        *(sys.executable, "-m", "tests.stand_ins.inner_net", str(folder / "proxy.sock")),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **proxies, "NO_PROXY": "", "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])},
        cwd=ROOT,
    )
    out, told = await process.communicate(json.dumps({"urls": urls, "names": dict(names)}).encode())
    assert process.returncode == 0, told.decode()
    seen: dict[str, Any] = json.loads(out)
    return seen


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


class House:
    """The real door, open to the whole web, with its rows."""

    def __init__(self) -> None:
        self.rows = LedgerRows()
        rules = EgressRules(NetworkPolicyConfig(allow_egress=True))
        self.gate = EgressGate(gatekeeper({KIND: egress_rule(lambda: rules)}, self.rows), lambda: rules)

    async def door(self, caller: Caller, action: str, place: Place) -> EgressWay:
        """See tools.builtin.egress.Door."""
        return await self.gate.leave(caller.principal, Errand("tools", action), place.host, place.port)


async def by_tools(house: House, urls: Sequence[str]) -> dict[str, str]:
    """Ask as a tool does; return what each came to, by number and URL."""
    came_to: dict[str, str] = {}
    headers = {"Authorization": "Bearer s3cret", "Accept": "text/plain"}
    async with HttpClient() as http:
        egress, caller = Egress(http, house.door), make_context(Path("/nowhere"))
        for number, url in enumerate(urls):
            try:
                answer = await egress.request(caller, "tool x", "GET", url, headers=headers, limit_bytes=99)
                came_to[f"{number} {url}"] = answer.body.decode()
            except OpenClawError as error:
                came_to[f"{number} {url}"] = error.message
    return came_to


async def by_proxy(house: House, path: Path, urls: Sequence[str]) -> dict[str, str]:
    """Ask as a child in a sandbox does, in both ways; return the first line of each answer."""
    first: dict[str, str] = {}
    door = house.gate.child(LOCAL_OPERATOR, Errand("tools", "tool exec"), session="s", run="r")
    for start in range(0, len(urls), BURST // 2):  # a new one each time: so many come without a wait
        async with open_child_proxy(path, door):
            for url in urls[start : start + BURST // 2]:
                host = url.removeprefix("http://").partition("/")[0]
                for line in (f"GET {url}", f"CONNECT {host}:80"):
                    reader, writer = await asyncio.open_unix_connection(str(path))
                    writer.write(f"{line} HTTP/1.1\r\n\r\n".encode())
                    first[line] = (await reader.readline()).decode().strip()
                    writer.close()
    return first


async def main() -> None:
    """Ask for every URL, in their order, by both ways out."""
    asked = json.load(sys.stdin)
    site, canary, house = Server(), Server(), House()
    for address in (PUBLIC, OTHER):
        await site.open(address, 80)
    for address in INNER:
        await canary.open(address, 80)
    async with DnsStandIn({**NAMES, **asked["names"]}, 53) as dns:
        came_to = await by_tools(house, asked["urls"])
        seen = {"came_to": came_to, "heads": site.heads, "asked": [*dns.asked], "canary": canary.connections}
        seen["rows"] = msgspec.to_builtins(house.rows.entries)
        seen["proxy"] = await by_proxy(house, Path(sys.argv[1]), asked["urls"])
        seen["canary_of_proxy"] = canary.connections
        for address in INNER:
            _, writer = await asyncio.open_connection(address, 80)
            writer.close()
            await writer.wait_closed()
        seen["canary_met_directly"] = canary.connections
    print(json.dumps(seen))


if __name__ == "__main__":
    asyncio.run(main())
