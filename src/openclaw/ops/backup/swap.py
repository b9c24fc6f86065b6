"""Putting what was unpacked in the place of what is there: by renames, all or none, and never without a way back.

A journal is on the disk before the first rename and gone after the last. Whoever finds one (the next restore, the
gateway's start) knows that the power failed in between, and puts everything back as it was.

Renames of single names and not of the whole state directory: that is often a mount, which cannot be renamed.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

import msgspec

from openclaw.base.errors import Conflict, NotFound
from openclaw.config.disk import make_private, write_atomically

JOURNAL: Final = ".restore-journal.json"
WAITING: Final = ".restore-waiting"
WAYS_BACK: Final = "pre-restore"
RECORD: Final = "way-back.json"
WAYS_KEPT: Final = 3


class Unit(msgspec.Struct, frozen=True):
    """One name that is exchanged, below the state directory; whether something stood there, and something comes."""

    path: str
    had_old: bool
    has_new: bool


class Journal(msgspec.Struct, frozen=True):
    """An exchange that is going on. `incoming` and `kept` are folders below the state directory."""

    incoming: str
    kept: str
    units: tuple[Unit, ...]


class WayBack(msgspec.Struct, frozen=True):
    """What a restore replaced: the names that it exchanged, when (Unix ms), and what came instead."""

    at_ms: int
    instead: str
    paths: tuple[str, ...]


def exchange(state_dir: Path, incoming: Path, paths: tuple[str, ...], *, now_ms: int, instead: str) -> Path:
    """Replace those names by what `incoming` (a folder of the state directory) has of them; a name it lacks goes.

    Return the folder that keeps what was there. The caller holds the state directory's lock.

    Raises: OSError, after everything was put back.
    """
    os.sync()
    kept = state_dir / WAYS_BACK / f"{now_ms}-{os.urandom(3).hex()}"
    make_private(kept)
    units = tuple(Unit(path, os.path.lexists(state_dir / path), os.path.lexists(incoming / path)) for path in paths)
    journal = Journal(incoming.name, f"{WAYS_BACK}/{kept.name}", units)
    if incoming.parent != state_dir:
        journal = msgspec.structs.replace(journal, incoming=incoming.relative_to(state_dir).as_posix())
    write_atomically(kept / RECORD, msgspec.json.encode(WayBack(now_ms, instead, paths)))
    write_atomically(state_dir / JOURNAL, msgspec.json.encode(journal))
    try:
        for unit in units:
            if unit.had_old:
                _move(state_dir / unit.path, kept / unit.path)
            if unit.has_new:
                _move(incoming / unit.path, state_dir / unit.path)
        os.sync()
    except BaseException:
        recover(state_dir)
        raise
    (state_dir / JOURNAL).unlink()
    _forget_old(state_dir)
    return kept


def recover(state_dir: Path) -> bool:
    """Put back what an exchange that was broken off had moved. Return whether there was one. May be broken off itself.

    Raises: OSError, Conflict (the journal cannot be read).
    """
    place = state_dir / JOURNAL
    try:
        journal = msgspec.json.decode(place.read_bytes(), type=Journal)
    except FileNotFoundError:
        return False
    except msgspec.MsgspecError:
        raise Conflict(
            f"a restore was broken off, and {place} cannot be read",
            hint=f"What was there before lies in {state_dir / WAYS_BACK}: move it back by hand, then delete the file.",
        ) from None
    incoming, kept = state_dir / journal.incoming, state_dir / journal.kept
    for unit in reversed(journal.units):
        here, new, old = state_dir / unit.path, incoming / unit.path, kept / unit.path
        replaced = os.path.lexists(old)
        if unit.has_new and (replaced or not unit.had_old) and os.path.lexists(here) and not os.path.lexists(new):
            _move(here, new)
        if replaced:
            _move(old, here)
    place.unlink()
    shutil.rmtree(kept, ignore_errors=True)
    return True


def last_way_back(state_dir: Path) -> tuple[Path, WayBack]:
    """Return the newest folder of what a restore replaced, and its record. Raises: NotFound."""
    for folder in reversed(_ways(state_dir)):
        try:
            return folder, msgspec.json.decode((folder / RECORD).read_bytes(), type=WayBack)
        except (FileNotFoundError, msgspec.MsgspecError):
            continue
    raise NotFound("no restore has been made here that could be undone", hint="`openclaw backup list` names backups.")


def _ways(state_dir: Path) -> list[Path]:
    folder = state_dir / WAYS_BACK
    if not folder.is_dir():
        return []
    return sorted((each for each in folder.iterdir() if each.is_dir()), key=lambda each: each.name)


def _forget_old(state_dir: Path) -> None:
    for folder in _ways(state_dir)[:-WAYS_KEPT]:
        shutil.rmtree(folder, ignore_errors=True)


def _move(old: Path, new: Path) -> None:
    make_private(new.parent)
    old.rename(new)
