"""An operator's proxy: real sockets, a proxy that notes what it was asked, and a site behind it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from openclaw.base.secret import Secret
from openclaw.net.child_proxy import open_child_proxy
from openclaw.net.egress import Place
from openclaw.net.error import NetError
from openclaw.net.http import HttpClient
from openclaw.net.onward import Onward, onward
from openclaw.net.pinned import Carrier
from openclaw.net.target import Target
from openclaw.net.way import NamedWay, PublicWay, Purpose, Way
from tests.config.make import loaded
from tests.net.certificates import pair_in
from tests.net.test_child_proxy import Site

pytestmark = pytest.mark.anyio

PUBLIC = "93.184.216.34"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"


class Proxy:
    """A CONNECT proxy that leads everywhere to one port of this machine, or answers with another status."""

    def __init__(self, port: int, status: int = 200) -> None:
        self.asked: list[str] = []
        self.heads: list[str] = []
        self._to = port
        self._status = status
        self.port = 0

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._met, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        self.asked.append(head.split(" ")[1])
        writer.write(f"HTTP/1.1 {self._status} x\r\n\r\n".encode())
        if self._status == 200:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._to)
            await asyncio.gather(_carry(reader, there_writer), _carry(there_reader, writer), return_exceptions=True)
        writer.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


class Names:
    """A resolver that counts."""

    def __init__(self, **names: Sequence[str]) -> None:
        self.asked: list[str] = []
        self._names = {name.replace("_", "."): found for name, found in names.items()}

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self._names[host]


async def door(where: Target, purpose: Purpose) -> Way:
    return PublicWay() if purpose == "tools" else NamedWay(where.host)


@asynccontextmanager
async def through(proxy: Proxy, names: Names, **more: Any) -> AsyncIterator[HttpClient]:
    carrier = Onward("127.0.0.1", proxy.port)._replace(**more)
    async with HttpClient(door=door, resolve=names, carrier=carrier) as http:
        yield http


async def got(http: HttpClient, url: str, purpose: Purpose = "tools") -> bytes:
    async with await http.stream("GET", url, headers={}, purpose=purpose) as answer:
        return await answer.read_all(1000)


@pytest.mark.parametrize("purpose", ["tools", "inference"])
async def test_the_proxy_is_given_the_address_that_was_judged(purpose: Purpose) -> None:
    names = Names(site_example=[PUBLIC])
    async with Site() as site, Proxy(site.port) as proxy:
        secret = Secret("Basic czNjcmV0")
        async with through(proxy, names, authorization=secret) as http:
            assert await got(http, "http://site.example/x", purpose) == b"hello"
        assert proxy.asked == [f"{PUBLIC}:80"]
        assert "Proxy-Authorization: Basic czNjcmV0" in proxy.heads[0]
        assert site.heads[0].startswith(b"GET /x HTTP/1.1\r\nHost: site.example\r\n")
        assert b"czNjcmV0" not in site.heads[0]
    assert names.asked == ["site.example"]


async def test_tls_ends_here_with_the_name_and_not_at_the_proxy(tmp_path: Path) -> None:
    pair = pair_in(tmp_path, host="site.example")
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(pair.certificate, pair.key)

    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWER)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(met, "127.0.0.1", 0, ssl=serving)
    names = Names(site_example=[PUBLIC], other_example=[PUBLIC])
    async with Proxy(server.sockets[0].getsockname()[1]) as proxy, through(proxy, names) as http:
        with pytest.raises(NetError) as caught:
            await got(http, "https://site.example/")
        assert caught.value.kind == "tls"
        http._tls = ssl.create_default_context(cafile=str(pair.certificate))
        assert await got(http, "https://site.example/") == b"hello"
        with pytest.raises(NetError) as caught:
            await got(http, "https://other.example/")
        assert caught.value.kind == "tls"
        assert set(proxy.asked) == {f"{PUBLIC}:443"}
    server.close()


@pytest.mark.parametrize("addresses", [["127.0.0.1"], [PUBLIC, "10.0.0.1"], ["169.254.169.254"], ["::ffff:7f00:1"]])
async def test_a_name_that_stands_for_an_inner_address_never_comes_to_the_proxy(addresses: list[str]) -> None:
    async with Site() as site, Proxy(site.port) as proxy, through(proxy, Names(site_example=addresses)) as http:
        with pytest.raises(NetError) as caught:
            await got(http, "http://site.example/")
        assert caught.value.kind == "refused-target"
        with pytest.raises(NetError):
            await got(http, f"http://127.0.0.1:{site.port}/")
        assert (proxy.asked, site.connections) == ([], 0)


async def test_what_stands_inside_and_what_is_named_goes_past_the_proxy() -> None:
    names = Names(inner_corp=["127.0.0.1"], a_near_example=["127.0.0.1"])
    async with Site() as site, Proxy(site.port) as proxy:
        async with through(proxy, names, looks_up=True, bypass=("*.near.example",)) as http:
            for host in ("127.0.0.1", "inner.corp", "a.near.example"):
                assert await got(http, f"http://{host}:{site.port}/", "inference") == b"hello"
        assert proxy.asked == []


async def test_a_proxy_that_looks_names_up_is_given_the_name() -> None:
    names = Names()
    async with Site() as site, Proxy(site.port) as proxy, through(proxy, names, looks_up=True) as http:
        assert await got(http, "http://site.example/") == b"hello"
        assert await got(http, f"http://{PUBLIC}/") == b"hello"
        with pytest.raises(NetError):
            await got(http, "http://10.0.0.1/")
        assert (proxy.asked, names.asked) == (["site.example:80", f"{PUBLIC}:80"], [])


async def test_a_proxy_that_refuses_or_is_away_is_named_and_nothing_goes_around_it() -> None:
    names = Names(site_example=[PUBLIC, "2606:4700::1111"])
    async with Site() as site, Proxy(site.port, status=403) as proxy:
        async with through(proxy, names) as http:
            with pytest.raises(NetError, match=r"did not connect \(status 403\)"):
                await got(http, "http://site.example/")
        assert proxy.asked == [f"{PUBLIC}:80", "[2606:4700::1111]:80"]
    async with through(proxy, names) as http:
        with pytest.raises(NetError, match=r"the proxy 127\.0\.0\.1 cannot be reached"):
            await got(http, "http://site.example/")


@pytest.mark.parametrize("looks_up", [False, True])
async def test_a_sandbox_goes_the_same_way(tmp_path: Path, looks_up: bool) -> None:
    names = Names(site_example=[PUBLIC], loop_example=["127.0.0.1"])

    async def child_door(there: Place) -> Way:
        return PublicWay()

    async with Site() as site, Proxy(site.port) as proxy:
        carrier: Carrier = Onward("127.0.0.1", proxy.port, looks_up=looks_up)
        async with open_child_proxy(tmp_path / "p", child_door, resolve=names, carrier=carrier) as path:
            for line in ("GET http://site.example/ HTTP/1.1", "CONNECT site.example:443 HTTP/1.1"):
                reader, writer = await asyncio.open_unix_connection(path)
                writer.write(f"{line}\r\n\r\n".encode())
                assert b" 200 " in await reader.readline()
                writer.close()
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(f"CONNECT 127.0.0.1:{site.port} HTTP/1.1\r\n\r\n".encode())
            assert b" 403 " in await reader.readline()
            writer.close()
        at = "site.example" if looks_up else PUBLIC
        assert proxy.asked == [f"{at}:80", f"{at}:443"]


def test_the_setting_names_it_and_holds_no_credentials() -> None:
    made = onward(
        loaded("{ proxy: { proxyUrl: 'http://proxy.corp:3128', bypass: ['Near.Example.'], lookup: 'proxy' } }")
    )
    assert made is not None
    assert (made.host, made.port, made.looks_up, made.bypass) == ("proxy.corp", 3128, True, ("near.example",))
    assert onward(loaded("{}")) is None
    assert onward(loaded("{ proxy: { enabled: false, proxyUrl: 'http://proxy.corp:3128' } }")) is None


async def test_a_proxy_that_is_set_wrong_is_no_reason_to_go_without_one() -> None:
    urls = (
        "http://u:p@proxy.corp:3128",
        "https://proxy.corp",
        "socks5://proxy.corp",
        "proxy.corp:3128",
        "http://p:99999",
    )
    for url in urls:
        found = loaded(f"{{ proxy: {{ proxyUrl: '{url}' }} }}")
        errors = [issue.path for issue in found.issues if issue.severity == "error"]
        assert errors == ([] if url.endswith("99999") else ["proxy.proxyUrl"]), url
        async with HttpClient(door=door, resolve=Names(site_example=[PUBLIC]), carrier=onward(found)) as http:
            with pytest.raises(NetError, match="section `proxy` of the configuration is wrong"):
                await got(http, "http://site.example/")
