"""Installs, changes and removes the service; each call can be repeated and says what it did."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from openclaw.base.errors import InvalidRequest, NotFound
from openclaw.ops.service.drift import Drift, drift, read_installed
from openclaw.ops.service.manager import Manager
from openclaw.ops.service.plan import Service, port_of, recorded

_ENV_HEAD = """\
# Variables that only the service has: NAME=value, one a line. Keep this file private (0600); `openclaw gateway restart`
# makes changes count.
"""


class Installed(msgspec.Struct, frozen=True):
    """What an installation did. `kept` is where the former file is now, when it said something else."""

    path: str
    changed: bool
    kept: str = ""
    env_added: tuple[str, ...] = ()


async def install(manager: Manager, service: Service, env: Mapping[str, str]) -> Installed:
    """Write the file of the service, its variables, and have it start with the machine. Repeating it changes nothing.

    Raises: InvalidRequest for paths or variables that cannot be written, OSError, and what the manager raises.
    """
    text = manager.text(service)
    added = write_env(service.env_file, env)
    before = read_installed(manager.path)
    kept = ""
    if before is not None and before != text and _edited(manager, before):
        former = manager.path.with_name(f"{manager.path.name}.before")
        _replace(former, before, 0o600)
        kept = str(former)
    wanted = {manager.path: text, **manager.companions(service)}
    changed = {path: each for path, each in wanted.items() if read_installed(path) != each}
    for path, each in changed.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, each, 0o644)
    await manager.enable()
    return Installed(str(manager.path), bool(changed), kept, added)


async def uninstall(manager: Manager) -> bool:
    """Stop the service and remove its file; variables and state stay. Return whether there was one."""
    if read_installed(manager.path) is None:
        return False
    await manager.disable()
    for path in (manager.path, *manager.companions(None)):
        path.unlink(missing_ok=True)
    await manager.forget()
    return True


def installed_drift(manager: Manager, wanted: Service | None = None) -> Drift:
    """Say how the installed file differs from what would be written now.

    The wishes of the installation (port, paths, user) are read from the file; `wanted` says what to run today, and
    stands in for a file that has no record.
    """
    text = read_installed(manager.path)
    if text is None:
        return Drift("absent", str(manager.path))
    was = recorded(text)
    if was is not None and wanted is not None:
        # The program may have moved; what was asked of it has not.
        wanted = msgspec.structs.replace(was, argv=(wanted.argv[0], *was.argv[1:]))
    service = wanted or was
    if service is None:
        return Drift("different", str(manager.path), ("the file was not written by openclaw",))
    found = drift(service, manager.path, manager.text(service), manager.companions(service))
    return found if was is None else msgspec.structs.replace(found, port=port_of(was) or 0, program=was.argv[0])


def not_installed(manager: Manager) -> NotFound:
    """Return the refusal for a service that is not there."""
    return NotFound(
        f"no service is installed at {manager.path}",
        hint="`openclaw gateway install` installs it; without a service, run `openclaw gateway run`.",
    )


def _edited(manager: Manager, text: str) -> bool:
    """Whether a file says anything but what we wrote: what an older version of ours wrote counts as edited too."""
    was = recorded(text)
    return was is None or manager.text(was) != text


def write_env(path: Path, env: Mapping[str, str]) -> tuple[str, ...]:
    """Make the file of variables, mode 0600, and add those that it lacks or has otherwise. Return their names.

    Raises: InvalidRequest for a value of several lines.
    """
    from openclaw.config.env import parse_env

    for name, value in env.items():
        if any(ord(char) < 32 for char in value):
            raise InvalidRequest(f"{name} has a value of several lines, which a service cannot be given")
    try:
        text = path.read_text()
    except FileNotFoundError:
        text = _ENV_HEAD
    have, _ = parse_env(text)
    added = {name: value for name, value in env.items() if have.get(name) != value}
    kept = [line for line in text.splitlines() if line.partition("=")[0].strip() not in added]
    lines = [*kept, *(f"{name}={_env_value(value)}" for name, value in added.items())]
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _replace(path, "\n".join(lines) + "\n", 0o600)
    return tuple(added)


def _env_value(value: str) -> str:
    """Both systemd and a shell take single quotes as they are, but have no way to put one inside."""
    if "'" not in value:
        return f"'{value}'"
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _replace(path: Path, text: str, mode: int) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            os.fchmod(file.fileno(), mode)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
