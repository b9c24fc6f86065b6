"""Encryption by passphrase: read and written by another implementation of age, and any change is noticed."""

from __future__ import annotations

import io

import pyrage
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw.base.errors import InvalidRequest
from openclaw.base.secret import Secret
from openclaw.ops.backup.age import PIECE, Decrypting, Encrypting
from tests.ops.backup.house import CHEAP, PASSPHRASE

SIZES = (0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 3 * PIECE + 7)


def encrypted(plain: bytes, *, work: int = CHEAP) -> bytes:
    out = io.BytesIO()
    cipher = Encrypting(out, PASSPHRASE, work=work)
    for at in range(0, len(plain), 50_000):
        cipher.write(plain[at : at + 50_000])
    cipher.close()
    return out.getvalue()


def decrypted(raw: bytes, passphrase: Secret = PASSPHRASE) -> bytes:
    reader = Decrypting(io.BytesIO(raw), passphrase)
    out = b""
    while data := reader.read(60_001):
        out += data
    return out


SEALED = encrypted(b"what was said " * 10_000)


@pytest.mark.parametrize("size", SIZES)
def test_what_is_encrypted_is_read_by_age(size: int) -> None:
    plain = bytes(number % 251 for number in range(size))
    assert pyrage.passphrase.decrypt(encrypted(plain), PASSPHRASE.reveal()) == plain
    assert decrypted(encrypted(plain)) == plain


def test_what_age_encrypted_is_read() -> None:
    plain = b"from elsewhere " * 10_000
    raw = pyrage.passphrase.encrypt(plain, PASSPHRASE.reveal())
    assert decrypted(raw) == plain


def test_another_passphrase_is_told_as_such() -> None:
    with pytest.raises(InvalidRequest) as error:
        decrypted(SEALED, Secret("correct horse battery stable"))
    assert error.value.details == {"code": "BACKUP_PASSPHRASE"}
    assert "correct horse" not in str(error.value.as_dict())


def test_a_passphrase_that_guards_nothing_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="shorter"):
        Encrypting(io.BytesIO(), Secret("short"))


def test_a_header_that_asks_for_more_memory_than_there_is_is_refused() -> None:
    head, _, rest = SEALED.partition(f" {CHEAP}\n".encode())
    with pytest.raises(InvalidRequest, match="more memory"):
        decrypted(head + b" 21\n" + rest)


@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, len(SEALED) - 1), bit=st.integers(0, 7))
def test_any_changed_bit_is_noticed(at: int, bit: int) -> None:
    raw = bytearray(SEALED)
    raw[at] ^= 1 << bit
    with pytest.raises(InvalidRequest):
        decrypted(bytes(raw))


@settings(max_examples=40, deadline=None)
@given(cut=st.integers(0, len(SEALED) - 1), tail=st.binary(max_size=3))
def test_any_cut_and_anything_behind_the_end_is_noticed(cut: int, tail: bytes) -> None:
    with pytest.raises(InvalidRequest):
        decrypted(SEALED[:cut])
    if tail:
        with pytest.raises(InvalidRequest):
            decrypted(SEALED + tail)


def test_a_stream_cut_at_a_piece_s_border_is_noticed() -> None:
    header = SEALED.index(b"\n---") + 4
    start = SEALED.index(b"\n", header) + 1 + 16
    with pytest.raises(InvalidRequest, match="cut or changed"):
        decrypted(SEALED[: start + PIECE + 16])
