"""Certificates for tests."""

from __future__ import annotations

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from openclaw.net.certificate import Pair

LONG_MS = 4_000_000_000_000
"""In the year 2096."""


def pair_in(folder: Path, *, ends_ms: int = LONG_MS, passphrase: bytes = b"", host: str = "localhost") -> Pair:
    """Write a self-signed certificate for a host with its key; replace what is there."""
    folder.mkdir(parents=True, exist_ok=True)
    pair = Pair(folder / "cert.pem", folder / "key.pem")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    end = datetime.datetime.fromtimestamp(ends_ms / 1000, datetime.UTC)
    built = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC))
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    sealed = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    pair.key.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, sealed))
    pair.certificate.write_bytes(built.public_bytes(pem))
    return pair
