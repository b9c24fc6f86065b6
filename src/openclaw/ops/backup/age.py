"""Encryption by passphrase, in the age v1 format (https://age-encryption.org/v1): the `age` program reads it too.

A passphrase makes a key by scrypt; that wraps the file's key; the file's key makes, by HKDF, the key of the header's
MAC and of a STREAM of 64 KiB pieces under ChaCha20-Poly1305, the last of which is marked. So a cut, a swap or a change
anywhere is noticed, and no plain byte of a piece is given out before the piece was verified.

Written over `cryptography`'s primitives, which we have; the tests read and write it with the library `pyrage`.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import re
from typing import TYPE_CHECKING, BinaryIO, Final

from openclaw.base.errors import InvalidRequest
from openclaw.base.secret import Secret
from openclaw.ops.backup.refused import refused

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

MAGIC: Final = b"age-encryption.org/v1\n"
PIECE: Final = 64 * 1024
TAG: Final = 16
WORK: Final = 17
"""scrypt's cost as a power of two: 128 MiB and about half a second, for whoever guesses as for us."""
MAX_WORK: Final = 20
"""A header that asks for more (1 GiB) is refused: it is the reader's memory that it asks for."""
_SCRYPT_LABEL: Final = b"age-encryption.org/v1/scrypt"
_MAX_LINE: Final = 128
_STANZA: Final = re.compile(rb"-> scrypt ([A-Za-z0-9+/]{22}) ([1-9][0-9]?)\n")
MIN_PASSPHRASE_CHARS: Final = 8


def check_passphrase(passphrase: Secret) -> None:
    """Refuse a passphrase that guards nothing. Raises: InvalidRequest."""
    if len(passphrase) < MIN_PASSPHRASE_CHARS:
        raise InvalidRequest(
            f"the passphrase is shorter than {MIN_PASSPHRASE_CHARS} characters",
            hint="Use several random words, or the output of: openssl rand -base64 24",
        )


class Encrypting:
    """A file that encrypts what is written to it into another. `close` ends the stream; the other stays open."""

    def __init__(self, target: BinaryIO, passphrase: Secret, *, work: int = WORK) -> None:
        check_passphrase(passphrase)
        file_key, salt, nonce = os.urandom(16), os.urandom(16), os.urandom(16)
        wrapped = _chacha(_wrap_key(passphrase, salt, work)).encrypt(bytes(12), file_key, None)
        head = MAGIC + b"-> scrypt %s %d\n%s\n---" % (_text(salt), work, _text(wrapped))
        target.write(head + b" " + _text(_mac(file_key, head)) + b"\n" + nonce)
        self._target = target
        self._stream = _Stream(_derived(file_key, nonce, b"payload"))
        self._held = bytearray()

    def write(self, data: bytes) -> int:
        """Take plain bytes; a whole piece goes out once something follows it."""
        self._held += data
        while len(self._held) > PIECE:
            self._target.write(self._stream.seal(bytes(self._held[:PIECE]), last=False))
            del self._held[:PIECE]
        return len(data)

    def close(self) -> None:
        """Write the last piece, marked as such."""
        self._target.write(self._stream.seal(bytes(self._held), last=True))
        self._held.clear()


class Decrypting:
    """Reads an encrypted file from its beginning. Raises: InvalidRequest for a wrong passphrase or a changed file."""

    def __init__(self, source: BinaryIO, passphrase: Secret) -> None:
        self._source = source
        head = _line(source)
        stanza = _line(source)
        body = _line(source)
        mac = _line(source)
        found = _STANZA.fullmatch(stanza)
        if head != MAGIC or found is None or not mac.startswith(b"--- ") or not mac.endswith(b"\n"):
            raise refused("it is not encrypted with a passphrase in the age format")
        work = int(found[2])
        if work > MAX_WORK:
            raise refused(f"its passphrase asks for more memory than 2^{MAX_WORK} stands for")
        wrapped = _bytes(body.removesuffix(b"\n"), 32)
        try:
            file_key = _chacha(_wrap_key(passphrase, _bytes(found[1], 16), work)).decrypt(bytes(12), wrapped, None)
        except _invalid_tag():
            raise InvalidRequest(
                "the passphrase does not open the backup",
                hint="Give the one it was made with (--passphrase-file, or OPENCLAW_BACKUP_PASSPHRASE).",
                details={"code": "BACKUP_PASSPHRASE"},
            ) from None
        if not hmac.compare_digest(_mac(file_key, head + stanza + body + b"---"), _bytes(mac[4:-1], 32)):
            raise refused("its header was changed")
        nonce = source.read(16)
        if len(nonce) != 16:
            raise refused("it ends too early")
        self._stream = _Stream(_derived(file_key, nonce, b"payload"))
        self._ahead = source.read(PIECE + TAG)
        self._plain = memoryview(b"")
        self._ended = False

    def read(self, size: int) -> bytes:
        """Return up to `size` verified bytes; b"" at the stream's marked end."""
        while not self._plain and not self._ended:
            self._plain = memoryview(self._piece())
        out, self._plain = bytes(self._plain[:size]), self._plain[size:]
        return out

    def _piece(self) -> bytes:
        piece, self._ahead = self._ahead, self._source.read(PIECE + TAG)
        self._ended = not self._ahead
        try:
            plain = self._stream.open(piece, last=self._ended)
        except _invalid_tag():
            raise refused("it was cut or changed") from None
        if not plain and self._stream.count > 1:
            raise refused("it ends with an empty piece")
        return plain


class _Stream:
    """The pieces' nonces: a counter of 11 bytes, and a byte that marks the last."""

    def __init__(self, key: bytes) -> None:
        self._cipher = _chacha(key)
        self.count = 0

    def seal(self, plain: bytes, *, last: bool) -> bytes:
        return self._cipher.encrypt(self._nonce(last=last), plain, None)

    def open(self, sealed: bytes, *, last: bool) -> bytes:
        return self._cipher.decrypt(self._nonce(last=last), sealed, None)

    def _nonce(self, *, last: bool) -> bytes:
        nonce = self.count.to_bytes(11, "big") + bytes((last,))
        self.count += 1
        return nonce


def _chacha(key: bytes) -> ChaCha20Poly1305:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    return ChaCha20Poly1305(key)


def _invalid_tag() -> type[Exception]:
    from cryptography.exceptions import InvalidTag

    return InvalidTag


def _wrap_key(passphrase: Secret, salt: bytes, work: int) -> bytes:
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    return Scrypt(salt=_SCRYPT_LABEL + salt, length=32, n=1 << work, r=8, p=1).derive(passphrase.reveal().encode())


def _derived(key: bytes, salt: bytes, info: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), 32, salt, info).derive(key)


def _mac(file_key: bytes, head: bytes) -> bytes:
    return hmac.digest(_derived(file_key, b"", b"header"), head, "sha256")


def _text(raw: bytes) -> bytes:
    return base64.b64encode(raw).rstrip(b"=")


def _bytes(text: bytes, size: int) -> bytes:
    try:
        raw = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != size or _text(raw) != text:
        raise refused("its header cannot be read")
    return raw


def _line(source: BinaryIO) -> bytes:
    return source.readline(_MAX_LINE)
