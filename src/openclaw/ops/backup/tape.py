"""The archive's outer form: a gzip'ed tar that any `tar` unpacks, read by a reader that knows plain files only.

tar.gz and not tar.zst: gzip is in the standard library of every Python we run on (zstd only from 3.14), and in every
shell that a person may have left on the worst day.

What the reader takes is what the writer makes: one header per plain file, an extended header before it only for a path
that needs one. Links, devices, folders, sparse files and every other kind have no code here that could be fooled.
"""

from __future__ import annotations

import os
import re
import tarfile
import zlib
from io import BytesIO
from typing import Final, Protocol

from openclaw.ops.backup.refused import refused

BLOCK: Final = 512
RECORD: Final = 10_240
PIECE: Final = 256 * 1024
MAX_EXTENSION_BYTES: Final = 8 * 1024
MAX_RATIO: Final = 200
RATIO_FREE_BYTES: Final = 64 * 1024 * 1024
"""Below this much, how well an archive is packed does not matter."""
LEVEL: Final = 6
_RECORD: Final = re.compile(rb"([1-9][0-9]{0,4}) (path|size)=")
_SIZE: Final = re.compile(r"[0-9]{1,16}", re.ASCII)


class Reader(Protocol):
    """Gives up to `size` bytes, b"" at the end."""

    def read(self, size: int, /) -> bytes: ...


class Writer(Protocol):
    """Takes bytes."""

    def write(self, data: bytes, /) -> int: ...


class TapeWriter:
    """Writes plain files one behind the other. `close` ends the archive, not what it is written to."""

    def __init__(self, target: Writer) -> None:
        self._target = target
        self._packer = zlib.compressobj(LEVEL, zlib.DEFLATED, 31)
        self._length = 0

    def add(self, path: str, size: int, mode: int, mtime_s: int, content: Reader) -> None:
        """Write one file of exactly that size. Raises: OSError when it is shorter."""
        info = tarfile.TarInfo(path)
        info.size, info.mode, info.mtime = size, mode, mtime_s
        self._put(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict"))
        left = size
        while left:
            data = content.read(min(PIECE, left))
            if not data:
                raise OSError(f"{path} became shorter while it was read")
            self._put(data)
            left -= len(data)
        self._put(bytes(-size % BLOCK))

    def add_bytes(self, path: str, data: bytes, mtime_s: int) -> None:
        """Write one small file (0600) from memory."""
        self.add(path, len(data), 0o600, mtime_s, BytesIO(data))

    def close(self) -> None:
        """Write the end mark, filled up to a whole record as tar does."""
        self._put(bytes(2 * BLOCK))
        self._put(bytes(-self._length % RECORD))
        self._target.write(self._packer.flush())

    def _put(self, data: bytes) -> None:
        self._length += len(data)
        if packed := self._packer.compress(data):
            self._target.write(packed)


class Unpacked:
    """Plain bytes of one gzip stream, with nothing behind it. Raises: InvalidRequest (BACKUP_INVALID)."""

    def __init__(self, source: Reader) -> None:
        self._source = source
        self._unpacker = zlib.decompressobj(31)
        self._in = self._out = 0

    def read(self, size: int) -> bytes:
        """Return exactly `size` bytes, fewer only at the end."""
        parts: list[bytes] = []
        left = size
        while left:
            data = self._some(left)
            if not data:
                break
            parts.append(data)
            left -= len(data)
        return b"".join(parts)

    def _some(self, most: int) -> bytes:
        while not self._unpacker.eof:
            packed = self._unpacker.unconsumed_tail
            if not packed:
                packed = self._source.read(PIECE)
                self._in += len(packed)
            try:
                data = self._unpacker.decompress(packed, most)
            except zlib.error:
                raise refused("it is no gzip file, or was changed") from None
            self._out += len(data)
            if self._out > RATIO_FREE_BYTES and self._out > self._in * MAX_RATIO:
                raise refused(f"it unpacks to more than {MAX_RATIO} times its size")
            if data:
                return data
            if not packed and not self._unpacker.eof:
                raise refused("it ends too early")
        if self._unpacker.unused_data or self._source.read(1):
            raise refused("something follows its end")
        return b""


class TapeReader:
    """Reads plain files one behind the other. Raises: InvalidRequest (BACKUP_INVALID) for anything else."""

    def __init__(self, source: Reader) -> None:
        self._plain = Unpacked(source)
        self._left = 0
        self._padding = 0
        self._length = 0

    def next(self) -> tuple[str, int] | None:
        """Return the path and size of the next file, whose bytes `read` then gives; None at the archive's end."""
        assert not self._left, "the file before was not read to its end"
        self._exactly(self._padding)
        self._padding = 0
        info = self._header()
        if info is None:
            self._end()
            return None
        path, size = info.name, info.size
        if info.type == tarfile.XHDTYPE:
            said = self._extension(info.size)
            info = self._header()
            if info is not None:
                path, size = said.get("path", info.name), int(said.get("size", info.size))
        if info is None or info.type != tarfile.REGTYPE:
            raise refused("it holds something other than plain files")
        if info.linkname or size < 0:
            raise refused("it holds a file that is also a link, or of no size")
        self._left = size
        self._padding = -size % BLOCK
        return path, size

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes of the file; b"" at its end."""
        data = self._exactly(min(size, self._left, PIECE))
        self._left -= len(data)
        return data

    def _header(self) -> tarfile.TarInfo | None:
        block = self._exactly(BLOCK)
        if not any(block):
            return None
        try:
            return tarfile.TarInfo.frombuf(block, "utf-8", "strict")
        except (tarfile.HeaderError, UnicodeDecodeError, ValueError):
            raise refused("a file's header in it is damaged") from None

    def _extension(self, size: int) -> dict[str, str]:
        """Return what an extended header may say: a path or a size that the plain header has no room for."""
        if not 0 < size <= MAX_EXTENSION_BYTES:
            raise refused("it holds an extended header of an impossible size")
        rest = self._exactly(size)
        self._exactly(-size % BLOCK)
        said: dict[str, str] = {}
        while rest:
            found = _RECORD.match(rest)
            record = rest[: int(found[1])] if found else b""
            if found is None or len(record) <= found.end() or not record.endswith(b"\n"):
                raise refused("it holds an extended header that says more than a path and a size")
            try:
                value = record[found.end() : -1].decode()
            except UnicodeDecodeError:
                raise refused("it holds a path that is no UTF-8") from None
            key = found[2].decode()
            if key in said or (key == "size" and _SIZE.fullmatch(value) is None):
                raise refused("it holds an extended header that says a thing twice, or no size")
            said[key] = value
            rest = rest[len(record) :]
        return said

    def _end(self) -> None:
        """Check that nothing but the fill of one record follows the end mark."""
        rest = self._plain.read(RECORD + 1)
        if len(rest) < BLOCK or len(rest) > RECORD or any(rest):
            raise refused("something follows its end, or its end is missing")

    def _exactly(self, size: int) -> bytes:
        data = self._plain.read(size)
        if len(data) != size:
            raise refused("it ends too early")
        return data


def new_file(path: str | os.PathLike[str]) -> int:
    """Return a descriptor of a file that was not there before, for its owner only. Raises: OSError."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
