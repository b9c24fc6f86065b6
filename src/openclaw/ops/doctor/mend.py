"""`doctor --fix`: first a snapshot, then the patches one by one, each with an undo file; and the way back.

1. Everything is kept under `snapshots/fix-<id>/` before anything is changed; what is moved goes to `trash/fix-<id>/`.
2. After each patch the posture is compared: a patch that would lower it is taken back at once.
3. Where there is nothing to mend nothing is written: the second run changes nothing.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, Protocol

import msgspec

from openclaw.base.errors import Conflict, NotFound, OpenClawError
from openclaw.config.disk import locked_folder, write_atomically
from openclaw.config.paths import StatePaths
from openclaw.config.writable import require_writable
from openclaw.ops.doctor.change import Chmod, Step, Undo, Write, apply, check, prepare, take_back
from openclaw.ops.doctor.checks.state import secret_files
from openclaw.ops.doctor.patches import PATCHES, Patch, steps_of
from openclaw.ops.doctor.posture import lowered, posture
from openclaw.ops.doctor.scene import Scene
from openclaw.ops.doctor.table import chosen

RECORD: Final = "record.json"
MAX_SNAPSHOT_BYTES: Final = 4_000_000
_ID: Final = re.compile(r"fix-[0-9]{8}T[0-9]{6}-[0-9a-f]{4}")

Result = Literal["applied", "planned", "refused", "undone"]


class Applied(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one patch did. `steps` are for people; `undo` names its undo file."""

    patch: str
    result: Result
    steps: tuple[str, ...]
    undo: str = ""
    why: str = ""


class Fix(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One run of `doctor --fix`: the change record. `id` is empty when nothing was done."""

    id: str = ""
    at_ms: int = 0
    patches: tuple[Applied, ...] = ()


class Recorder(Protocol):
    """Keeps change records beside our own (the configuration's history)."""

    def __call__(self, fix: Fix, folder: Path) -> None: ...


def plan(scene: Scene, groups: Sequence[str] = ()) -> Fix:
    """Say what `mend` would do, as far as it can be said before the first patch."""
    found = [
        Applied(patch=patch.name, result="planned", steps=tuple(_shown(step) for step in steps))
        for patch in _wanted(groups)
        if (steps := steps_of(patch, scene))
    ]
    return Fix(patches=tuple(found))


def mend(look: Callable[[], Scene], groups: Sequence[str] = (), recorder: Recorder | None = None) -> Fix:
    """Apply the patches that have something to do. `look` reads the state anew.

    Raises: Conflict, OSError, NotSupported in read-only mode.
    """
    scene = look()
    if not any(steps_of(patch, scene) for patch in _wanted(groups)):
        return Fix()
    require_writable(scene.env, scene.paths.config_path)
    with locked_folder(scene.paths.state_dir):
        stamp = datetime.fromtimestamp(scene.now_ms / 1000, UTC).strftime("%Y%m%dT%H%M%S")
        fix_id = f"fix-{stamp}-{secrets.token_hex(2)}"
        folder = scene.paths.state_dir / "snapshots" / fix_id
        for made in (folder.parent, scene.paths.state_dir / "trash"):
            made.mkdir(mode=0o700, exist_ok=True)
        folder.mkdir(mode=0o700)
        snapshot(scene.paths, folder)
        trash = scene.paths.state_dir / "trash" / fix_id
        fix = Fix(id=fix_id, at_ms=scene.now_ms)
        for number, patch in enumerate(_wanted(groups), 1):
            applied = _apply(patch, number, look, folder, trash)
            if applied is not None:
                fix = msgspec.structs.replace(fix, patches=(*fix.patches, applied))
                _keep(folder, fix)  # after each: what a crash leaves behind can be taken back
    if recorder is not None:
        recorder(fix, folder)
    return fix


def _apply(patch: Patch, number: int, look: Callable[[], Scene], folder: Path, trash: Path) -> Applied | None:
    scene = look()
    steps = steps_of(patch, scene)
    if not steps:
        return None
    shown = tuple(_shown(step) for step in steps)
    before = posture(scene)
    name = f"undo-{number}-{patch.name}.json"
    place = folder / f"{number}-{patch.name}"
    place.mkdir(mode=0o700)
    undos = [prepare(step, place, at, trash / patch.name) for at, step in enumerate(steps)]
    write_atomically(folder / name, msgspec.json.format(msgspec.json.encode(undos), indent=2))
    done: list[Undo] = []
    why = ""
    try:
        for step, undo in zip(steps, undos, strict=True):
            apply(step, undo)
            done.append(undo)
        if worse := lowered(before, posture(look())):
            why = f"it would lower the security of {', '.join(worse[:3])}"
    except (OSError, OpenClawError) as error:
        why = error.message if isinstance(error, OpenClawError) else str(error.strerror or error)
    if why:
        for undo in reversed(done):
            take_back(undo, place, trash)
        return Applied(patch=patch.name, result="refused", steps=shown, why=why)
    return Applied(patch=patch.name, result="applied", steps=shown, undo=name)


def snapshot(paths: StatePaths, folder: Path) -> None:
    """Copy the configuration and the small files with secrets, the database excepted, with a list of their modes."""
    listed = []
    kept = folder / "before"
    kept.mkdir(mode=0o700)
    for number, path in enumerate(secret_files(paths)):
        facts = path.stat()
        if path.name.startswith(paths.db_path.name) or facts.st_size > MAX_SNAPSHOT_BYTES:
            continue
        write_atomically(kept / f"{number}-{path.name}", path.read_bytes())
        listed.append({"path": str(path), "kept": f"{number}-{path.name}", "mode": oct(facts.st_mode & 0o777)})
    write_atomically(kept / "files.json", msgspec.json.format(msgspec.json.encode(listed), indent=2))


def fixes(paths: StatePaths) -> list[Fix]:
    """Return the kept records, the newest first."""
    found = []
    for place in sorted((paths.state_dir / "snapshots").glob(f"fix-*/{RECORD}"), reverse=True):
        try:
            found.append(msgspec.json.decode(place.read_bytes(), type=Fix))
        except (OSError, msgspec.MsgspecError):
            continue
    return found


def undo(paths: StatePaths, fix_id: str, patch: str = "") -> Fix:
    """Take a fix back, the last patch first, or one patch of it. Either all of it is put back or nothing is touched.

    Raises: NotFound for an id or patch that is not kept, Conflict when a file has been changed since.
    """
    folder = paths.state_dir / "snapshots" / fix_id
    if not _ID.fullmatch(fix_id) or not (folder / RECORD).is_file():
        raise NotFound(f"there is no fix {fix_id!r}", hint="`openclaw doctor undo` lists the fixes that are kept.")
    with locked_folder(paths.state_dir):
        fix = msgspec.json.decode((folder / RECORD).read_bytes(), type=Fix)
        chosen_ones = [one for one in fix.patches if one.undo and patch in ("", one.patch)]
        standing = [one for one in chosen_ones if one.result == "applied"]
        if not chosen_ones:
            raise NotFound(f"{fix_id} has no patch {patch!r}")
        if not standing:
            raise Conflict(f"{fix_id} has been undone already")
        _put_back(standing, folder, paths.state_dir / "trash" / fix_id)
        names = {one.patch for one in standing}
        marked = tuple(
            msgspec.structs.replace(one, result="undone") if one.patch in names else one for one in fix.patches
        )
        fix = msgspec.structs.replace(fix, patches=marked)
        _keep(folder, fix)
    return fix


def _keep(folder: Path, fix: Fix) -> None:
    write_atomically(folder / RECORD, msgspec.json.format(msgspec.json.encode(fix), indent=2))


def _put_back(patches: Sequence[Applied], folder: Path, trash: Path) -> None:
    """Files that several patches changed are checked as the last one left them."""
    steps: list[tuple[Undo, Path]] = []
    for one in reversed(patches):
        undos = msgspec.json.decode((folder / one.undo).read_bytes(), type=list[Undo])
        steps += [(each, folder / one.undo.removeprefix("undo-").removesuffix(".json")) for each in reversed(undos)]
    seen: set[tuple[str, str]] = set()
    for each, _ in steps:
        if not seen & {(each.path, each.kind), (each.path, "move")}:
            check(each)
        seen.add((each.path, each.kind))
    for each, place in steps:
        take_back(each, place, trash)


def _wanted(groups: Sequence[str]) -> list[Patch]:
    wanted = chosen(groups)
    return [patch for patch in PATCHES if patch.group in wanted]


def _shown(step: Step) -> str:
    """Return a step as a line for people; never what is written."""
    if isinstance(step, Chmod):
        return f"chmod {step.mode:o} {step.path}"
    if isinstance(step, Write):
        return f"write {step.path}"
    return f"move {step.path} to the trash"
