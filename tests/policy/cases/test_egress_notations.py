"""Every address that is not public, in every notation, as URL, as redirect and as DNS answer: a second table."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterator
from typing import Any

import pytest

from openclaw.policy.cases.egress import egress_case

INNER4 = """
    0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1 127.255.255.254
    169.254.0.1 169.254.169.254 169.254.170.2 168.63.129.16 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1
    192.88.99.1 192.168.0.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1
    255.255.255.255
"""
INNER6 = """
    :: ::1 ::2 fe80::1 fe80::a9fe:a9fe febf::1 fec0::1 fc00::1 fd00:ec2::254 fd00:ec2::23 fd20:ce::254 ff02::1
    2001:db8::1 3fff::1 100::1 5f00::1 2001::1 2001:20::1 2001:10::1 2002:: 64:ff9b:: 64:ff9b:1:: 4000::1 1::1
"""
NAMES = """
    localhost foo.localhost localhost. LOCALHOST metadata metadata.google.internal metadata.google.internal. vault
    instance-data router.lan printer.local x.internal db.corp nas.home kubernetes.default.svc x.private x.intranet
    kubernetes.default.svc.cluster.local localhost.localdomain 1.0.0.127.in-addr.arpa x.onion localhost6
"""
NO_URLS = """
    ftp://a.example/ file:///etc/passwd file://a.example/x gopher://a.example/ data:,x javascript:alert(1) unix:///x
    http+unix://%2fvar/ jar:http://a.example/!/ ldap://a.example/ dict://a.example/ tftp://a.example/ ssh://a.example/
    about:blank blob:x view-source:http://a.example/ FILE:///x FTP://a.example/ //a.example/ /x x ? # : :// http http:
    http:/ http:// https://? http://# http://: http://:80/ http:///x http://@/ http://a.example:0/ http://a.example:65536/
    http://a.example:22/ http://a.example:8080/ http://a.example:-1/ http://a.example:4_43/ http://a.example:443:80/
    http://a@a.example/ http://a:b@a.example/ http://a.example@b.example/ http://a.example\\@b.example/
    https:\\\\a.example/ https:/a.example https:a.example http://[a.example]/ http://[2606:4700::1].a.example/
    http://a.example%2f.b.example/ http://a%2eexample/ http://a.example%00/ http://*.example/ http://../ http://./
    http://a..example/ http://.a.example/ http://-a.example/ http://a.example-/ http://a.example../
    http://ａ.example/ http://a。example/ http://a．example/ http://a｡example/ http://ⓐ.example/ http://faß.example/
    http://a\u200b.example/ http://a\u00ad.example/ http://a.example:４４３/
"""
SPACED = ("", " ", "http://a.example\t/", "http://a\n.example/", " http://a.example/", "http://a.example/\r\nX: y")
GOOD = {"good.example": [["93.184.216.34"]]}
CLOSED: dict[str, Any] = {"egress_allowlist": ["good.example"]}
OPEN: dict[str, Any] = {"allow_egress": True, "egress_allowlist": ["0.0.0.0/0", "::/0", "good.example"]}
POLICIES = (CLOSED, OPEN)


def notations4(text: str) -> Iterator[str]:
    number, octets = int(ipaddress.IPv4Address(text)), ipaddress.IPv4Address(text).packed
    yield from (text, f"{text}.", str(number), hex(number), f"0{number:o}", str(number + 2**32))
    yield from (f"{octets[0]}.{number & 0xFFFFFF}", f"{octets[0]}.{octets[1]}.{number & 0xFFFF}")
    yield from (".".join(hex(each) for each in octets), ".".join(f"0{each:o}" for each in octets))
    yield from (f"0x{octets[0]:x}.{octets[1]}.0{octets[2]:o}.{octets[3]}", f"000{text}", f"{text}%00", f"a@{text}")
    yield from (text.replace(".", "%2e"), text.replace(".", "。"), f"{text}?x", f"{text}#.example")
    yield "".join(chr(0xFF10 + int(each)) if each.isdigit() else each for each in text)


def carried(text: str) -> Iterator[str]:
    """Yield IPv6 addresses that an IPv4 one hides in."""
    number = int(ipaddress.IPv4Address(text))
    low, flipped = f"{number >> 16:x}:{number & 0xFFFF:x}", f"{~number >> 16 & 0xFFFF:x}:{~number & 0xFFFF:x}"
    yield from (f"::ffff:{text}", f"::FFFF:{low}", f"0:0:0:0:0:ffff:{low}", f"::{text}", f"::{low}", f"::ffff:0:{low}")
    yield from (f"64:ff9b::{text}", f"64:ff9b::{low}", f"64:ff9b:1::{low}", f"64:ff9b:1:2:3:4:{low}", f"2002:{low}::1")
    yield from (f"2001:0:{low}::", f"2001:0:4136:e378:8000:63bf:{flipped}", f"2606:4700::5efe:{text}")
    yield from (f"fe80::200:5efe:{text}", f"::ffff:{text}%25lo")


def hosts() -> Iterator[str]:
    for text in INNER4.split():
        yield from notations4(text)
        yield from (f"[{each}]" for each in carried(text))
    for text in INNER6.split():
        whole = ipaddress.IPv6Address(text).exploded
        yield from (f"[{each}]" for each in (text, text.upper(), whole, f"{text}%25eth0", f"{text}%eth0"))
        yield text
    yield from NAMES.split()


def answers() -> Iterator[str]:
    for text in INNER4.split():
        yield from (text, *(each.replace("%25", "%") for each in carried(text)))
    yield from INNER6.split()
    yield from (
        "",
        "localhost",
        "good.example",
        "127.1",
        "0x7f.1",
        "8.8.2056",
        "8.8.8.8 ",
        "8.8.8.8 x",
        "[::1]",
        "fe80::1%1",
    )


def case(url: str, policy: Any = CLOSED, dns: Any = GOOD, **more: Any) -> dict[str, Any]:
    return egress_case({"id": url, "url": url, "policy": policy, "dns": dns, **more})


def test_no_notation_of_an_inner_address_is_let_out_nor_looked_up() -> None:
    rows, took = 0, []
    for host in hosts():
        for policy in POLICIES:
            for scheme in ("http", "wss"):
                began = time.thread_time()
                answer = case(f"{scheme}://{host}/", policy)
                took.append(time.thread_time() - began)
                assert (answer["verdict"], answer["lookups"]) == ("deny", []), (host, policy, answer)
                rows += 1
        led = case("https://good.example/", hops=[f"http://{host}/"])
        assert (led["verdict"], led["denied_hop"], led["lookups"]) == ("deny", 1, ["good.example"]), (host, led)
        assert "connect_ip" not in led
    assert rows > 3_000
    assert sorted(took)[len(took) * 99 // 100] < 0.001


def test_no_answer_of_dns_leads_to_an_inner_address() -> None:
    for address in answers():
        for policy in POLICIES:
            for dns, hops in (
                ([[address]], []),
                ([["93.184.216.34", address]], []),
                ([[address, "93.184.216.34"]], []),
                ([["93.184.216.34"], [address]], ["/next"]),
            ):
                answer = case("https://good.example/", policy, {"good.example": dns}, hops=hops)
                assert answer["verdict"] == "deny", (address, policy, answer)
                assert "connect_ip" not in answer
                assert answer.get("denied_hop", 0) == len(hops)


@pytest.mark.parametrize("policy", [{"allow_egress": True}, {"egress_allowlist": ["a.example", "*.example"]}])
def test_what_is_no_plain_address_of_a_web_server_is_refused(policy: dict[str, Any]) -> None:
    dns = {"a.example": [["93.184.216.34"]], "b.example": [["93.184.216.34"]]}
    assert case("http://a.example/", policy, dns)["verdict"] == "allow"
    for url in (*NO_URLS.split(), *SPACED):
        answer = case(url, policy, dns)
        assert (answer["verdict"], answer["lookups"]) == ("deny", []), answer


@pytest.mark.parametrize("url", ["https://bücher.example/", "https://пример.example/", "https://例え.example/"])
def test_a_name_in_its_own_script_is_the_name_that_dns_has(url: str) -> None:
    listed = url.removeprefix("https://").strip("/")
    answer = case(url, {"egress_allowlist": [listed]}, None)
    assert (answer["verdict"], answer["lookups"][0][:4]) == ("allow", "xn--")


@pytest.mark.parametrize(
    ("more", "rule"),
    [
        ({"headers": {"X": "a\r\nY: b"}}, "egress.header"),
        ({"headers": {"X\r\nY": "b"}}, "egress.header"),
        ({"headers": {"": "b"}}, "egress.header"),
        ({"headers": {"X": "a" * 8_001}}, "egress.header"),
        ({"headers": {str(number): "" for number in range(51)}}, "egress.header"),
        ({"headers": {"Host": "other.example"}}, "egress.header"),
        ({"headers": {"transfer-encoding": "chunked"}}, "egress.header"),
        ({"method": "GET / HTTP/1.1\r\nX:"}, "egress.method"),
        ({"method": "CONNECT"}, "egress.method"),
        ({"method": ""}, "egress.method"),
        ({"method": "post", "headers": {"X-Api-Key": "k"}}, "egress.listed"),
        ({"method": None, "headers": None, "hops": None}, "egress.listed"),
        ({"hops": ["/\t/evil.example/"]}, "egress.url"),
        ({"hops": ["\\\\evil.example\\"]}, "egress.url"),
        ({"hops": ["/"] * 6}, "egress.redirects"),
    ],
)
def test_the_head_of_a_request_is_judged(more: dict[str, Any], rule: str) -> None:
    answer = case("https://good.example/", **more)
    assert answer["rule"] == rule
    assert len(answer["lookups"]) <= 6


@pytest.mark.parametrize(
    "policy",
    [
        {"allow_egress": True, "actions": {"web_fetch": {"egress_allowlist": ["good.example"]}}},
        {"allow_egress": True, "actions": {"web_fetch": ["good.example"]}},
        {"allow_egress": True, "agents": {"main": {"egress_allowlist": ["good.example"]}}},
        {"allow_egress": True, "agents": {"main": ["good.example"]}},
        {"allow_egress": True, "agents": {"main": {"actions": {"web_fetch": {"egress_allowlist": ["good.example"]}}}}},
        {
            "network_policy": {"allow_egress": True},
            "agents": {"list": [{"id": "main", "network_policy": {"egress_allowlist": ["good.example"]}}]},
        },
    ],
)
def test_narrower_lists_count_in_either_spelling(policy: dict[str, Any]) -> None:
    dns = {**GOOD, "other.example": [["8.8.8.8"]]}
    who = {"agent": "main", "action": "web_fetch"}
    assert case("https://good.example/", policy, dns, **who)["verdict"] == "allow"
    assert case("https://other.example/", policy, dns, **who)["rule"] == "egress.narrowed"
