"""Which origins are ours behind a proxy."""

from __future__ import annotations

import pytest

from openclaw.listeners.origin import OriginRules


@pytest.mark.parametrize(
    ("public", "origin", "host", "verdict"),
    [
        ("https://gw.example/claw/", b"https://gw.example", b"127.0.0.1:18789", "allowed"),
        ("wss://gw.example/claw", b"https://gw.example", b"127.0.0.1", "allowed"),
        ("https://gw.example:443", b"https://gw.example", b"127.0.0.1", "allowed"),
        ("https://gw.example:8443/claw", b"https://gw.example", b"127.0.0.1", "foreign"),
        ("https://gw.example.evil.example/claw", b"https://gw.example", b"127.0.0.1", "foreign"),
        ("", b"https://gw.example", b"gw.example:443", "own"),
        ("", b"http://gw.example", b"gw.example:443", "foreign"),
        ("", b"https://gw.example", b"gw.example:8443", "foreign"),
        ("", b"https://evil.example", b"gw.example", "foreign"),
        ("gw.example", b"https://gw.example", b"127.0.0.1", "foreign"),
        ("https://user@gw.example/x", b"https://gw.example", b"127.0.0.1", "foreign"),
    ],
)
def test_the_public_address_counts_without_its_path_and_usual_port(
    public: str, origin: bytes, host: bytes, verdict: str
) -> None:
    assert OriginRules(True, public, ()).classify(origin, host) == verdict


def test_the_name_of_a_public_address_with_a_path_is_ours() -> None:
    rules = OriginRules(True, "https://gw.example:8443/claw", ())
    assert rules.host_allowed(b"gw.example")
    assert rules.host_allowed(b"gw.example:8443")
    for host in (
        b"evil.example",
        b"gw.example.evil.example",
        b"gw.example@evil.example",
        b"",
        b"127.0.0.1.evil.example",
    ):
        assert not rules.host_allowed(host), host
