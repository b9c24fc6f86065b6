"""The named patches of `doctor --fix`. Each says what it would do to the disk; only `mend` does it.

A patch touches files that openclaw owns, never the data in them, and leaves the effective configuration as it was, but
for what is useless. What would be a decision (a weak token, a wide proxy) is the operator's: the finding says it.
"""

from __future__ import annotations

import copy as copying
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from openclaw.base.errors import OpenClawError
from openclaw.config import lastgood
from openclaw.config.paths import is_yaml
from openclaw.config.reading.normalise import normalise
from openclaw.config.reading.parse import parse
from openclaw.config.writing.edit import set_at, unset_at
from openclaw.ops.doctor.change import Chmod, Move, Step, Write
from openclaw.ops.doctor.checks.state import bits, leftovers, may_close, private_folders, secret_files
from openclaw.ops.doctor.origins import useless
from openclaw.ops.doctor.scene import Scene
from openclaw.ops.doctor.spelling import RENAMED, at, moved
from openclaw.ops.token.copies import alignable, effective, find_copies
from openclaw.ops.token.place import replaced


class Patch(NamedTuple):
    """One patch. `plan` returns no steps when there is nothing to mend; ask `steps_of`, not it."""

    name: str
    group: str
    does: str
    plan: Callable[[Scene], list[Step]]


def steps_of(patch: Patch, scene: Scene) -> list[Step]:
    """Return what a patch would do: nothing where a file is another user's, who could not read what we put there."""
    steps = patch.plan(scene)
    foreign = any(step.path.exists() and step.path.stat().st_uid != scene.uid for step in steps)
    return [] if foreign else steps


def _private_folders(scene: Scene) -> list[Step]:
    return [
        Chmod(folder, bits(folder) & 0o700)
        for folder in private_folders(scene.paths)
        if bits(folder) & 0o077 and folder.stat().st_uid == scene.uid
    ]


def _private_files(scene: Scene) -> list[Step]:
    return [
        Chmod(path, bits(path) & 0o700)
        for path in secret_files(scene.paths)
        if bits(path) & 0o077 and path.stat().st_uid == scene.uid and may_close(path, scene.paths)
    ]


def _restore_last_good(scene: Scene) -> list[Step]:
    if scene.loaded.source != "last-good" or is_yaml(scene.paths.config_path):
        return []
    text = lastgood.load(scene.paths.last_good)
    return [] if text is None else [Write(scene.paths.config_path, text.encode("utf-8", "surrogatepass"))]


def _rename_old_keys(scene: Scene) -> list[Step]:
    def edit(text: str) -> str:
        if parse(text) == scene.loaded.own:  # a file in the short form has its own names
            text = moved(text)
        meant: Any = copying.deepcopy(scene.loaded.parsed)
        normalise(meant)
        for old, new in RENAMED:
            if at(scene.loaded.parsed, old) is None:
                continue
            value = at(meant, new)
            if isinstance(value, list):
                text = unset_at(set_at(text, new, value), old)
        return text

    return _edited(scene, edit)


def _drop_useless_origins(scene: Scene) -> list[Step]:
    place = ("gateway", "controlUi", "allowedOrigins")

    def edit(text: str) -> str:
        listed = at(scene.loaded.parsed, place)
        if not isinstance(listed, list) or not all(isinstance(one, str) and "${" not in one for one in listed):
            return text
        bad = set(useless(listed))
        return set_at(text, place, [one for one in listed if one not in bad]) if bad else text

    return _edited(scene, edit)


def _align_token_copies(scene: Scene) -> list[Step]:
    right, source = effective(scene.loaded)
    if right is None or (scene.loaded.source != "file" and scene.loaded.exists):
        return []
    copies = find_copies(scene.paths, scene.loaded, scene.env, scene.cwd, scene.units)
    texts: dict[Path, str] = {}
    for copy in alignable(copies, right, source):
        assert copy.path is not None
        if copy.path not in texts:
            texts[copy.path] = copy.path.read_text()
        texts[copy.path] = replaced(texts[copy.path], copy, right)
    return [Write(path, text.encode()) for path, text in texts.items()]


def _sweep_leftovers(scene: Scene) -> list[Step]:
    return [Move(path) for path in leftovers(scene)]


def _edited(scene: Scene, edit: Callable[[str], str]) -> list[Step]:
    loaded = scene.loaded
    if loaded.source != "file" or is_yaml(loaded.path):
        return []
    try:
        text = edit(loaded.raw)
    except OpenClawError:
        return []  # a place that cannot be edited is left to its owner; the finding stays
    return [] if text == loaded.raw else [Write(loaded.path, text.encode("utf-8", "surrogatepass"))]


PATCHES: Final = (
    Patch(
        "restore-last-good",
        "config",
        "Puts the last good configuration in place of one that cannot be parsed.",
        _restore_last_good,
    ),
    Patch("rename-old-keys", "config", "Gives settings under an old name their name of today.", _rename_old_keys),
    Patch(
        "private-folders",
        "state",
        "Takes the state directory's folders away from other users (0700).",
        _private_folders,
    ),
    Patch("private-files", "state", "Takes files with secrets away from other users (0600).", _private_files),
    Patch(
        "sweep-leftovers", "state", "Moves unfinished files of writes that were cut off to the trash.", _sweep_leftovers
    ),
    Patch(
        "align-token-copies",
        "token",
        "Gives every copy that openclaw owns the credential that counts.",
        _align_token_copies,
    ),
    Patch("drop-useless-origins", "exposure", "Takes out allowed origins that match nothing.", _drop_useless_origins),
)
"""In the order in which they are applied."""
