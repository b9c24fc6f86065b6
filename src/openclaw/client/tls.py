"""Whom to believe behind `wss://`: the system's authorities, one of our own, or exactly one certificate."""

from __future__ import annotations

import hashlib
import hmac
import re
import ssl
from typing import Any, Final

import msgspec

from openclaw.base.errors import ConfigError
from openclaw.client.errors import GatewayDown

_HEX: Final = re.compile(r"[0-9a-f]{64}")


class Trust(msgspec.Struct, frozen=True, kw_only=True):
    """`ca_file` replaces the system's authorities. `fingerprint` is the SHA-256 of the server's certificate in hex
    (colons and a `sha256:` in front are taken): it is then the only thing that counts, so self-signed ones work."""

    ca_file: str = ""
    fingerprint: str = ""


def context(trust: Trust) -> ssl.SSLContext:
    """Return the TLS settings. Raises: ConfigError for a file or fingerprint that is none."""
    try:
        made = ssl.create_default_context(cafile=trust.ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"{trust.ca_file} is no file of certificates: {error}") from None
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if trust.fingerprint:
        pin(trust.fingerprint)
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE  # the pin is checked instead, before anything is sent
    return made


def pin(fingerprint: str) -> str:
    """Return a fingerprint in its plain form. Raises: ConfigError."""
    plain = fingerprint.strip().lower().removeprefix("sha256:").replace(":", "")
    if not _HEX.fullmatch(plain):
        raise ConfigError("a TLS fingerprint is the SHA-256 of a certificate in hex, 64 digits")
    return plain


def require_pinned(url: str, fingerprint: str, transport_ssl: Any) -> None:
    """Make sure that a connection was made with the pinned certificate. Raises: GatewayDown."""
    certificate = transport_ssl.getpeercert(binary_form=True) if hasattr(transport_ssl, "getpeercert") else None
    seen = hashlib.sha256(certificate).hexdigest() if certificate else ""
    if not hmac.compare_digest(seen, pin(fingerprint)):
        raise GatewayDown(
            f"{url} showed another certificate than the pinned one",
            hint="Somebody may stand in between. Compare the fingerprint on the gateway before you change the pin.",
        )
