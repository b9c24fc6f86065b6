"""Opening the database file: who may read it, and how SQLite is tuned."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

import apsw

_FLAGS = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_NOMUTEX
WRITER_CACHE_KIB = 1024
READER_CACHE_KIB = 1024
"""Small: a page that is not there comes from the kernel's cache, which costs no more CPU that can be measured."""


def create_private(path: Path) -> None:
    """Make sure that the file exists and only its owner may read it; SQLite gives its -wal and -shm the same mode."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(fd).st_mode & 0o077:
            os.fchmod(fd, 0o600)
    finally:
        # Closing drops the process's fcntl locks on the file: harmless only because no connection is open on it yet.
        os.close(fd)


def connect(path: Path, *, cache_kib: int) -> apsw.Connection:
    """Open one connection: WAL, every commit synced, no waiting checkpoints, bounded memory."""
    db = apsw.Connection(str(path), flags=_FLAGS, statementcachesize=64)
    try:
        db.set_busy_timeout(5000)
        db.pragma("journal_mode", "wal")
        db.pragma("synchronous", "FULL")
        db.pragma("temp_store", "MEMORY")
        db.pragma("cache_size", -cache_kib)
        db.wal_autocheckpoint(0)
    except BaseException:
        db.close()
        raise
    return db


def open_idle(path: Path) -> apsw.Connection:
    """Open the file for reading only, leaving no trace. The caller closes it."""
    # Without a write-ahead log nobody writes, and a file that is taken as immutable needs no -shm beside it.
    idle = not path.with_name(f"{path.name}-wal").exists()
    uri = f"file:{quote(str(path))}?mode=ro{'&immutable=1' if idle else ''}"
    db = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    db.set_busy_timeout(2000)
    return db
