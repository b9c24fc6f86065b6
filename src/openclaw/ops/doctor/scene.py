"""What the checks look at, and what they say. No check ever puts a secret into a finding."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

if TYPE_CHECKING:
    from openclaw.base.errors import OpenClawError
    from openclaw.config.env import Environment
    from openclaw.config.load import Loaded
    from openclaw.config.paths import StatePaths
    from openclaw.ops.service.drift import Drift
    from openclaw.ops.service.manager import ServiceState
    from openclaw.ops.service.plan import Scope

Severity = Literal["ok", "info", "warning", "error"]
RANK: Mapping[Severity, int] = {"ok": 0, "info": 1, "warning": 2, "error": 3}


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One check's outcome. `evidence` is what was seen; `fix` is what to do, empty when all is well.

    Shape: `patch` is the name of the patch with which `doctor --fix` mends it, or empty.
    """

    id: str
    severity: Severity
    evidence: str
    fix: str = ""
    patch: str = ""


class Deep(Protocol):
    """What only `--deep` asks, as it leaves this machine. Each answer is "" when all is well, else what is wrong."""

    def providers(self) -> Mapping[str, str]: ...

    def clock_skew_s(self) -> tuple[str, float] | None: ...


class Installed(msgspec.Struct, frozen=True, kw_only=True):
    """An installed service. `state` None = its manager does not say; `version` is its program's, "" = not known."""

    scope: Scope
    drift: Drift
    state: ServiceState | None = None
    version: str = ""


class Configured(Protocol):
    """What a check needs that looks at nothing but the settings."""

    @property
    def loaded(self) -> Loaded: ...

    @property
    def broken(self) -> OpenClawError | None: ...


@dataclass(frozen=True)
class Scene:
    """What the checks look at.

    Shape: `embedded_model` finds a local model's file; `model_problem` says why the default model cannot be called;
    `probe` asks the gateway's health endpoint and raises what the client raises; `broken` is why the configuration
    cannot be used at all (then `loaded` are the defaults); `proc` is the kernel's view, `units` are folders in which
    service units may lie.
    """

    paths: StatePaths
    loaded: Loaded
    default_model: str
    model_problem: str
    embedded_model: Callable[[str], Path | None]
    probe: Callable[[], Mapping[str, Any]]
    env: Environment
    """The process and the two .env files, without the configuration's own block."""
    now_ms: int
    uid: int
    cwd: Path
    version: str = ""
    broken: OpenClawError | None = None
    proc: Path = Path("/proc")
    units: tuple[Path, ...] = ()
    services: tuple[Installed, ...] = ()
    provider_problems: Mapping[str, str] = field(default_factory=dict)
    """Why configured model providers cannot be called, and what to do about each."""
    missing_extras: tuple[tuple[str, str], ...] = ()
    """What is configured and cannot be loaded: (setting, package)."""
    deep: Deep | None = None
    wall_problem: str = ""
    """Why bubblewrap cannot shut commands in here, or nothing."""
    docker_problems: Mapping[str, str] = field(default_factory=dict)
    """Why there can be no containers of an image, or nothing, by the image's name."""
