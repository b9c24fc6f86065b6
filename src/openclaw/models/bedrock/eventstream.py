"""AWS' event-stream framing: bytes as the network gave them in, checked messages out.

Rules (AWS, "Event stream encoding"; all numbers big-endian)
1. A message is: total length (4), headers length (4), CRC32 of those eight bytes (4), headers, payload, CRC32 of all
   that came before it (4).
2. A header is: name length (1), name, type (1), value; of types 0 to 9. A name comes once.
3. The prelude's checksum is looked at before its lengths are believed: a damaged length never makes us wait or grow.
4. Whatever breaks these rules is MessageBroken; nothing after it is read.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import NamedTuple
from zlib import crc32

HEADERS_LIMIT_BYTES = 128 * 1024
PAYLOAD_LIMIT_BYTES = 24 * 1024 * 1024
"""Both as AWS' own clients have them."""

_PRELUDE_BYTES = 12
_CRC_BYTES = 4
_FRAME_BYTES = _PRELUDE_BYTES + _CRC_BYTES
_KNOWN_LIMIT = 32
_prelude = struct.Struct("!III").unpack_from
_crc = struct.Struct("!I").unpack_from
_u16 = struct.Struct("!H").unpack_from

HeaderValue = bool | int | bytes | str


class MessageBroken(ValueError):
    """The bytes are no event stream, or were damaged on their way."""


class Message(NamedTuple):
    """One message, both checksums right."""

    headers: Mapping[str, HeaderValue]
    payload: bytes


class EventStreamReader:
    """Cuts a byte stream into messages; keeps the unfinished one for the next piece."""

    __slots__ = ("_have", "_known", "_need", "_pieces")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._have = 0
        self._need = _PRELUDE_BYTES
        self._known: dict[bytes, Mapping[str, HeaderValue]] = {}

    def feed(self, piece: bytes) -> list[Message]:
        """Return the messages that this piece completes, in order. Raises: MessageBroken."""
        self._pieces.append(piece)
        self._have += len(piece)
        if self._have < self._need:
            return []
        # Pieces are joined only when a prelude or a whole message is there, so that tiny ones never cost a square.
        data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        out: list[Message] = []
        at, size = 0, len(data)
        while True:
            if size - at < _PRELUDE_BYTES:
                need = _PRELUDE_BYTES
                break
            need, headers_size = _lengths(data, at)
            if size - at < need:
                break
            out.append(self._message(data, at, need, headers_size))
            at += need
        self._need = need
        self._pieces = [data[at:]] if at < size else []
        self._have = size - at
        return out

    @property
    def unfinished(self) -> bool:
        """True when bytes are left of a message that did not end."""
        return self._have > 0

    def _message(self, data: bytes, at: int, size: int, headers_size: int) -> Message:
        end = at + size - _CRC_BYTES
        if crc32(data[at:end]) != _crc(data, end)[0]:
            raise MessageBroken("a message's checksum is wrong")
        headers_end = at + _PRELUDE_BYTES + headers_size
        raw = data[at + _PRELUDE_BYTES : headers_end]
        headers = self._known.get(raw)
        if headers is None:
            # Messages of one kind repeat their headers byte for byte.
            headers = _headers(raw)
            if len(self._known) < _KNOWN_LIMIT:
                self._known[raw] = headers
        return Message(headers, data[headers_end:end])


def _lengths(data: bytes, at: int) -> tuple[int, int]:
    total, headers, checksum = _prelude(data, at)
    if crc32(data[at : at + _PRELUDE_BYTES - _CRC_BYTES]) != checksum:
        raise MessageBroken("a message's prelude has a wrong checksum")
    if headers > HEADERS_LIMIT_BYTES or not 0 <= total - headers - _FRAME_BYTES <= PAYLOAD_LIMIT_BYTES:
        raise MessageBroken("a message's lengths are impossible or over the limit")
    return total, headers


def _headers(raw: bytes) -> dict[str, HeaderValue]:
    out: dict[str, HeaderValue] = {}
    at = 0
    try:
        while at < len(raw):
            name, at = _text(raw, at + 1, raw[at])
            read = _READERS[raw[at]]
            out_value, at = read(raw, at + 1)
            if name in out:
                raise MessageBroken("a message has a header twice")
            out[name] = out_value
    except (IndexError, struct.error, UnicodeDecodeError):
        raise MessageBroken("a message's headers are malformed") from None
    return out


def _bytes(raw: bytes, at: int, size: int) -> tuple[bytes, int]:
    end = at + size
    if end > len(raw):
        raise IndexError
    return raw[at:end], end


def _text(raw: bytes, at: int, size: int) -> tuple[str, int]:
    found, end = _bytes(raw, at, size)
    return found.decode(), end


def _integer(size: int) -> Callable[[bytes, int], tuple[HeaderValue, int]]:
    def read(raw: bytes, at: int) -> tuple[HeaderValue, int]:
        found, end = _bytes(raw, at, size)
        return int.from_bytes(found, "big", signed=True), end

    return read


_READERS: tuple[Callable[[bytes, int], tuple[HeaderValue, int]], ...] = (
    lambda raw, at: (True, at),
    lambda raw, at: (False, at),
    _integer(1),
    _integer(2),
    _integer(4),
    _integer(8),
    lambda raw, at: _bytes(raw, at + 2, _u16(raw, at)[0]),
    lambda raw, at: _text(raw, at + 2, _u16(raw, at)[0]),
    _integer(8),  # a timestamp, in milliseconds
    lambda raw, at: _bytes(raw, at, 16),  # a UUID
)
