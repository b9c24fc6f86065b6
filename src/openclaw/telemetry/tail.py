"""The end of a rotated log, page by page: what is read next begins where the last page ended, in whichever file.

1. A cursor is one number: which file (20 bits of its inode) and how far in it. It stays good when the file is renamed
   by a rotation, as long as the file is kept; a bare offset means the current file.
2. A page is the last lines of what came after the cursor, whole lines only; a line that is being written waits.
3. When the cursor's file is gone or was emptied, the page says `reset` and begins with the oldest line there is.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

import msgspec

NO_CURSOR: Final = -1
_OFFSET_BITS: Final = 32
_MARK_MASK: Final = (1 << 20) - 1
MAX_FILES: Final = 101
"""The current one, and as many as logging.maxFiles allows."""

_OWN: Final = frozenset(("time", "level", "event", "component"))
"""What every line of our log says; the rest are fields of its event."""

_LEVELS: Final = {"warning": "WARN", "critical": "FATAL"}
"""Levels that log viewers call by another name than ours in capitals."""


class _Part(NamedTuple):
    file: BinaryIO
    size: int
    mark: int


def tail(path: Path, cursor: int, limit: int, max_bytes: int) -> dict[str, Any]:
    """Return the whole lines after `cursor`, at most the last `max_bytes` and `limit` of them.

    Shape: `reset` when the cursor means nothing any more; `truncated` when lines were left out; `size` of the current
    file. It reads the disk: call it off the loop.
    """
    answer: dict[str, Any] = {"file": str(path), "cursor": 0, "size": 0, "lines": [], "truncated": False}
    answer["reset"] = cursor > 0
    with ExitStack() as stack:
        parts = [_part(stack.enter_context(file)) for file in _files(path)]
        if not parts:
            return answer
        parts, offset, answer["reset"] = _from(parts, cursor)
        data, cut = _read(parts, offset, max_bytes)
        current = parts[-1]
    whole = data.rfind(b"\n") + 1
    lines = data[:whole].decode("utf-8", "replace").split("\n")[:-1]
    answer["cursor"] = current.mark << _OFFSET_BITS | current.size - (len(data) - whole)
    answer["size"] = current.size
    answer["truncated"] = cut or len(lines) > limit
    answer["lines"] = [as_clients_read(line) for line in lines[-limit:]]
    return answer


def _files(path: Path) -> Iterator[BinaryIO]:
    """Open the current file, then what it was rotated to. Opened first: then a rotation cannot take one away."""
    for number in range(MAX_FILES):
        try:
            yield (path if number == 0 else path.with_name(f"{path.name}.{number}")).open("rb")
        except FileNotFoundError:
            if number:  # between two renames there may be no current file, but never a gap behind the first
                return


def _part(file: BinaryIO) -> _Part:
    status = os.fstat(file.fileno())
    return _Part(file, status.st_size, status.st_ino & _MARK_MASK)


def _from(parts: list[_Part], cursor: int) -> tuple[list[_Part], int, bool]:
    """Return the files from the cursor's on, oldest first, how far in the first, and whether the cursor was lost."""
    parts = parts[::-1]
    if cursor == NO_CURSOR:
        return parts, 0, False
    mark, offset = cursor >> _OFFSET_BITS, cursor & ((1 << _OFFSET_BITS) - 1)
    if not mark:
        mark = parts[-1].mark
    for at in range(len(parts) - 1, -1, -1):
        if parts[at].mark == mark:
            emptied = offset > parts[at].size
            return parts[at:], 0 if emptied else offset, emptied
    return parts, 0, True


def _read(parts: list[_Part], offset: int, max_bytes: int) -> tuple[bytes, bool]:
    """Return the last bytes of the files from `offset` in the first on, from a line's beginning, and whether more
    came before them."""
    skip = max(0, sum(part.size for part in parts) - offset - max_bytes)
    cut = skip > 0
    data = bytearray()
    for part in parts:
        start, offset = offset + skip, 0
        if start > part.size:
            skip = start - part.size
            continue
        skip = 0
        with suppress(OSError):
            data += _from_line(part, start)
        if part is not parts[-1] and data and not data.endswith(b"\n"):
            data += b"\n"  # its writer was killed in the middle of a line
    return bytes(data), cut


def _from_line(part: _Part, start: int) -> bytes:
    """Return what a file holds from the first line that begins at `start` or behind it."""
    # One byte earlier: whether a line begins at `start` shows in the byte before it.
    part.file.seek(max(0, start - 1))
    data = part.file.read(part.size - max(0, start - 1))
    if start == 0:
        return data
    if data[:1] == b"\n":
        return data[1:]
    found = data.find(b"\n")
    return data[found + 1 :] if found >= 0 else b""


def as_clients_read(line: str) -> str:
    """Return a line of our log with the keys that clients look for beside its own; another line as it is.

    Clients read the text from `message` or `1`, and the level and the component from `_meta` or `0`.
    """
    try:
        fields = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return line
    if not isinstance(fields, dict) or not _OWN.issubset(fields):
        return line
    more = " ".join(f"{name}={value}" for name, value in fields.items() if name not in _OWN)
    text = f"{fields['event']} {more}" if more else str(fields["event"])
    subsystem = msgspec.json.encode({"subsystem": fields["component"]}).decode()
    level = str(fields["level"])
    meta = {"logLevelName": _LEVELS.get(level, level.upper()), "date": fields["time"], "name": subsystem}
    return msgspec.json.encode({**fields, "0": subsystem, "1": text, "message": text, "_meta": meta}).decode()
