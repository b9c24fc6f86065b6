"""The two programs that keep services running, systemd and launchd, behind one shape."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

import msgspec

from openclaw.base.errors import NotFound, NotSupported, OpenClawError, Unavailable
from openclaw.ops.service.launchd import LABEL, PLIST_NAME, plist_text
from openclaw.ops.service.plan import Sandbox, Scope, Service
from openclaw.ops.service.systemd import (
    COMMANDS_NAME,
    SOCKET_NAME,
    UNIT_NAME,
    companion_texts,
    sandbox_lines,
    unit_text,
)
from openclaw.processes.spawner import Completed

Run = Callable[[Sequence[str], Mapping[str, str]], Awaitable[Completed]]
"""Runs a program to its end with some more variables. Raises: OSError, TimeoutError."""

_SYSTEM_UNITS: Final = Path("/etc/systemd/system")
_SLOW: Final = "it took too long"
_NOT_EXECUTED: Final = 203
"""systemd's exit code for a program that its user could not execute."""


class ServiceState(msgspec.Struct, frozen=True, kw_only=True):
    """What the manager says of the service.

    Shape: `active` is systemd's word (active, activating, reloading, failed, inactive, or unknown); `lingers` None when
    it does not matter; `stale` when the manager has not read the file since it changed.
    """

    active: str
    enabled: bool
    pid: int = 0
    restarts: int = 0
    result: str = ""
    stale: bool = False
    lingers: bool | None = None


class Manager(Protocol):
    """Keeps one service. Raises: NotSupported when it does not answer here, Unavailable when it refuses."""

    name: str
    scope: Scope
    path: Path
    """Where the file of the service lies."""

    def text(self, service: Service) -> str: ...

    def companions(self, service: Service | None) -> dict[Path, str]:
        """Return the files beside it that belong to it; without a service their texts are empty."""
        ...

    async def fitted(self, service: Service) -> Service:
        """Return the service with as much of its sandbox as this machine gives. Raises: Unavailable."""
        ...

    async def enable(self) -> None:
        """Read the file again and have the service start with the machine or the user's session."""
        ...

    async def disable(self) -> None:
        """Stop the service and forget that it was to start."""
        ...

    async def forget(self) -> None:
        """Have the manager notice that the file is gone."""
        ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def restart(self) -> None: ...

    async def state(self) -> ServiceState: ...

    async def said(self, count: int) -> list[str]:
        """Return the last lines that the service printed, [] when they cannot be had. It never raises."""
        ...


class Systemd:
    """systemd's manager of the system, or of the user."""

    name = "systemd"

    def __init__(
        self, scope: Scope, run: Run, *, home: Path, get: Callable[[str], str | None], folder: Path | None = None
    ) -> None:
        self.scope: Scope = scope
        chosen = get("XDG_CONFIG_HOME")
        own = (Path(chosen) if chosen and Path(chosen).is_absolute() else home / ".config") / "systemd" / "user"
        self.path = (folder or (own if scope == "user" else _SYSTEM_UNITS)) / UNIT_NAME
        self._run = run
        self._get = get

    def text(self, service: Service) -> str:
        """Return the unit."""
        return unit_text(service)

    def companions(self, service: Service | None) -> dict[Path, str]:
        """Return the units by which commands get their walls."""
        texts = companion_texts(service) if service else dict.fromkeys((SOCKET_NAME, COMMANDS_NAME), "")
        return {self.path.with_name(name): text for name, text in texts.items()}

    async def fitted(self, service: Service) -> Service:
        """Try the sandbox on a program that does nothing: containers and some kernels refuse parts of it."""
        levels: tuple[Sandbox, ...] = ("full", "files", "none")
        code = 0
        for level in levels:
            tried = msgspec.structs.replace(service, sandbox=level)
            settings = [word for line in sandbox_lines(tried) for word in ("-p", _plain(line))]
            user = ("--uid", service.user) if service.user else ()
            scope = ("--user",) if self.scope == "user" else ()
            # The program itself: that it can be reached is part of the question.
            program = (service.argv[0], "-c", "")
            argv = ("systemd-run", *scope, "--quiet", "--wait", "--collect", *user, *settings, "--", *program)
            try:
                code = (await self._run(argv, self._bus())).returncode
            except (OSError, TimeoutError):
                return service
            if code == 0:
                return tried
        if code == _NOT_EXECUTED:
            raise cannot_execute(service)
        # It fails without a sandbox too, so the sandbox is not why: nothing is given up for it.
        return service

    async def enable(self) -> None:
        """Read the unit again and enable it."""
        await self._must("daemon-reload")
        await self._must("enable", UNIT_NAME)

    async def disable(self) -> None:
        """Stop the service and disable it."""
        await self._must("disable", "--now", UNIT_NAME)
        await self._must("stop", SOCKET_NAME, may_fail=True)

    async def forget(self) -> None:
        """Let systemd read its units again, and drop the failure that it may remember."""
        await self._must("daemon-reload", may_fail=True)
        await self._must("reset-failed", UNIT_NAME, may_fail=True)

    async def start(self) -> None:
        """Start it; systemd waits until the gateway says that it is ready."""
        await self._must("reset-failed", UNIT_NAME, may_fail=True)
        await self._must("start", UNIT_NAME)

    async def stop(self) -> None:
        """Stop it; its runs get to end."""
        await self._must("stop", UNIT_NAME)

    async def restart(self) -> None:
        """Stop it and start it."""
        await self._must("reset-failed", UNIT_NAME, may_fail=True)
        await self._must("restart", UNIT_NAME)

    async def state(self) -> ServiceState:
        """Ask systemd."""
        names = ("ActiveState", "UnitFileState", "MainPID", "NRestarts", "Result", "NeedDaemonReload")
        said = await self._must("show", UNIT_NAME, *(f"--property={name}" for name in names))
        facts = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
        return ServiceState(
            active=facts.get("ActiveState", "unknown"),
            enabled=facts.get("UnitFileState") == "enabled",
            pid=_number(facts.get("MainPID")),
            restarts=_number(facts.get("NRestarts")),
            result=facts.get("Result", ""),
            stale=facts.get("NeedDaemonReload") == "yes",
            lingers=await self._lingers() if self.scope == "user" else None,
        )

    async def said(self, count: int) -> list[str]:
        """Ask the journal."""
        which = ("--user-unit",) if self.scope == "user" else ("--unit",)
        argv = ("journalctl", *which, UNIT_NAME, "--no-pager", "--quiet", "--output=cat", f"--lines={count}")
        try:
            done = await self._run(argv, self._bus())
        except (OSError, TimeoutError):
            return []
        return done.stdout.decode(errors="replace").splitlines()

    async def _lingers(self) -> bool | None:
        try:
            said = await self._run(("loginctl", "show-user", str(os.getuid()), "--property=Linger"), {})
        except (OSError, TimeoutError):
            return None
        return b"Linger=yes" in said.stdout if said.returncode == 0 else None

    async def _must(self, *arguments: str, may_fail: bool = False) -> str:
        argv = ("systemctl", *(("--user",) if self.scope == "user" else ()), "--no-pager", *arguments)
        try:
            done = await self._run(argv, self._bus())
        except FileNotFoundError:
            raise no_manager() from None
        except (OSError, TimeoutError) as error:
            raise Unavailable(f"systemctl did not do it: {str(error) or _SLOW}") from None
        if done.returncode and not may_fail:
            raise _refused(" ".join(argv), done)
        return done.stdout.decode(errors="replace")

    def _bus(self) -> dict[str, str]:
        """A shell of `sudo -u` or cron lacks what `systemctl --user` finds its manager by."""
        if self.scope == "system" or self._get("XDG_RUNTIME_DIR"):
            return {}
        runtime = Path(f"/run/user/{os.getuid()}")
        return {"XDG_RUNTIME_DIR": str(runtime)} if runtime.is_dir() else {}


class Launchd:
    """launchd's domain of the user, or of the system."""

    name = "launchd"

    def __init__(self, scope: Scope, run: Run, *, home: Path, folder: Path | None = None) -> None:
        self.scope: Scope = scope
        own = home / "Library" / "LaunchAgents" if scope == "user" else Path("/Library/LaunchDaemons")
        self.path = (folder or own) / PLIST_NAME
        self._domain = f"gui/{os.getuid()}" if scope == "user" else "system"
        self._run = run

    def text(self, service: Service) -> str:
        """Return the property list."""
        return plist_text(service)

    def companions(self, service: Service | None) -> dict[Path, str]:
        """macOS has no bubblewrap."""
        return {}

    async def fitted(self, service: Service) -> Service:
        """launchd has no sandbox to fit."""
        return service

    async def enable(self) -> None:
        """Load the property list again; RunAtLoad starts it."""
        await self._must("bootout", self._target, may_fail=True)
        await self._must("enable", self._target)
        await self._must("bootstrap", self._domain, str(self.path))

    async def disable(self) -> None:
        """Stop it and unload it."""
        await self._must("bootout", self._target, may_fail=True)

    async def forget(self) -> None:
        """launchd forgets what is unloaded."""

    async def start(self) -> None:
        """Start it, loading it when it was stopped."""
        await self._must("bootstrap", self._domain, str(self.path), may_fail=True)
        await self._must("kickstart", self._target)

    async def stop(self) -> None:
        """Unload it: what is loaded, launchd starts again."""
        await self._must("bootout", self._target)

    async def restart(self) -> None:
        """Stop it and start it."""
        await self._must("kickstart", "-k", self._target)

    async def state(self) -> ServiceState:
        """Ask launchd."""
        said = await self._must("print", self._target, may_fail=True)
        facts = dict(line.strip().split(" = ", 1) for line in said.splitlines() if " = " in line)
        running = facts.get("state") == "running"
        return ServiceState(
            active="active" if running else "inactive", enabled=bool(facts), pid=_number(facts.get("pid"))
        )

    async def said(self, count: int) -> list[str]:
        """launchd keeps what the service prints in the state directory, where its log is."""
        return []

    @property
    def _target(self) -> str:
        return f"{self._domain}/{LABEL}"

    async def _must(self, *arguments: str, may_fail: bool = False) -> str:
        try:
            done = await self._run(("launchctl", *arguments), {})
        except FileNotFoundError:
            raise no_manager() from None
        except (OSError, TimeoutError) as error:
            raise Unavailable(f"launchctl did not do it: {str(error) or _SLOW}") from None
        if done.returncode and not may_fail:
            raise _refused(" ".join(("launchctl", *arguments)), done)
        return done.stdout.decode(errors="replace")


def no_manager() -> NotSupported:
    """Return the refusal for a machine without a service manager."""
    return NotSupported(
        "no service manager answers here",
        hint="Run `openclaw gateway run` under what keeps processes running here (a container's restart policy, "
        "supervisord, runit); `openclaw gateway install --print` shows what a service would say.",
    )


def cannot_execute(service: Service) -> Unavailable:
    """Return the refusal for a service whose user cannot reach its program."""
    program = Path(service.argv[0])
    return Unavailable(
        f"{f'the user {service.user}' if service.user else 'the service'} cannot execute {program}, "
        f"which is {program.resolve()}",
        hint="Install openclaw where that user can read it, e.g. in /opt with the system's python3, or use --run-as.",
    )


def _refused(command: str, done: Completed) -> OpenClawError:
    said = done.stderr_tail.strip() or f"exit {done.returncode}"
    low = said.lower()
    if "not been booted with systemd" in low or "failed to connect to" in low or "failed to connect" in low:
        return no_manager()
    if "not loaded" in low or "not found" in low or "could not find" in low or "does not exist" in low:
        return NotFound(f"{command}: {said}", hint="`openclaw gateway install` installs the service.")
    if "access denied" in low or "permission denied" in low or "authentication required" in low:
        return Unavailable(f"{command}: {said}", hint="A service of the whole system needs root: sudo openclaw …")
    return Unavailable(f"{command}: {said}", hint="`openclaw gateway logs` shows what the gateway said.")


def _plain(setting: str) -> str:
    """systemd-run passes a setting on its bus, where `%` begins no specifier."""
    return setting.replace("%%", "%")


def _number(text: str | None) -> int:
    return int(text) if text and text.isdigit() else 0


def manager_for(
    platform: str, scope: Scope, run: Run, *, home: Path, get: Callable[[str], str | None], folder: Path | None = None
) -> Manager:
    """Return the manager of a platform (`sys.platform`). Raises: NotSupported."""
    if platform == "darwin":
        return Launchd(scope, run, home=home, folder=folder)
    if platform == "linux":
        return Systemd(scope, run, home=home, get=get, folder=folder)
    raise no_manager()
