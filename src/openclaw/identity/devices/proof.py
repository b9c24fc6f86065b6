"""The proof that a connect request comes from the device it names.

1. The id is the hash of the key, the time is ours within SKEW_MS, the nonce is the challenge's: then the signature.
2. Protocol 4 takes versions 3 and 2 of the signed text. Protocol 3 takes version 2, and from a program on this machine
   that sends no nonce version 1, which can be replayed for as long as its time holds.
"""

from __future__ import annotations

import hmac
from typing import Final

import msgspec

from openclaw.protocol.device_auth import (
    KEY_BYTES,
    SIGNATURE_BYTES,
    SKEW_MS,
    Signed,
    Version,
    decode_base64url,
    device_id_of,
    verifies,
)

MAX_KEY_CHARS: Final = 1024


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """The `device` of a connect request with what it signed."""

    device_id: str
    public_key: str
    signature: str
    signed: Signed


class BadProof(Exception):
    """The claim does not hold. `forged` says that the signature itself is wrong: somebody guesses, or erred badly."""

    def __init__(self, message: str, code: str, reason: str, *, forged: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.details = {"code": f"DEVICE_AUTH_{code}", "reason": f"device-{reason}"}
        self.forged = forged


_VERSIONS: Final[dict[int, tuple[Version, ...]]] = {3: ("v2",), 4: ("v3", "v2")}


def prove(claim: Claim, *, nonce: str, now_ms: int, protocol: int, local: bool) -> None:
    """Check a claim against the challenge. `local`: a program on this machine. Raises: BadProof."""
    key = _key_of(claim)
    if abs(now_ms - claim.signed.signed_at_ms) > SKEW_MS:
        raise BadProof("device signature expired", "SIGNATURE_EXPIRED", "signature-stale")
    versions = _VERSIONS[protocol]
    given = claim.signed.nonce.strip()
    if given:
        if not hmac.compare_digest(given.encode("utf-8", "surrogatepass"), nonce.encode()):
            raise BadProof("device nonce mismatch", "NONCE_MISMATCH", "nonce-mismatch")
    elif protocol < 4 and local:
        versions = ("v1",)
    else:
        raise BadProof("device nonce required", "NONCE_REQUIRED", "nonce-missing")
    signature = decode_base64url(claim.signature, SIGNATURE_BYTES)
    if signature is None or not any(verifies(key, signature, claim.signed.text(version)) for version in versions):
        raise BadProof("device signature invalid", "SIGNATURE_INVALID", "signature", forged=True)


def _key_of(claim: Claim) -> bytes:
    text = claim.public_key.strip().rstrip("=")
    key = decode_base64url(text, len(text) * 3 // 4) if len(text) <= MAX_KEY_CHARS else None
    if key is None or not hmac.compare_digest(device_id_of(key).encode(), claim.device_id.encode("utf-8", "replace")):
        raise BadProof("device identity mismatch", "DEVICE_ID_MISMATCH", "id-mismatch")
    if len(key) != KEY_BYTES:
        raise BadProof("device public key invalid", "PUBLIC_KEY_INVALID", "public-key")
    return key
