"""Signed tokens (JWS, compact form): taken apart strictly, and their signatures checked. RS256 and ES256, nothing else.

1. The algorithm is ours to choose: a key is of one kind, and a token that names another algorithm is refused. `none`
   and the HMAC ones are unknown words here, so that a public key can never be taken for a shared secret.
2. The header may not bring or fetch a key (`jwk`, `jku`, `x5c`, `x5u`), nor name an extension that must be understood
   (`crit`, `b64`), nor be compressed (`zip`).
3. One token has one form: base64url in its one canonical spelling, JSON objects without a repeated name.
4. The mathematics are the library's (`cryptography`), loaded with the first key.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple, Protocol

MAX_TOKEN_CHARS: Final = 16_384
"""The longest real ones, with hundreds of groups, have less."""
MAX_KID_CHARS: Final = 256
MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 8192

Algorithm = Literal["RS256", "ES256"]
ALGORITHMS: Final[dict[str, Algorithm]] = {"RS256": "RS256", "ES256": "ES256"}

_FORBIDDEN: Final = frozenset(("jku", "jwk", "x5u", "x5c", "crit", "b64", "zip"))
_ALPHABET: Final = re.compile(r"[A-Za-z0-9_-]+\Z")
_KID: Final = re.compile(r"[\x21-\x7e]+\Z")


class BadToken(Exception):
    """A token that proves nothing. `reason` is a word for logs and metrics, the message a sentence without content."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Parsed(NamedTuple):
    """A token taken apart, not yet believed. `signed` is what the signature is over."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    signed: bytes
    signature: bytes
    algorithm: Algorithm
    kid: str


class Key(Protocol):
    """A public key."""

    @property
    def algorithm(self) -> Algorithm: ...

    def verifies(self, signature: bytes, signed: bytes) -> bool: ...


def looks_signed(text: str) -> bool:
    """Say whether a credential has the form of a token, so that no other credential can be meant."""
    return text.count(".") == 2 and text.startswith("ey")


def parse(text: str, *, padded: bool = False) -> Parsed:
    """Take a token apart. `padded` also takes the padding that AWS load balancers write. Raises: BadToken."""
    if len(text) > MAX_TOKEN_CHARS:
        raise BadToken("too_long", "the token is too long")
    parts = text.split(".")
    if len(parts) != 3 or not text.isascii():
        raise BadToken("malformed", "the token does not have three parts")
    if any(part.endswith("=") for part in parts) and any(len(part) % 4 for part in parts):
        raise BadToken("malformed", "some parts of the token are padded, and some are not")
    header = _object(decode_base64url(parts[0], padded=padded))
    if found := _FORBIDDEN & header.keys():
        raise BadToken("header", f"the token's header may not have {sorted(found)[0]}")
    algorithm = ALGORITHMS.get(header["alg"]) if isinstance(header.get("alg"), str) else None
    if algorithm is None:
        raise BadToken("algorithm", "the token's algorithm is neither RS256 nor ES256")
    kid = header.get("kid", "")
    if not isinstance(kid, str) or len(kid) > MAX_KID_CHARS or (kid and not _KID.match(kid)):
        raise BadToken("kid", "the token's key id is malformed")
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in ("jwt", "at+jwt"):
        raise BadToken("type", "the token is of another type than JWT")
    claims = _object(decode_base64url(parts[1], padded=padded))
    signature = decode_base64url(parts[2], padded=padded)
    return Parsed(header, claims, f"{parts[0]}.{parts[1]}".encode(), signature, algorithm, kid)


def verify(parsed: Parsed, key: Key) -> None:
    """Check the signature. Raises: BadToken."""
    if key.algorithm != parsed.algorithm:
        raise BadToken("algorithm", "the token's algorithm is not the one of its key")
    if not key.verifies(parsed.signature, parsed.signed):
        raise BadToken("signature", "the token's signature is wrong")


def decode_base64url(text: str, *, padded: bool = False) -> bytes:
    """Return the bytes of a canonical base64url text. Raises: BadToken."""
    body = text.rstrip("=") if padded and len(text) % 4 == 0 and not text.endswith("===") else text
    if not _ALPHABET.match(body):
        raise BadToken("malformed", "the token is not base64url")
    try:
        data = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    except (binascii.Error, ValueError):
        raise BadToken("malformed", "the token is not base64url") from None
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode() != body:
        raise BadToken("malformed", "the token is not canonical base64url")
    return data


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise BadToken("malformed", "a part of the token is no JSON") from None
    if not isinstance(found, dict):
        raise BadToken("malformed", "a part of the token is no JSON object")
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is repeated")
    return found


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


class RsaKey:
    """RSASSA-PKCS1-v1_5 with SHA-256."""

    algorithm: Algorithm = "RS256"

    def __init__(self, key: Any) -> None:
        self._key = key

    def verifies(self, signature: bytes, signed: bytes) -> bool:
        """Say whether a signature is by this key."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.hashes import SHA256

        try:
            self._key.verify(signature, signed, PKCS1v15(), SHA256())
        except InvalidSignature:
            return False
        return True


class EcKey:
    """ECDSA on P-256 with SHA-256; signatures are r and s, 32 bytes each."""

    algorithm: Algorithm = "ES256"

    def __init__(self, key: Any) -> None:
        self._key = key

    def verifies(self, signature: bytes, signed: bytes) -> bool:
        """Say whether a signature is by this key."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
        from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
        from cryptography.hazmat.primitives.hashes import SHA256

        if len(signature) != 64:
            return False
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        try:
            self._key.verify(encode_dss_signature(r, s), signed, ECDSA(SHA256()))
        except InvalidSignature:
            return False
        return True


def key_of_jwk(jwk: Mapping[str, Any]) -> Key | None:
    """Return a public key of a JWKS, None for one that is not for signatures that we take.

    Raises: BadToken for one that claims to be, and is too weak or malformed.
    """
    uses = jwk.get("key_ops", ["verify"])
    if jwk.get("use", "sig") != "sig" or not isinstance(uses, list) or "verify" not in uses:
        return None
    kind, algorithm = jwk.get("kty"), jwk.get("alg")
    if kind == "RSA" and algorithm in (None, "RS256"):
        return _rsa(_number(jwk, "n"), _number(jwk, "e"))
    if kind == "EC" and jwk.get("crv") == "P-256" and algorithm in (None, "ES256"):
        return _ec(_number(jwk, "x"), _number(jwk, "y"))
    return None


def key_of_pem(pem: bytes) -> Key:
    """Return the P-256 key of a PEM text. Raises: BadToken."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise BadToken("key", "the key is malformed") from None
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise BadToken("key", "the key is not one of P-256")
    return EcKey(key)


def _number(jwk: Mapping[str, Any], name: str) -> int:
    text = jwk.get(name)
    if not isinstance(text, str) or len(text) > 2048:
        raise BadToken("key", "the key is malformed")
    return int.from_bytes(decode_base64url(text), "big")


def _rsa(modulus: int, exponent: int) -> Key:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

    if not MIN_RSA_BITS <= modulus.bit_length() <= MAX_RSA_BITS:
        raise BadToken("key", f"the RSA key does not have {MIN_RSA_BITS} to {MAX_RSA_BITS} bits")
    if not 3 <= exponent < 1 << 32:
        raise BadToken("key", "the RSA key's exponent is unusual")
    try:
        return RsaKey(RSAPublicNumbers(exponent, modulus).public_key())
    except ValueError:
        raise BadToken("key", "the RSA key is malformed") from None


def _ec(x: int, y: int) -> Key:
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicNumbers

    try:
        return EcKey(EllipticCurvePublicNumbers(x, y, SECP256R1()).public_key())
    except ValueError:
        raise BadToken("key", "the EC key is malformed") from None
