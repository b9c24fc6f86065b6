"""Archives with a skill: read into memory within limits, never unpacked onto the disk.

1. .zip, .tar and .tar.gz. Only plain files and folders with paths that mean the same everywhere; anything else refuses
   the whole archive.
2. What a header claims is not believed: bytes are counted as they come out.
3. One folder around everything is taken off.
"""

from __future__ import annotations

import io
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Final

from openclaw.base.errors import InvalidRequest
from openclaw.base.path_rules import Occupied, unfit
from openclaw.policy.skill.audit import FILE_NAME
from openclaw.policy.skill.tree import MAX_BYTES, MAX_DEPTH, MAX_FILES, Tree, tree_of

MAX_ARCHIVE_BYTES: Final = 16 * 1024 * 1024
_BROKEN: Final = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, MemoryError),
    *(RuntimeError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError),
)
"""What the readers of the standard library raise for noise: they do not promise a class of their own."""


def refused(why: str) -> InvalidRequest:
    """Return the error for an archive that is not taken."""
    return InvalidRequest(
        f"the archive is not taken: {why}",
        hint="Pack the skill's folder anew: plain files and folders, as .zip or .tar.gz.",
        details={"code": "SKILL_ARCHIVE"},
    )


def read_archive(data: bytes) -> Tree:
    """Return the files of an archive. Blocking. Raises: InvalidRequest (SKILL_ARCHIVE)."""
    contents: dict[str, bytes] = {}
    executable: set[str] = set()
    occupied, left = Occupied(), MAX_BYTES
    try:
        for path, mode, file in _zip(data) if data[:2] == b"PK" else _tar(data):
            if len(contents) >= MAX_FILES:
                raise refused(f"it holds more than {MAX_FILES} files")
            if mode & 0o6000:
                raise refused(f"{ascii(path)[:200]} would run with the rights of another")
            if why := unfit(path) or occupied.clash(path):
                raise refused(f"{ascii(path)[:200]}: {why}")
            if path.count("/") > MAX_DEPTH + 1:
                raise refused(f"it is deeper than {MAX_DEPTH} folders")
            content = file.read(left + 1)
            left -= len(content)
            if left < 0:
                raise refused(f"it holds more than {MAX_BYTES >> 20} MiB")
            contents[path] = content
            if mode & 0o111:
                executable.add(path)
    except _BROKEN as error:
        if isinstance(error, InvalidRequest):
            raise
        raise refused(f"it cannot be read ({type(error).__name__})") from error
    around = _around(contents)
    return tree_of(
        {path.removeprefix(around): content for path, content in contents.items()},
        frozenset(path.removeprefix(around) for path in executable),
    )


def _around(contents: dict[str, bytes]) -> str:
    """Return the one folder that everything lies in, when the skill lies there."""
    if FILE_NAME in contents or not contents:
        return ""
    first = min(contents).split("/", 1)[0] + "/"
    return first if first + FILE_NAME in contents and all(path.startswith(first) for path in contents) else ""


def _zip(data: bytes) -> Iterator[tuple[str, int, IO[bytes]]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        infos = archive.infolist()
        if len(infos) > 2 * MAX_FILES:
            raise refused(f"it holds more than {MAX_FILES} files")
        for info in infos:
            mode = info.external_attr >> 16
            if info.flag_bits & 0x1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise refused("it is encrypted, or packed in an unusual way")
            if info.orig_filename != info.filename:
                raise refused("a name holds a zero byte")
            if info.is_dir():
                continue
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                raise refused(f"{ascii(info.filename)[:200]} is a link or a device")
            with archive.open(info) as file:
                yield info.filename, mode, file


def _tar(data: bytes) -> Iterator[tuple[str, int, IO[bytes]]]:
    seen = 0
    with tarfile.open(fileobj=io.BytesIO(data), mode="r|gz" if data[:2] == b"\x1f\x8b" else "r|") as archive:
        for member in archive:
            seen += 1
            if seen > 2 * MAX_FILES:
                raise refused(f"it holds more than {MAX_FILES} files")
            if member.isdir():
                continue
            if member.sparse is not None or not member.isreg():
                raise refused(f"{ascii(member.name)[:200]} is a link, a device or no plain file")
            if member.size > MAX_BYTES:
                raise refused(f"it holds more than {MAX_BYTES >> 20} MiB")
            file = archive.extractfile(member)
            if file is not None:
                yield member.name.removeprefix("./"), member.mode, file
