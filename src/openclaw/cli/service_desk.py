"""What the service commands share: which manager, which service is wanted, and waiting until it is well."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from openclaw import __version__
from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.base.errors import OpenClawError, Unavailable
from openclaw.cli.desk import Desk
from openclaw.cli.reach import Reach

if TYPE_CHECKING:
    from openclaw.ops.doctor.scene import Installed
    from openclaw.ops.service.drift import Drift
    from openclaw.ops.service.manager import Manager, ServiceState
    from openclaw.ops.service.plan import Scope, Service
    from openclaw.processes.spawner import Completed

WELL_S = 60.0
"""How long a started gateway has until it is ready: a store's upgrade may take a while."""
POLL_S = 0.2
TAIL_LINES = 15
VERSION_S = 10.0
COMMAND_S = 240.0
"""Longer than systemd waits for a start."""


class ServiceDesk:
    """One scope's service on this machine."""

    def __init__(self, scope: Scope, desk: Desk | None = None) -> None:
        self.scope: Scope = scope
        self.desk = desk or (system_desk() if scope == "system" else Desk())

    @asynccontextmanager
    async def manager(self) -> AsyncIterator[Manager]:
        """Offer the service manager of this machine. Raises: NotSupported."""
        from openclaw.config.env import home_dir
        from openclaw.ops.service.manager import manager_for

        home = Path(self.desk.env.get("HOME") or home_dir(self.desk.env))
        yield manager_for(sys.platform, self.scope, self.spawn, home=home, get=self.desk.env.get)

    async def spawn(self, argv: Sequence[str], env: Mapping[str, str], *, timeout_s: float = COMMAND_S) -> Completed:
        """Run a program of this machine's to its end. Raises: OSError, TimeoutError."""
        from openclaw.processes.environment import BASIC
        from openclaw.processes.spawner import Spawner

        spawner = Spawner(self.desk.env)
        try:
            return await spawner.run(argv, allow=(*BASIC, "DBUS_*"), env=env, timeout_s=timeout_s)
        finally:
            await spawner.close()

    def wish(
        self, *, user: str = "", port: int | None = None, memory_max: str | None = None
    ) -> tuple[Service, tuple[int, int] | None]:
        """Return the service that would be installed now, and whose its files are to be (uid, gid), None = ours.

        Raises: NotFound for a user that is not there.
        """
        from openclaw.config.env import expand
        from openclaw.ops.service.plan import MEMORY_MAX
        from openclaw.ops.service.wish import service_user, wish

        owner, name = None, ""
        if self.scope == "system":
            account = service_user(user, self.desk.env.get)
            owner, name = (account.pw_uid, account.pw_gid), account.pw_name
        agents = self.desk.loaded.config.agents
        chosen = [agents.defaults.workspace, *(agent.workspace for agent in agents.list)]
        service = wish(
            self.scope,
            self.desk.paths,
            self.desk.env,
            python=sys.executable,
            user=name,
            port=port,
            memory_max=memory_max or MEMORY_MAX,
            workspaces=[expand(self.desk.env, each) for each in chosen if each],
        )
        return service, owner


def system_desk() -> Desk:
    """Return the desk of a service of the whole system: its own state directory, and caches in it."""
    from openclaw.config.env import load_environment
    from openclaw.ops.service.wish import SYSTEM_STATE

    desk = Desk()
    if not desk.env.get("OPENCLAW_STATE_DIR"):
        env = load_environment(Path.cwd(), SYSTEM_STATE)
        desk.env = env.with_layer("system service", {"OPENCLAW_STATE_DIR": str(SYSTEM_STATE)})
    state = desk.env.get("OPENCLAW_STATE_DIR")
    # Whoever installs it has another home than whom it runs as.
    desk.env = desk.env.with_layer("system service", {"OPENCLAW_CACHE_DIR": f"{state}/cache/models"})
    return desk


async def found_scope(scope: Scope | None) -> Scope:
    """Return the scope named, else the one of the service that is installed, else `user`."""
    if scope is not None:
        return scope
    scopes: tuple[Scope, ...] = ("user", "system")
    for each in scopes:
        try:
            async with ServiceDesk(each, Desk()).manager() as manager:
                if manager.path.exists():
                    return each
        except OpenClawError:
            return "user"
    return "user"


def facts(drift: Drift, state: ServiceState | None, problem: str = "") -> dict[str, Any]:
    """Return what is known of a service, for people and programs."""
    found: dict[str, Any] = {"installed": drift.state != "absent", "path": drift.path, "drift": drift.state}
    if drift.port:
        found["port"] = drift.port
    if state is not None:
        found |= {
            name: value for name, value in msgspec.to_builtins(state).items() if value not in (None, "", 0, False)
        }
    if drift.changes:
        found["changes"] = list(drift.changes)
    if drift.overrides:
        found["overrides"] = list(drift.overrides)
    if drift.missing:
        found["missing"] = list(drift.missing)
    if problem:
        found["problem"] = problem
    return found


async def seen(desk: ServiceDesk) -> tuple[Drift, ServiceState | None, str]:
    """Return how the installed file is, what the manager says, and why it does not. Raises: NotSupported."""
    from openclaw.ops.service.keeper import installed_drift

    async with desk.manager() as manager:
        wanted = None if desk.scope == "system" else desk.wish()[0]
        drift = installed_drift(manager, wanted)
        if drift.state == "absent":
            return drift, None, ""
        try:
            return drift, await manager.state(), ""
        except OpenClawError as error:
            return drift, None, error.message


async def look(desk: ServiceDesk) -> dict[str, Any]:
    """Return what is known of the service; what cannot be asked is said in `problem`."""
    try:
        return facts(*await seen(desk))
    except OpenClawError as error:
        return {"installed": False, "problem": error.message}


async def installed_services(desk: Desk) -> tuple[Installed, ...]:
    """Return the services of both scopes that are installed, for the doctor."""
    from openclaw.ops.doctor.scene import Installed

    found = []
    scopes: tuple[Scope, ...] = ("user", "system")
    for scope in scopes:
        own = ServiceDesk(scope, desk if scope == "user" else None)
        try:
            drift, state, _ = await seen(own)
        except (OpenClawError, OSError):
            continue
        if drift.state != "absent":
            found.append(Installed(scope=scope, drift=drift, state=state, version=await _version(own, drift.program)))
    return tuple(found)


async def _version(desk: ServiceDesk, program: str) -> str:
    """Return which openclaw a program of a service runs, "" when it does not say."""
    if not program or program == sys.executable:
        return __version__ if program else ""
    try:
        done = await desk.spawn((program, "-P", "-m", "openclaw", "--version"), {}, timeout_s=VERSION_S)
    except (OpenClawError, OSError, TimeoutError):
        return ""
    said = done.stdout.decode(errors="replace").split()
    return said[1] if done.returncode == 0 and len(said) > 1 else ""


async def wait_until_well(reach: Reach, *, within_s: float = WELL_S) -> None:
    """Return once /ready says yes. Raises: Unavailable with what fails."""
    import asyncio

    deadline_s = SYSTEM_CLOCK.monotonic_s() + within_s
    last = "it did not answer"
    while SYSTEM_CLOCK.monotonic_s() < deadline_s:
        try:
            failing = await asyncio.to_thread(_failing, reach)
        except OpenClawError as error:
            last = error.message
        else:
            if not failing:
                return
            last = f"not ready: {', '.join(failing)}"
        await SYSTEM_CLOCK.sleep(POLL_S)
    raise Unavailable(f"the gateway at {reach.target.http_url} was not ready after {within_s:.0f} s: {last}")


def _failing(reach: Reach) -> Iterable[str]:
    found = reach.health()
    # Without detail (a credential that is not ours) an answer is all that can be asked for.
    return [str(each) for each in found.get("failing", ())]


def not_well(message: str, desk: Desk, said: Sequence[str]) -> Unavailable:
    """Return the failure of a start; its last words go to stderr, or the log's when there are none. Nothing is undone.

    Shape: `said` is what the manager has of the service's own output.
    """
    from openclaw.cli.command.log import last_lines

    for line in said or last_lines(desk.paths.logs_dir, TAIL_LINES):
        click.echo(f"  {line}", err=True)
    return Unavailable(
        message,
        hint="Nothing was undone: the service stays as it is. `openclaw gateway logs` and `openclaw doctor` say more.",
    )


def hand_over(paths: Iterable[Path], owner: tuple[int, int] | None) -> None:
    """Give folders and files to the service's user. Nothing is followed."""
    if owner is None:
        return
    for path in paths:
        if path.exists() and not path.is_symlink():
            os.chown(path, *owner, follow_symlinks=False)
