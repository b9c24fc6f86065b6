"""What belongs to a backup, as a table: a name that is not in it stays out, whoever put it into the state directory.

Out for good: the database's -wal and -shm (the copy is whole without them), logs, model files and catalogues, the
chat's key history, locks, sockets, the trash, earlier backups and ways back.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, Literal, get_args

import msgspec

Part = Literal["store", "config", "secrets", "agents", "skills", "workspace", "snapshots"]
PARTS: Final[tuple[Part, ...]] = get_args(Part)
OPTIONAL: Final[tuple[Part, ...]] = ("workspace", "snapshots")

DATABASE: Final = "openclaw.db"
OUTSIDE: Final = "restored-config"
"""Folder for a configuration that lives outside the state directory: a restore puts it here, beside nobody's file."""

NAMES: Final[dict[Part, tuple[str, ...]]] = {
    "store": (DATABASE,),
    "config": (".env", "openclaw.json", "openclaw.json5", "openclaw.yaml", "openclaw.yml", OUTSIDE),
    "secrets": ("credentials", "auth-profiles.json", "secrets.json", "secrets", "channels", "gateway"),
    "agents": ("agents", "exec-approvals.json"),
    "skills": ("skills", "skills.lock.json"),
    "workspace": ("workspace", "workspace-*"),
    "snapshots": ("snapshots",),
}
"""The names at the top of the state directory. Files that the configuration names (`$include`) are of `config` too."""
NEVER: Final = (
    f"{DATABASE}-*", "*.lock", "*.sock", "*.tmp", ".backup-*", ".restore*", "backup-runs.json", "backups", "cache",
    "chat-history", "logs", "model-catalog.json", "models", "pre-restore", "trash",
)  # fmt: skip
"""Names at the top that no archive may hold, whatever part it says they are of."""
_CONFIG_SUFFIXES: Final = (".json", ".json5", ".yaml", ".yml", ".env")
HOLDS_SECRETS: Final[frozenset[Part]] = frozenset(("store", "config", "secrets", "agents"))


class Source(msgspec.Struct, frozen=True):
    """A file to be taken: its path in the archive, and where it is."""

    part: Part
    path: str
    place: Path


class LeftOut(msgspec.Struct, frozen=True):
    """What lies there and is not in the backup, and why."""

    path: str
    reason: str


def part_of(top: str) -> Part | None:
    """Return the part that a name at the top of the state directory is of, by the table."""
    for part, patterns in NAMES.items():
        if any(fnmatchcase(top, pattern) for pattern in patterns):
            return part
    return None


def belongs(part: Part, path: str) -> bool:
    """Say whether an archive may hold this path as being of this part."""
    top = path.split("/", 1)[0]
    if any(fnmatchcase(top, pattern) for pattern in NEVER):
        return False
    known = part_of(top)
    if known is not None:
        return known == part and (part != "store" or path == DATABASE)
    return part == "config" and path.lower().endswith(_CONFIG_SUFFIXES)


def config_path(place: Path, state_dir: Path, folder: Path) -> str:
    """Return a configuration file's path in the archive; `folder` is where the first of them lies.

    A name in the state directory is that name, also when it is a link to elsewhere.
    """
    for base, prefix in ((state_dir, ""), (state_dir.resolve(), ""), (folder, f"{OUTSIDE}/")):
        for each in (place, place.resolve()):
            if each.is_relative_to(base):
                return prefix + each.relative_to(base).as_posix()
    return f"{OUTSIDE}/{place.name}"


def walk(state_dir: Path, parts: frozenset[Part], configs: tuple[Path, ...]) -> Iterator[Source | LeftOut]:
    """Yield every file of these parts but the database, folders in order of name.

    Follows no link, except one to a file that stands for a file of the table. `configs` are the configuration file and
    those it includes.
    """
    taken: set[str] = set()
    if "config" in parts:
        for place in configs:
            if place.is_file():
                path = config_path(place, state_dir, configs[0].parent)
                taken.add(path)
                yield Source("config", path, place.resolve())
    for entry in _entries(state_dir):
        part = part_of(entry.name)
        if part is None or part == "store" or part not in parts:
            continue
        place = Path(entry.path)
        if entry.is_symlink() and place.is_file():
            place = place.resolve()
        if entry.name != OUTSIDE and entry.name not in taken:
            yield from _below(place, entry.name, part)


def _below(place: Path, path: str, part: Part) -> Iterator[Source | LeftOut]:
    mode = place.lstat().st_mode
    if stat.S_ISDIR(mode):
        for entry in _entries(place):
            yield from _below(place / entry.name, f"{path}/{entry.name}", part)
    elif stat.S_ISREG(mode):
        yield Source(part, path, place)
    else:
        yield LeftOut(path, "it is a symbolic link" if stat.S_ISLNK(mode) else "it is no plain file")


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except FileNotFoundError:
        return []
