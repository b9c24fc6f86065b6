"""The folder of local model files: `<name>.gguf` beside `<name>.json`, which says what it is and where it came from.

Several gateways may share the folder. A file is there whole or not at all: it is written under another name and
renamed, and its sidecar comes last, so a model without a sidecar is one that was never finished.
"""

from __future__ import annotations

import fcntl
import os
import re
from pathlib import Path

import msgspec

from openclaw.base.errors import InvalidRequest

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
MAGIC = b"GGUF"


class Installed(msgspec.Struct, frozen=True, kw_only=True):
    """A model file. `source` is where it came from: distributions, or the path of the user's file."""

    name: str
    source: str
    sha256: str
    licence: str
    size: int


def model_path(cache_dir: Path, name: str) -> Path | None:
    """Return a model's file, or None when it is not there whole."""
    if NAME.fullmatch(name) is None:
        return None
    entry = _read(cache_dir / f"{name}.json")
    path = cache_dir / f"{name}.gguf"
    return path if entry is not None and _size(path) == entry.size else None


def installed(cache_dir: Path) -> dict[str, Installed]:
    """Return every model that is there, by name."""
    found: dict[str, Installed] = {}
    for sidecar in sorted(cache_dir.glob("*.json")):
        entry = _read(sidecar)
        if entry is not None and entry.name == sidecar.stem and model_path(cache_dir, entry.name) is not None:
            found[entry.name] = entry
    return found


def check_name(name: str) -> None:
    """Raises: InvalidRequest for a name that could not be a file name everywhere."""
    if NAME.fullmatch(name) is None:
        raise InvalidRequest(
            "a model name has 1 to 64 lower-case letters, digits, dots, - and _, and begins with a letter or digit"
        )


def place(cache_dir: Path, part: Path, entry: Installed) -> None:
    """Put a finished file on the shelf under its name."""
    part.replace(cache_dir / f"{entry.name}.gguf")
    sidecar = cache_dir / f".{entry.name}.json.part"
    with sidecar.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(entry)) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    sidecar.replace(cache_dir / f"{entry.name}.json")
    folder = os.open(cache_dir, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class PullLock:
    """One pull of a model at a time, over all processes. The system frees it when its holder dies."""

    def __init__(self, cache_dir: Path, name: str) -> None:
        self._path = cache_dir / f".{name}.lock"
        self._file = -1

    def acquire(self) -> bool:
        """Take it if it is free."""
        file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        self._file = file
        return True

    def release(self) -> None:
        """Free it. The file stays: removing it would let two holders in."""
        os.close(self._file)


def _read(sidecar: Path) -> Installed | None:
    try:
        return msgspec.json.decode(sidecar.read_bytes(), type=Installed)
    except (OSError, msgspec.DecodeError):
        return None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
