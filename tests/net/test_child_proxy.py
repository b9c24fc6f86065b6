"""The proxy of a sandbox: real curl in a network namespace, hostile bytes, and what it never reaches."""

from __future__ import annotations

import asyncio
import shutil
import stat
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.errors import PolicyDenied
from openclaw.base.principal import LOCAL_OPERATOR
from openclaw.config.schema import NetworkPolicyConfig
from openclaw.net import child_proxy
from openclaw.net.child_proxy import HEAD_S, IDLE_S, _Refused, open_child_proxy, parsed_head
from openclaw.net.egress import Place
from openclaw.policy.egress.door import KIND, EgressRules, Errand, egress_rule
from openclaw.policy.egress.way import EgressGate
from tests.fakes.doors import LedgerRows, gatekeeper

pytestmark = pytest.mark.anyio

BRIDGE = """
import asyncio, os, subprocess, sys
async def carry(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
async def met(reader, writer):
    there = await asyncio.open_unix_connection(sys.argv[1])
    await asyncio.gather(carry(reader, there[1]), carry(there[0], writer), return_exceptions=True)
async def main():
    await asyncio.start_server(met, "127.0.0.1", 3128)
    child = await asyncio.create_subprocess_exec(*sys.argv[2:], stderr=subprocess.STDOUT)
    sys.exit(await child.wait())
asyncio.run(main())
"""
"""What stands inside a sandbox: it leads from a port that programs know to the socket."""


class Site:
    """A server of this machine that counts who comes."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.host = host
        self.heads: list[bytes] = []
        self.connections = 0
        self.port = 0

    async def __aenter__(self) -> Site:
        self._server = await asyncio.start_server(self._met, self.host, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(asyncio.IncompleteReadError, OSError):
            self.heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
            await writer.drain()
        writer.close()


class House:
    """A proxy over the real door."""

    def __init__(self, folder: Path, *entries: str) -> None:
        self.rows = LedgerRows()
        self.path = folder / "proxy.sock"
        self.rules = EgressRules(NetworkPolicyConfig(egress_allowlist=entries))
        self.names: dict[str, Sequence[str]] = {}
        self.looked_up: list[str] = []
        self.gate = EgressGate(gatekeeper({KIND: egress_rule(lambda: self.rules)}, self.rows), lambda: self.rules)

        self.door = self.gate.child(LOCAL_OPERATOR, Errand("tools", "tool exec", "main"), session="s", run="r")

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        self.looked_up.append(host)
        if host not in self.names:
            raise OSError("no such name")
        return self.names[host]

    @asynccontextmanager
    async def open(self, *, idle_s: float = IDLE_S, head_s: float = HEAD_S) -> AsyncIterator[House]:
        async with open_child_proxy(self.path, self.door, resolve=self.resolve, idle_s=idle_s, head_s=head_s):
            yield self

    async def send(self, raw: bytes, *, wait_s: float = 5) -> bytes:
        reader, writer = await asyncio.open_unix_connection(str(self.path))
        writer.write(raw)
        try:
            async with asyncio.timeout(wait_s):
                return await reader.read()
        finally:
            writer.close()


async def curl(path: Path, *arguments: str) -> tuple[int, str]:
    """Run curl where there is no network but the bridge."""
    inner = [sys.executable, "-c", BRIDGE, str(path), "curl", "-sS", "-m", "5", *arguments]
    process = await asyncio.create_subprocess_exec(
        *("unshare", "-rn", "sh", "-c", 'ip link set lo up; exec "$@"', "sh", *inner),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,  # what the bridge says when it is stopped amid its work
    )
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


needs_namespaces = pytest.mark.skipif(
    sys.platform != "linux" or not all(map(shutil.which, ("unshare", "curl", "ip"))),
    reason="needs unshare, ip and curl",
)
PROXY = ("-x", "http://127.0.0.1:3128")


@needs_namespaces
async def test_curl_in_a_sandbox_reaches_what_is_listed_and_nothing_else(tmp_path: Path) -> None:
    async with Site() as site, Site() as canary, Site("::1") as canary6:
        house = House(tmp_path, f"site.test:{site.port}", f"127.0.0.1:{site.port}", f"*.evil.test:{canary.port}")
        house.names = {"site.test": ["127.0.0.1"], "a.evil.test": ["127.0.0.1"]}
        at = f"http://site.test:{site.port}/x?y=z"
        async with house.open():
            assert await curl(house.path, *PROXY, at) == (0, "hello")
            assert await curl(house.path, *PROXY, "--proxytunnel", at) == (0, "hello")
            for url in (
                f"http://127.0.0.1:{canary.port}/",
                f"http://[::1]:{canary6.port}/",
                f"http://localhost:{canary.port}/",
                f"http://a.evil.test:{canary.port}/",
                f"http://0x7f.1:{canary.port}/",
                f"http://[::ffff:127.0.0.1]:{canary.port}/",
                "http://169.254.169.254/latest/meta-data/",
            ):
                for how in ((), ("--proxytunnel",)):
                    code, said = await curl(house.path, *PROXY, *how, url)
                    assert code or "hello" not in said, (url, said)
            code, said = await curl(house.path, f"http://127.0.0.1:{canary.port}/")
            assert code == 7, "without the proxy there is no network"
        assert len(site.heads) == 2
        assert canary.connections == canary6.connections == 0
        allowed, denied = ([row for row in house.rows.entries if row.answer == x] for x in ("allow", "deny"))
        assert len(allowed) >= 2
        assert {(row.agent, row.session, row.run) for row in house.rows.entries} == {("main", "s", "r")}
        assert any(row.rule == "egress.address" and row.facts.get("address") == "127.0.0.1" for row in denied)


async def test_a_request_is_rebuilt_and_its_proxy_headers_stay_here(tmp_path: Path) -> None:
    async with Site() as site:
        house = House(tmp_path, f"site.test:{site.port}", f"127.0.0.1:{site.port}")
        house.names = {"site.test": ["127.0.0.1"]}
        async with house.open():
            answer = await house.send(
                f"GET http://SITE.test:{site.port}/a%20b?c HTTP/1.1\r\nHost: other.test\r\nhost: third.test\r\n"
                "Proxy-Authorization: Basic c2VjcmV0\r\nX-Hop: 1\r\nConnection: x-hop\r\nX-Kept: 2\r\n\r\n".encode()
            )
        assert answer.endswith(b"hello")
        (head,) = site.heads
        assert head == (
            f"GET /a%20b?c HTTP/1.1\r\nHost: site.test:{site.port}\r\nx-kept: 2\r\nConnection: close\r\n\r\n".encode()
        )


async def test_a_denial_says_what_the_operator_would_do_and_looks_nothing_up(tmp_path: Path) -> None:
    house = House(tmp_path, "a.org")
    async with house.open():
        answer = await house.send(b"CONNECT evil.example:443 HTTP/1.1\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 403 ")
        assert b'openclaw config set networkPolicy.egressAllowlist \'["a.org", "evil.example"]\'' in answer
        assert house.looked_up == []
        house.rows.full = True
        answer = await house.send(b"CONNECT a.org:443 HTTP/1.1\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert house.looked_up == []


BAD = (
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET /etc/passwd HTTP/1.1\r\nHost: a.org\r\n\r\n",
    b"CONNECT a.org HTTP/1.1\r\n\r\n",
    b"CONNECT http://a.org/ HTTP/1.1\r\n\r\n",
    b"CONNECT u@a.org:443 HTTP/1.1\r\n\r\n",
    b"CONNECT a.org:99999 HTTP/1.1\r\n\r\n",
    b"CONNECT a.org:443/x HTTP/1.1\r\n\r\n",
    b"CONNECT 0x7f.1:443 HTTP/1.1\r\n\r\n",
    b"CONNECT [fe80::1%25lo]:443 HTTP/1.1\r\n\r\n",
    b"CONNECT a.org:443 HTTP/2.0\r\n\r\n",
    b"connect a.org:443 HTTP/1.1\r\n\r\n",
    b"GET https://a.org/ HTTP/1.1\r\n\r\n",
    b"GET ftp://a.org/ HTTP/1.1\r\n\r\n",
    b"GET file:///etc/passwd HTTP/1.1\r\n\r\n",
    b"GET http://u:p@a.org/ HTTP/1.1\r\n\r\n",
    b"GET http://a.org/ HTTP/1.1\r\n folded: x\r\n\r\n",
    b"GET http://a.org/ HTTP/1.1\r\nNo-Colon\r\n\r\n",
    b"GET http://a.org/ HTTP/1.1\r\nX : y\r\n\r\n",
    b"GET http://a.org/ HTTP/1.1\r\nX: y\nHost: evil\r\n\r\n",
    b"GET http://a.org/ HTTP/1.1\r\nX: \x00\r\n\r\n",
    b"GET  http://a.org/ HTTP/1.1\r\n\r\n",
    b"GET http://a.org/\t HTTP/1.1\r\n\r\n",
    b"\xff\xff\r\n\r\n",
)


@pytest.mark.parametrize("raw", BAD)
async def test_what_is_no_plain_request_is_refused_before_the_door(tmp_path: Path, raw: bytes) -> None:
    house = House(tmp_path, "a.org")
    async with house.open():
        assert (await house.send(raw)).startswith(b"HTTP/1.1 400 ")
    assert house.rows.entries == []


@given(st.binary(max_size=300))
def test_any_bytes_are_a_head_or_refused(raw: bytes) -> None:
    for head in (raw, b"GET http://a.org/" + raw, b"GET http://a.org/ HTTP/1.1\r\nX: " + raw):
        with suppress(_Refused):
            found = parsed_head(head + b"\r\n\r\n")
            if found.forward:
                assert found.forward.count(b"\r\n\r\n") == 1
                assert found.forward.endswith(b"Connection: close\r\n\r\n")


async def test_a_slow_or_endless_head_is_given_up(tmp_path: Path) -> None:
    house = House(tmp_path)
    async with house.open(head_s=0.05):
        assert (await house.send(b"GET http://a.org/ HTTP/1.1\r\nX: ")).startswith(b"HTTP/1.1 408 ")
    async with house.open():
        assert (await house.send(b"GET http://a.org/" + b"a" * 40_000)).startswith(b"HTTP/1.1 431 ")


async def test_a_silent_tunnel_ends_and_all_of_them_end_with_the_run(tmp_path: Path) -> None:
    async with Site() as site:
        house = House(tmp_path, f"127.0.0.1:{site.port}")
        ask = f"CONNECT 127.0.0.1:{site.port} HTTP/1.1\r\n\r\n".encode()
        async with house.open(idle_s=0.05):
            assert (await house.send(ask)).startswith(b"HTTP/1.1 200 ")
        async with house.open():
            reader, writer = await asyncio.open_unix_connection(str(house.path))
            writer.write(ask)
            assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
        assert await reader.read() == b""
        writer.close()
        assert not house.path.exists()


async def test_connections_are_counted_and_the_socket_is_the_owners_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_proxy, "MAX_CONNECTIONS", 2)
    house = House(tmp_path)
    async with house.open():
        assert stat.S_IMODE(house.path.stat().st_mode) == 0o600
        held = [await asyncio.open_unix_connection(str(house.path)) for _ in range(2)]
        answer = await house.send(b"")
        assert answer.startswith(b"HTTP/1.1 503 ")
        for _, writer in held:
            writer.close()


async def test_a_child_that_asks_for_ever_fills_no_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_proxy, "BURST", 3)
    monkeypatch.setattr(child_proxy, "STEP_S", 1000.0)
    house = House(tmp_path)
    async with house.open():
        for _ in range(3):
            assert (await house.send(b"CONNECT evil.example:443 HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 403 ")
        with pytest.raises(TimeoutError):
            await house.send(b"CONNECT evil.example:443 HTTP/1.1\r\n\r\n", wait_s=0.1)
    assert len(house.rows.entries) == 3


async def test_a_socket_that_is_there_already_is_not_taken_over(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.path.write_text("mine")
    with pytest.raises(OSError, match="in use"):
        async with house.open():
            pass
    assert house.path.read_text() == "mine"


async def test_a_refused_address_is_denied_by_name(tmp_path: Path) -> None:
    house = House(tmp_path, "in.test")
    house.names = {"in.test": ["93.184.216.34", "10.0.0.1"]}
    async with house.open():
        answer = await house.send(b"CONNECT in.test:443 HTTP/1.1\r\n\r\n")
    assert b"in.test stands for 10.0.0.1, which is private" in answer
    with pytest.raises(PolicyDenied):
        await (await house.door(Place("https://in.test/", "https", "in.test", 443))).refuse("10.0.0.1")
