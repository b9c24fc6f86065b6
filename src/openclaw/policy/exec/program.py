"""Which file a program's name stands for. Looks at the disk, runs nothing; call it in a thread.

1. A bare name is looked up in a fixed list of directories, never in the caller's PATH; a name with `/` from the cwd.
2. A program is its real path, its file (device, inode, size, times) and the SHA-256 of its bytes.
3. A script says which interpreter the kernel starts for it.
4. A program is loose when others could put another in its place: it, or a directory above it, can be written by
   anyone, or it lies in the workspace. Only a rule that is bound to its bytes allows a loose program.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from hashlib import sha256
from io import RawIOBase
from pathlib import Path
from threading import Lock
from typing import Final, Literal

import msgspec

from openclaw.base.bounded import BoundedMap

PROGRAM_PATH: Final = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
MAX_CACHED: Final = 1024
MAX_HASHED: Final = 64 << 20
"""Operands above this size are known by inode, size and times alone; programs are always read whole."""
MAX_PATH: Final = 1024
MAX_FOLDERS: Final = 64
"""A longer or deeper word names nothing that we would look for: looking costs time for each of its parts."""
_BLOCK: Final = 1 << 20
_SHEBANG_BYTES: Final = 256


class FileId(msgspec.Struct, frozen=True):
    """One file as it stood: nobody changes its bytes without changing one of these."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    mode: int


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """A resolved program. `path` is where it was found, `real` the file behind all links.

    Shape: `interpreter` is the words after `#!`, empty for a binary; `loose` says why it cannot be trusted, or nothing.
    """

    path: str
    real: str
    file: FileId
    sha256: str
    interpreter: tuple[str, ...] = ()
    loose: str = ""

    @property
    def called(self) -> tuple[str, str]:
        """The file names that it was found under and is stored under."""
        return self.path.rpartition("/")[2], self.real.rpartition("/")[2]

    @property
    def names(self) -> tuple[str, ...]:
        """The names it acts under: as called and as stored, also without version and variant (python3.11, vim.tiny)."""
        return tuple(dict.fromkeys(name for whole in self.called for name in plain_names(whole)))


def plain_names(whole: str) -> tuple[str, ...]:
    """Return a file's name, and it without version and variant."""
    first = whole.partition(".")[0]
    found = (whole, whole.rstrip("0123456789.-"), first, first.rstrip("0123456789.-"))
    return tuple(dict.fromkeys(name for name in found if name))


class Used(msgspec.Struct, frozen=True):
    """What a word of a command names on the disk, if anything. `sha256` is that of a file small enough to read."""

    word: str
    real: str
    what: Literal["missing", "file", "folder", "other"]
    file: FileId | None = None
    sha256: str = ""


class Programs:
    """Looks programs and files up; remembers the digests of files that have not changed."""

    def __init__(self) -> None:
        self._lock = Lock()
        """Threads share the digests."""
        self._digests: BoundedMap[FileId, str] = BoundedMap("exec.digests", MAX_CACHED)

    def find(self, name: str, cwd: str, path: Sequence[str], workspace: str) -> Program | None:
        """Return the program that a name stands for, None when there is none that could be run."""
        found = _located(name, cwd, path)
        if found is None:
            return None
        real = os.path.realpath(found)
        try:
            file, digest, head = self._read(real, None)
        except OSError:
            return None
        return Program(
            path=found,
            real=real,
            file=file,
            sha256=digest,
            interpreter=_interpreter(head),
            loose=_loose(found, workspace) or _loose(real, workspace),
        )

    def used(self, word: str, cwd: str, most: int = MAX_HASHED) -> Used:
        """Return what a word names, seen from `cwd`; the bytes of a file of more than `most` are not read.

        Shape: a word too long to be looked up is `other`, nowhere.
        """
        if len(word) > MAX_PATH or word.count("/") > MAX_FOLDERS:
            return Used(word, "", "other")
        path = str(Path(cwd, word))
        real = os.path.realpath(path)
        try:
            mode = Path(real).stat().st_mode
            if stat.S_ISDIR(mode):
                return Used(word, real, "folder")
            if not stat.S_ISREG(mode):
                return Used(word, real, "other")
            file, digest, _ = self._read(real, most)
        except OSError as error:
            return Used(word, real, "missing" if isinstance(error, FileNotFoundError | NotADirectoryError) else "other")
        return Used(word, real, "file", file, digest)

    def _read(self, real: str, most: int | None) -> tuple[FileId, str, bytes]:
        """Return a regular file's id, digest and first bytes. Raises: OSError, also when it changes meanwhile."""
        descriptor = os.open(real, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            found = _identity(os.fstat(descriptor))
            if not stat.S_ISREG(found.mode):
                raise OSError(f"{real} is not a regular file")
            head = file.read(_SHEBANG_BYTES)
            with self._lock:
                digest = self._digests.get(found)
            if digest is None:
                digest = "" if most is not None and found.size > most else _digest(file)
                if _identity(os.fstat(descriptor)) != found:
                    raise OSError(f"{real} changes while it is read")
                if digest:  # else a program would be known by no bytes, because it was named as a large file before
                    with self._lock:
                        self._digests.put(found, digest)
            return found, digest, head


def within(path: str, folder: str) -> bool:
    """Say whether a real path is a real folder or lies in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _digest(file: RawIOBase) -> str:
    total = sha256()
    file.seek(0)
    while block := file.read(_BLOCK):
        total.update(block)
    return total.hexdigest()


def _identity(status: os.stat_result) -> FileId:
    return FileId(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_mode)


def _located(name: str, cwd: str, path: Sequence[str]) -> str | None:
    if not name or len(name) > MAX_PATH:
        return None
    if "/" in name:
        places = [name if name.startswith("/") else f"{cwd.rstrip('/')}/{name}"]
    else:
        places = [f"{folder.rstrip('/')}/{name}" for folder in path if folder.startswith("/")]
    for place in places:
        try:
            if stat.S_ISREG(Path(place).stat().st_mode) and os.access(place, os.X_OK):
                return place
        except OSError:
            continue
    return None


def _interpreter(head: bytes) -> tuple[str, ...]:
    """Return the words after `#!` as the kernel reads them: a path and at most one argument."""
    if not head.startswith(b"#!"):
        return ()
    line = head[2:].partition(b"\n")[0].decode("utf-8", "replace")
    return tuple(word for word in line.strip(" \t").split(None, 1) if word)


def _loose(path: str, workspace: str) -> str:
    """Return who else could put something in a program's place, or nothing. Shape: an absolute path."""
    if within(path, workspace):
        return "it lies in the workspace"
    place = Path(path)
    mode = place.lstat().st_mode
    if mode & stat.S_IWOTH and not stat.S_ISLNK(mode):
        return "anyone can write it"
    for depth, folder in enumerate(place.parents):
        status = folder.stat()
        if status.st_mode & stat.S_IWOTH and (depth == 0 or not status.st_mode & stat.S_ISVTX):
            return f"anyone can write {folder}"
    return ""
