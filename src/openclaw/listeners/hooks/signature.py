"""Signatures of webhook senders, over the raw bytes of the body. Pure.

1. GitHub signs the body alone; the others sign a time with it, which must be near ours.
2. Every candidate signature is compared in constant time, also after one has matched.
3. A verified delivery has a key of its own: whoever sends the same bytes again gets the first answer, not a second run.

Sources: the senders' public documentation (GitHub "Validating webhook deliveries", Stripe "Verify webhook signatures",
Slack "Verifying requests", Standard Webhooks specification 1.0).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Final

from openclaw.base.secret import Secret
from openclaw.config.schema import HookScheme

MAX_CANDIDATES: Final = 16
"""Signatures that one request may offer: senders send two while a secret is being changed."""

Headers = Mapping[bytes, bytes]


class BadSignature(Exception):
    """The request does not prove where it comes from; the text says why, without anything secret."""


def verify(scheme: HookScheme, secret: Secret, headers: Headers, body: bytes, now_s: float, tolerance_s: float) -> str:
    """Return the key of a delivery whose signature is good. Raises: BadSignature."""
    return _SCHEMES[scheme](secret, headers, body, now_s, tolerance_s)


def _github(secret: Secret, headers: Headers, body: bytes, now_s: float, tolerance_s: float) -> str:
    header = headers.get(b"x-hub-signature-256", b"")
    if not header.startswith(b"sha256="):
        raise BadSignature("X-Hub-Signature-256 is missing")
    _require(_hex(secret, body), [header[7:]])
    # The delivery's own id is not signed: the bytes themselves are the only name that a replay cannot change.
    return _key(header)


def _stripe(secret: Secret, headers: Headers, body: bytes, now_s: float, tolerance_s: float) -> str:
    fields = [part.strip().partition(b"=") for part in headers.get(b"stripe-signature", b"").split(b",")]
    times = [value for name, _, value in fields if name == b"t"]
    offered = [value for name, _, value in fields if name == b"v1"]
    if len(times) != 1 or not offered:
        raise BadSignature("Stripe-Signature is missing or has no time")
    _near(times[0], now_s, tolerance_s)
    _require(_hex(secret, times[0] + b"." + body), offered)
    return _key(times[0], body)


def _slack(secret: Secret, headers: Headers, body: bytes, now_s: float, tolerance_s: float) -> str:
    time = headers.get(b"x-slack-request-timestamp", b"")
    header = headers.get(b"x-slack-signature", b"")
    if not header.startswith(b"v0="):
        raise BadSignature("X-Slack-Signature is missing")
    _near(time, now_s, tolerance_s)
    _require(_hex(secret, b"v0:" + time + b":" + body), [header[3:]])
    return _key(time, body)


def _standard(secret: Secret, headers: Headers, body: bytes, now_s: float, tolerance_s: float) -> str:
    message_id, time = headers.get(b"webhook-id", b""), headers.get(b"webhook-timestamp", b"")
    offered = [part[3:] for part in headers.get(b"webhook-signature", b"").split() if part.startswith(b"v1,")]
    if not message_id or not offered:
        raise BadSignature("Webhook-Id or Webhook-Signature is missing")
    _near(time, now_s, tolerance_s)
    text = secret.reveal()
    try:
        key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = text.encode()
    mac = hmac.new(key, b".".join((message_id, time, body)), hashlib.sha256).digest()
    _require(base64.b64encode(mac), offered)
    return _key(message_id)


_SCHEMES: Final[Mapping[HookScheme, Callable[[Secret, Headers, bytes, float, float], str]]] = {
    "github": _github,
    "stripe": _stripe,
    "slack": _slack,
    "standard": _standard,
}


def _hex(secret: Secret, signed: bytes) -> bytes:
    return hmac.new(secret.reveal().encode(), signed, hashlib.sha256).hexdigest().encode()


def _near(time: bytes, now_s: float, tolerance_s: float) -> None:
    if not time.isdigit() or len(time) > 12:
        raise BadSignature("the time of the signature is missing or malformed")
    if abs(now_s - int(time)) > tolerance_s:
        raise BadSignature("the time of the signature is too far from now")


def _require(expected: bytes, offered: list[bytes]) -> None:
    found = False
    for candidate in offered[:MAX_CANDIDATES]:
        found |= hmac.compare_digest(expected, candidate)
    if not found:
        raise BadSignature("the signature does not fit the body")


def _key(*parts: bytes) -> str:
    """Return a short name for what was signed. Every part but the last has no NUL."""
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:32]
