"""The egress door opens what the operator named, and says how to open what it keeps shut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.errors import PolicyDenied
from openclaw.base.principal import LOCAL_OPERATOR
from openclaw.config.schema import NetworkPolicyConfig
from openclaw.policy.egress.allowlist import Allowlist, plain
from openclaw.policy.egress.door import KIND, TOOLS, EgressRules, egress_ask, egress_rule
from openclaw.policy.gatekeeper import Ask
from tests.fakes.doors import gatekeeper

OPEN = NetworkPolicyConfig(allow_egress=True)
SHUT = NetworkPolicyConfig()


@pytest.mark.parametrize(
    ("entry", "host", "port", "opens"),
    [
        ("example.com", "example.com", 443, True),
        ("example.com", "example.com", 80, True),
        ("example.com", "EXAMPLE.com.", 443, True),
        ("Example.COM.", "example.com", 443, True),
        ("example.com", "example.com", 8443, False),
        ("example.com", "www.example.com", 443, False),
        ("example.com", "badexample.com", 443, False),
        ("example.com", "example.com.evil.net", 443, False),
        ("*.example.com", "www.example.com", 443, True),
        ("*.example.com", "a.b.example.com", 443, True),
        ("*.example.com", "example.com", 443, False),
        ("*.example.com", "badexample.com", 443, False),
        ("*.example.com", ".example.com", 443, False),
        ("*.example.com:8443", "www.example.com", 8443, True),
        ("*.example.com:8443", "www.example.com", 443, False),
        ("example.com:8443", "example.com", 8443, True),
        ("example.com:8443", "example.com", 443, False),
        ("example.com:", "example.com", 443, False),
        ("example.com:x", "example.com", 443, False),
        ("[2606:4700::1111]", "2606:4700::1111", 443, True),
        ("2606:4700::1111", "2606:4700::1111", 443, True),
        ("[2606:4700::1111]:8443", "2606:4700::1111", 8443, True),
        ("*", "example.com", 443, False),
        ("*.", "example.com", 443, False),
        ("", "", 443, False),
        ("8.8.8.8", "8.8.8.8", 443, True),
        ("Bücher.example", "xn--bcher-kva.example", 443, True),
        ("*.bücher.example", "www.xn--bcher-kva.example", 443, True),
    ],
)
def test_an_entry_opens_exactly_what_it_names(entry: str, host: str, port: int, opens: bool) -> None:
    assert Allowlist((entry,)).opens(plain(host), port) is opens


def test_without_a_list_nothing_is_open_and_the_web_is_two_ports() -> None:
    assert EgressRules(SHUT).host(TOOLS, "example.com", 443).answer == "deny"
    assert EgressRules(OPEN).host(TOOLS, "example.com", 443).rule_id == "egress.open"
    assert EgressRules(OPEN).host(TOOLS, "example.com", 25).answer == "deny"
    assert EgressRules(OPEN).host(TOOLS, "example.com", 8080).answer == "deny"


@pytest.mark.anyio
async def test_a_denial_names_host_rule_and_the_line_to_add() -> None:
    gate = gatekeeper({KIND: egress_rule(lambda: EgressRules(NetworkPolicyConfig(egress_allowlist=("a.org",))))})

    async def require(host: str, port: int) -> None:
        await gate.require(egress_ask(LOCAL_OPERATOR, TOOLS, host, port))

    with pytest.raises(PolicyDenied) as caught:
        await require("news.example.com", 443)
    message = caught.value.message
    assert "news.example.com" in message
    assert "egress.unlisted" in message
    line = message.partition("openclaw config set networkPolicy.egressAllowlist '")[2].partition("'")[0]
    assert line == '["a.org", "news.example.com"]'
    with pytest.raises(PolicyDenied, match=r'"a.org", "news.example.com:8443"'):
        await require("news.example.com", 8443)
    await require("a.org", 443)


def test_the_rule_follows_a_changed_configuration() -> None:
    config = SHUT
    rule = egress_rule(lambda: EgressRules(config))
    ask = Ask(kind=KIND, principal=LOCAL_OPERATOR, action="x", facts={"host": "a.org", "port": 443, "errand": TOOLS})
    assert rule(ask).answer == "deny"
    config = OPEN
    assert rule(ask).answer == "allow"
    assert rule(Ask(kind=KIND, principal=LOCAL_OPERATOR, action="x")).answer == "deny"


@given(st.lists(st.text(max_size=20), max_size=5), st.text(max_size=30), st.integers(-1, 65536))
def test_any_list_can_be_asked_and_strangers_stay_out(entries: list[str], host: str, port: int) -> None:
    Allowlist(entries).opens(plain(host), port)
    assert not Allowlist(entries).opens(f"{plain(host)}.stranger.example", 443)
    assert Allowlist((*entries, "stranger.example:7")).opens("stranger.example", 7)
