"""What commands of agents may do unasked, and what does not hold them."""

from __future__ import annotations

from collections.abc import Iterator

from openclaw.ops.doctor.checks.sandbox import INSTALL, sandboxes, walls_problem
from openclaw.ops.doctor.scene import Scene
from openclaw.ops.security_audit.rules import Finding, found


def command_findings(scene: Scene) -> Iterator[Finding]:
    """Report what tools.exec and the sandboxes leave open."""
    config = scene.loaded.config
    rules = config.tools.exec
    if rules.security == "deny":
        return
    if rules.security == "full":
        fix = "openclaw config set tools.exec.security allowlist, and name what may run in tools.exec.allowlist"
        asked = rules.ask == "always"
        seen = f"tools.exec.security is full, tools.exec.ask is {rules.ask}"
        yield found("tools.exec.security_full_configured", seen, fix, severity="warn" if asked else "critical")
    for where, sandbox in sandboxes(config):
        if sandbox.mode != "all":
            yield found(
                "sandbox.commands_without_walls",
                f"{where}: mode {sandbox.mode}",
                "openclaw config set agents.defaults.sandbox.mode all",
            )
        if sandbox.mode == "off" and sandbox.docker.image:
            yield found(
                "sandbox.docker_config_mode_off",
                f"{where}: docker.image is {sandbox.docker.image}, mode is off",
                "Set the mode to all, or take the image out.",
            )
        if sandbox.docker.binds:
            yield found(
                "sandbox.dangerous_bind_mount",
                f"{where}: docker.binds holds {', '.join(sandbox.docker.binds[:5])}",
                "Take out every bind that is not a folder below the workspace: with one of them no container starts.",
                severity="info",
            )
        if problem := walls_problem(sandbox, scene):
            yield found("sandbox.walls_missing", f"{where}: {problem}", INSTALL)
