"""Where backups are kept: a directory, a bucket, or a folder of another machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from openclaw.base.errors import NotFound
from openclaw.ops.backup.retention import Stored, newest_first, stored
from openclaw.ops.backup.tape import PIECE, new_file

S3: Final = "s3://"
SSH: Final = "ssh://"
MAX_LISTED: Final = 10_000


def nothing() -> None:
    """Stand in where nobody wants to stop a backup."""


class Destination(Protocol):
    """Keeps archives by name. Every method blocks: call it in a thread."""

    @property
    def place(self) -> str:
        """Where it is, for people; no secret in it."""
        ...

    def put(self, archive: Path, go_on: Callable[[], None] = ...) -> str:
        """Keep an archive under its name, whole or not at all; return where. `go_on` may raise to stop it.

        Raises: Unavailable, OSError.
        """
        ...

    def list(self) -> list[Stored]:
        """Return what is kept, newest first. Raises: Unavailable, OSError."""
        ...

    def fetch(self, name: str, target: Path) -> None:
        """Copy an archive into a new file. Raises: NotFound, Unavailable, OSError."""
        ...

    def delete(self, name: str) -> None:
        """Delete an archive. Raises: Unavailable, OSError."""
        ...


class Directory:
    """A directory, made when it is first needed, for its owner only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def place(self) -> str:
        """See Destination."""
        return str(self._folder)

    def put(self, archive: Path, go_on: Callable[[], None] = nothing) -> str:
        """See Destination."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        target = self._folder / archive.name
        temporary = self._folder / f".{archive.name}.tmp"
        try:
            with archive.open("rb") as source, os.fdopen(new_file(temporary), "wb") as copy:
                while data := source.read(PIECE):
                    go_on()
                    copy.write(data)
                copy.flush()
                os.fsync(copy.fileno())
            temporary.rename(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        return str(target)

    def list(self) -> list[Stored]:
        """See Destination."""
        if not self._folder.is_dir():
            return []
        with os.scandir(self._folder) as entries:
            sizes = [(each.name, each.stat().st_size) for each in entries if each.is_file(follow_symlinks=False)]
        return newest_first([found for name, size in sizes if (found := stored(name, size)) is not None])[:MAX_LISTED]

    def fetch(self, name: str, target: Path) -> None:
        """See Destination."""
        try:
            with (self._folder / name).open("rb") as source, os.fdopen(new_file(target), "wb") as copy:
                shutil.copyfileobj(source, copy, PIECE)
        except FileNotFoundError:
            raise NotFound(f"there is no backup {name} in {self._folder}") from None

    def delete(self, name: str) -> None:
        """See Destination."""
        (self._folder / name).unlink(missing_ok=True)
