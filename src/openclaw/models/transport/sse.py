"""Server-sent events in bulk: bytes as the network gave them in, complete events' data out.

Rules (WHATWG HTML, 9.2): events end at an empty line; lines end at LF, CRLF or CR; `data:` lines of one event are
joined by LF; other fields and comments do not matter here, for every model API repeats the event's name in its JSON.
"""

from __future__ import annotations

EVENT_LIMIT_BYTES = 8 * 1024 * 1024
"""One event larger than this is not an answer but an attack or a mix-up; the biggest seen are images of some MiB."""

_BOM = b"\xef\xbb\xbf"


class EventTooLarge(ValueError):
    """An event did not end within EVENT_LIMIT_BYTES."""


class SseSplitter:
    """Cuts a byte stream into events' data; keeps the unfinished tail for the next piece."""

    __slots__ = ("_fresh", "_skip_lf", "_tail")

    def __init__(self) -> None:
        self._tail = b""
        self._skip_lf = False
        self._fresh = True

    def feed(self, piece: bytes) -> list[bytes]:
        """Return the data of every event that this piece completes, in order; events without data give nothing.

        Raises: EventTooLarge.
        """
        if self._skip_lf:
            self._skip_lf = False
            piece = piece.removeprefix(b"\n")
        if b"\r" in piece:
            # A CR at the end ends its line at once; should the LF of a CRLF follow in the next piece, it is dropped.
            self._skip_lf = piece.endswith(b"\r")
            piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if not piece:
            return []
        data = self._tail + piece if self._tail else piece
        if self._fresh:
            if len(data) < len(_BOM) and _BOM.startswith(data):
                self._tail = data
                return []
            self._fresh = False
            data = data.removeprefix(_BOM)
        blocks = data.split(b"\n\n")
        self._tail = tail = blocks.pop()
        if len(tail) > EVENT_LIMIT_BYTES:
            raise EventTooLarge
        found = []
        for block in blocks:
            if block.startswith(b"data: ") and b"\n" not in block:
                found.append(block[6:])
            elif (payload := _data_of(block)) is not None:
                found.append(payload)
        return found

    @property
    def unfinished(self) -> bool:
        """True when bytes of an event are left that its empty line never followed."""
        return bool(self._tail.strip())


def _data_of(block: bytes) -> bytes | None:
    lines = [line[6:] if line.startswith(b"data: ") else line[5:] for line in block.split(b"\n") if _is_data(line)]
    if not lines:
        return None
    return lines[0] if len(lines) == 1 else b"\n".join(lines)


def _is_data(line: bytes) -> bool:
    return line.startswith(b"data:") or line == b"data"
