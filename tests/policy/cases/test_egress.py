"""The egress door as a table: who is let out to where, and what is looked up on the way."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.errors import InvalidRequest
from openclaw.config.schema import (
    AgentNetworkConfig,
    EgressClassConfig,
    EgressClassesConfig,
    EgressListConfig,
    NetworkPolicyConfig,
)
from openclaw.policy.cases.egress import egress_case
from openclaw.policy.egress.door import TOOLS, EgressRules, Errand

SHUT: dict[str, Any] = {"allow_egress": False, "egress_allowlist": []}
OPEN: dict[str, Any] = {"allowEgress": True}
SOME: dict[str, Any] = {
    "networkPolicy": {
        "egress_allowlist": [
            *(
                "api.example.com",
                "*.cdn.example",
                "db.corp:5432",
                "side.corp:8080",
                "192.168.7.9:9090",
                "git.example:8443",
                "Bücher.example",
            ),
            *("wiki.corp", "10.1.0.0/16", "10.9.9.9:8080", "8.8.8.8", "1.1.1.0/24:53", "[2606:4700::1111]:8443"),
            *("192.168.7.7", "fd12:3456::/48", "169.254.170.2", "127.0.0.1:9000", "0.0.0.0/0:81", "[::/0]:81"),
        ]
    }
}
NAMES: dict[str, Any] = {
    "api.example.com": [["93.184.216.34", "2606:2800:220:1::1"]],
    "a.cdn.example": [["1.1.1.1"]],
    "git.example": [["140.82.112.3"]],
    "xn--bcher-kva.example": [["93.184.216.34"]],
    "wiki.corp": [["10.1.2.3"]],
    "db.corp": [["10.1.2.3"]],
    "side.corp": [["192.168.7.9"]],
    "mixed.cdn.example": [["1.1.1.1", "10.1.2.3"]],
    "inner.cdn.example": [["10.2.0.1"]],
    "loop.cdn.example": [["127.0.0.1"]],
    "six.cdn.example": [["::1"]],
    "mapped.cdn.example": [["::ffff:10.1.2.3"]],
    "nat.cdn.example": [["64:ff9b::a01:203"]],
    "meta.cdn.example": [["169.254.169.254"]],
    "ecs.cdn.example": [["169.254.170.2"]],
    "junk.cdn.example": [["not-an-address"]],
    "none.cdn.example": [[]],
    "web.example": [["93.184.216.34"]],
    "rebind.example": [["127.0.0.1"]],
}

_ALLOWED = """
    https://api.example.com https://api.example.com/ http://api.example.com/x?y=z https://API.EXAMPLE.COM/
    https://api.example.com./ https://api.example.com:443/ http://api.example.com:80/ https://api.example.com:80/
    wss://api.example.com/socket ws://api.example.com/ https://a.cdn.example/ https://b.a.cdn.example/
    https://git.example:8443/ https://bücher.example/ https://xn--bcher-kva.example/ http://wiki.corp/
    http://10.1.0.0/ http://10.1.255.255/ https://10.1.2.3:443/ http://10.9.9.9:8080/ https://8.8.8.8/
    http://8.8.8.8/ http://1.1.1.1:53/ http://1.1.1.255:53/ http://[2606:4700::1111]:8443/
    http://[2606:4700:0::1111]:8443/ http://192.168.7.7/ http://[fd12:3456::1]/ http://[fd12:3456:0:ffff::1]/
    http://169.254.170.2/ http://127.0.0.1:9000/ http://db.corp:5432/ https://ecs.cdn.example/ http://93.184.216.34:81/
    http://[2a00:1450:4001:81b::200e]:81/
"""
DENIED = {
    "egress.unlisted": """
        https://example.com/ https://www.api.example.com/ https://xapi.example.com/ https://api.example.com.evil.net/
        https://cdn.example/ https://acdn.example/ https://a.cdn.example.evil.net/ https://api.example.com:8443/
        https://git.example/ https://git.example:8444/ http://db.corp/ http://db.corp:80/ https://localhost/ http://corp/
        http://api/ https://api-example.com/ https://api.example.co/ https://example.com:81/ https://api_example.com/
        https://metadata.google.internal/ https://api.example.com:5432/ https://a.cdn.example:9000/ http://wiki.corp:8080/
        https://xn--api-example-com.net/ https://api.example.com.:8080/ wss://evil.net/ ws://api.example.com:8080/
        https://1.1.1.1/ https://9.9.9.9/ https://8.8.8.8:53/ http://1.1.2.1:53/ https://[2606:4700::1111]/
        https://[2606:4700::1112]:8443/ https://8.8.4.4/ http://[2a00:1450:4001:81b::200e]/
    """,
    "egress.address": """
        http://127.0.0.1/ http://127.0.0.1:9001/ http://127.0.0.2:9000/ http://[::1]/ http://[::1]:9000/ http://10.0.0.1/
        http://10.2.0.1/ http://10.1.2.3:8080/ http://10.9.9.9/ http://192.168.7.8/ http://192.168.7.7:8080/
        http://172.16.0.1/ http://169.254.169.254/ http://169.254.170.2:8080/ http://169.254.170.3/ http://100.64.0.1/
        http://0.0.0.0/ http://0.0.0.0:81/ http://127.0.0.1:81/ http://10.0.0.1:81/ http://169.254.169.254:81/
        http://[::]:81/ http://[::ffff:127.0.0.1]:81/ http://[::ffff:7f00:1]/ http://[0:0:0:0:0:ffff:7f00:1]/
        http://[::ffff:8.8.8.8]/ http://[64:ff9b::7f00:1]:81/ http://[2002:7f00:1::]/ http://[fe80::1]:81/
        http://[fd12:3457::1]/ http://[fc00::1]:81/ http://[fec0::1]/ http://[ff02::1]/ http://224.0.0.1:81/
        http://240.0.0.1/ http://255.255.255.255/ http://198.18.0.1/ http://192.0.0.1/ http://192.0.2.1/
        http://168.63.129.16:81/ http://[fd00:ec2::254]:81/ http://[2001:db8::1]/ http://[100::1]/
        https://inner.cdn.example/ https://loop.cdn.example/ https://six.cdn.example/ https://mapped.cdn.example/
        https://nat.cdn.example/ https://meta.cdn.example/ https://junk.cdn.example/ http://side.corp:8080/
    """,
    "egress.url": """
        ftp://api.example.com/ file:///etc/passwd gopher://api.example.com/ javascript:alert(1) data:text/html,x
        api.example.com //api.example.com/ http:// http:///x https://user@api.example.com/ https://u:p@api.example.com/
        https://@api.example.com/ https://api.example.com@evil.net/ https://evil.net\\@api.example.com/
        https://api.example.com:0/ https://api.example.com:99999/ https://api.example.com:x/ https://api.example.com:-1/
        http://127.1/ http://0x7f.0.0.1/ http://0x7f000001/ http://2130706433/ http://017700000001/ http://0177.0.0.1/
        http://0/ http://127.0.0.01/ http://8.8.2056/ http://1.2.3.4.5/ http://256.1.1.1/ http://[::1/ http://[fe80::1%25eth0]/
        http://[127.0.0.1]/ https://api..example.com/ https://.api.example.com/ https://-api.example.com/
        https://api.example.com../ https://api%2eexample.com/ https://api.example.com%00.evil.net/ http://[v1.x]/
        https://api.example.com,evil.net/ https://api.example.com*evil.net/ https://*.cdn.example/ unix:///run/x.sock
        HTTPS//api.example.com http+unix://x/ dict://api.example.com:11211/ ldap://api.example.com/ blob:https://x.y/
    """,
    "egress.no-address": "https://none.cdn.example/ https://unknown.cdn.example/",
}
ROWS = [(url, "") for url in _ALLOWED.split()] + [(url, rule) for rule, urls in DENIED.items() for url in urls.split()]


def case(url: str, policy: dict[str, Any] = SOME, dns: Any = NAMES, **more: Any) -> dict[str, Any]:
    return egress_case({"id": 1, "url": url, "policy": policy, "dns": dns, **more})


@pytest.mark.parametrize(("url", "rule"), ROWS)
def test_the_table(url: str, rule: str) -> None:
    dns = {**NAMES, "b.a.cdn.example": [["1.1.1.1"]]}
    answer = case(url, dns=dns)
    assert (answer["verdict"], answer["rule"]) == (("deny", rule) if rule else ("allow", "egress.listed")), answer
    assert case(url, SHUT, dns)["verdict"] == "deny"
    if rule in ("egress.unlisted", "egress.url"):
        assert answer["lookups"] == []
    if rule:
        assert "connect_ip" not in answer


def test_there_are_rows_enough_to_mean_something() -> None:
    assert len(ROWS) >= 150
    assert len(set(ROWS)) == len(ROWS)


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("https://web.example/", "egress.open"),
        ("http://web.example/", "egress.open"),
        ("https://8.8.8.8/", "egress.open"),
        ("https://web.example:8443/", "egress.unlisted"),
        ("https://web.example:22/", "egress.unlisted"),
        ("http://localhost/", "egress.unlisted"),
        ("http://router/", "egress.unlisted"),
        ("http://printer.local/", "egress.unlisted"),
        ("http://metadata.google.internal/", "egress.unlisted"),
        ("https://rebind.example/", "egress.address"),
        ("http://127.0.0.1/", "egress.address"),
        ("http://[::ffff:a9fe:a9fe]/", "egress.address"),
        ("http://10.1.2.3/", "egress.address"),
    ],
)
def test_the_open_web_is_public_hosts_at_two_ports(url: str, rule: str) -> None:
    assert case(url, OPEN)["rule"] == rule


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "168.63.129.16", "[fd00:ec2::254]", "[::ffff:127.0.0.1]", "0.0.0.0"]
)
def test_no_command_is_told_that_would_open_what_only_an_attack_wants(host: str) -> None:
    for policy in (SHUT, OPEN, SOME):
        assert "openclaw config set" not in case(f"http://{host}/", policy)["reason"]
    named = case("http://a.cdn.example/", SOME, {"a.cdn.example": [[host.strip("[]")]]})
    assert (named["verdict"], "openclaw config set" in named["reason"]) == ("deny", False)
    assert "openclaw config set" in case("http://10.0.0.1/", SHUT)["reason"]


def test_a_network_that_is_listed_does_not_open_a_name_that_is_not() -> None:
    policy = {"allowEgress": True, "egressAllowlist": ["127.0.0.0/8", "10.0.0.0/8"]}
    assert case("https://rebind.example/", policy)["rule"] == "egress.address"
    assert case("https://rebind.example/", {**policy, "allowEgress": False})["lookups"] == []
    both = {"egressAllowlist": ["rebind.example", "127.0.0.0/8"]}
    assert case("https://rebind.example/", both)["connect_ip"] == "127.0.0.1"


def test_a_name_is_looked_up_once_and_anew_at_each_hop() -> None:
    dns = {"api.example.com": [["93.184.216.34"], ["127.0.0.1"]]}
    first = case("https://api.example.com/", dns=dns)
    assert (first["verdict"], first["connect_ip"], first["lookups"]) == ("allow", "93.184.216.34", ["api.example.com"])
    second = case("https://api.example.com/", dns=dns, hops=["/next"])
    assert (second["verdict"], second["denied_hop"], second["rule"]) == ("deny", 1, "egress.address")
    assert second["lookups"] == ["api.example.com"] * 2


@pytest.mark.parametrize(
    ("hops", "denied", "rule"),
    [
        (["/a", "b", "?c"], 0, "egress.listed"),
        (["//a.cdn.example/x"], 0, "egress.listed"),
        (["https://evil.net/"], 1, "egress.unlisted"),
        (["/a", "https://evil.net/", "/b"], 2, "egress.unlisted"),
        (["http://169.254.169.254/"], 1, "egress.address"),
        (["//127.0.0.1/"], 1, "egress.address"),
        (["http://0x7f.1/"], 1, "egress.url"),
        (["file:///etc/passwd"], 1, "egress.url"),
        (["//u:p@a.cdn.example/"], 1, "egress.url"),
        (["http://[::bad"], 1, "egress.url"),
        (["//loop.cdn.example/"], 1, "egress.address"),
        (["/1", "/2", "/3", "/4", "/5"], 0, "egress.listed"),
        (["/1", "/2", "/3", "/4", "/5", "/6"], 6, "egress.redirects"),
    ],
)
def test_each_hop_is_judged_as_if_it_were_the_first(hops: list[str], denied: int, rule: str) -> None:
    answer = case("https://api.example.com/", hops=hops)
    assert (answer.get("denied_hop", 0), answer["rule"]) == (denied, rule)


def test_what_may_hold_a_secret_stays_with_its_origin() -> None:
    secret = ("Authorization", "Cookie", "Proxy-Authorization", "X-Api-Key", "X-Anything", "Referer", "Idempotency-Key")
    headers = {"Accept": "*/*", "User-Agent": "x", **dict.fromkeys(secret, "s3cret")}
    for there in ("https://a.cdn.example/", "http://api.example.com/", "//a.cdn.example/"):
        answer = case("https://api.example.com/", headers=headers, hops=["/same", there])
        assert answer["stripped"] == list(secret), there
        assert "s3cret" not in str(answer)
    assert (
        case("https://api.example.com/", headers=headers, hops=["/same", "https://API.example.com:443/"])["stripped"]
        == []
    )


def test_a_class_opens_for_itself_alone() -> None:
    policy = {"classes": {"inference": {"allow": ["web.example"], "owner": "ml", "review": "2027-01-01"}}}
    assert case("https://web.example/", policy, **{"class": "tools"})["verdict"] == "deny"
    assert case("https://web.example/", policy, **{"class": "inference"})["verdict"] == "allow"
    assert case("https://web.example/", policy, action="tool web_fetch")["verdict"] == "deny"
    anyone = case("https://web.example/", policy)
    assert (anyone["verdict"], anyone["class"], anyone["lookups"]) == ("allow", "inference", ["web.example"])
    assert case("https://other.example/", policy)["class"] == "tools"
    grouped = {"egress_allowlist": {"tools": ["web.example"], "inference": ["api.example.com"]}}
    assert case("https://web.example/", grouped)["verdict"] == "allow"
    assert case("https://api.example.com/", grouped, **{"class": "tools"})["verdict"] == "deny"


def test_what_a_setting_names_is_open_until_its_class_has_a_list() -> None:
    configured = {"class": "inference", "configured": True}
    for url, verdict in {
        "https://models.example/": "allow",
        "http://127.0.0.1:11434/": "allow",
        "http://10.0.0.5:8000/": "allow",
        "http://169.254.169.254/": "allow",
        "http://100.64.0.9/": "allow",
    }.items():
        assert case(url, SHUT, None, **configured)["verdict"] == verdict, url
    for address, verdict in {
        "10.0.0.5": "allow",
        "127.0.0.1": "allow",
        "64:ff9b::5db8:d822": "allow",
        "64:ff9b::a9fe:a9fe": "deny",
        "::ffff:169.254.169.254": "deny",
        "169.254.169.254": "deny",
        "169.254.1.1": "deny",
        "fe80::1": "deny",
        "0.0.0.0": "deny",
        "224.0.0.1": "deny",
        "fd00:ec2::254": "deny",
        "168.63.129.16": "deny",
    }.items():
        answer = case("https://models.example/", SHUT, {"models.example": [[address]]}, **configured)
        assert answer["verdict"] == verdict, address
    listed = {"classes": {"inference": {"allow": ["models.example"]}}}
    assert case("https://models.example/", listed, None, **configured)["verdict"] == "allow"
    assert case("https://elsewhere.example/", listed, None, **configured)["rule"] == "egress.unlisted"


def rules() -> EgressRules:
    return EgressRules(
        NetworkPolicyConfig(
            allow_egress=True,
            egress_allowlist=("a.example:8443",),
            classes=EgressClassesConfig(tools=EgressClassConfig(allow=("b.example:8443",))),
            actions={"web_fetch": EgressListConfig(egress_allowlist=("*.example", "*.example:8443"))},
        ),
        {
            "shy": AgentNetworkConfig(
                egress_allowlist=("a.example", "b.example:8443"),
                actions={"http_request": EgressListConfig(egress_allowlist=("a.example", "c.example"))},
            ),
            "mute": AgentNetworkConfig(egress_allowlist=()),
            "one": AgentNetworkConfig(actions={"http_request": EgressListConfig(egress_allowlist=("a.example",))}),
        },
    )


@pytest.mark.parametrize(
    ("agent", "action", "host", "port", "allowed"),
    [
        ("main", "tool web_fetch", "a.example", 8443, True),
        ("main", "tool web_fetch", "b.example", 443, True),
        ("main", "tool web_fetch", "b.other", 443, False),
        ("main", "tool http_request", "b.other", 443, True),
        ("main", "tool http_request", "b.other", 8443, False),
        ("shy", "tool web_fetch", "a.example", 443, True),
        ("shy", "tool web_fetch", "a.example", 8443, False),
        ("shy", "tool web_fetch", "b.example", 8443, True),
        ("shy", "tool web_fetch", "c.example", 443, False),
        ("shy", "tool http_request", "a.example", 443, True),
        ("shy", "tool http_request", "b.example", 8443, False),
        ("shy", "tool http_request", "c.example", 443, False),
        ("one", "tool http_request", "a.example", 443, True),
        ("one", "tool http_request", "b.example", 443, False),
        ("one", "tool web_fetch", "b.example", 443, True),
        ("mute", "tool http_request", "a.example", 8443, False),
        ("mute", "tool web_fetch", "a.example", 443, False),
    ],
)
def test_lists_of_agents_and_actions_only_narrow(agent: str, action: str, host: str, port: int, allowed: bool) -> None:
    verdict = rules().host(Errand("tools", action, agent), host, port)
    assert (verdict.answer == "allow") is allowed
    if not allowed and verdict.rule_id == "egress.narrowed":
        assert host in verdict.reason


HOSTS = st.sampled_from(["a.example", "b.example", "c.other", "10.0.0.1", "127.0.0.1", "8.8.8.8", "x.b.example"])
ENTRIES = st.lists(
    st.sampled_from(["a.example", "*.example", "*.b.example:8443", "10.0.0.0/8", "8.8.8.8", "127.0.0.1:8443", "", "*"]),
    max_size=4,
).map(tuple)


@given(st.booleans(), ENTRIES, ENTRIES, ENTRIES, HOSTS, st.sampled_from([80, 443, 8443, 22]))
def test_no_narrower_list_ever_opens_anything(
    open_: bool, base: tuple[str, ...], own: tuple[str, ...], by_action: tuple[str, ...], host: str, port: int
) -> None:
    wide = EgressRules(NetworkPolicyConfig(allow_egress=open_, egress_allowlist=base))
    narrow = EgressRules(
        NetworkPolicyConfig(
            allow_egress=open_, egress_allowlist=base, actions={"x": EgressListConfig(egress_allowlist=by_action)}
        ),
        {"main": AgentNetworkConfig(egress_allowlist=own)},
    )
    if narrow.host(Errand("tools", "tool x", "main"), host, port).answer == "allow":
        assert wide.host(TOOLS, host, port).answer == "allow"


@pytest.mark.parametrize("key", ["allow", "hosts", "allowlist", "egressAllowlist", "egress_allowlist"])
def test_a_class_may_call_its_list_as_people_do_but_once(key: str) -> None:
    policy = {"classes": {"tools": {key: ["a.b"], "owner": "me", "review_date": "2027-01-01", "note": "x"}}}
    assert egress_case({"url": "https://a.b/", "policy": policy})["verdict"] == "allow"
    policy["classes"]["tools"]["list" if key == "allow" else "allow"] = ["c.d"]
    with pytest.raises(InvalidRequest):
        egress_case({"url": "https://a.b/", "policy": policy})


@pytest.mark.parametrize("headers", [["Cookie", "Accept"], [["Cookie", "a"], ["Accept", "*/*"]], {"Cookie": "a"}])
def test_headers_may_be_names_or_pairs(headers: object) -> None:
    policy = {"allow_egress": True}
    line = {"url": "https://a.example/", "hops": ["https://b.example/"], "headers": headers, "policy": policy}
    assert egress_case(line)["stripped"] == ["Cookie"]


@pytest.mark.parametrize(
    "line",
    [
        {},
        {"url": 7},
        {"url": "https://a.b/", "policy": []},
        {"url": "https://a.b/", "policy": {"allowEgres": True}},
        {"url": "https://a.b/", "policy": {"networkPolicy": {"allow_egress": "yes"}}},
        {"url": "https://a.b/", "policy": {"classes": {"tool": {"allow": []}}}},
        {"url": "https://a.b/", "policy": {"egressAllowlist": "a.b"}},
        {"url": "https://a.b/", "dns": []},
        {"url": "https://a.b/", "dns": {"a.b": 7}},
        {"url": "https://a.b/", "hops": "x"},
        {"url": "https://a.b/", "hops": ["/"] * 1001},
        {"url": "https://a.b/", "headers": [["Accept"]]},
        {"url": "https://a.b/", "class": "everything"},
    ],
)
def test_a_line_that_is_none_is_told(line: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        egress_case(line)


def test_without_a_policy_the_default_holds_and_without_dns_the_name_alone_is_judged() -> None:
    assert egress_case({"url": "https://api.example.com/"})["rule"] == "egress.unlisted"
    answer = egress_case({"id": "x", "url": "https://api.example.com/", "policy": SOME})
    assert (answer["id"], answer["verdict"], "connect_ip" in answer) == ("x", "allow", False)


def test_a_verdict_takes_less_than_a_millisecond_with_ten_thousand_entries() -> None:
    names = tuple(f"h{n}.example{n}.com" for n in range(8000))
    networks = tuple(f"10.{n // 250}.{n % 250}.0/24" for n in range(2000))
    many = EgressRules(NetworkPolicyConfig(egress_allowlist=names + networks))
    many.host(TOOLS, "a.example", 443)
    took = []
    for n in range(1000):
        began = time.thread_time()
        verdict = many.host(TOOLS, f"10.3.{n % 250}.5" if n % 2 else f"h{n}.example{n}.com", 443)
        took.append(time.thread_time() - began)
        assert verdict.answer == "allow"
    assert sorted(took)[990] < 0.001
