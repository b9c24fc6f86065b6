"""Service units that run openclaw, and the environment files that they name."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

SYSTEM_UNITS: Final = (Path("/etc/systemd/system"),)
MAX_BYTES: Final = 200_000


class Unit(msgspec.Struct, frozen=True):
    """One unit file. `environment` are the assignments that stand in the unit itself."""

    path: Path
    environment_files: tuple[Path, ...]
    environment: dict[str, str]
    optional_files: tuple[Path, ...] = ()
    """Those of `environment_files` that need not be there."""


def unit_folders(home: Path) -> tuple[Path, ...]:
    """Return where systemd units of this user and of the system lie."""
    return (home / ".config" / "systemd" / "user", *SYSTEM_UNITS)


def find_units(folders: Iterable[Path], home: Path) -> list[Unit]:
    """Return the units that start openclaw; what cannot be read is left out."""
    found: list[Unit] = []
    for folder in folders:
        if not folder.is_dir():
            continue
        for path in sorted(folder.glob("openclaw*.service")):
            try:
                text = path.read_bytes()[:MAX_BYTES].decode(errors="replace")
            except OSError:
                continue
            found.append(_parse(path, text, home))
    return found


def _parse(path: Path, text: str, home: Path) -> Unit:
    files: list[Path] = []
    optional: list[Path] = []
    assigned: dict[str, str] = {}
    for key, value in re.findall(r"^\s*(EnvironmentFile|Environment)\s*=\s*(.*?)\s*$", text, re.MULTILINE):
        if key == "EnvironmentFile":
            place = value.removeprefix("-").strip('"').replace("%h", str(home))
            if place.startswith("/"):
                files.append(Path(place))
                optional += [Path(place)] if value.startswith("-") else []
            continue
        try:
            words = shlex.split(value)
        except ValueError:
            continue
        for word in words:
            name, equals, text = word.partition("=")
            if equals:
                assigned[name] = text
    return Unit(path, tuple(files), assigned, tuple(optional))
