"""What a patch does to the disk, in three kinds of steps, and how each is taken back byte for byte.

1. Before a step, what it is about to change is kept: content, mode, modification time.
2. Nothing is ever deleted: what is in the way is moved to the trash, what is replaced is kept with the undo file.
3. A step is taken back only while the file is as the step left it; whoever has edited it since is not overwritten.
"""

from __future__ import annotations

import os
import shutil
import stat
from hashlib import sha256
from pathlib import Path
from typing import Literal

import msgspec

from openclaw.base.errors import Conflict
from openclaw.config.disk import write_atomically


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


class Undo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How one step is taken back. `kept` is the file with the old content, `moved_to` where a file was moved.

    Shape: `after` is the sha256 (hex) of what the step wrote, or the mode (octal) that it set.
    """

    kind: Literal["chmod", "write", "move"]
    path: str
    existed: bool = True
    mode: int = 0
    mtime_ns: int = 0
    kept: str = ""
    moved_to: str = ""
    after: str = ""


def prepare(step: Step, folder: Path, number: int, trash: Path) -> Undo:
    """Keep what a step is about to change, in `folder`, and return how to take it back."""
    path = step.path.resolve()
    try:
        facts = path.stat()
    except FileNotFoundError:
        return Undo(kind="write", path=str(path), existed=False, after=_digest(_data(step)))
    mode, mtime_ns = stat.S_IMODE(facts.st_mode), facts.st_mtime_ns
    if isinstance(step, Chmod):
        return Undo(kind="chmod", path=str(path), mode=mode, after=oct(step.mode))
    if isinstance(step, Move):
        return Undo(kind="move", path=str(path), mode=mode, moved_to=str(trash / f"{number}-{path.name}"))
    kept = folder / f"before-{number}"
    write_atomically(kept, path.read_bytes())
    return Undo(kind="write", path=str(path), mode=mode, mtime_ns=mtime_ns, kept=kept.name, after=_digest(_data(step)))


def apply(step: Step, undo: Undo) -> None:
    """Do a step that was prepared."""
    path = Path(undo.path)
    if isinstance(step, Chmod):
        path.chmod(step.mode)
    elif isinstance(step, Write):
        write_atomically(path, step.data)
    else:
        target = Path(undo.moved_to)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.move(path, target)


def check(undo: Undo) -> None:
    """Raises: Conflict when the file is not as the step left it (rule 3)."""
    path = Path(undo.path)
    if undo.kind == "move":
        fits = Path(undo.moved_to).exists() and not path.exists()
    elif not path.exists():
        fits = False
    elif undo.kind == "chmod":
        fits = oct(stat.S_IMODE(path.stat().st_mode)) == undo.after
    else:
        fits = _digest(path.read_bytes()) == undo.after
    if not fits:
        raise Conflict(
            f"{path} has changed since the fix, so it is not put back",
            hint="Compare it with what is kept beside the undo file, and put back by hand what you want.",
        )


def take_back(undo: Undo, folder: Path, trash: Path) -> None:
    """Put the old state back."""
    path = Path(undo.path)
    if undo.kind == "chmod":
        path.chmod(undo.mode)
    elif undo.kind == "move":
        shutil.move(undo.moved_to, path)
    elif undo.existed:
        write_atomically(path, (folder / undo.kept).read_bytes())
        path.chmod(undo.mode)
        os.utime(path, ns=(path.stat().st_atime_ns, undo.mtime_ns))
    else:
        trash.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.move(path, trash / f"undone-{path.name}")


def _data(step: Step) -> bytes:
    return step.data if isinstance(step, Write) else b""


def _digest(data: bytes) -> str:
    return sha256(data).hexdigest()
