"""Device signatures: what is signed, byte for byte, and what is refused."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.protocol.device_auth import (
    KEY_BYTES,
    SIGNATURE_BYTES,
    DeviceKey,
    Signed,
    decode_base64url,
    device_id_of,
    encode_base64url,
    verifies,
)

SIGNED = Signed(
    device_id="d",
    client_id="cli",
    client_mode="cli",
    role="operator",
    scopes=("operator.read", "operator.write"),
    signed_at_ms=17,
    token="tok",
    nonce="n",
    platform="  Linux ÄX ",
    device_family="",
)


def test_the_signed_text_is_joined_by_bars_in_each_version() -> None:
    assert SIGNED.text("v1") == b"v1|d|cli|cli|operator|operator.read,operator.write|17|tok"
    assert SIGNED.text("v2") == b"v2|d|cli|cli|operator|operator.read,operator.write|17|tok|n"
    expected = "v3|d|cli|cli|operator|operator.read,operator.write|17|tok|n|linux Äx|"
    assert SIGNED.text("v3") == expected.encode()


def test_a_signature_holds_for_its_text_and_key_only() -> None:
    key, other = DeviceKey.new(), DeviceKey.new()
    signature = decode_base64url(key.sign(SIGNED.text("v3")), SIGNATURE_BYTES)
    assert signature is not None
    assert verifies(key.public_key, signature, SIGNED.text("v3"))
    assert not verifies(key.public_key, signature, SIGNED.text("v2"))
    assert not verifies(other.public_key, signature, SIGNED.text("v3"))
    assert not verifies(bytes(KEY_BYTES), signature, SIGNED.text("v3"))
    assert DeviceKey(key.seed).public_key == key.public_key


def test_the_device_id_is_the_hash_of_the_raw_key() -> None:
    key = DeviceKey.new()
    assert key.device_id == device_id_of(key.public_key) == hashlib.sha256(key.public_key).hexdigest()


@pytest.mark.parametrize("text", ["", "a", "A" * 42, "A" * 44, "A" * 42 + "!", "é" * 43, "A" * 42 + " "])
def test_what_is_no_key_is_none(text: str) -> None:
    assert decode_base64url(text, KEY_BYTES) is None


@given(st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES))
def test_keys_travel_as_base64url_and_both_alphabets_are_read(raw: bytes) -> None:
    assert decode_base64url(encode_base64url(raw), KEY_BYTES) == raw
    assert decode_base64url(base64.b64encode(raw).decode(), KEY_BYTES) == raw


@given(st.text())
def test_any_text_is_a_key_or_none(text: str) -> None:
    found = decode_base64url(text, KEY_BYTES)
    assert found is None or len(found) == KEY_BYTES
