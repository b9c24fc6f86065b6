"""RFC 6455 on the server's side without I/O: bytes in, messages out; messages in, bytes out.

Ours instead of a library's, because a gateway holds many idle sockets and answers many small frames: a reader is one
small object, and a complete masked text frame, the usual case, is recognised at once. Checked against `websockets`.
"""

from __future__ import annotations

import struct
from base64 import b64encode
from collections.abc import Callable
from functools import cache
from hashlib import sha1
from typing import Final

TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_SMALL_TEXT: Final = tuple(bytes((0x80 | TEXT, size)) for size in range(126))
_CLOSE_CODES_REFUSED: Final = frozenset((1004, 1005, 1006, 1015))

Message = tuple[int, bytes]


class FrameError(Exception):
    """The peer broke the protocol, or a limit. `code` is the close code to answer with."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def accept_key(key: bytes) -> bytes:
    """Return the `Sec-WebSocket-Accept` value for a client's key."""
    return b64encode(sha1(key + _GUID, usedforsecurity=False).digest())


def text_frame(payload: bytes) -> bytes:
    """Encode a text message."""
    size = len(payload)
    if size < 126:
        return _SMALL_TEXT[size] + payload
    return _head(TEXT, size) + payload


def control_frame(opcode: int, payload: bytes = b"") -> bytes:
    """Encode a close, ping or pong. Shape: at most 125 bytes."""
    return _head(opcode, len(payload)) + payload


def close_frame(code: int, reason: str = "") -> bytes:
    """Encode a close; the reason must fit (see protocol.limits.close_reason)."""
    return control_frame(CLOSE, struct.pack("!H", code) + reason.encode("utf-8"))


@cache
def _masking() -> Callable[[bytes, bytes], bytes]:
    """Return what takes a mask off. Loaded with the first connection: its package brings along 2 MB of others."""
    try:
        from websockets.speedups import apply_mask
    except ImportError:  # pragma: no cover  # platforms without the C extension
        from websockets.utils import apply_mask
    return apply_mask


def _head(opcode: int, size: int) -> bytes:
    if size < 126:
        return bytes((0x80 | opcode, size))
    if size < 65536:
        return struct.pack("!BBH", 0x80 | opcode, 126, size)
    return struct.pack("!BBQ", 0x80 | opcode, 127, size)


class FrameReader:
    """Collects frames into messages.

    Shape: `limit` is the largest message in bytes and may be changed between messages.
    """

    __slots__ = ("_apply", "_buffer", "_opcode", "_parts", "_size", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._apply = _masking()
        self._buffer: bytes | bytearray = b""
        self._parts: list[bytes] | None = None
        self._opcode = 0
        self._size = 0

    def feed(self, data: bytes, out: list[Message]) -> None:
        """Append every complete message to `out` (also those before an error). Raises: FrameError."""
        size = len(data)
        if not self._buffer and 6 <= size < 132 and data[0] == 0x81 and data[1] == size + 122 and self._parts is None:
            if size - 6 > self.limit:
                raise FrameError(1009, "")
            out.append((TEXT, _checked_text(self._apply(data[6:], data[2:6]))))
            return
        if self._buffer:
            if isinstance(self._buffer, bytes):
                self._buffer = bytearray(self._buffer)
            self._buffer += data
            data = bytes(self._buffer) if self._ready(self._buffer) else b""
            if not data:
                return
            self._buffer = b""
        offset = 0
        while True:
            taken = self._frame(data, offset, out)
            if not taken:
                break
            offset += taken
        if offset < len(data):
            self._buffer = data[offset:] if offset else data

    def _ready(self, buffer: bytes | bytearray) -> bool:
        """Say whether the buffer holds a whole frame, so that big frames are joined only once. Raises: FrameError."""
        if len(buffer) < 2:
            return False
        _check_flags(buffer[0], buffer[1])
        head, size = self._size_of(buffer, 0)
        return size < 0 or (head > 0 and len(buffer) >= head + size) or size > self.limit

    @staticmethod
    def _size_of(data: bytes | bytearray, offset: int) -> tuple[int, int]:
        """Return header length and payload length; (0, 0) when the header is not whole yet."""
        size = data[offset + 1] & 0x7F
        head = 6
        if size == 126:
            head = 8
            if len(data) - offset < 4:
                return 0, 0
            size = int.from_bytes(data[offset + 2 : offset + 4], "big")
        elif size == 127:
            head = 14
            if len(data) - offset < 10:
                return 0, 0
            size = int.from_bytes(data[offset + 2 : offset + 10], "big")
        return head, size

    def _frame(self, data: bytes, offset: int, out: list[Message]) -> int:
        """Take one frame at `offset`. Return how many bytes it had, 0 when it is not whole. Raises: FrameError."""
        if len(data) - offset < 2:
            return 0
        first = data[offset]
        opcode = first & 0x0F
        _check_flags(first, data[offset + 1])
        head, size = self._size_of(data, offset)
        if not head:
            return 0
        if opcode < CLOSE and size + self._size > self.limit:
            raise FrameError(1009, "")
        end = offset + head + size
        if len(data) < end:
            return 0
        payload = self._apply(data[offset + head : end], data[offset + head - 4 : offset + head]) if size else b""
        if opcode >= CLOSE:
            out.append((opcode, payload if opcode != CLOSE else _checked_close(payload)))
        else:
            self._data(opcode, bool(first & 0x80), payload, out)
        return head + size

    def _data(self, opcode: int, final: bool, payload: bytes, out: list[Message]) -> None:
        if opcode:
            if self._parts is not None:
                raise FrameError(1002, "expected a continuation frame")
            if final:
                out.append((opcode, _checked_text(payload) if opcode == TEXT else payload))
                return
            self._opcode, self._parts = opcode, []
        elif self._parts is None:
            raise FrameError(1002, "unexpected continuation frame")
        parts = self._parts
        parts.append(payload)
        self._size += len(payload)
        if len(parts) > 1024 and not final:
            parts[:] = [b"".join(parts)]
        if final:
            whole = b"".join(parts)
            self._parts, self._size = None, 0
            out.append((self._opcode, _checked_text(whole) if self._opcode == TEXT else whole))


def _check_flags(first: int, second: int) -> None:
    """Judge a header by its first two bytes, before the rest has come. Raises: FrameError."""
    opcode = first & 0x0F
    if first & 0x70:
        raise FrameError(1002, "reserved bits must be 0")
    if not second & 0x80:
        raise FrameError(1002, "incorrect masking")
    if opcode >= CLOSE:
        if opcode > PONG or second & 0x7F > 125 or not first & 0x80:
            raise FrameError(1002, "invalid control frame")
    elif opcode > BINARY:
        raise FrameError(1002, "invalid opcode")


def _checked_text(payload: bytes) -> bytes:
    if not payload.isascii():
        try:
            payload.decode("utf-8")
        except UnicodeDecodeError:
            raise FrameError(1007, "invalid UTF-8") from None
    return payload


def _checked_close(payload: bytes) -> bytes:
    if not payload:
        return payload
    code = int.from_bytes(payload[:2], "big")
    if len(payload) < 2 or code < 1000 or code in _CLOSE_CODES_REFUSED or 1016 <= code < 3000 or code >= 5000:
        raise FrameError(1002, "invalid close code")
    _checked_text(payload[2:])
    return payload
