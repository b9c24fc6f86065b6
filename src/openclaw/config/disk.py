"""Writes that leave either the old file or the new one, never half of one."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from openclaw.base.errors import Conflict


def make_private(folder: Path) -> None:
    """Make a folder and those above it that are missing, each mode 0700: `mkdir(parents=True)` opens the upper ones."""
    if not folder.is_dir():
        make_private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        _give(folder, folder.parent.stat())


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file's content; its mode is kept (0600 for a new one), a symbolic link keeps pointing to it.

    What root writes stays its owner's, and a new file is the folder's owner's: else the gateway could not read it.
    """
    target = path.resolve()
    mode, owner = 0o600, target.parent.stat()
    with contextlib.suppress(FileNotFoundError):
        owner = target.stat()
        mode = owner.st_mode & 0o777
    temporary = target.with_name(f".{target.name}.{os.urandom(4).hex()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            _give(file.fileno(), owner)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _give(place: Path | int, owner: os.stat_result) -> None:
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.chown(place, owner.st_uid, owner.st_gid)


def replace_unchanged(path: Path, data: bytes, base_hash: str | None) -> None:
    """Replace a file, or make it, while its sha256 (hex) is still `base_hash`; None skips the check.

    Raises: Conflict when it has changed since.
    """
    with locked_folder(path.resolve().parent):
        exists = path.exists()
        current = path.read_bytes() if exists else b""
        if base_hash is not None and sha256(current).hexdigest() != base_hash:
            raise Conflict(f"{path} has changed since it was read", hint="Read it again and repeat the change.")
        if not exists or data != current:
            write_atomically(path, data)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Keep other writers of this folder's files out: between reading a hash and replacing the file."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
