"""The few configurations that the gateway will not start with (exit code 78), each with its exact fix."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from pathlib import Path

from openclaw.base.errors import ConfigError
from openclaw.base.secret import Secret
from openclaw.config.env import state_dir_of
from openclaw.config.load import Loaded
from openclaw.config.paths import holds_state
from openclaw.config.schema import GatewayConfig
from openclaw.config.vouching import problem_of

MIN_SECRET_CHARS = 32
_PLACEHOLDER = re.compile(
    r"change.?me|replace.?(me|with|this)|your[-_ ]|example|placeholder|insert[-_ ]", re.IGNORECASE
)
_FRESH = 'python3 -c "import secrets; print(secrets.token_urlsafe(32))"'


def refusals(loaded: Loaded) -> list[ConfigError]:
    """Return why the gateway must not start; empty when it may."""
    gateway = loaded.config.gateway
    found: list[ConfigError] = []
    if gateway.bind == "custom" and not _is_address(gateway.custom_bind_host):
        found.append(
            _refusal(
                loaded,
                "gateway.customBindHost",
                "gateway.bind is custom, but gateway.customBindHost is no IP address",
                "Set gateway.customBindHost to an address of this machine, or gateway.bind to loopback.",
            )
        )
    elif not binds_loopback_only(gateway):
        found.extend(_exposed(loaded))
    if _serves_state(loaded):
        found.append(
            _refusal(
                loaded,
                "gateway.controlUi.root",
                "gateway.controlUi.root is where the gateway keeps its secrets: it would serve them to anybody",
                "Set gateway.controlUi.root to the folder of a built UI that holds nothing else, or remove it.",
            )
        )
    found.extend(_open_workspaces(loaded))
    return found


def workspaces(loaded: Loaded) -> Iterator[tuple[str, Path]]:
    """Yield each setting of a workspace with the folder that it means."""
    agents = loaded.config.agents
    named = [("agents.defaults.workspace", agents.defaults.workspace)]
    named += [(f"agents.list[{at}].workspace", agent.workspace) for at, agent in enumerate(agents.list)]
    for path, text in named:
        if text:
            yield path, Path(text).expanduser().absolute().resolve()


def _open_workspaces(loaded: Loaded) -> Iterator[ConfigError]:
    """Yield a refusal for each agent whose file tools would reach the gateway's own files.

    A workspace above the state directory is none: the tools do not enter that (`policy.files`).
    """
    state, config = state_dir_of(loaded.env).resolve(), loaded.path.resolve()
    for path, place in workspaces(loaded):
        above = state != place and state.is_relative_to(place)
        inside = holds_state(place, state) and not above
        if inside or (config.is_relative_to(place) and not config.is_relative_to(state)):
            yield _refusal(
                loaded,
                path,
                f"{path} holds the gateway's state or its configuration: agents could read and change them",
                "Name a folder that holds nothing but the agent's files, e.g. ~/openclaw-workspace.",
            )


def _serves_state(loaded: Loaded) -> bool:
    ui = loaded.config.gateway.control_ui
    if not ui.enabled or not ui.root:
        return False
    root = (loaded.path.parent / Path(ui.root).expanduser()).resolve()
    return holds_state(root, state_dir_of(loaded.env)) or loaded.path.resolve().is_relative_to(root)


def binds_loopback_only(gateway: GatewayConfig) -> bool:
    """Whether only programs on this machine can reach the gateway."""
    if gateway.bind != "custom":
        return gateway.bind == "loopback"
    try:
        return ipaddress.ip_address(gateway.custom_bind_host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_weak(secret: Secret) -> bool:
    """Whether a secret is too short, a placeholder from some guide, or has next to no variety."""
    text = secret.reveal()
    return len(text) < MIN_SECRET_CHARS or len(set(text)) < 8 or _PLACEHOLDER.search(text) is not None


def _exposed(loaded: Loaded) -> list[ConfigError]:
    auth = loaded.config.gateway.auth
    path = "gateway.auth.password" if auth.mode == "password" else "gateway.auth.token"
    secret = auth.password if auth.mode == "password" else auth.token
    if auth.mode not in ("token", "password", "none"):
        problem = problem_of(loaded.config.gateway)
        hint = "Complete the settings of gateway.auth, or set gateway.bind to loopback."
        return [_refusal(loaded, "gateway.auth.mode", problem, hint)] if problem else []
    if auth.mode == "none":
        what = "gateway.auth.mode is none, and the gateway would listen beyond this machine"
        hint = "Set gateway.auth.mode to token and a token of 32 or more characters, or gateway.bind to loopback."
        return [_refusal(loaded, "gateway.auth.mode", what, hint)]
    unresolved = next(
        (issue for issue in loaded.issues if issue.path == path and issue.kind == "unresolved-secret"), None
    )
    # A token of our own making in its place would let nobody in that the operator thinks of.
    if unresolved and unresolved.severity == "error" and not loaded.sources.get(path, "").startswith("OPENCLAW_"):
        hint = (
            f"Mend the reference at {path}, or set OPENCLAW_GATEWAY_{auth.mode.upper()}, or gateway.bind to loopback."
        )
        return [_refusal(loaded, path, f"the gateway would listen beyond this machine: {unresolved.message}", hint)]
    if not secret:
        what = f"the gateway would listen beyond this machine without a shared secret: {path} is not set"
        hint = f"Set {path} (OPENCLAW_GATEWAY_{auth.mode.upper()}), for example to the output of: {_FRESH}"
        return [_refusal(loaded, path, what, hint)]
    if is_weak(secret):
        where = loaded.sources.get(path, "default")
        what = f"{path} (from {where}) is too weak for a gateway that listens beyond this machine"
        hint = f"Use at least {MIN_SECRET_CHARS} random characters, for example the output of: {_FRESH}"
        return [_refusal(loaded, path, what, hint)]
    return []


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True


def _refusal(loaded: Loaded, path: str, message: str, hint: str) -> ConfigError:
    return ConfigError(message, hint=hint, details={"path": path, "line": loaded.line_of(path)})
