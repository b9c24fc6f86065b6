"""Every place that holds the gateway's shared credential on this machine.

1. A *copy* is a place with the credential itself in it. `${NAME}` in the configuration is none: NAME's place is.
2. A copy is *owned* when openclaw wrote it, or may: the state directory's files, a JSON5 configuration that holds the
   text itself, the environment file of our service unit. The process environment and other people's files are not.
3. *Effective* is the copy that a gateway started here would use.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import msgspec

from openclaw.base.secret import Secret
from openclaw.config.env import Environment, parse_env
from openclaw.config.load import Loaded
from openclaw.config.paths import StatePaths, is_yaml
from openclaw.config.refusal import is_weak
from openclaw.ops.token.units import find_units

Kind = Literal["config", "config-env", "remote", "token-file", "env-file", "process", "unit", "unit-file"]
Mode = Literal["token", "password"]
VARIABLE: Final[dict[Mode, str]] = {"token": "OPENCLAW_GATEWAY_TOKEN", "password": "OPENCLAW_GATEWAY_PASSWORD"}


class Copy(msgspec.Struct, frozen=True):
    """One place. `where` is for people; `path` is the file, None for the process environment.

    Shape: `key` is the setting's path or the variable's name; `counts` says that the gateway of this state directory
    reads it; `owned` is rule 2.
    """

    kind: Kind
    where: str
    secret: Secret
    owned: bool
    path: Path | None = None
    key: str = ""
    counts: bool = True


def credential_mode(loaded: Loaded) -> Mode:
    """Return which of the two credentials the configuration uses; mode `none` keeps its token."""
    return "password" if loaded.config.gateway.auth.mode == "password" else "token"


def effective(loaded: Loaded) -> tuple[Secret | None, str]:
    """Return the credential that a gateway started here would use, and where it comes from."""
    mode = credential_mode(loaded)
    auth = loaded.config.gateway.auth
    found = auth.password if mode == "password" else auth.token
    return found, loaded.sources.get(f"gateway.auth.{mode}", "nowhere") if found else "nowhere"


def find_copies(
    paths: StatePaths, loaded: Loaded, env: Environment, cwd: Path, units: tuple[Path, ...] = ()
) -> list[Copy]:
    """Return every copy, in the order in which the gateway looks."""
    mode = credential_mode(loaded)
    name = VARIABLE[mode]
    found = [_of_environment(source, value, name, paths) for source, value in env.everywhere(name)]
    found += _of_config(loaded, mode, name)
    if mode == "token" and (text := _read(paths.token)):
        found.append(Copy("token-file", str(paths.token), Secret(text), _writable(paths.token), paths.token))
    found += _of_units(units, Path(env.get("HOME") or Path.home()), name)
    return found


def _of_environment(source: str, value: str, name: str, paths: StatePaths) -> Copy:
    if source == "process":
        return Copy("process", f"the environment variable {name}", Secret(value), False, None, name)
    path = Path(source)
    own = path == paths.env_file and _writable(path)
    return Copy("env-file", f"{name} in {path}", Secret(value), own, path, name)


def _of_config(loaded: Loaded, mode: Mode, name: str) -> list[Copy]:
    found: list[Copy] = []
    own = loaded.source == "file" and not is_yaml(loaded.path) and _writable(loaded.path)
    for key in (f"gateway.auth.{mode}", "gateway.remote.token"):
        text = _text_at(loaded.parsed, key)
        if not text or (key.startswith("gateway.remote") and (mode != "token" or not remote_is_here(loaded))):
            continue
        kind: Kind = "remote" if "remote" in key else "config"
        found.append(Copy(kind, f"{key} in {loaded.path}", Secret(text), own, loaded.path, key, kind == "config"))
    for key in (f"env.vars.{name}", f"env.{name}"):
        if text := _text_at(loaded.parsed, key):
            found.append(Copy("config-env", f"{key} in {loaded.path}", Secret(text), own, loaded.path, key))
    return found


def _of_units(folders: tuple[Path, ...], home: Path, name: str) -> list[Copy]:
    found: list[Copy] = []
    for unit in find_units(folders, home):
        if value := unit.environment.get(name):
            found.append(Copy("unit", f"{name} in the unit {unit.path}", Secret(value), False, unit.path, name))
        for path in unit.environment_files:
            value = parse_env(_read(path))[0].get(name, "")
            if value:
                where = f"{name} in {path}, which the unit {unit.path.name} reads"
                found.append(Copy("unit-file", where, Secret(value), _writable(path), path, name))
    return found


def remote_is_here(loaded: Loaded) -> bool:
    """Say whether `gateway.remote` names the gateway of this state directory: only then its token is a copy of ours."""
    gateway = loaded.config.gateway
    if not gateway.remote.url:
        return True
    parts = urlsplit(gateway.remote.url if "://" in gateway.remote.url else f"ws://{gateway.remote.url}")
    try:
        port = parts.port or (443 if parts.scheme in ("wss", "https") else 80)
    except ValueError:
        return False
    return (parts.hostname or "") in {"127.0.0.1", "::1", "localhost"} and port == gateway.port


def disagreeing(copies: list[Copy], right: Secret | None) -> list[Copy]:
    """Return the copies that hold another credential than the effective one."""
    return [copy for copy in copies if right is not None and copy.secret != right]


def alignable(copies: list[Copy], right: Secret | None, source: str) -> list[Copy]:
    """Return the copies that may be given the credential that counts without asking anybody.

    None when it is not sure what counts: for a variable of this shell, which the gateway need not have, and for a
    service unit that says otherwise. A weak credential is not spread.
    """
    wrong = disagreeing(copies, right)
    unsure = source.endswith("(process)") or any(copy.kind in ("unit", "unit-file") for copy in wrong)
    if right is None or unsure or is_weak(right):
        return []
    return [copy for copy in wrong if copy.owned and copy.path is not None]


def _text_at(parsed: Any, key: str) -> str:
    value = parsed
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value if isinstance(value, str) and "${" not in value and "{{" not in value else ""


def _read(path: Path) -> str:
    try:
        return path.read_bytes()[:100_000].decode(errors="replace").strip()
    except OSError:
        return ""


def _writable(path: Path) -> bool:
    """A file of another user is not ours even for root: replacing it would take it away from its owner."""
    try:
        return path.stat().st_uid == os.getuid() and os.access(path, os.W_OK)
    except OSError:
        return False
