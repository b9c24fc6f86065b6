"""The address table against a second one, slow and obvious: prefixes as texts of bits, straight from the registries."""

from __future__ import annotations

import socket

from hypothesis import example, given, settings
from hypothesis import strategies as st

from openclaw.net.egress import refusal, refusal_of_named

V4 = """
    0/8 10/8 100.64/10 127/8 168.63.129.16/32 169.254/16 172.16/12 192.0.0/24 192.0.2/24 192.31.196/24 192.52.193/24
    192.88.99/24 192.168/16 192.175.48/24 198.18/15 198.51.100/24 203.0.113/24 224/4 240/4
"""
V6_SHUT = """
    2001:0/23 2001:db8/32 2002/16 2620:4f:8000/48 3fff:0/20
"""
"""Within 2000::/3, the only part of IPv6 that is open at all."""
ALIBABA = "100.100.100.200"
"""The one metadata address within a range that is opened by naming."""
NAMED4 = "10/8 100.64/10 127/8 172.16/12 192.168/16 198.18/15"


def bits4(prefix: str) -> str:
    """`172.16/12` → the first 12 bits."""
    octets, _, length = prefix.partition("/")
    return "".join(f"{int(octet):08b}" for octet in octets.split(".")).ljust(32, "0")[: int(length)]


def bits6(prefix: str) -> str:
    groups, _, length = prefix.partition("/")
    return "".join(f"{int(group, 16):016b}" for group in groups.split(":")).ljust(128, "0")[: int(length)]


SHUT4 = [bits4(one) for one in V4.split()]
SHUT6 = [bits6(one) for one in V6_SHUT.split()]
OPEN_IF_NAMED4 = [bits4(one) for one in NAMED4.split()]


def public4(bits: str) -> bool:
    return not any(bits.startswith(prefix) for prefix in SHUT4)


def public6(bits: str) -> bool:
    isatap = bits[64:96] in (f"{0x5EFE:032b}", f"{0x2005EFE:032b}")
    return bits.startswith("001") and not isatap and not any(bits.startswith(prefix) for prefix in SHUT6)


def text4(number: int) -> str:
    return socket.inet_ntop(socket.AF_INET, number.to_bytes(4, "big"))


def text6(number: int) -> str:
    return socket.inet_ntop(socket.AF_INET6, number.to_bytes(16, "big"))


def near(prefixes: list[str], width: int) -> st.SearchStrategy[int]:
    """Addresses at, just before and just after the ends of ranges."""
    ends = [int(prefix.ljust(width, fill), 2) for prefix in prefixes for fill in "01"]
    top = (1 << width) - 1
    return st.builds(lambda end, step: min(max(end + step, 0), top), st.sampled_from(ends), st.integers(-2, 2))


IN4 = st.integers(0, 2**32 - 1) | near(SHUT4, 32)
IN6 = (
    st.integers(0, 2**128 - 1)
    | st.integers(1 << 125, (2 << 125) - 1)
    | near([*SHUT6, "001", bits6("fd00/8"), bits6("fe80/10"), bits6("0064:ff9b/32")], 128)
    | st.builds(lambda high, low: (high << 64) | (0x5EFE << 32) | low, st.integers(0, 2**64 - 1), IN4)
)


@settings(max_examples=2000, deadline=None)
@given(IN4)
@example(0xA83F8110)
@example(0x646464C8)
def test_both_tables_agree_on_every_ipv4_address(number: int) -> None:
    bits = f"{number:032b}"
    assert (refusal(text4(number)) == "") is public4(bits)
    named = public4(bits) or any(bits.startswith(prefix) for prefix in OPEN_IF_NAMED4)
    named = named and text4(number) != ALIBABA
    assert (refusal_of_named("name.example", text4(number)) == "") is named
    assert refusal_of_named(text4(number), text4(number)) == ""
    for carrier in (f"::ffff:{text4(number)}", f"64:ff9b::{text4(number)}"):
        assert refusal(carrier)
        assert (refusal_of_named("name.example", carrier) == "") is named


@settings(max_examples=2000, deadline=None)
@given(IN6)
def test_both_tables_agree_on_every_ipv6_address(number: int) -> None:
    assert (refusal(text6(number)) == "") is public6(f"{number:0128b}")
