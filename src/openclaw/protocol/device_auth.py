"""How a device proves who it is: an ed25519 key, and a signature over what the connect request says.

The device's id is the hex SHA-256 of its raw public key; keys and signatures travel as base64url without padding.
Source: ../shared/spec/protocol.md, "Device identity and pairing". `cryptography` is imported when a device first comes:
it costs 16 ms and 10 MB, and most local clients bring no device.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Final, Literal

import msgspec

from openclaw.base.secret import masked

KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
SKEW_MS: Final = 120_000
"""How old (or how far ahead) a signature may be."""

Version = Literal["v1", "v2", "v3"]


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """What a device signs. `token` is the first credential of the request, or empty; times are Unix ms."""

    device_id: str
    client_id: str
    client_mode: str
    role: str
    scopes: tuple[str, ...]
    signed_at_ms: int
    token: str = ""
    nonce: str = ""
    platform: str = ""
    device_family: str = ""

    __repr__ = masked

    def text(self, version: Version) -> bytes:
        """Return the bytes that are signed. Version 1 has no nonce; version 3 adds what the device is."""
        fields = [
            version,
            self.device_id,
            self.client_id,
            self.client_mode,
            self.role,
            ",".join(self.scopes),
            str(self.signed_at_ms),
            self.token,
        ]
        if version != "v1":
            fields.append(self.nonce)
        if version == "v3":
            fields += [_folded(self.platform), _folded(self.device_family)]
        return "|".join(fields).encode("utf-8", "surrogatepass")


def _folded(text: str) -> str:
    """Trim, and lower the ASCII letters only: both sides must agree on every byte."""
    return "".join(chr(ord(char) + 32) if "A" <= char <= "Z" else char for char in text.strip())


def decode_base64url(text: str, size: int) -> bytes | None:
    """Return exactly `size` bytes, or None. Padding and the standard alphabet are taken too."""
    plain = text.strip().replace("+", "-").replace("/", "_").rstrip("=")
    if len(plain) != (size * 4 + 2) // 3 or not plain.isascii():
        return None
    try:
        raw = base64.b64decode(plain + "=" * (-len(plain) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if len(raw) == size else None


def encode_base64url(raw: bytes) -> str:
    """Return the text of bytes, without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def device_id_of(public_key: bytes) -> str:
    """Return the id of the device that has this raw public key."""
    return hashlib.sha256(public_key).hexdigest()


def verifies(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Say whether the holder of the raw key signed the message."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


class DeviceKey:
    """A device's own key pair. Never shown: `seed` is for the file that keeps it."""

    def __init__(self, seed: bytes) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key = self._private.public_key().public_bytes_raw()
        self.device_id = device_id_of(self.public_key)

    @classmethod
    def new(cls) -> DeviceKey:
        """Make a key."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return cls(Ed25519PrivateKey.generate().private_bytes_raw())

    @property
    def seed(self) -> bytes:
        """The secret 32 bytes."""
        return self._private.private_bytes_raw()

    def sign(self, message: bytes) -> str:
        """Return the signature as it travels."""
        return encode_base64url(self._private.sign(message))
