"""From paths and environment to the service that is wanted."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from openclaw.base.errors import NotFound
from openclaw.config.env import DOCUMENTED_VARIABLES, Environment, expand
from openclaw.config.paths import StatePaths
from openclaw.ops.service.plan import ENV_FILE, MEMORY_MAX, Scope, Service

SYSTEM_STATE: Final = Path("/var/lib/openclaw")
SYSTEM_USER: Final = "openclaw"
_PLACES: Final = ("OPENCLAW_CONFIG_PATH", "OPENCLAW_WORKSPACE_DIR", "OPENCLAW_CACHE_DIR")
_SEARCH: Final = "/usr/local/bin:/usr/bin:/bin"


def wish(
    scope: Scope,
    paths: StatePaths,
    env: Environment,
    *,
    python: str,
    user: str = "",
    port: int | None = None,
    memory_max: str = MEMORY_MAX,
    workspaces: Iterable[Path] = (),
) -> Service:
    """Return the service for a state directory as this process sees it. Shape: `python` is the interpreter to run."""
    program = Path(python)
    chosen = {name: str(expand(env, value)) for name in _PLACES if (value := env.get(name))}
    environment = {
        "OPENCLAW_STATE_DIR": str(paths.state_dir),
        # `~/…` in the configuration and the tools' PATH must not depend on who starts the service.
        "PATH": f"{program.parent}:{_SEARCH}",
        **chosen,
    }
    writable = [paths.state_dir, paths.workspace, paths.cache_dir, *workspaces]
    if not paths.config_path.is_relative_to("/etc"):
        writable.append(paths.config_path.parent)
    return Service(
        scope=scope,
        argv=(
            python,
            "-P",  # the working directory is no place to import from: agents write there
            *("-m", "openclaw", "gateway", "run"),
            *(("--port", str(port)) if port else ()),
        ),
        state_dir=paths.state_dir,
        env_file=paths.state_dir / ENV_FILE,
        writable=_outermost(writable),
        # A virtual environment's interpreter is a link, and its library lies elsewhere.
        readable=(program, program.resolve().parents[1], Path(__file__).parents[2], paths.config_path),
        environment=tuple(environment.items()),
        user=user,
        memory_max=memory_max,
    )


def _outermost(folders: Iterable[Path]) -> tuple[Path, ...]:
    kept: list[Path] = []
    for folder in sorted(set(folders), key=lambda each: len(each.parts)):
        if not any(folder.is_relative_to(other) for other in kept):
            kept.append(folder)
    return tuple(sorted(kept))


def service_user(chosen: str, get: Callable[[str], str | None]) -> pwd.struct_passwd:
    """Return whom a service of the system runs as: the one named, who called sudo, or the user `openclaw`.

    Raises: NotFound when there is no such user; never root unless it was named.
    """
    name = chosen or get("SUDO_USER") or (pwd.getpwuid(os.getuid()).pw_name if os.getuid() else "")
    if not chosen and name in ("", "root"):
        name = SYSTEM_USER
    try:
        return pwd.getpwnam(name)
    except KeyError:
        raise NotFound(
            f"there is no user {name!r} for the service to run as",
            hint=f"Name one with --run-as, or make it: useradd --system --home-dir {SYSTEM_STATE} {SYSTEM_USER}",
        ) from None


def forgotten(env: Environment, service_env: Iterable[str]) -> tuple[str, ...]:
    """Return the documented variables that this shell has and the service would lack, names only."""
    have = {*service_env, "OPENCLAW_STATE_DIR", "OPENCLAW_HOME", "OPENCLAW_SUPERVISED", *_PLACES}
    return tuple(name for name in DOCUMENTED_VARIABLES if env.source(name) == "process" and name not in have)
