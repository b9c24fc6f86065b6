"""TLS: the system's trust, one's own authority, or exactly one certificate."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import hashlib
import ipaddress
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from openclaw.base.errors import ConfigError
from openclaw.client import Credentials, GatewayClient, GatewayDown, Role, Trust
from openclaw.client.inspect import request
from openclaw.client.tls import pin
from tests.client.scripted import scripted

pytestmark = pytest.mark.anyio


class Certificate:
    """A self-signed certificate for 127.0.0.1."""

    def __init__(self, folder: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
        start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
        built = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        built = built.not_valid_before(start).not_valid_after(start + datetime.timedelta(days=36_500))
        address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        self.made = built.add_extension(address, critical=False).sign(key, hashes.SHA256())
        self.file = folder / "cert.pem"
        self.file.write_bytes(self.made.public_bytes(serialization.Encoding.PEM))
        key_file = folder / "key.pem"
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.file, key_file)

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.made.public_bytes(serialization.Encoding.DER)).hexdigest()


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return Certificate(tmp_path)


async def test_the_pinned_certificate_is_enough_and_another_is_refused_before_anything_is_sent(
    certificate: Certificate,
) -> None:
    async with scripted(tls=certificate.context) as gateway:
        trust = Trust(fingerprint=f"sha256:{certificate.fingerprint.upper()}")
        async with await GatewayClient.open(gateway.url, Role(), Credentials(), trust=trust) as client:
            assert client.protocol == 4
        with pytest.raises(GatewayDown, match="another certificate than the pinned one"):
            await GatewayClient.open(gateway.url, Role(), Credentials(), trust=Trust(fingerprint="0" * 64))
        assert len(gateway.connects) == 1


async def test_a_look_at_a_gateway_says_nothing_to_another_certificate_than_the_pinned_one(
    certificate: Certificate,
) -> None:
    said: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            said.append(await reader.read(1000))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        writer.close()

    secret = {"Authorization": "Bearer s3cret"}
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=certificate.context)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server:
        good = await asyncio.to_thread(request, "GET", url, secret, fingerprint=certificate.fingerprint)
        assert good.body == b"ok"
        with pytest.raises(ssl.SSLCertVerificationError, match="another certificate"):
            await asyncio.to_thread(request, "GET", url, secret, fingerprint="0" * 64)
        plain = url.replace("https", "http")
        with pytest.raises(ssl.SSLCertVerificationError, match="another certificate"):
            await asyncio.to_thread(request, "GET", plain, secret, fingerprint=certificate.fingerprint)
    assert sum(b"s3cret" in each for each in said) == 1


async def test_a_stranger_is_refused_and_ones_own_authority_is_believed(certificate: Certificate) -> None:
    async with scripted(tls=certificate.context) as gateway:
        with pytest.raises(GatewayDown, match="certificate verify failed"):
            await GatewayClient.open(gateway.url, Role(), Credentials())
        trust = Trust(ca_file=str(certificate.file))
        async with await GatewayClient.open(gateway.url, Role(), Credentials(), trust=trust) as client:
            assert client.protocol == 4


async def test_a_pin_without_encryption_is_refused() -> None:
    async with scripted() as gateway:
        with pytest.raises(GatewayDown, match="is not encrypted"):
            await GatewayClient.open(gateway.url, Role(), Credentials(), trust=Trust(fingerprint="0" * 64))


@pytest.mark.parametrize("text", ["", "xyz", "0" * 63, "0" * 65, "md5:" + "0" * 64])
def test_a_fingerprint_that_is_none_is_named(text: str) -> None:
    with pytest.raises(ConfigError, match="64 digits"):
        pin(text)
    assert pin(":".join(["aB"] * 32)) == "ab" * 32
