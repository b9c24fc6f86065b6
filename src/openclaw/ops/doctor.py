"""The doctor: checks that look, name what is wrong with the evidence, and say how to mend it. It changes nothing.

The report is made to be pasted into a ticket: no check ever puts a secret into a finding.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from openclaw.base.errors import OpenClawError, Unauthorized, Unavailable

if TYPE_CHECKING:
    from openclaw.config.load import Loaded
    from openclaw.config.paths import StatePaths

Severity = Literal["ok", "info", "warning", "error"]
DISK_WARN_BYTES = 1_000_000_000
DISK_FAIL_BYTES = 100_000_000


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One check's outcome. `evidence` is what was seen; `fix` is what to do, empty when all is well."""

    id: str
    severity: Severity
    evidence: str
    fix: str = ""


@dataclass(frozen=True)
class Scene:
    """What the checks look at.

    `embedded_model` finds a local model's file; `model_problem` says why the default model cannot be called; `probe`
    asks the gateway's health endpoint and raises what the client raises.
    """

    paths: StatePaths
    loaded: Loaded
    default_model: str
    model_problem: str
    embedded_model: Callable[[str], Path | None]
    probe: Callable[[], Mapping[str, Any]]


def examine(scene: Scene) -> list[Finding]:
    """Run every check, in the order in which one would mend."""
    return [
        *config_findings(scene.loaded),
        *state_findings(scene.paths),
        *disk_findings(scene.paths.state_dir),
        *token_findings(scene),
        *model_findings(scene),
        *gateway_findings(scene),
    ]


def config_findings(loaded: Loaded) -> Iterator[Finding]:
    """Report the file, where it came from, and each issue with its line."""
    if not loaded.exists:
        yield Finding(
            id="config.file",
            severity="info",
            evidence=f"{loaded.path} does not exist; the defaults are in force",
            fix="`openclaw up` writes one with a strong token.",
        )
        return
    if loaded.source == "last-good":
        yield Finding(
            id="config.file",
            severity="error",
            evidence=f"{loaded.path} cannot be used; the last good configuration is in force",
            fix="Mend what `openclaw config validate` names.",
        )
    elif not loaded.issues:
        yield Finding(id="config.file", severity="ok", evidence=f"{loaded.path} is valid")
    for issue in loaded.issues:
        where = f"line {issue.line}: " if issue.line else ""
        yield Finding(
            id=f"config.{issue.kind}",
            severity="error" if issue.severity == "error" else "warning",
            evidence=f"{where}{issue.path}: {issue.message}" if issue.path else f"{where}{issue.message}",
            fix=issue.hint or "Edit the file at that line.",
        )


def state_findings(paths: StatePaths) -> Iterator[Finding]:
    """Report the state directory's presence, owner, mode and writability, and the modes of files with secrets."""
    folder = paths.state_dir
    if not folder.is_dir():
        yield Finding(
            id="state.dir", severity="info", evidence=f"{folder} does not exist yet", fix="`openclaw up` makes it."
        )
        return
    facts = folder.stat()
    mode = stat.S_IMODE(facts.st_mode)
    if facts.st_uid != os.getuid():
        yield Finding(
            id="state.owner",
            severity="warning",
            evidence=f"{folder} belongs to user {facts.st_uid}, you are {os.getuid()}",
            fix=f"Run openclaw as its owner, or: chown -R {os.getuid()} {folder}",
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        yield Finding(
            id="state.writable",
            severity="error",
            evidence=f"{folder} cannot be written",
            fix="Give its owner write permission, or set OPENCLAW_STATE_DIR.",
        )
    if mode & 0o077:
        yield Finding(
            id="state.mode",
            severity="warning",
            evidence=f"{folder} has mode {mode:04o}: others can look inside",
            fix=f"chmod 700 {folder}",
        )
    else:
        yield Finding(id="state.mode", severity="ok", evidence=f"{folder} is private")
    for path in (paths.config_path, paths.env_file, paths.db_path, paths.token):
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            yield Finding(
                id="state.file-mode",
                severity="warning",
                evidence=f"{path} may hold secrets and others can read it",
                fix=f"chmod 600 {path}",
            )


def token_findings(scene: Scene) -> Iterator[Finding]:
    """Report whether callers must prove who they are, and with how strong a secret."""
    from openclaw.config.refusal import MIN_SECRET_CHARS, binds_loopback_only, is_weak, refusals

    for refusal in refusals(scene.loaded):
        yield Finding(id="gateway.refuses", severity="error", evidence=refusal.message, fix=refusal.hint)
    gateway = scene.loaded.config.gateway
    auth = gateway.auth
    if auth.mode == "none":
        if binds_loopback_only(gateway):
            yield Finding(
                id="gateway.auth",
                severity="warning",
                evidence="gateway.auth.mode is none: every program on this machine may use the gateway",
                fix="openclaw config set gateway.auth.mode token",
            )
        return
    secret = auth.password if auth.mode == "password" else auth.token
    where = scene.loaded.sources.get(f"gateway.auth.{auth.mode}", "default")
    if not secret:
        yield Finding(
            id="gateway.token",
            severity="warning",
            evidence=f"no {auth.mode} is configured",
            fix=f"The gateway makes one at its start; or set OPENCLAW_GATEWAY_{auth.mode.upper()}.",
        )
    elif is_weak(secret):
        yield Finding(
            id="gateway.token",
            severity="warning",
            evidence=f"the {auth.mode} from {where} is weak ({len(secret)} characters)",
            fix=f"Use at least {MIN_SECRET_CHARS} random characters, e.g. from: openssl rand -hex 32",
        )
    else:
        yield Finding(
            id="gateway.token",
            severity="ok",
            evidence=f"a strong {auth.mode} ({secret.fingerprint()}) comes from {where}",
        )


def model_findings(scene: Scene) -> Iterator[Finding]:
    """Report whether the default model can be called: its provider, and its file if it is a local one."""
    ref = scene.default_model
    provider, _, model = ref.partition("/")
    if provider == "embedded" and scene.embedded_model(model) is None:
        yield Finding(
            id="model.file",
            severity="error",
            evidence=f"{ref} is the default model and its file is not here",
            fix=f"openclaw models pull {model}, or set a provider's key (ANTHROPIC_API_KEY, OPENAI_API_KEY)",
        )
    elif scene.model_problem:
        yield Finding(
            id="model.default",
            severity="error",
            evidence=f"{ref} is the default model: {scene.model_problem}",
            fix="`openclaw models list` names what works; `openclaw models set` chooses one.",
        )
    else:
        yield Finding(id="model.default", severity="ok", evidence=f"{ref} can be called")


def disk_findings(folder: Path) -> Iterator[Finding]:
    """Report the room left where the state lives."""
    place = next((each for each in (folder, *folder.parents) if each.exists()), Path("/"))
    free = shutil.disk_usage(place).free
    seen = f"{free / 1e9:.1f} GB free at {place}"
    if free >= DISK_WARN_BYTES:
        yield Finding(id="disk.space", severity="ok", evidence=seen)
        return
    severity: Severity = "error" if free < DISK_FAIL_BYTES else "warning"
    yield Finding(
        id="disk.space", severity=severity, evidence=seen, fix="Free some space, or move the state directory."
    )


def gateway_findings(scene: Scene) -> Iterator[Finding]:
    """Report whether the gateway answers on its port, and whether it is ours."""
    port = scene.loaded.config.gateway.port
    try:
        answer = scene.probe()
    except Unauthorized as error:
        yield Finding(id="gateway.token-parity", severity="error", evidence=error.message, fix=error.hint)
        return
    except Unavailable as error:
        yield Finding(
            id="gateway.reachable",
            severity="info",
            evidence=error.message,
            fix="`openclaw gateway` starts it; `openclaw logs` shows why it ended.",
        )
        return
    except OpenClawError as error:
        answer = {"error": error.message}
    if answer.get("ok") is not True:
        yield Finding(
            id="gateway.port",
            severity="error",
            evidence=f"something else answers on port {port}",
            fix="Stop it, or set gateway.port to a free port.",
        )
    elif "version" not in answer:
        yield Finding(
            id="gateway.token-parity",
            severity="error",
            evidence=f"the gateway on port {port} does not accept the token of this state directory",
            fix="It may serve another state directory: compare `openclaw gateway token check` with its owner's.",
        )
    else:
        yield Finding(id="gateway.reachable", severity="ok", evidence=f"it answers, version {answer['version']}")
