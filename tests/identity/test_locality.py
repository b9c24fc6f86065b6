from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.secret import Secret
from openclaw.identity.locality import (
    FORWARDING_HEADERS,
    TrustedProxies,
    client_key,
    is_loopback,
    locate,
    parse_address,
)

NOBODY = TrustedProxies()


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "[::1]", "0:0:0:0:0:ffff:7f00:1"]
)
def test_loopback_is_known_in_every_spelling(address: str) -> None:
    assert is_loopback(address)


@pytest.mark.parametrize("address", ["10.0.0.1", "::2", "", "localhost", "1.2.3.4", "fe80::1%lo", "127.0.0.1.evil"])
def test_nothing_else_is_loopback(address: str) -> None:
    assert not is_loopback(address)


def test_one_client_has_one_key() -> None:
    assert client_key("1.2.3.4") == client_key("::ffff:1.2.3.4") == "1.2.3.4"
    assert client_key("2001:db8::1") == client_key("2001:db8::ffff:2") != client_key("2001:db8:0:1::1")


@pytest.mark.parametrize("name", sorted(FORWARDING_HEADERS))
def test_a_forwarding_header_from_a_stranger_is_never_local(name: bytes) -> None:
    source = locate("127.0.0.1", {name: b"127.0.0.1"}, NOBODY)
    assert (source.direct, source.local, source.attributed) == (False, False, False)


def test_a_browser_is_direct_but_not_local() -> None:
    source = locate("127.0.0.1", {}, NOBODY, "own")
    assert (source.direct, source.local) == (True, False)


def test_a_listed_proxy_names_the_client_from_the_right() -> None:
    trusted = TrustedProxies(["10.0.0.0/8", "127.0.0.1"])
    source = locate("10.0.0.1", {b"x-forwarded-for": b"127.0.0.1, 6.6.6.6, 10.1.1.1"}, trusted)
    assert (source.key, source.direct, source.attributed) == ("6.6.6.6", False, True)


def test_a_proxy_on_this_machine_that_has_not_proved_itself_is_known_behind_all_that_it_names() -> None:
    trusted = TrustedProxies(["10.0.0.1", "127.0.0.1"])
    forwarded = {b"x-forwarded-for": b"6.6.6.6"}
    assert [
        (one.key, one.via) for one in (locate("127.0.0.1", forwarded, trusted), locate("::1", forwarded, trusted))
    ] == [
        ("6.6.6.6", "by 127.0.0.1"),
        ("::1", ""),  # which is not listed
    ]
    assert locate("10.0.0.1", forwarded, trusted).via == ""
    proven = TrustedProxies(["127.0.0.1"], "x-proof", Secret("between-us"))
    assert locate("127.0.0.1", {**forwarded, b"x-proof": b"between-us"}, proven).via == ""
    assert not locate("127.0.0.1", forwarded, proven).attributed


def test_garbage_in_the_chain_falls_back_to_the_proxy() -> None:
    trusted = TrustedProxies(["10.0.0.1"])
    assert locate("10.0.0.1", {b"x-forwarded-for": b"1.1.1.1, nonsense"}, trusted).key == "10.0.0.1"


@given(st.text())
def test_any_text_is_an_address_or_none(text: str) -> None:
    parse_address(text)
    client_key(text)


@given(st.binary(), st.sampled_from(["127.0.0.1", "9.9.9.9", "10.0.0.1"]))
def test_no_header_value_makes_a_request_direct(value: bytes, peer: str) -> None:
    source = locate(peer, {b"x-forwarded-for": value}, TrustedProxies(["10.0.0.1"]))
    assert not source.direct
