"""The configuration file, the environment, and old spellings in either."""

from __future__ import annotations

from collections.abc import Iterator

from openclaw.config.issue import Issue
from openclaw.config.load import Loaded
from openclaw.ops.doctor.scene import Configured, Finding, Scene
from openclaw.ops.doctor.spelling import movable_names, old_spellings


def config_findings(scene: Configured) -> Iterator[Finding]:
    """Report the file, where it came from, and each issue with its line."""
    loaded = scene.loaded
    if scene.broken is not None:
        yield Finding(
            id="config.file",
            severity="error",
            evidence=f"{loaded.path} cannot be used, and no good one is kept: {scene.broken.message}",
            fix=scene.broken.hint or "Mend the file at that place.",
        )
        return
    if not loaded.exists:
        yield Finding(
            id="config.file",
            severity="info",
            evidence=f"{loaded.path} does not exist; the defaults are in force",
            fix="`openclaw up` writes one with a strong token.",
        )
        return
    if loaded.source == "last-good":
        yield Finding(
            id="config.file",
            severity="error",
            evidence=f"{loaded.path} cannot be used; the last good configuration is in force",
            fix="Mend what `openclaw config validate` names.",
            patch="restore-last-good",
        )
    elif not loaded.issues:
        yield Finding(id="config.file", severity="ok", evidence=f"{loaded.path} is valid")
    movable = movable_names(loaded.own) if loaded.source == "file" else frozenset()
    for issue in loaded.issues:
        where = f"line {issue.line}: " if issue.line else ""
        yield Finding(
            id=f"config.{issue.kind}",
            severity="error" if issue.severity == "error" else "warning",
            evidence=f"{where}{issue.path}: {issue.message}" if issue.path else f"{where}{issue.message}",
            fix=issue.hint or "Edit the file at that line.",
            patch=_patch(issue, loaded, movable),
        )


def _patch(issue: Issue, loaded: Loaded, movable: frozenset[str]) -> str:
    if issue.kind == "old-name" and issue.path in movable:
        return "rename-old-keys"
    return "restore-last-good" if issue.kind == "parse-error" and loaded.source == "last-good" else ""


def spelling_findings(scene: Configured) -> Iterator[Finding]:
    """Report keys that older versions wrote and that have another name now."""
    for old, new in old_spellings(scene.loaded.parsed):
        yield Finding(
            id="config.deprecated",
            severity="warning",
            evidence=f"{old} is the old name of {new}",
            fix=f"Rename it to {new}.",
            patch="rename-old-keys",
        )


def environment_findings(scene: Scene) -> Iterator[Finding]:
    """Report files of variables that could not be read, or not whole."""
    for problem in scene.env.problems:
        yield Finding(
            id="env.file", severity="warning", evidence=problem, fix="Write NAME=value, one on each line, as UTF-8."
        )
    if not scene.env.problems:
        yield Finding(id="env.file", severity="ok", evidence="every file of variables can be read")
