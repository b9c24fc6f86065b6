"""The gateway's own certificate: read and judged whole, or made for a machine that has none.

A pair is good when the key is the certificate's, both can be read, and its time is not over.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import ssl
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from openclaw.base.errors import ConfigError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate as Parsed
    from cryptography.x509 import GeneralName

MAX_BYTES: Final = 1024 * 1024
SELF_SIGNED_DAYS: Final = 3650
CERTIFICATE_KEY: Final = "gateway.tls.certPath"
PRIVATE_KEY: Final = "gateway.tls.keyPath"


class Pair(msgspec.Struct, frozen=True):
    """Where a certificate chain and its key are, PEM."""

    certificate: Path
    key: Path

    def is_absent(self) -> bool:
        """Say whether neither file is there. Blocking."""
        return not (os.path.lexists(self.certificate) or os.path.lexists(self.key))

    def mark(self) -> tuple[tuple[int, ...], ...]:
        """Return what changes when a file is replaced. Blocking. Raises: OSError."""
        seen = (self.certificate.stat(), self.key.stat())
        return tuple((one.st_mtime_ns, one.st_size, one.st_ino) for one in seen)


class Certified(msgspec.Struct, frozen=True):
    """A good pair, ready to serve. `fingerprint` is the SHA-256 of the certificate in hex."""

    pair: Pair
    context: ssl.SSLContext
    fingerprint: str
    starts_ms: int
    ends_ms: int


def read_pair(pair: Pair, now_ms: int) -> Certified:
    """Read a pair and judge it. Blocking. Raises: ConfigError with what is wrong with which file, and the fix."""
    chain = _read(pair.certificate, CERTIFICATE_KEY)
    _read(pair.key, PRIVATE_KEY)
    made = _context(pair)
    leaf = parsed(chain, pair.certificate)
    starts_ms, ends_ms = lifetime_ms(leaf)
    if ends_ms <= now_ms:
        raise _wrong(
            CERTIFICATE_KEY,
            f"the certificate {pair.certificate} expired on {leaf.not_valid_after_utc:%Y-%m-%d}",
            "Renew it, or take it away together with its key: then a self-signed one is made.",
        )
    return Certified(pair, made, _fingerprint(leaf), starts_ms, ends_ms)


def parsed(chain: bytes, place: Path) -> Parsed:
    """Return the first certificate of a chain. Raises: ConfigError."""
    from cryptography.x509 import load_pem_x509_certificate

    try:
        return load_pem_x509_certificate(chain)
    except ValueError:
        raise _wrong(CERTIFICATE_KEY, f"{place} is no certificate", "It must be PEM, the server's own first.") from None


def lifetime_ms(leaf: Parsed) -> tuple[int, int]:
    """Return from when until when a certificate is good."""
    return int(leaf.not_valid_before_utc.timestamp() * 1000), int(leaf.not_valid_after_utc.timestamp() * 1000)


def make_pair(pair: Pair, names: Sequence[str], now_ms: int) -> bool:
    """Write a self-signed certificate and its key (mode 0600), unless one of them is there; say whether. Blocking.

    Raises: ConfigError.
    """
    if not pair.is_absent():
        return False
    certificate, key = _self_signed(names, now_ms)
    try:
        for place in (pair.key.parent, pair.certificate.parent):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_new(pair.key, key, 0o600)
        _write_new(pair.certificate, certificate, 0o644)
    except (OSError, ValueError) as error:
        raise _wrong(
            CERTIFICATE_KEY,
            f"a self-signed certificate cannot be written to {pair.certificate.parent}: {_why(error)}",
            "Make the folder writable, or name files that are there by gateway.tls.certPath and keyPath.",
        ) from None
    return True


def _read(place: Path, key: str) -> bytes:
    try:
        plain = stat.S_ISREG(place.stat().st_mode)  # to open anything else might wait for ever
        content = b""
        if plain:
            with place.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        what = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read: {_why(error)}"
        raise _wrong(key, f"{place} {what}", f"Correct {key}, or let the gateway's user read the file.") from None
    if not plain or len(content) > MAX_BYTES:
        raise _wrong(key, f"{place} is no file of at most {MAX_BYTES} bytes", "Name a PEM file.")
    return content


def _context(pair: Pair) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
    made.set_alpn_protocols(["http/1.1"])

    def refuse() -> str:
        raise _wrong(
            PRIVATE_KEY,
            f"the key {pair.key} is encrypted, and nobody is there to type its passphrase",
            f"Decrypt it: openssl pkey -in {pair.key} -out NEW, then chmod 600 NEW and name it.",
        )

    try:
        made.load_cert_chain(pair.certificate, pair.key, password=refuse)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            why = f"the key {pair.key} does not belong to the certificate {pair.certificate}"
            raise _wrong(PRIVATE_KEY, why, "Name the key that the certificate was made for.") from None
        why = f"{pair.certificate} and {pair.key} are no certificate and key ({error.reason or 'not PEM'})"
        raise _wrong(
            CERTIFICATE_KEY, why, "Both must be PEM; in the certificate's file the server's own is first."
        ) from None
    return made


def _self_signed(names: Sequence[str], now_ms: int) -> tuple[bytes, bytes]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "openclaw-gateway")])
    start = datetime.datetime.fromtimestamp(now_ms / 1000, datetime.UTC) - datetime.timedelta(days=1)
    built = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=SELF_SIGNED_DAYS))
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )
    certificate = built.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    plain = serialization.NoEncryption()
    return certificate, key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)


def _general(name: str) -> GeneralName:
    import ipaddress

    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write_new(place: Path, content: bytes, mode: int) -> None:
    with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _fingerprint(leaf: Parsed) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    return hashlib.sha256(leaf.public_bytes(Encoding.DER)).hexdigest()


def _why(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)


def _wrong(path: str, message: str, hint: str) -> ConfigError:
    return ConfigError(message, hint=hint, details={"path": path})
