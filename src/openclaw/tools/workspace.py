"""The file room: everything below one folder, reached by descriptors only.

1. The root is opened once; every path is walked from it one component at a time, relative to the descriptor of the
   folder before, and no component is ever followed if it is a symbolic link. What counts is checked on the opened
   descriptor, so a link that is swapped in between a check and its use changes nothing. `openat2` would do the walk
   in one call; but kernels and seccomp filters without it need this walk all the same, a write makes the folders on
   its way, and a refusal names the component: a second way would only be one more to prove.
2. Only regular files with one name (no hard links) and folders are used. Devices, FIFOs, sockets and the kernel's own
   file systems are refused before they are opened.
3. A write goes to a temporary file beside the target, is synced, then renamed over it: readers see the old or the new
   content, never a part.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import msgspec

from openclaw.base.errors import ToolError
from openclaw.policy.files.descriptor import (
    WRITE_LIMIT_BYTES,
    Entry,
    check_folder,
    locked,
    open_file,
    open_folder,
    read_whole,
    refuse,
    replace,
    walk,
)
from openclaw.policy.files.path import components, file_components

READ_LIMIT_BYTES = 256 * 1024
"""Most text that one read returns."""
SCAN_LIMIT_BYTES = 64 * 1024 * 1024
"""How far into a file the first line of a page may lie."""
MAX_DEPTH = 32
"""Folders below the start that a walk goes down."""


class Page(msgspec.Struct, frozen=True):
    """Some lines of a text file. Lines count from 1; `last` is the last one shown; `more` says that others follow."""

    text: str
    first: int
    last: int
    more: bool
    cut: bool
    """The last line is longer than what one read returns; its end is missing."""


class Facts(msgspec.Struct, frozen=True):
    """What is known of a file or folder without reading it. `updated_at_ms` is Unix time."""

    folder: bool
    size: int
    updated_at_ms: int


class Workspace:
    """One folder as a room for files. Blocking: call it from a thread. Use it as a context manager.

    Raises: ToolError from every method, with a text that tells the model what to do instead.
    """

    def __init__(self, root: Path) -> None:
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise ToolError(f"The workspace cannot be opened: {error.strerror}.") from None
        try:
            check_folder(self._fd, ".")
        except ToolError:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the root. Calling it twice is harmless."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def is_file(self, path: str) -> bool:
        """Say whether a path names something else than a folder. Raises: ToolError when it names nothing."""
        parts = components(path)
        if not parts:
            return False
        with self._folder(parts[:-1]) as folder:
            try:
                info = os.stat(parts[-1], dir_fd=folder, follow_symlinks=False)
            except OSError as error:
                refuse(folder, parts[-1], path, error)
        return not stat.S_ISDIR(info.st_mode)

    def facts(self, path: str) -> Facts | None:
        """Return what is known of a file or folder; None when there is none of either, links and devices included."""
        parts = components(path)
        try:
            with self._folder(parts[:-1]) as folder:
                info = os.stat(parts[-1] if parts else ".", dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return None
        if not stat.S_ISDIR(info.st_mode) and not stat.S_ISREG(info.st_mode):
            return None
        return Facts(stat.S_ISDIR(info.st_mode), info.st_size, info.st_mtime_ns // 1_000_000)

    def read_bytes(self, path: str, limit: int = WRITE_LIMIT_BYTES) -> bytes:
        """Return a whole file of at most `limit` bytes."""
        parts = file_components(path)
        with self._folder(parts[:-1]) as folder:
            return read_whole(folder, parts[-1], "/".join(parts), limit)

    def read_head(self, path: str, limit: int) -> bytes:
        """Return at most the first `limit` bytes of a file of any size."""
        parts = file_components(path)
        with self._folder(parts[:-1]) as folder, os.fdopen(open_file(folder, parts[-1], path), "rb") as file:
            return file.read(limit)

    def read_text(self, path: str) -> str:
        """Return a whole UTF-8 text file of at most 1 MiB."""
        return _text(self.read_bytes(path), path)

    def read_page(self, path: str, first: int = 1, lines: int = 1000) -> Page:
        """Return `lines` lines from line `first` on, at most 256 KiB of them; bytes that are not UTF-8 become �."""
        parts = file_components(path)
        with self._folder(parts[:-1]) as folder, os.fdopen(open_file(folder, parts[-1], path), "rb") as file:
            skipped = _skip_lines(file.readline, first - 1, path)
            shown: list[bytes] = []
            room = READ_LIMIT_BYTES
            while len(shown) < lines and room > 0 and (line := file.readline(room)):
                shown.append(line)
                room -= len(line)
            more = bool(file.read(1))
        if skipped < first - 1 or (not shown and first > 1):
            raise ToolError(
                f"{path!r} has {skipped} lines; there is no line {first}. Use an offset from 1 to {skipped}."
            )
        data = b"".join(shown)
        if b"\0" in data:
            raise ToolError(f"{path!r} is a binary file; only text can be read.")
        cut = more and not data.endswith(b"\n")
        return Page(data.decode("utf-8", "replace"), first, first + len(shown) - 1, more, cut)

    def write_bytes(self, path: str, data: bytes) -> bool:
        """Create or replace a file, with the folders above it. Return True when it is new."""
        parts = file_components(path)
        with self._folder(parts[:-1], create=True) as folder, locked(folder, parts[-1]):
            return replace(folder, parts[-1], path, data)

    def write_text(self, path: str, text: str) -> bool:
        """Create or replace a UTF-8 text file. Return True when it is new."""
        try:
            data = text.encode()
        except UnicodeEncodeError:
            raise ToolError("The text has characters that are not valid Unicode (lone surrogates).") from None
        return self.write_bytes(path, data)

    def edit_text(self, path: str, change: Callable[[str], str]) -> None:
        """Replace a text file by what `change` makes of its text; concurrent edits follow one another."""
        parts = file_components(path)
        with self._folder(parts[:-1]) as folder, locked(folder, parts[-1]):
            old = _text(read_whole(folder, parts[-1], path, WRITE_LIMIT_BYTES), path)
            replace(folder, parts[-1], path, change(old).encode())

    def entries(self, path: str = ".", *, recursive: bool = False) -> Generator[Entry, None, None]:
        """Yield what is in a folder, sorted by name, folders before what is in them. Links are named, not followed."""
        parts = components(path)
        with self._folder(parts) as folder:
            yield from walk(folder, parts, MAX_DEPTH if recursive else 0)

    @contextmanager
    def _folder(self, parts: tuple[str, ...], create: bool = False) -> Iterator[int]:
        if self._fd < 0:
            raise ToolError("The workspace is closed.")
        fd = os.dup(self._fd)
        try:
            for depth, name in enumerate(parts, start=1):
                inner = open_folder(fd, name, "/".join(parts[:depth]), create)
                fd, done = inner, fd
                os.close(done)
            yield fd
        finally:
            os.close(fd)


def _text(data: bytes, shown: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ToolError(f"{shown!r} is not UTF-8 text.") from None


def _skip_lines(readline: Callable[[int], bytes], count: int, shown: str) -> int:
    """Move past `count` lines. Return how many there were, a last one without an end counted."""
    passed = 0
    room = SCAN_LIMIT_BYTES
    open_line = False
    while passed < count and (piece := readline(65_536)):
        room -= len(piece)
        if room < 0:
            raise ToolError(f"Line {count + 1} of {shown!r} lies too deep in the file to be read.")
        open_line = not piece.endswith(b"\n")
        passed += not open_line
    return passed + open_line
