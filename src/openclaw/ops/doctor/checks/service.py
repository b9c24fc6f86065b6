"""The installed service: whether it is what this openclaw would install, and the files that its units name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from openclaw.ops.doctor.checks.state import secret_files
from openclaw.ops.doctor.scene import Finding, Installed, Scene
from openclaw.ops.token.copies import VARIABLE
from openclaw.ops.token.units import find_units

_INSTALL = "openclaw gateway install"


def service_findings(scene: Scene) -> Iterator[Finding]:
    """Report what each installed service has to do with the one that would be installed now."""
    if not scene.services:
        yield Finding(id="service.unit", severity="info", evidence="no service is installed by openclaw")
    for one in scene.services:
        again = f"{'sudo ' if one.scope == 'system' else ''}{_INSTALL}{' --system' if one.scope == 'system' else ''}"
        yield from _unit_findings(one, again)
        yield from _skew_findings(one, again, scene)
        yield from _state_findings(one, again)


def _unit_findings(one: Installed, again: str) -> Iterator[Finding]:
    drift = one.drift
    if drift.state == "different":
        yield Finding(
            id="service.drift",
            severity="warning",
            evidence=f"{drift.path} differs from what this openclaw would write: {_differing(drift.changes)}",
            fix=f"{again} (the old file is kept beside it); settings of your own belong in a drop-in.",
        )
    for path in drift.missing:
        yield Finding(
            id="service.missing",
            severity="error",
            evidence=f"{drift.path} needs {path}, which is not there: it cannot start",
            fix=again,
        )
    if drift.state == "same" and not drift.missing:
        own = f", with drop-ins: {', '.join(Path(each).name for each in drift.overrides)}" if drift.overrides else ""
        yield Finding(id="service.unit", severity="ok", evidence=f"{drift.path} is as it would be written now{own}")


def _differing(changes: tuple[str, ...]) -> str:
    """Name the settings, never their values: somebody may have written a secret into the file."""
    lines = [line for line in changes if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    names = dict.fromkeys(line[1:].partition("=")[0].strip(" <>/") for line in lines if not line[1:].startswith("#"))
    return ", ".join(list(names)[:5]) or "its head" if lines else ", ".join(changes)


def _skew_findings(one: Installed, again: str, scene: Scene) -> Iterator[Finding]:
    if one.version and scene.version and one.version != scene.version:
        yield Finding(
            id="service.version",
            severity="warning",
            evidence=f"the service starts openclaw {one.version} ({one.drift.program}), this is {scene.version}",
            fix=f"{again}: then it starts this one. Or use the command of {Path(one.drift.program).parent}.",
        )
    port = scene.loaded.config.gateway.port
    if one.drift.port and one.drift.port != port:
        yield Finding(
            id="service.port",
            severity="warning",
            evidence=f"{one.drift.path} has the gateway listen on port {one.drift.port}, commands look on {port}",
            fix=f"openclaw config set gateway.port {one.drift.port}",
        )


def _state_findings(one: Installed, again: str) -> Iterator[Finding]:
    if one.state is not None and one.state.active == "failed":
        yield Finding(
            id="service.state",
            severity="error",
            evidence=f"the service has failed ({one.state.result or 'no reason is given'})",
            fix="`openclaw gateway logs` shows its last words; then: openclaw gateway start",
        )
    elif one.state is not None and one.state.stale:
        yield Finding(
            id="service.state",
            severity="warning",
            evidence=f"systemd has not read {one.drift.path} since it changed",
            fix=again,
        )


def unit_findings(scene: Scene) -> Iterator[Finding]:
    """Report units, also those of others' making, that hold a secret or name files that are missing or not private."""
    private = secret_files(scene.paths)
    for unit in find_units(scene.units, Path(scene.env.get("HOME") or "/")):
        for name in VARIABLE.values():
            if name in unit.environment:
                yield Finding(
                    id="service.secret",
                    severity="error",
                    evidence=f"{unit.path} holds {name} itself: unit files can be read by everybody",
                    fix="Move it to a file of mode 0600 that EnvironmentFile= names.",
                )
        for path in unit.environment_files:
            if not path.exists():
                if path not in unit.optional_files:
                    yield Finding(
                        id="service.environment",
                        severity="error",
                        evidence=f"{unit.path.name} reads {path}, which is not there",
                        fix="Make the file, or remove the EnvironmentFile= line.",
                    )
            elif path.stat().st_mode & 0o077 and path not in private:
                yield Finding(
                    id="service.environment",
                    severity="warning",
                    evidence=f"{path} may hold secrets and others can read it",
                    fix=f"chmod 600 {path}",
                )
