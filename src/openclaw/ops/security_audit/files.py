"""Who else may read or write what the gateway keeps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from openclaw.config.load import files_of
from openclaw.config.paths import tls_files
from openclaw.ops.doctor.checks.state import bits
from openclaw.ops.doctor.scene import Scene
from openclaw.ops.security_audit.rules import Finding, found
from openclaw.telemetry.log import LOG_FILE

_SYNCED = ("dropbox", "onedrive", "google drive", "googledrive", "mobile documents", "icloud", "nextcloud", "pcloud")


def file_findings(scene: Scene) -> Iterator[Finding]:
    """Report the modes of the state directory's folders and files, and links and clouds."""
    state = scene.paths.state_dir
    if not state.is_dir():
        return
    yield from _state(state)
    yield from _config(scene)
    yield from _modes("fs.credentials_dir", [state / "credentials", *sorted(state.glob("credentials/*"))])
    profiles = [state / "auth-profiles.json", *sorted(state.glob("agents/*/auth-profiles.json"))]
    yield from _modes("fs.auth_profiles", profiles)
    stores = [scene.paths.db_path, *sorted(state.glob("openclaw.db-*"))]
    yield from _readable("fs.sessions_store.perms_readable", stores)
    yield from _readable("fs.log_file.perms_readable", sorted(scene.paths.logs_dir.glob(f"{LOG_FILE}*")))
    tls = scene.loaded.config.gateway.tls
    if tls.enabled:
        yield from _readable("fs.tls_key.perms_readable", [tls_files(tls, scene.paths)[1]])


def _state(state: Path) -> Iterator[Finding]:
    mode = bits(state)
    fix = f"chmod 700 {state} (or: openclaw security audit --fix)"
    if mode & 0o002:
        yield found("fs.state_dir.perms_world_writable", f"{state} has mode {mode:04o}", fix)
    elif mode & 0o020:
        yield found("fs.state_dir.perms_group_writable", f"{state} has mode {mode:04o}", fix)
    elif mode & 0o055:
        yield found("fs.state_dir.perms_readable", f"{state} has mode {mode:04o}", fix)
    if state.is_symlink():
        fix = "Set OPENCLAW_STATE_DIR to where it leads."
        yield found("fs.state_dir.symlink", f"{state} leads to {state.resolve()}", fix)
    if any(name in part.lower() for part in state.resolve().parts for name in _SYNCED):
        fix = "Set OPENCLAW_STATE_DIR to a folder that stays on this machine."
        yield found("fs.synced_dir", str(state.resolve()), fix)


def _config(scene: Scene) -> Iterator[Finding]:
    main = scene.paths.config_path
    if main.is_symlink():
        seen = f"{main} leads to {main.resolve()}"
        yield found("fs.config.symlink", seen, "Whoever owns that place decides what the gateway does: keep it here.")
    for path in files_of(main) if main.is_file() else ():
        if not path.is_file():
            continue
        mode, kind = bits(path), "fs.config" if path == main else "fs.config_include"
        if mode & 0o022:
            yield found(f"{kind}.perms_writable", f"{path} has mode {mode:04o}", f"chmod 600 {path}")
        elif mode & 0o004:
            yield found(f"{kind}.perms_world_readable", f"{path} has mode {mode:04o}", f"chmod 600 {path}")
        elif mode & 0o040:
            yield found(f"{kind}.perms_group_readable", f"{path} has mode {mode:04o}", f"chmod 600 {path}")


def _modes(kind: str, places: list[Path]) -> Iterator[Finding]:
    for path in places:
        if path.exists() and not path.is_symlink() and (mode := bits(path)) & 0o077:
            what = "perms_writable" if mode & 0o022 else "perms_readable"
            yield found(f"{kind}.{what}", f"{path} has mode {mode:04o}", _fix(path))


def _readable(check_id: str, places: list[Path]) -> Iterator[Finding]:
    for path in places:
        if path.is_file() and (mode := bits(path)) & 0o077:
            yield found(check_id, f"{path} has mode {mode:04o}", _fix(path))


def _fix(path: Path) -> str:
    return f"chmod {'700' if path.is_dir() else '600'} {path} (or: openclaw security audit --fix)"
