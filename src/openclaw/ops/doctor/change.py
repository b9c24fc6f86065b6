"""What a patch does to the disk, in three kinds of steps, and how each is taken back byte for byte.

1. Before a step, what it is about to change is kept in the ledger of changes: content, mode, modification time.
2. Nothing is ever deleted: what is in the way is moved to the trash, what is replaced is kept in the ledger.
3. A step is taken back only while the file is as the step left it; whoever has edited it since is not overwritten.
"""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import msgspec

from openclaw.base.errors import Conflict
from openclaw.config.changes.ledger import Ledger
from openclaw.config.changes.record import Undo
from openclaw.config.disk import make_private, write_atomically


class Chmod(msgspec.Struct, frozen=True, tag="chmod"):
    """Give a path another mode."""

    path: Path
    mode: int


class Write(msgspec.Struct, frozen=True, tag="write"):
    """Replace a file's content."""

    path: Path
    data: bytes


class Move(msgspec.Struct, frozen=True, tag="move"):
    """Move a file to the trash."""

    path: Path


Step = Chmod | Write | Move


def prepare(step: Step, ledger: Ledger, number: int, trash: Path) -> Undo:
    """Keep what a step is about to change in the ledger, and return how to take it back."""
    path = step.path.resolve()
    after = ledger.name_of(step.data) if isinstance(step, Write) else ""
    try:
        facts = path.stat()
    except FileNotFoundError:
        return Undo(kind="write", path=str(path), existed=False, after=after)
    mode, mtime_ns = stat.S_IMODE(facts.st_mode), facts.st_mtime_ns
    if isinstance(step, Chmod):
        return Undo(kind="chmod", path=str(path), mode=mode, after=oct(step.mode))
    if isinstance(step, Move):
        return Undo(kind="move", path=str(path), mode=mode, moved_to=str(trash / f"{number}-{path.name}"))
    kept = ledger.keep_text(path.read_bytes())
    return Undo(kind="write", path=str(path), mode=mode, mtime_ns=mtime_ns, kept=kept, after=after)


def apply(step: Step, undo: Undo) -> None:
    """Do a step that was prepared."""
    path = Path(undo.path)
    if isinstance(step, Chmod):
        path.chmod(step.mode)
    elif isinstance(step, Write):
        write_atomically(path, step.data)
    else:
        target = Path(undo.moved_to)
        make_private(target.parent)
        shutil.move(path, target)


def stands(undo: Undo, ledger: Ledger) -> bool:
    """Say whether a step still has to be taken back: something else may have put the old state back already.

    Raises: Conflict when the file is neither as the step left it nor as it was before (rule 3).
    """
    path = Path(undo.path)
    now = _state(undo, ledger)
    before = (oct(undo.mode) if undo.kind == "chmod" else undo.kept) if undo.existed else ""
    if undo.kind == "move":
        moved = Path(undo.moved_to).exists()
        if moved != path.exists():
            return moved
    elif now in (undo.after, before):
        return now == undo.after
    raise Conflict(
        f"{path} has changed since the fix, so it is not put back",
        hint="openclaw config diff shows what a fix did to the configuration; put back by hand what you want of it.",
    )


def _state(undo: Undo, ledger: Ledger) -> str:
    """Return the mode, or the name of the content; "" for a file that is not there."""
    path = Path(undo.path)
    if not path.exists():
        return ""
    return oct(stat.S_IMODE(path.stat().st_mode)) if undo.kind == "chmod" else _name(path, ledger)


def _name(path: Path, ledger: Ledger) -> str:
    return ledger.name_of(path.read_bytes()) if path.is_file() else ""


def take_back(undo: Undo, ledger: Ledger, trash: Path) -> None:
    """Put the old state back."""
    path = Path(undo.path)
    if undo.kind == "chmod":
        path.chmod(undo.mode)
    elif undo.kind == "move":
        shutil.move(undo.moved_to, path)
    elif undo.existed:
        write_atomically(path, ledger.text(undo.kept))
        path.chmod(undo.mode)
        os.utime(path, ns=(path.stat().st_atime_ns, undo.mtime_ns))
    else:
        make_private(trash)
        shutil.move(path, trash / f"undone-{path.name}")
