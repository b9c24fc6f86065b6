"""Files by descriptor: every step is relative to an open folder, and no link is followed.

The steps that `Workspace` is made of. Each explains a refusal in words that a model can act on (ToolError).
"""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from itertools import islice
from pathlib import Path
from secrets import token_hex
from typing import Final, Literal, NoReturn

import msgspec

from openclaw.base.errors import ToolError
from openclaw.store.lock import LOCK_NAME

WRITE_LIMIT_BYTES = 1024 * 1024
"""Largest file that is written, edited or searched."""
MAX_FOLDER_ENTRIES = 10_000
"""Names taken from one folder; the rest of a larger one is left out."""

SKIPPED_FOLDERS = frozenset({".git", ".hg", ".venv", "__pycache__", "node_modules"})
"""Machine-made folders that a recursive walk names but does not enter."""

_MOUNTS: Final = Path("/proc/self/mountinfo")
_MADE_UP: Final = frozenset(
    (
        *("proc", "sysfs", "cgroup", "cgroup2", "cpuset", "debugfs", "tracefs", "securityfs", "configfs", "bpf"),
        *("binfmt_misc", "devpts", "mqueue", "pstore", "efivarfs", "fusectl", "nsfs", "selinuxfs", "rpc_pipefs"),
    )
)
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_TEMP_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_TEMP_PREFIX = ".openclaw-tmp-"
# Two edits of one file at once must not lose one of them; 64 locks shared by hash stay bounded.
_LOCKS = tuple(threading.Lock() for _ in range(64))

Kind = Literal["file", "folder", "link", "other"]


class Missing(ToolError):
    """There is no such file or folder: nothing was refused."""


class Entry(msgspec.Struct, frozen=True):
    """One name found by a walk. `parts` is relative to the workspace; `size` is 0 but for files."""

    parts: tuple[str, ...]
    kind: Kind
    size: int = 0

    @property
    def path(self) -> str:
        """The path as a model would write it; bytes that are not text are shown escaped."""
        return "/".join(self.parts).encode("utf-8", "backslashreplace").decode()


@lru_cache(maxsize=1)
def _plain_device() -> int:
    return Path("/").stat().st_dev


def _is_kernels(device: int) -> bool:
    """Say whether a device is a file system that the kernel makes up: its files give out what no file of a user's does.

    Each mount of /proc has a device of its own, and numbers are used again once nothing is mounted there: so it is
    looked up each time, but for the device of `/`.
    """
    if device == _plain_device():
        return False
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        mounts = _MOUNTS.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return False  # without /proc nobody can have it mounted here
    split = (line.split(" ") for line in mounts)
    return any(fields[2] == number and fields[fields.index("-", 6) + 1] in _MADE_UP for fields in split)


def open_folder(parent: int, name: str, shown: str, create: bool) -> int:
    """Open a folder by its name in another, making it if told to. `shown` is its path for messages."""
    try:
        fd = os.open(name, _FOLDER_FLAGS, dir_fd=parent)
    except FileNotFoundError:
        if not create:
            raise Missing(f"There is no folder {shown!r}. list_files shows what there is.") from None
        fd = _make_folder(parent, name, shown)
    except OSError as error:
        refuse(parent, name, shown, error)
    try:
        check_folder(fd, shown, parent)
    except ToolError:
        os.close(fd)
        raise
    return fd


def check_folder(fd: int, shown: str, parent: int = -1) -> None:
    """Refuse an open folder whose files the kernel makes up. Raises: ToolError.

    With a `parent`, which was found to be none, also one in which a gateway keeps its state: the lock lies in each, so
    that it is known by whatever way and name somebody comes there. A workspace's own root is looked at at the start
    (`config.refusal`); here a file of that name would shut it for good.
    """
    if parent >= 0:
        with suppress(OSError):
            os.stat(LOCK_NAME, dir_fd=fd, follow_symlinks=False)
            raise ToolError(f"{shown!r} is where a gateway keeps its state; no tool enters it.")
    device = os.fstat(fd).st_dev
    if (parent < 0 or device != os.fstat(parent).st_dev) and _is_kernels(device):
        raise ToolError(f"{shown!r} is a file system of the kernel and cannot be used.")


def _make_folder(parent: int, name: str, shown: str) -> int:
    try:
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=parent)
            _sync_folder(parent)
        return os.open(name, _FOLDER_FLAGS, dir_fd=parent)
    except OSError as error:
        refuse(parent, name, shown, error)


def open_file(folder: int, name: str, shown: str) -> int:
    """Open a regular file with one name for reading."""
    # Looked at before it is opened, because opening a device or a FIFO can already act; looked at again afterwards,
    # because it may have been swapped in between.
    try:
        check_file(os.stat(name, dir_fd=folder, follow_symlinks=False), shown, folder)
        fd = os.open(name, _FILE_FLAGS, dir_fd=folder)
    except OSError as error:
        refuse(folder, name, shown, error)
    try:
        check_file(os.fstat(fd), shown, folder)
    except BaseException:
        os.close(fd)
        raise
    return fd


def check_file(info: os.stat_result, shown: str, folder: int) -> None:
    """Refuse what is not a regular file with one name, in a folder that was checked. Raises: ToolError."""
    mode = info.st_mode
    if stat.S_ISLNK(mode):
        raise ToolError(f"{shown!r} is a symbolic link; links are not followed. Use the real file's path.")
    if stat.S_ISDIR(mode):
        raise ToolError(f"{shown!r} is a folder, not a file. list_files shows what is in it.")
    if not stat.S_ISREG(mode) or (info.st_dev != os.fstat(folder).st_dev and _is_kernels(info.st_dev)):
        raise ToolError(f"{shown!r} is not a regular file (a device, pipe or socket) and cannot be used.")
    if info.st_nlink > 1:
        raise ToolError(
            f"{shown!r} is a hard link: the same file has another name, maybe outside the workspace. It cannot be used."
        )


def check_not_read_only(info: os.stat_result, shown: str) -> None:
    """Refuse a file that its owner may not write: replacing it by its folder's leave would go past that."""
    if not info.st_mode & stat.S_IWUSR:
        raise ToolError(f"{shown!r} is read-only.")


def check_writable(folder: int, shown: str) -> None:
    """Refuse a folder in which nothing can be made or removed, as the kernel would. Raises: ToolError."""
    if not os.access(".", os.W_OK | os.X_OK, dir_fd=folder, effective_ids=True):
        raise ToolError(f"{shown!r} cannot be written: its folder is read-only.")


def refuse(folder: int, name: str, shown: str, error: OSError) -> NoReturn:
    """Raise the ToolError that explains an OSError to a model."""
    if isinstance(error, FileNotFoundError):
        raise Missing(f"There is no file {shown!r}. list_files shows what there is.") from None
    if error.errno in {errno.ELOOP, errno.ENOTDIR, errno.EMLINK}:
        link = False
        with suppress(OSError):
            link = stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
        if link:
            raise ToolError(f"{shown!r} is a symbolic link; links are not followed. Use the real path.") from None
        raise ToolError(f"{shown!r} is not a folder.") from None
    raise ToolError(f"{shown!r} cannot be used: {error.strerror}.") from None


def read_whole(folder: int, name: str, shown: str, limit: int) -> bytes:
    """Return a file of at most `limit` bytes."""
    with os.fdopen(open_file(folder, name, shown), "rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ToolError(f"{shown!r} is larger than {limit} bytes. Read it in pages by read_file's offset and limit.")
    return data


@contextmanager
def locked(folder: int, name: str) -> Iterator[None]:
    """Keep other writers of this process away from one file."""
    info = os.fstat(folder)
    with _LOCKS[hash((info.st_dev, info.st_ino, name)) % len(_LOCKS)]:
        yield


def replace(folder: int, name: str, shown: str, data: bytes) -> bool:
    """Put a file in place, whole or not at all. Return True when it is new."""
    if len(data) > WRITE_LIMIT_BYTES:
        raise ToolError(f"The content has {len(data)} bytes; a file may have {WRITE_LIMIT_BYTES}. Write several files.")
    mode = _mode_to_keep(folder, name, shown)
    temp = f"{_TEMP_PREFIX}{token_hex(8)}"
    try:
        fd = os.open(temp, _TEMP_FLAGS, 0o666, dir_fd=folder)
        try:
            with os.fdopen(fd, "wb") as file:
                if mode is not None:
                    os.fchmod(fd, mode)
                file.write(data)
                file.flush()
                os.fsync(fd)
            os.rename(temp, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with suppress(OSError):
                os.unlink(temp, dir_fd=folder)
            raise
        _sync_folder(folder)
    except OSError as error:
        raise ToolError(f"{shown!r} cannot be written: {error.strerror}. Nothing was changed.") from None
    return mode is None


def _mode_to_keep(folder: int, name: str, shown: str) -> int | None:
    """Return the permissions of the file that is replaced; None when there is none."""
    try:
        info = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    except OSError as error:
        refuse(folder, name, shown, error)
    check_file(info, shown, folder)
    check_not_read_only(info, shown)
    return stat.S_IMODE(info.st_mode) & 0o777


def _sync_folder(fd: int) -> None:
    # Some file systems (FUSE, network) cannot sync a folder; the file itself was synced.
    with suppress(OSError):
        os.fsync(fd)


def walk(folder: int, prefix: tuple[str, ...], depth: int) -> Generator[Entry, None, None]:
    """Yield a folder's entries, sorted by name, and those of `depth` folders below."""
    try:
        with os.scandir(folder) as found:
            items = sorted(islice(found, MAX_FOLDER_ENTRIES), key=lambda item: item.name)
    except OSError as error:
        raise ToolError(f"{'/'.join(prefix) or '.'!r} cannot be listed: {error.strerror}.") from None
    for item in items:
        if item.name.startswith(_TEMP_PREFIX):
            continue
        try:
            info = item.stat(follow_symlinks=False)
        except OSError:
            continue  # gone since it was listed
        entry = _entry((*prefix, item.name), info)
        yield entry
        if entry.kind == "folder" and depth and item.name not in SKIPPED_FOLDERS:
            yield from _walk_inner(folder, entry.parts, depth - 1)


def _walk_inner(folder: int, parts: tuple[str, ...], depth: int) -> Generator[Entry, None, None]:
    try:
        inner = open_folder(folder, parts[-1], "/".join(parts), create=False)
    except ToolError:
        return  # gone, swapped for a link, or not ours to read
    try:
        yield from walk(inner, parts, depth)
    finally:
        os.close(inner)


def _entry(parts: tuple[str, ...], info: os.stat_result) -> Entry:
    if stat.S_ISREG(info.st_mode):
        return Entry(parts, "file", info.st_size)
    if stat.S_ISDIR(info.st_mode):
        return Entry(parts, "folder")
    return Entry(parts, "link" if stat.S_ISLNK(info.st_mode) else "other")
