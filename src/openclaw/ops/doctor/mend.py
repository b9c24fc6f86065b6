"""`doctor --fix`: the patches one by one, each with what it needs to be taken back; and the way back.

1. A fix is one change in the ledger of changes, beside those of the configuration. What a patch is about to replace is
   kept there before anything is changed; what is moved goes to `trash/<id>/`.
2. After each patch the posture is compared: a patch that would lower it is taken back at once.
3. Where there is nothing to mend nothing is written: the second run changes nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from openclaw.base.clock import SYSTEM_CLOCK, Clock
from openclaw.base.errors import Conflict, NotFound, OpenClawError
from openclaw.config.changes.book import Book, Open, side_of
from openclaw.config.changes.ledger import Ledger
from openclaw.config.changes.record import Applied, ChangeRecord, Side, Undo, Wish, by_user
from openclaw.config.disk import locked_folder
from openclaw.config.paths import StatePaths
from openclaw.config.writable import require_writable
from openclaw.ops.doctor.change import Chmod, Step, Write, apply, prepare, stands, take_back
from openclaw.ops.doctor.patches import PATCHES, Patch, steps_of
from openclaw.ops.doctor.posture import lowered, posture
from openclaw.ops.doctor.scene import Scene
from openclaw.ops.doctor.summary import remarks
from openclaw.ops.doctor.table import chosen
from openclaw.ops.quotas import in_use


class Fix(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One run of `doctor --fix` for people. `id` is that of its change; empty when nothing was done."""

    id: str = ""
    at_ms: int = 0
    patches: tuple[Applied, ...] = ()


def plan(scene: Scene, groups: Sequence[str] = ()) -> Fix:
    """Say what `mend` would do, as far as it can be said before the first patch."""
    found = [
        Applied(patch=patch.name, result="planned", steps=tuple(_shown(step) for step in steps))
        for patch in _wanted(groups)
        if (steps := steps_of(patch, scene))
    ]
    return Fix(patches=tuple(found))


def mend(look: Callable[[], Scene], groups: Sequence[str] = (), clock: Clock = SYSTEM_CLOCK) -> Fix:
    """Apply the patches that have something to do. `look` reads the state anew.

    Raises: Conflict, OSError, NotSupported in read-only mode.
    """
    scene = look()
    if not any(steps_of(patch, scene) for patch in _wanted(groups)):
        return Fix()
    require_writable(scene.env, scene.paths.config_path)
    book = Book(scene.paths, clock, remarks)
    wish = by_user(Wish(method="doctor --fix"), scene.env)
    with _alone(scene.paths), book.around(wish, scene.env, lambda: _side(look())) as opened:
        trash = scene.paths.state_dir / "trash" / opened.record.id
        for patch in _wanted(groups):
            _apply(patch, look, book.ledger, opened, trash)
    return _fix(opened.record)


def _apply(patch: Patch, look: Callable[[], Scene], ledger: Ledger, opened: Open, trash: Path) -> None:
    scene = look()
    steps = steps_of(patch, scene)
    if not steps:
        return
    so_far, before = opened.record.patches, posture(scene)
    undos = tuple(prepare(step, ledger, at, trash / patch.name) for at, step in enumerate(steps))
    applied = Applied(patch=patch.name, result="begun", steps=tuple(map(_shown, steps)), undo=undos)
    opened.put((*so_far, applied))  # before the first step: what a crash leaves behind can be taken back
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
            take_back(undo, ledger, trash)
        applied = msgspec.structs.replace(applied, result="refused", undo=(), why=why)
    else:
        applied = msgspec.structs.replace(applied, result="applied")
    opened.put((*so_far, applied))


def fixes(paths: StatePaths, clock: Clock = SYSTEM_CLOCK) -> list[Fix]:
    """Return the fixes among the changes, the newest first."""
    return [_fix(record) for record in Ledger(paths.state_dir, clock).records() if record.patches]


def undo(look: Callable[[], Scene], change_id: str, patch: str = "", clock: Clock = SYSTEM_CLOCK) -> Fix:
    """Take a fix back, the last patch first, or one patch of it. Either all of it is put back or nothing is touched.

    Raises: NotFound for an id or patch that is not kept, Conflict when a file has been changed since.
    """
    scene = look()
    book = Book(scene.paths, clock, remarks)
    fix = book.ledger.get(change_id)
    if not fix.patches:
        raise NotFound(
            f"{fix.id} is no fix but a change of the configuration.", hint=f"openclaw config rollback {fix.id}"
        )
    chosen_ones = [one for one in fix.patches if one.undo and patch in ("", one.patch)]
    if not chosen_ones:
        raise NotFound(f"{fix.id} has no patch {patch!r}")
    standing = [one for one in chosen_ones if one.result in ("applied", "begun")]
    if not standing:
        raise Conflict(f"{fix.id} has been undone already")
    require_writable(scene.env, scene.paths.config_path)
    wish = by_user(Wish(method=f"doctor undo {fix.id}"), scene.env)
    with _alone(scene.paths), book.around(wish, scene.env, lambda: _side(look())):
        _put_back(standing, book.ledger, scene.paths.state_dir / "trash" / fix.id)
        marked = tuple(msgspec.structs.replace(one, result="undone") if one in standing else one for one in fix.patches)
        fix = msgspec.structs.replace(fix, patches=marked)
        book.ledger.put(fix)
    return _fix(fix)


def _put_back(patches: Sequence[Applied], ledger: Ledger, trash: Path) -> None:
    """A file that several patches changed goes from what the last one left to what the first one found."""
    steps: dict[tuple[str, str], Undo] = {}
    for each in (undo for one in reversed(patches) for undo in reversed(one.undo)):
        latest = steps.get((each.path, each.kind))
        steps[each.path, each.kind] = msgspec.structs.replace(each, after=latest.after) if latest else each
    moved = {each.path for each in steps.values() if each.kind == "move" and stands(each, ledger)}
    for each in [each for each in steps.values() if each.path in moved or stands(each, ledger)]:
        take_back(each, ledger, trash)


@contextlib.contextmanager
def _alone(paths: StatePaths) -> Iterator[None]:
    with in_use(paths.state_dir), locked_folder(paths.state_dir):
        yield


def _side(scene: Scene) -> Side:
    return scene.broken.message if scene.broken is not None else side_of(scene.loaded)


def _fix(record: ChangeRecord) -> Fix:
    told = tuple(msgspec.structs.replace(one, undo=()) for one in record.patches)
    return Fix(id=record.id, at_ms=record.at_ms, patches=told)


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
