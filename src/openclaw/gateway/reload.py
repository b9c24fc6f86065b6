"""A changed configuration taken up while the gateway runs: all of it, or nothing.

Rules
1. A file that cannot be parsed, that is gone, that breaks a setting which was well, or whose start the gateway would
   refuse, changes nothing; the log says why.
2. An unchanged configuration is a no-op.
3. New tools and agents are made first; only when all are there, the rooms are switched. A failure puts the old back.
4. Runs that are going keep what they began with.
5. Another shared credential holds from the next request on, and closes the clients that came by the old one.
6. Leaves of class `process` stay as they are until the next start; the log, clients and the doctor name them.
7. With gateway.reload.mode `restart` nothing is taken up in place: every change waits for the restart that follows.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import msgspec

from openclaw.agent.directory import Directory
from openclaw.base.errors import ConfigError, OpenClawError
from openclaw.config import lastgood
from openclaw.config.load import Loaded
from openclaw.config.paths import tls_files
from openclaw.config.plan import Change, held, plan
from openclaw.config.redaction.secret_values import known_secrets
from openclaw.config.refusal import refusals
from openclaw.config.schema import Config, LoggingConfig
from openclaw.config.writing.rewrite import broken
from openclaw.gateway.calls import read_credentials
from openclaw.gateway.credential_row import tell_credential
from openclaw.gateway.outcome import Outcome
from openclaw.gateway.rooms import Rooms
from openclaw.gateway.workrooms import agent_directory
from openclaw.net.certificate import Pair
from openclaw.telemetry import log as logs
from openclaw.telemetry.health import Standing
from openclaw.telemetry.redact import REDACTOR
from openclaw.tools.registry import ToolRegistry

_log = logging.getLogger("openclaw.gateway")


async def reload(rooms: Rooms, load_again: Callable[[], Awaitable[Loaded]], *, verbose: bool, quiet: bool) -> Outcome:
    """Read the configuration again and apply what can be applied live. `load_again` raises for what may not start."""
    try:
        loaded = await load_again()
        _require_usable(loaded, rooms.loaded)
        outcome = await _take_up(rooms, loaded, verbose=verbose, quiet=quiet)
    except OpenClawError as error:
        return _refused(rooms, error.message)
    except Exception as error:  # noqa: BLE001  # whatever went wrong, what was in force is again
        _log.exception("config_change_crashed")
        return _refused(rooms, f"{type(error).__name__}: {error}")
    _keep(rooms, loaded)
    told, rooms.health.configuration = rooms.health.configuration, Standing(outcome.waiting)
    if outcome.applied or told != rooms.health.configuration:
        fields = {"applied": outcome.applied, "need_restart": outcome.waiting}
        _log.info("config_reloaded", extra={"fields": fields})
    return outcome


def _keep(rooms: Rooms, loaded: Loaded) -> None:
    """Keep what works for a start with a broken file; a full disk does not undo what is in force."""
    if loaded.source != "file":
        return
    try:
        lastgood.save(rooms.paths.last_good, loaded.standalone)
    except OSError as error:
        _log.error("config_last_good_not_kept", extra={"fields": {"why": error.strerror}})


def _require_usable(loaded: Loaded, running: Loaded) -> None:
    """Raises: ConfigError for a file that says less than the one in use."""
    if loaded.source == "last-good":
        raise ConfigError(f"{loaded.issues[0].message}; the running configuration stays")
    if loaded.source == "defaults" != running.source:
        raise ConfigError(f"{loaded.path} is gone; the running configuration stays")
    if found := broken(loaded, running):
        raise ConfigError(f"{'; '.join(found)}; the running configuration stays")


def _refused(rooms: Rooms, why: str) -> Outcome:
    why = REDACTOR.clean(why)
    rooms.health.configuration = msgspec.structs.replace(rooms.health.configuration, problem=why)
    _log.error("config_not_reloaded", extra={"fields": {"why": why}})
    return Outcome(error=why)


async def _take_up(rooms: Rooms, loaded: Loaded, *, verbose: bool, quiet: bool) -> Outcome:
    changes = plan(rooms.config, loaded.config)
    if changes and rooms.config.gateway.reload.mode == "restart":
        return Outcome(waiting=tuple(change.path for change in changes))
    waiting = tuple(change.path for change in changes if change.reload == "process")
    loaded = msgspec.structs.replace(loaded, config=held(rooms.config, loaded.config))
    if stop := refusals(loaded):
        raise ConfigError(f"{stop[0].message}, until {', '.join(waiting)} takes effect by a restart")
    live = [change for change in changes if change.reload != "process"]
    if not live:
        await rooms.models.reload(loaded.config.models, loaded.env.get)  # variables outside the file may be others
        rooms.present.loaded = loaded
        rooms.grace.take_up()
        return Outcome(waiting=waiting)
    renewed = await _apply(rooms, loaded, live, verbose=verbose, quiet=quiet)
    return Outcome(tuple(change.path for change in live), waiting, renewed=renewed)


async def _apply(rooms: Rooms, loaded: Loaded, changes: list[Change], *, verbose: bool, quiet: bool) -> bool:
    """Return whether callers prove themselves by another shared credential now."""
    remember_secrets(loaded)
    touched = {change.path.split(".", 1)[0].split("[", 1)[0] for change in changes}
    tools = rooms.tooling.registry(loaded)  # always anew: an action's module may have been edited
    _require_actions(loaded.config, tools, rooms.tools)
    new = _Furniture(loaded, tools, agent_directory(loaded.config, tools, rooms.paths))
    old = _Furniture(rooms.loaded, rooms.tools, rooms.study.directory())
    certificate = await rooms.tls.prepare(Pair(*tls_files(loaded.config.gateway.tls, rooms.paths)))
    await tell_credential(rooms.store.shelf, loaded.config.gateway.auth, rooms.clock)
    steps = _steps(rooms, touched, verbose=verbose, quiet=quiet)
    try:
        for step in steps:
            await step(new)
    except Exception:
        for step in steps:
            try:
                await step(old)
            except Exception:  # noqa: BLE001  # the others must still go back
                _log.exception("config_not_put_back")
        raise
    rooms.tls.take(certificate)
    read_credentials(rooms.failover.credentials)
    rooms.failover.reset()
    auth = loaded.config.gateway.auth
    federation = rooms.federations.federation(loaded.config.gateway)
    renewed = rooms.authenticator.renew(auth.mode, auth.token, auth.password, rooms.grace.read(), federation)
    rooms.grace.arm()
    return renewed


def _require_actions(config: Config, new: ToolRegistry, old: ToolRegistry) -> None:
    """Raises: ConfigError for an action that cannot be loaded, unless it could not before."""
    found, known = new.problems(), old.problems()
    names = [action.name for action in config.actions if action.name in found and action.name not in known]
    if names:
        raise ConfigError("; ".join(f"the action {name} cannot be loaded: {found[name]}" for name in names))


class _Furniture(NamedTuple):
    """What changes with a reload."""

    loaded: Loaded
    tools: ToolRegistry
    directory: Directory


_Step = Callable[[_Furniture], Awaitable[None]]


def _steps(rooms: Rooms, touched: set[str], *, verbose: bool, quiet: bool) -> list[_Step]:
    """Return what must succeed, in order; each works in both directions."""

    async def logging_(to: _Furniture) -> None:
        if "logging" in touched:
            configure_logs(to.loaded.config.logging, rooms, verbose=verbose, quiet=quiet)

    async def models(to: _Furniture) -> None:
        await rooms.models.reload(to.loaded.config.models, to.loaded.env.get)

    async def agents(to: _Furniture) -> None:
        rooms.present.loaded, rooms.tools = to.loaded, to.tools
        rooms.study.reload(to.directory)

    async def automation(_: _Furniture) -> None:
        await rooms.automation.reloaded()

    async def mcp(to: _Furniture) -> None:
        if "mcp" in touched:
            await rooms.mcp.reload(to.loaded.config.mcp.servers)

    return [logging_, models, agents, automation, mcp]  # the last cuts off the servers that changed


def configure_logs(config: LoggingConfig, rooms: Rooms, *, verbose: bool, quiet: bool) -> None:
    """Install the log handlers that a configuration asks for; `quiet` keeps all but errors off the terminal."""
    logs.configure(
        level="debug" if verbose else config.level,
        style=config.console_style,
        logs_dir=rooms.paths.logs_dir,
        max_file_bytes=config.max_file_bytes,
        max_files=config.max_files,
        console_level="error" if quiet else None,
    )


def remember_secrets(loaded: Loaded) -> None:
    """Tell the redactor every secret that the configuration holds or names."""
    for secret in known_secrets(loaded):
        REDACTOR.add(secret)
