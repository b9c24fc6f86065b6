"""A changed configuration taken up while the gateway runs: all of it, or nothing.

Rules
1. A file that cannot be parsed, or whose start the gateway would refuse, changes nothing; the log says why.
2. An unchanged configuration is a no-op.
3. New tools and agents are made first; only when all are there, the rooms are switched. A failure puts the old back.
4. Runs that are going keep what they began with.
5. Another shared credential holds from the next request on, and closes the clients that came by the old one.
6. Leaves of class `process` take effect at the next start; the log names them.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from openclaw.base.errors import OpenClawError
from openclaw.config import lastgood
from openclaw.config.load import Loaded
from openclaw.config.paths import tls_files
from openclaw.config.plan import Change, plan
from openclaw.config.redaction.secret_values import known_secrets
from openclaw.config.schema import LoggingConfig
from openclaw.gateway.calls import read_credentials
from openclaw.gateway.outcome import Outcome
from openclaw.gateway.rooms import Rooms, agent_directory
from openclaw.net.certificate import Pair
from openclaw.telemetry import log as logs
from openclaw.telemetry.redact import REDACTOR

_log = logging.getLogger("openclaw.gateway")


async def reload(rooms: Rooms, load_again: Callable[[], Awaitable[Loaded]], *, verbose: bool, quiet: bool) -> Outcome:
    """Read the configuration again and apply what can be applied live. `load_again` raises for what may not start."""
    try:
        loaded = await load_again()
    except OpenClawError as error:
        return _refused(error.message)
    if loaded.source == "last-good":
        return _refused("the file cannot be parsed; the running configuration stays")
    changes = plan(rooms.config, loaded.config)
    if not changes:
        rooms.loaded = loaded
        rooms.grace.take_up()
        return Outcome()
    live = [change for change in changes if change.reload != "process"]
    waiting = tuple(change.path for change in changes if change.reload == "process")
    try:
        renewed = await _apply(rooms, loaded, live, verbose=verbose, quiet=quiet)
    except OpenClawError as error:
        return _refused(error.message)
    lastgood.save(rooms.paths.last_good, loaded.standalone)
    outcome = Outcome(tuple(change.path for change in live), waiting, renewed=renewed)
    _log.info("config_reloaded", extra={"fields": {"applied": outcome.applied, "need_restart": waiting}})
    return outcome


def _refused(why: str) -> Outcome:
    _log.error("config_not_reloaded", extra={"fields": {"why": why}})
    return Outcome(error=why)


async def _apply(rooms: Rooms, loaded: Loaded, changes: list[Change], *, verbose: bool, quiet: bool) -> bool:
    """Return whether callers prove themselves by another shared credential now."""
    old = rooms.loaded
    remember_secrets(loaded)
    touched = {change.path.split(".", 1)[0].split("[", 1)[0] for change in changes}
    tools = rooms.tooling.registry(loaded)  # always anew: an action's module may have been edited
    directory = agent_directory(loaded.config, tools, rooms.paths)
    certificate = await rooms.tls.prepare(Pair(*tls_files(loaded.config.gateway.tls, rooms.paths)))
    try:
        if "models" in touched:
            await rooms.models.reload(loaded.config.models, loaded.env.get)
        if "mcp" in touched:
            await rooms.mcp.reload(loaded.config.mcp.servers)
        if "logging" in touched:
            configure_logs(loaded.config.logging, rooms, verbose=verbose, quiet=quiet)
        rooms.study.reload(directory)
    except Exception:
        await rooms.models.reload(old.config.models, old.env.get)
        await rooms.mcp.reload(old.config.mcp.servers)
        configure_logs(old.config.logging, rooms, verbose=verbose, quiet=quiet)
        raise
    rooms.loaded, rooms.tools = loaded, tools
    rooms.tls.take(certificate)
    read_credentials(rooms.failover.credentials)
    rooms.failover.reset()
    auth = loaded.config.gateway.auth
    renewed = rooms.authenticator.renew(auth.mode, auth.token, auth.password, rooms.grace.read())
    rooms.grace.arm()
    await rooms.automation.reloaded()
    return renewed


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
