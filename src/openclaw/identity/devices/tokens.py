"""Tokens of devices and setup codes: made, made again, compared.

A device token is an HMAC of a random salt under a key that is derived from the gateway's own. The store has the salt
and the token's hash: neither opens anything without the key file. A paired device that comes with the shared credential
is given its token again, without one of its other connections losing theirs.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path
from typing import Final

from openclaw.config.disk import make_private, write_atomically
from openclaw.identity.devices.record import Device, Issued, Token
from openclaw.identity.scopes import Role
from openclaw.protocol.device_auth import KEY_BYTES, decode_base64url, encode_base64url

SALT_BYTES: Final = 16
CODE_BYTES: Final = 24
_PURPOSE: Final = b"openclaw device tokens 1"


def gateway_seed(path: Path) -> bytes:
    """Return the secret of the gateway's own key; make the file, mode 0600, when there is none.

    Raises: OSError. A file that holds no key is replaced: the gateway is a new one then, and says so by its id.
    """
    try:
        seed = decode_base64url(path.read_text(), KEY_BYTES)
    except (FileNotFoundError, UnicodeDecodeError):
        seed = None
    if seed is None:
        seed = os.urandom(KEY_BYTES)
        make_private(path.parent)
        write_atomically(path, f"{encode_base64url(seed)}\n".encode())
        path.chmod(0o600)
    return seed


def digest(text: str) -> str:
    """Return the hash that is kept of a token or a code."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def matches(kept: str, candidate: str) -> bool:
    """Compare a candidate with a kept hash in constant time."""
    return hmac.compare_digest(kept, digest(candidate))


def new_code() -> str:
    """Return the secret of a setup code."""
    return secrets.token_urlsafe(CODE_BYTES)


class Mint:
    """Makes device tokens under one key."""

    def __init__(self, seed: bytes) -> None:
        self._key = hmac.digest(seed, _PURPOSE, "sha256")

    def _text(self, device_id: str, role: Role, salt: str) -> str:
        message = "|".join((device_id, role, salt)).encode()
        return encode_base64url(hmac.digest(self._key, message, "sha256"))

    def new(self, device_id: str, role: Role, scopes: tuple[str, ...], now_ms: int, old: Token | None = None) -> Token:
        """Return a fresh token, in the place of `old` when there is one."""
        salt = secrets.token_hex(SALT_BYTES)
        return Token(
            scopes=scopes,
            salt=salt,
            digest=digest(self._text(device_id, role, salt)),
            created_at_ms=old.created_at_ms if old else now_ms,
            rotated_at_ms=now_ms if old else None,
        )

    def open(self, device: Device, role: Role) -> Issued | None:
        """Return a device's token in the open; None when it has none, or one of a key that is gone."""
        token = device.tokens.get(role)
        if token is None or token.revoked_at_ms is not None:
            return None
        text = self._text(device.device_id, role, token.salt)
        return Issued(text, role, token.scopes, token.issued_at_ms) if matches(token.digest, text) else None
