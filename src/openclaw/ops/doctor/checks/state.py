"""The state directory: there, ours, writable, private, with room, and with one gateway at most."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from openclaw.config.paths import StatePaths
from openclaw.ops.backup.findings import backup_findings as remarks
from openclaw.ops.disk import space
from openclaw.ops.doctor.scene import Finding, Scene, Severity
from openclaw.ops.service.plan import ENV_FILE
from openclaw.store.lock import LOCK_NAME

LEFT_OVER_S = 3600.0
PRIVATE_FOLDERS = (
    "agents",
    "backups",
    "channels",
    "credentials",
    "logs",
    "media",
    "pre-restore",
    "secrets",
    "snapshots",
    "trash",
)


def state_findings(scene: Scene) -> Iterator[Finding]:
    """Report the state directory's presence, owner, mode and writability, and the modes of files with secrets."""
    folder = scene.paths.state_dir
    if not folder.is_dir():
        yield Finding(
            id="state.dir", severity="info", evidence=f"{folder} does not exist yet", fix="`openclaw up` makes it."
        )
        return
    owner = folder.stat().st_uid
    if owner != scene.uid:
        yield Finding(
            id="state.owner",
            severity="warning",
            evidence=f"{folder} belongs to user {owner}, you are {scene.uid}",
            fix=f"Run openclaw as its owner, or: chown -R {scene.uid} {folder}",
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        yield Finding(
            id="state.writable",
            severity="error",
            evidence=f"{folder} cannot be written",
            fix="Give its owner write permission, or set OPENCLAW_STATE_DIR.",
        )
    open_folders = [place for place in private_folders(scene.paths) if bits(place) & 0o077]
    for place in open_folders:
        yield Finding(
            id="state.mode",
            severity="warning",
            evidence=f"{place} has mode {bits(place):04o}: others can look inside",
            fix=f"chmod 700 {place}",
            patch="private-folders",
        )
    if not open_folders:
        yield Finding(id="state.mode", severity="ok", evidence=f"{folder} is private")
    yield from _file_findings(scene)


def _file_findings(scene: Scene) -> Iterator[Finding]:
    for path in secret_files(scene.paths):
        if bits(path) & 0o077:
            yield Finding(
                id="state.file-mode",
                severity="warning",
                evidence=f"{path} may hold secrets and others can read it",
                fix=f"chmod 600 {path}",
                patch="private-files" if may_close(path, scene.paths) else "",
            )
        if (owner := path.stat().st_uid) != scene.uid:
            yield Finding(
                id="state.file-owner",
                severity="warning",
                evidence=f"{path} belongs to user {owner}, you are {scene.uid}",
                fix=f"chown {scene.uid} {path}, or run openclaw as its owner.",
            )


def disk_findings(scene: Scene) -> Iterator[Finding]:
    """Report the room left where the state lives."""
    folder = scene.paths.state_dir
    place = next((each for each in (folder, *folder.parents) if each.exists()), Path("/"))
    found, limits = space(place), scene.loaded.config.storage
    least = found.least(limits.min_free_bytes)
    seen = f"{found.free / 1e9:.1f} GB free at {place}"
    if found.free >= max(found.least(limits.warn_free_bytes), least):
        yield Finding(id="disk.space", severity="ok", evidence=seen)
        return
    severity: Severity = "error" if found.free < least else "warning"
    yield Finding(
        id="disk.space", severity=severity, evidence=seen, fix="Free some space, or move the state directory."
    )


def lock_findings(scene: Scene) -> Iterator[Finding]:
    """Report who holds the state directory. A lock file without a holder is harmless: only the kernel's lock counts."""
    path = scene.paths.state_dir / LOCK_NAME
    pid = holder(path)
    if pid == 0:
        yield Finding(id="lock.holder", severity="ok", evidence="no gateway holds the state directory")
    elif pid is not None and not (scene.proc / str(pid)).exists():
        yield Finding(
            id="lock.holder",
            severity="warning",
            evidence=f"the state directory is locked, and process {pid} that is named in {path} is not there",
            fix="Something else holds the lock, or a gateway in another container does: `fuser` on that file names it.",
        )
    else:
        yield Finding(id="lock.holder", severity="ok", evidence=f"process {pid or '?'} holds the state directory")


def leftover_findings(scene: Scene) -> Iterator[Finding]:
    """Report unfinished files of writes that were cut off."""
    found = leftovers(scene)
    if found:
        yield Finding(
            id="state.leftovers",
            severity="info",
            evidence=f"{len(found)} unfinished files of writes that were cut off, e.g. {found[0].name}",
            fix="They are not used by anything and may be moved away.",
            patch="sweep-leftovers",
        )


def bits(path: Path) -> int:
    """Return a file's permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


def private_folders(paths: StatePaths) -> list[Path]:
    """Return the folders that nobody else may enter, as far as they are there."""
    folders = (paths.state_dir, *(paths.state_dir / name for name in PRIVATE_FOLDERS))
    return [folder for folder in folders if folder.is_dir() and not folder.is_symlink()]


def secret_files(paths: StatePaths) -> list[Path]:
    """Return the files that hold or may hold secrets, as far as they are there."""
    state = paths.state_dir
    named = [paths.config_path, paths.env_file, paths.db_path, paths.token, paths.identity, paths.last_good]
    named += [state / "auth-profiles.json", state / "secrets.json", state / ENV_FILE]
    for pattern in ("agents/*/auth-profiles.json", "credentials/*", "openclaw.db-*"):
        named += sorted(state.glob(pattern))
    return [path for path in dict.fromkeys(named) if path.is_file() and not path.is_symlink()]


def may_close(path: Path, paths: StatePaths) -> bool:
    """Say whether a file is the state directory's: one elsewhere may be meant for a group, such as a service's."""
    return path.is_relative_to(paths.state_dir)


def leftovers(scene: Scene) -> list[Path]:
    """Return unfinished files that are older than an hour."""
    state = scene.paths.state_dir
    changes = state / "snapshots" / "changes"
    places = {state, state / "credentials", state / "snapshots", changes, changes / "texts"}
    before_s = scene.now_ms / 1000 - LEFT_OVER_S
    found: list[Path] = []
    for folder in sorted(places):
        for path in sorted(folder.glob(".*.tmp")) if folder.is_dir() else []:
            if path.is_file() and not path.is_symlink() and path.stat().st_mtime < before_s:
                found.append(path)
    return found


def holder(path: Path) -> int | None:
    """Return the pid of the gateway that holds a lock file; 0 when nobody does, None when it does not say who."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            text = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
            return int(text) if text.isdigit() else None
        return 0
    finally:
        os.close(fd)


def backup_findings(scene: Scene) -> Iterator[Finding]:
    """Report backups that fail, are late or missing, and restores that are not finished."""
    for each in remarks(scene.paths.state_dir, scene.loaded.config.backup, scene.now_ms):
        yield Finding(id=each.id, severity=each.severity, evidence=each.evidence, fix=each.fix)
