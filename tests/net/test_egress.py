"""Which addresses tools reach: every family, every notation; and names that change their mind."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.net.egress import is_address, place, refusal
from openclaw.net.error import NetError
from openclaw.net.http import HttpClient, Timeouts
from openclaw.net.way import PublicWay, Way
from tests.stand_ins.openai import OpenAIStandIn
from tests.stand_ins.server import Raw

pytestmark = pytest.mark.anyio

_PUBLIC = """
1.0.0.1 1.1.1.1 8.8.4.4 8.8.8.8 9.255.255.255 11.0.0.0 52.95.110.1 93.184.216.34 100.63.255.255 100.128.0.0
104.16.0.1 126.255.255.255 128.0.0.1 140.82.112.3 151.101.1.140 168.63.129.15 168.63.129.17 169.253.255.255
169.255.0.0 172.15.255.255 172.32.0.0 185.199.108.153 191.255.255.255 192.0.1.0 192.0.3.0 192.88.98.255 192.88.100.0
192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0
223.255.255.255
2001:200::1 2001:4860:4860::8888 2003::1 2606:4700:4700::1111 2620:fe::fe 2a00:1450:4001:81b::200e 2a03:2880:f12f::1
2c0f:fb50:4002::1 2001:db7:ffff::1 2001:db9::1 2400:cb00::1 3ffe::1 3fff:1000::1 2600:: 2400::
"""
PUBLIC = _PUBLIC.split()

REFUSED = {
    "loopback": "127.0.0.1 127.0.0.0 127.1.2.3 127.255.255.255 127.1 127.0.1 0x7f.0.0.1 0x7f.1 0x7f000001 0X7F000001"
    " 2130706433 017700000001 0177.0.0.1 0177.1 127.0.0.01 ::1 0:0:0:0:0:0:0:1 0000::0001 ::0001",
    "unspecified": "0.0.0.0 0 0x0 0.1.2.3 0.255.255.255 1 255 :: 0::0 0:0:0:0:0:0:0:0",
    "private": "10.0.0.0 10.0.0.1 10.255.255.255 10.1 0xa.0.0.1 0x0a000001 167772161 012.0.0.1 172.16.0.0 172.16.0.1"
    " 172.20.10.2 172.31.255.255 2886729729 192.168.0.0 192.168.0.1 192.168.1.254 192.168.255.255 192.168.1 0xc0a80001"
    " 3232235521 fc00::1 fd00::1 fd12:3456:789a::1 fdff:ffff::1 fc00::",
    "CGNAT": "100.64.0.0 100.64.0.1 100.100.100.199 100.127.255.255 1681915905",
    "metadata": "169.254.169.254 2852039166 0xa9fea9fe 0251.0376.0251.0376 168.63.129.16 fd00:ec2::254"
    " fd20:ce::254 fd00:ec2::23 fd00:c1::a9fe:a9fe fd00:42::42 100.100.100.200 192.0.0.192 169.254.170.2"
    " 169.254.170.23",
    "link-local": "169.254.0.0 169.254.0.1 169.254.170.3 169.254.255.255 fe80:: fe80::1 fe80::a9fe:a9fe febf::1",
    "site-local": "fec0:: fec0::1 feff::1",
    "multicast": "224.0.0.0 224.0.0.1 224.0.0.251 232.1.1.1 239.255.255.250 239.255.255.255 3758096385 ff00:: ff02::1"
    " ff02::fb ff05::2 ff0e::1 ffff::1",
    "reserved": "240.0.0.0 240.0.0.1 250.1.2.3 255.255.255.254 255.255.255.255 4294967295 0xffffffff 192.0.0.0"
    " 192.0.0.1 192.0.0.8 192.0.0.170 192.0.0.171 192.0.0.193 192.0.0.255 192.31.196.1 192.52.193.1 192.175.48.1 100::"
    " 100::1 100:0:0:1::1 5f00::1 2001:2::1 2001:10::1 2001:20::1 2001:30::1 2001:1::1 2001:3::1 2001:4:112::1"
    " 2620:4f:8000::1 1::1 200::1 1fff::1 4000::1 6000::1 8000::1 a000::1 c000::1 e000::1 f000::1 f800::1 fe00::1",
    "documentation": "192.0.2.0 192.0.2.1 192.0.2.255 198.51.100.0 198.51.100.7 203.0.113.0 203.0.113.255 2001:db8::"
    " 2001:db8::1 2001:db8:ffff::1 3fff::1 3fff:0fff::1",
    "benchmarks": "198.18.0.0 198.18.0.1 198.19.255.255",
    "6to4": "192.88.99.0 192.88.99.1 2002:: 2002:7f00:1::1 2002:a9fe:a9fe:: 2002:0808:0808::1 2002:c0a8:1::1",
    "disguise": "::ffff:127.0.0.1 ::ffff:7f00:1 ::ffff:10.0.0.1 ::ffff:8.8.8.8 ::ffff:a9fe:a9fe ::127.0.0.1 ::7f00:1"
    " ::8.8.8.8 ::2 ::ffff:0:127.0.0.1 ::ffff:0:808:808",
    "NAT64": "64:ff9b:: 64:ff9b::7f00:1 64:ff9b::127.0.0.1 64:ff9b::8.8.8.8 64:ff9b:1::1 64:ff9b:1:ffff::1",
    "Teredo": "2001:: 2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "ISATAP": "2606:4700::5efe:7f00:1 2606:4700::200:5efe:10.0.0.1",
    "interface": "fe80::1%eth0 2606:4700::1111%1 ::1%lo",
    "not an IP": "localhost example.com 127.0.0.256 1.2.3.4.5 [::1] 08.1.1.1 0xg.1 :: ::1:: 8.8.2056"
    " 134744072 0x8.8.8.8",
}
ROWS = [(kind, address) for kind, addresses in REFUSED.items() for address in addresses.split()]


def test_the_table_is_long_enough_to_mean_something() -> None:
    assert len(ROWS) + len(PUBLIC) >= 150


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_reached(address: str) -> None:
    assert refusal(address) == ""


@pytest.mark.parametrize(("kind", "address"), ROWS)
def test_an_address_that_is_not_public_is_refused_and_named(kind: str, address: str) -> None:
    if kind == "not an IP" and address == "::":
        kind = "unspecified"
    assert kind in refusal(address)


@given(st.ip_addresses(v=4))
def test_what_the_standard_library_calls_private_is_refused_in_every_notation(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    octets = address.packed
    spellings = [
        str(address),
        str(number),
        hex(number),
        f"0{number:o}",
        ".".join(f"0x{octet:x}" for octet in octets),
        ".".join(f"0{octet:o}" for octet in octets),
        f"{octets[0]}.{number & 0xFFFFFF}",
        f"{octets[0]}.{octets[1]}.{number & 0xFFFF}",
    ]
    assert all(refusal(spelling) for spelling in spellings if spelling != str(address))
    if not address.is_global or address.is_multicast or address.is_reserved:
        assert refusal(str(address))
    for carrier in (
        f"::ffff:{address}",
        f"::{address}",
        f"64:ff9b::{address}",
        f"2002:{number >> 16:x}:{number & 0xFFFF:x}::1",
    ):
        assert refusal(carrier)


@given(st.ip_addresses(v=6))
def test_what_the_standard_library_calls_private_is_refused_in_both_lengths(address: ipaddress.IPv6Address) -> None:
    assert refusal(str(address)) == refusal(address.exploded) == refusal(str(address).upper())
    if (
        not address.is_global
        or address.is_multicast
        or address.is_site_local
        or address.ipv4_mapped
        or address.sixtofour
    ):
        assert refusal(str(address))


@given(st.text(max_size=40))
def test_any_text_gets_a_verdict_and_only_addresses_pass(text: str) -> None:
    if refusal(text) == "":
        assert is_address(text)


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("https://Example.COM", "https://example.com/"),
        ("https://example.com.:443/a", "https://example.com/a"),
        ("http://example.com:443/a?b=c#frag", "http://example.com:443/a?b=c"),
        ("https://bücher.example/ä?q=ö", "https://xn--bcher-kva.example/%C3%A4?q=%C3%B6"),
        ("https://example.com/a%20b/%2e%2e", "https://example.com/a%20b/%2e%2e"),
        ("http://[2606:4700::1111]:8080/", "http://[2606:4700::1111]:8080/"),
        ("https://example.com?x=1", "https://example.com/?x=1"),
    ],
)
def test_a_url_is_sent_in_one_spelling(url: str, sent: str) -> None:
    assert place(url).url == sent
    assert place(sent) == place(url)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "example.com",
            "//example.com",
            "ftp://example.com",
            "http://127.1/",
            "http://0x7f.0.0.1/",
            "http://2130706433/",
            "http://017700000001/",
            "http://134744072/",
            "http://1.2.3.4.5/",
            "http://1.2.3.256/",
            "http://example.0x/",
            "http://a..b/",
            "file:///etc/passwd",
            "gopher://a",
            "http://",
            "http:///a",
        ),
        *("http://user:pw@example.com", "http://@example.com", "https://example.com\\@evil.com/", "http://a b/"),
        *("http://exa\tmple.com", "http://example.com\r\nX: y", "http://example.com:0/", "http://example.com:99999/"),
        *(
            "http://example.com:x/",
            "http://[::1",
            "http://[fe80::1%25eth0]/",
            "http://ex%61mple.com/",
            "http://-a.com/",
        ),
        *("http://a..%00b/", "http://a/\x00", "http://" + "a" * 300 + ".com/", "http://a/" + "b" * 9000, "http://a,b/"),
        *("http://[127.0.0.1]/", "javascript:alert(1)", "data:text/html,x", "http://\ud800/", "http://1.2.3.4\u3000/"),
    ],
)
def test_a_url_that_two_parsers_could_read_differently_is_refused(url: str) -> None:
    with pytest.raises(NetError) as caught:
        place(url)
    assert caught.value.kind == "refused-url"


@given(st.text(max_size=60))
def test_any_text_is_a_place_or_refused(text: str) -> None:
    for url in (text, f"http://{text}", f"https://example.com/{text}", f"http://{text}.example.com/"):
        with suppress(NetError):
            found = place(url)
            assert found.url.isascii()
            assert place(found.url) == found


class Names:
    """A resolver of ours: each name has a list of answers, the last of which stays."""

    def __init__(self, **names: list[Sequence[str]]) -> None:
        self.names = names
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        answers = self.names.get(host.partition(".")[0])
        if not answers:
            raise OSError("no such host")
        return answers.pop(0) if len(answers) > 1 else answers[0]


class Canary:
    """A server on this machine that nobody must reach."""

    def __init__(self) -> None:
        self.connections = 0
        self.port = 0

    async def __aenter__(self) -> Canary:
        self._server = await asyncio.start_server(self._met, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _met(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.close()


@pytest.fixture
async def canary() -> AsyncIterator[Canary]:
    async with Canary() as server:
        yield server


NOT_LONG = Timeouts(connect=2, first_byte=2, idle=2, total=2)


class Judging(PublicWay):
    """A way with a judge of our own."""

    def __init__(self, judge: Callable[[str], str]) -> None:
        self.judge = judge  # type: ignore[method-assign,assignment]


async def refused(http: HttpClient, url: str, way: Way | None = None) -> str:
    with pytest.raises(NetError) as caught:
        await http.stream("GET", url, headers={}, timeouts=NOT_LONG, purpose="tools", way=way)
    assert caught.value.kind in ("refused-target", "protocol", "refused-url", "dns"), caught.value
    return str(caught.value)


HOSTS = "127.0.0.1 127.1 0x7f.1 2130706433 0177.0.0.1 localhost localhost. [::1] [::ffff:127.0.0.1] [::127.0.0.1]"


@pytest.mark.parametrize("host", [*HOSTS.split(), "①②⑦.⓪.⓪.①", "127。0。0。1", "0", "0.0.0.0", "[::]", "127.0.0.2"])
async def test_no_spelling_of_this_machine_is_connected_to(canary: Canary, host: str) -> None:
    async with HttpClient() as http:
        await refused(http, f"http://{host}:{canary.port}/")
    assert canary.connections == 0


async def test_a_name_with_one_private_address_among_public_ones_is_refused(canary: Canary) -> None:
    names = Names(mixed=[["93.184.216.34", "127.0.0.1"]], six=[["::1"]], mapped=[["::ffff:127.0.0.1"]], odd=[["zzz"]])
    async with HttpClient(resolve=names.resolve) as http:
        said = await refused(http, f"http://mixed.test:{canary.port}/")
        assert "127.0.0.1" in said
        assert "loopback" in said
        for name in ("six", "mapped", "odd"):
            await refused(http, f"http://{name}.test:{canary.port}/")
    assert canary.connections == 0


async def test_a_name_that_is_rebound_is_looked_up_once_per_request_and_judged_each_time(canary: Canary) -> None:
    async with OpenAIStandIn([Raw((b"first",))]) as server:
        port = int(server.base_url.split(":")[2][:-3])
        names = Names(rebind=[["127.0.0.1"], ["127.0.0.2"], ["127.0.0.1"]])
        public = {"127.0.0.1"}
        way = Judging(lambda address: "" if address in public else refusal(address) or "odd")
        async with HttpClient(resolve=names.resolve) as http:
            async with await http.stream(
                "GET", f"http://rebind.test:{port}/", headers={}, timeouts=NOT_LONG, purpose="tools", way=way
            ) as answer:
                assert await answer.read_all(100) == b"first"
            assert names.asked == ["rebind.test"]
            await refused(http, f"http://rebind.test:{port}/", way)
            public.clear()
            await refused(http, f"http://rebind.test:{canary.port}/", way)
        assert names.asked == ["rebind.test"] * 3
        assert len(server.requests) == 1
    assert canary.connections == 0


async def test_the_address_is_judged_again_as_the_socket_is_made(canary: Canary) -> None:
    verdicts = iter(["", "loopback"])
    names = Names(late=[["127.0.0.1"]])
    async with HttpClient(resolve=names.resolve) as http:
        await refused(http, f"http://late.test:{canary.port}/", Judging(lambda _: next(verdicts)))
    assert canary.connections == 0


async def test_a_connection_of_the_gateway_itself_is_never_lent_to_a_tool() -> None:
    async with OpenAIStandIn() as server, HttpClient() as http:
        await http.get_json(server.base_url + "/models", purpose="inference")
        await refused(http, server.base_url + "/models")
        assert len(server.requests) == 1


async def test_a_request_of_a_tool_is_never_sent_twice() -> None:
    seen = 0

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        await reader.readline()
        seen += 1
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with HttpClient() as http:
            with pytest.raises(NetError) as caught:
                await http.stream(
                    "POST",
                    f"http://127.0.0.1:{port}/",
                    headers={},
                    body=b"pay",
                    timeouts=NOT_LONG,
                    purpose="tools",
                    way=Judging(lambda _: ""),
                )
    assert caught.value.kind == "reset"
    assert seen == 1
