"""Where everything lives on disk, decided once from the environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from openclaw.config.env import Environment, expand, home_dir, state_dir_of

if TYPE_CHECKING:
    from openclaw.config.schema import TlsConfig

SYSTEM_CONFIG = Path("/etc/openclaw/config.yaml")
"""Used when no path is named and the state directory holds no configuration: one file for a service."""


OWN_STATE: Final = ("agents", "backups", "channels", "credentials", "gateway", "logs", "snapshots", "trash")
"""Folders of the state directory that are the gateway's own; beside them lie workspaces, which are not."""


class StatePaths(msgspec.Struct, frozen=True):
    """Absolute paths of one gateway's state. Nothing is created here."""

    state_dir: Path
    config_path: Path
    db_path: Path
    logs_dir: Path
    workspace: Path
    """Default workspace; agents.defaults.workspace and an agent's own setting come before it."""
    cache_dir: Path
    """Model files, shared by every gateway of the user."""
    env_file: Path
    token: Path
    """File (0600) with the gateway token used when neither environment nor config names one."""
    identity: Path
    """File (0600) with the secret of the gateway's own ed25519 key, made when it is first needed."""
    last_good: Path
    """The last configuration that this gateway started with, in the form (JSON5, YAML) of the file."""


def is_yaml(path: Path) -> bool:
    """Whether a file is YAML, by its name; every other is JSON5."""
    return path.suffix.lower() in (".yaml", ".yml")


def resolve_paths(env: Environment, config_path: Path | None = None, system_config: Path = SYSTEM_CONFIG) -> StatePaths:
    """Apply OPENCLAW_HOME, _STATE_DIR, _CONFIG_PATH, _WORKSPACE_DIR, _CACHE_DIR and XDG_CACHE_HOME."""
    state = state_dir_of(env)
    chosen_config = env.get("OPENCLAW_CONFIG_PATH")
    if config_path is None:
        config_path = expand(env, chosen_config) if chosen_config else _own_or_system(state, system_config)
    workspace = env.get("OPENCLAW_WORKSPACE_DIR")
    return StatePaths(
        state_dir=state,
        config_path=config_path.absolute(),
        db_path=state / "openclaw.db",
        logs_dir=state / "logs",
        workspace=expand(env, workspace) if workspace else state / "workspace",
        cache_dir=_cache_dir(env),
        env_file=state / ".env",
        token=state / "credentials" / "gateway-token",
        identity=state / "credentials" / "gateway-identity",
        last_good=state / "snapshots" / ("last-good.yaml" if is_yaml(config_path) else "last-good.json"),
    )


def tls_files(tls: TlsConfig, paths: StatePaths) -> tuple[Path, Path]:
    """Return where the gateway's certificate and its key are; relative ones lie beside the configuration."""

    def place(given: str, own: str) -> Path:
        if not given:
            return paths.state_dir / "gateway" / "tls" / own
        # os.path, as Path.expanduser raises for a user that is not there: then the file is not there either.
        return paths.config_path.parent / os.path.expanduser(given)  # noqa: PTH111

    return place(tls.cert_path, "gateway-cert.pem"), place(tls.key_path, "gateway-key.pem")


def _own_or_system(state: Path, system_config: Path) -> Path:
    own = state / "openclaw.json"
    # os.path, as Path.exists raises for a folder that this user may not enter: such a file is not meant for them.
    return system_config if not os.path.exists(own) and os.path.exists(system_config) else own  # noqa: PTH110


def _cache_dir(env: Environment) -> Path:
    if own := env.get("OPENCLAW_CACHE_DIR"):
        return expand(env, own)
    shared = env.get("XDG_CACHE_HOME")
    # The XDG specification says to ignore relative values.
    base = Path(shared) if shared and Path(shared).is_absolute() else home_dir(env) / ".cache"
    return base / "openclaw" / "models"


def holds_state(folder: Path, state_dir: Path) -> bool:
    """Say whether the gateway's own files, with its secrets, lie in a folder, or the folder among them.

    Blocking: links are followed.
    """
    place, state = folder.resolve(), state_dir.resolve()
    return place in (state, *state.parents) or any(place.is_relative_to(state / name) for name in OWN_STATE)
