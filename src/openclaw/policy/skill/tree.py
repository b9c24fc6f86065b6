"""A skill's folder as bytes: read once by descriptors, within limits, and bound by digests.

1. No link is followed, no device opened: what is neither a folder nor a plain file of one name is a problem.
2. The digest of the whole is SHA-256 over `path NUL size NUL sha256 NUL x-or-dash LF` of every file, sorted by path
   as bytes: the same content has the same digest on every machine.
3. What passes a limit is a problem, and reading stops there.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from openclaw.base.path_rules import Occupied, unfit

MAX_FILES: Final = 2_000
MAX_BYTES: Final = 16 * 1024 * 1024
MAX_DEPTH: Final = 8
MAX_PROBLEMS: Final = 32


class File(msgspec.Struct, frozen=True):
    """One file of a skill. `sha256` is hexadecimal."""

    path: str
    size: int
    sha256: str
    executable: bool = False


class Tree(msgspec.Struct, frozen=True):
    """A whole skill. `problems` are (path, what is wrong); with one of them the rest may be missing."""

    files: tuple[File, ...]
    contents: Mapping[str, bytes]
    digest: str
    problems: tuple[tuple[str, str], ...] = ()


def tree_of(contents: Mapping[str, bytes], executable: frozenset[str] = frozenset()) -> Tree:
    """Return the tree of files that are in memory already."""
    files = tuple(
        File(path, len(contents[path]), sha256(contents[path]).hexdigest(), path in executable)
        for path in sorted(contents, key=str.encode)
    )
    return Tree(files, contents, digest_of(files))


def digest_of(files: tuple[File, ...]) -> str:
    """Return the digest of the whole, hexadecimal."""
    whole = sha256()
    for file in files:
        whole.update(f"{file.path}\0{file.size}\0{file.sha256}\0{'x' if file.executable else '-'}\n".encode())
    return whole.hexdigest()


def read_tree(folder: Path) -> Tree:
    """Read a folder. Blocking. Whatever cannot be read is a problem of the tree, not an error."""
    reading = _Reading()
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        return Tree((), {}, digest_of(()), (("", f"the folder cannot be opened: {error.strerror}"),))
    try:
        reading.folder(descriptor, "", 0)
    finally:
        os.close(descriptor)
    found = tree_of(reading.contents, frozenset(reading.executable))
    return msgspec.structs.replace(found, problems=tuple(reading.problems))


class _Reading:
    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.executable: set[str] = set()
        self.problems: list[tuple[str, str]] = []
        self._entries = 0
        self._left = MAX_BYTES
        self._occupied = Occupied()

    def folder(self, descriptor: int, above: str, depth: int) -> None:
        """Read what is in an open folder."""
        with os.scandir(descriptor) as entries:
            for entry in entries:
                self._entries += 1
                if self._entries > MAX_FILES or len(self.problems) >= MAX_PROBLEMS:
                    self._stop(above, f"there are more than {MAX_FILES} files and folders")
                    return
                path = f"{above}{entry.name}"
                if why := unfit(path):
                    self.problems.append((ascii(path)[1:-1][:200], why))
                elif entry.is_dir(follow_symlinks=False):
                    self._inner(descriptor, entry.name, path, depth)
                else:
                    self._file(descriptor, entry.name, path)

    def _inner(self, descriptor: int, name: str, path: str, depth: int) -> None:
        if depth >= MAX_DEPTH:
            self.problems.append((path, f"it lies deeper than {MAX_DEPTH} folders"))
            return
        try:
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=descriptor)
        except OSError as error:
            self.problems.append((path, f"the folder cannot be opened: {error.strerror}"))
            return
        try:
            self.folder(inner, f"{path}/", depth + 1)
        finally:
            os.close(inner)

    def _file(self, descriptor: int, name: str, path: str) -> None:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
        try:
            before = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            if not stat.S_ISREG(before.st_mode):
                self.problems.append((path, "it is a link, a device or no plain file"))
                return
            opened = os.open(name, flags, dir_fd=descriptor)
        except OSError as error:
            self.problems.append((path, f"the file cannot be read: {error.strerror}"))
            return
        with os.fdopen(opened, "rb") as file:
            info = os.fstat(opened)
            if not stat.S_ISREG(info.st_mode) or info.st_nlink != 1:
                self.problems.append((path, "it is a link, a device or has a second name"))
                return
            if info.st_mode & (stat.S_ISUID | stat.S_ISGID):
                self.problems.append((path, "it would run with the rights of another"))
                return
            if clash := self._occupied.clash(path):
                self.problems.append((path, clash))
                return
            data = file.read(self._left + 1)
        if len(data) > self._left:
            self._stop(path, f"the whole is larger than {MAX_BYTES >> 20} MiB")
            return
        self._left -= len(data)
        self.contents[path] = data
        if info.st_mode & 0o111:
            self.executable.add(path)

    def _stop(self, path: str, why: str) -> None:
        if len(self.problems) <= MAX_PROBLEMS:
            self.problems.append((path, why))
        self._entries = MAX_FILES + 1


def stamp(folder: Path) -> tuple[object, ...] | None:
    """Return what changes whenever a folder's content does, None when that cannot be told. Blocking; reads no file.

    Shape: kind, inode, size, mode, and both times of every entry. The change time is the kernel's: nobody sets it back.
    """
    found: list[object] = []
    waiting = [(folder, 0)]
    while waiting:
        place, depth = waiting.pop()
        try:
            info = os.lstat(place)
            if depth == 0 and not stat.S_ISDIR(info.st_mode):
                return None
            found.append((str(place), info.st_mode, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns))
            if stat.S_ISDIR(info.st_mode):
                if depth > MAX_DEPTH:
                    return None
                waiting += [(Path(entry.path), depth + 1) for entry in os.scandir(place)]
        except OSError:
            return None
        if len(found) + len(waiting) > MAX_FILES + 1:
            return None
    return tuple(sorted(found, key=str))
