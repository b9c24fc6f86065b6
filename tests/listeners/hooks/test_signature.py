"""Signatures made by the senders' own libraries, and every way in which they are spoilt."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.signature import SignatureVerifier
from standardwebhooks import Webhook

from openclaw.base.secret import Secret
from openclaw.config.schema import HookScheme
from openclaw.listeners.hooks.signature import MAX_CANDIDATES, BadSignature, verify

NOW = 1_795_000_000
BODY = b'{"action":"opened","n":1}'
SECRET = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
Headers = dict[bytes, bytes]


def github(body: bytes = BODY, at_s: int = NOW) -> Headers:
    mac = hmac.new(SECRET.reveal().encode(), body, hashlib.sha256).hexdigest()
    return {b"x-hub-signature-256": f"sha256={mac}".encode()}


def slack(body: bytes = BODY, at_s: int = NOW) -> Headers:
    made = SignatureVerifier(SECRET.reveal()).generate_signature(timestamp=str(at_s), body=body)
    assert made is not None
    return {b"x-slack-request-timestamp": str(at_s).encode(), b"x-slack-signature": made.encode()}


def stripe_(body: bytes = BODY, at_s: int = NOW) -> Headers:
    mac = stripe.WebhookSignature._compute_signature(f"{at_s}.{body.decode()}", SECRET.reveal())
    return {b"stripe-signature": f"t={at_s},v1=0{mac[1:]},v1={mac},v0=x".encode()}


def standard(body: bytes = BODY, at_s: int = NOW) -> Headers:
    made = Webhook(SECRET.reveal()).sign("msg_1", datetime.fromtimestamp(at_s, UTC), body.decode())
    return {
        b"webhook-id": b"msg_1",
        b"webhook-timestamp": str(at_s).encode(),
        b"webhook-signature": f"v1,AAAA {made}".encode(),
    }


SIGNERS: dict[HookScheme, Callable[..., Headers]] = {
    "github": github,
    "slack": slack,
    "stripe": stripe_,
    "standard": standard,
}
ALL = pytest.mark.parametrize("scheme", SIGNERS)
TIMED = pytest.mark.parametrize("scheme", ["slack", "stripe", "standard"])


@ALL
def test_the_senders_own_signature_is_good_and_names_the_delivery(scheme: HookScheme) -> None:
    key = verify(scheme, SECRET, SIGNERS[scheme](), BODY, NOW + 299, 300)
    assert key == verify(scheme, SECRET, SIGNERS[scheme](), BODY, NOW - 299, 300)
    assert len(key) == 32


@ALL
def test_another_body_secret_or_no_header_is_refused(scheme: HookScheme) -> None:
    headers = SIGNERS[scheme]()
    for secret, given_headers, body in (
        (SECRET, headers, BODY + b" "),
        (SECRET, headers, b""),
        (Secret("another"), headers, BODY),
        (SECRET, {}, BODY),
    ):
        with pytest.raises(BadSignature):
            verify(scheme, secret, given_headers, body, NOW, 300)


@ALL
def test_no_header_can_be_left_out_or_emptied(scheme: HookScheme) -> None:
    headers = SIGNERS[scheme]()
    for name in headers:
        for spoilt in ({**headers, name: b""}, {key: value for key, value in headers.items() if key != name}):
            with pytest.raises(BadSignature):
                verify(scheme, SECRET, spoilt, BODY, NOW, 300)


@TIMED
def test_an_old_or_early_signature_is_refused_and_its_time_cannot_be_changed(scheme: HookScheme) -> None:
    headers = SIGNERS[scheme]()
    for now in (NOW + 301, NOW - 301):
        with pytest.raises(BadSignature, match="too far"):
            verify(scheme, SECRET, headers, BODY, now, 300)
    moved = {name: value.replace(str(NOW).encode(), str(NOW + 200).encode()) for name, value in headers.items()}
    with pytest.raises(BadSignature, match="does not fit"):
        verify(scheme, SECRET, moved, BODY, NOW + 200, 300)


@TIMED
@pytest.mark.parametrize("time", [b"", b"x", b"-1", b"1e9", b"9" * 40, "١٧٩٥٠٠٠٠٠٠".encode()])
def test_a_time_that_is_none_is_refused(scheme: HookScheme, time: bytes) -> None:
    headers = {name: value.replace(str(NOW).encode(), time) for name, value in SIGNERS[scheme]().items()}
    with pytest.raises(BadSignature):
        verify(scheme, SECRET, headers, BODY, NOW, 300)


def named(scheme: HookScheme, headers: Headers, body: bytes = BODY) -> str:
    return verify(scheme, SECRET, headers, body, NOW, 300)


def test_two_deliveries_have_two_names() -> None:
    assert named("slack", slack()) != named("slack", slack(at_s=NOW + 1))
    assert named("github", github()) != named("github", github(b"{}"), b"{}")


def test_only_so_many_signatures_of_one_request_are_tried() -> None:
    good = stripe_()[b"stripe-signature"].split(b",")[2]
    crowd = b",".join([b"t=%d" % NOW, *([b"v1=00"] * MAX_CANDIDATES), good])
    with pytest.raises(BadSignature):
        verify("stripe", SECRET, {b"stripe-signature": crowd}, BODY, NOW, 300)


@given(
    st.sampled_from(list(SIGNERS)),
    st.dictionaries(
        st.sampled_from(sorted({name for signer in SIGNERS.values() for name in signer()})), st.binary(max_size=200)
    ),
)
def test_no_header_whatever_its_bytes_is_a_signature(scheme: HookScheme, headers: Headers) -> None:
    with pytest.raises(BadSignature):
        verify(scheme, SECRET, headers, BODY, NOW, 300)
