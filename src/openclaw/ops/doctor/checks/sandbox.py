"""Commands of agents: what may run unasked, and what shuts it in."""

from __future__ import annotations

from collections.abc import Iterator

from openclaw.config.schema import Config, SandboxConfig
from openclaw.ops.doctor.scene import Finding, Scene

INSTALL = (
    "Install bubblewrap (apt install bubblewrap) and let users make namespaces (sysctl user.max_user_namespaces=15000; "
    "on Ubuntu an AppArmor profile for bwrap), or name an image in agents.defaults.sandbox.docker.image."
)


def sandbox_findings(scene: Scene) -> Iterator[Finding]:
    """Report whether commands can run, who is asked, and whether anything holds them."""
    config = scene.loaded.config
    if config.tools.exec.security == "deny":
        yield Finding(id="exec.policy", severity="ok", evidence="tools.exec.security is deny: no command runs")
        return
    yield _policy(config)
    for where, sandbox in _sandboxes(config):
        yield from _walls(where, sandbox, scene.wall_problem)


def _policy(config: Config) -> Finding:
    rules = config.tools.exec
    evidence = f"tools.exec.security is {rules.security}, tools.exec.ask is {rules.ask}"
    if rules.security == "full" and rules.ask == "off":
        fix = "openclaw config set tools.exec.security allowlist, and name what may run in tools.exec.allowlist"
        return Finding(id="exec.policy", severity="warning", evidence=f"{evidence}: any command runs unasked", fix=fix)
    return Finding(id="exec.policy", severity="ok", evidence=evidence)


def _sandboxes(config: Config) -> Iterator[tuple[str, SandboxConfig]]:
    yield "agents.defaults.sandbox", config.agents.defaults.sandbox
    for agent in config.agents.list:
        if agent.sandbox is not None:
            yield f"the sandbox of agent {agent.id}", agent.sandbox


def _walls(where: str, sandbox: SandboxConfig, problem: str) -> Iterator[Finding]:
    if sandbox.mode != "all":
        yield Finding(
            id="sandbox.off",
            severity="warning",
            evidence=f"{where}: mode {sandbox.mode} lets commands run without walls, with all rights of the gateway",
            fix="openclaw config set agents.defaults.sandbox.mode all",
        )
    if sandbox.mode == "off":
        return
    if sandbox.backend == "docker" and not sandbox.docker.image:
        yield Finding(
            id="sandbox.image",
            severity="error",
            evidence=f"{where}: backend docker without docker.image: no command can run",
            fix="openclaw config set agents.defaults.sandbox.docker.image NAME, an image that Docker has",
        )
    if sandbox.backend == "docker" or (sandbox.backend == "auto" and sandbox.docker.image):
        return
    if not problem:
        yield Finding(id="sandbox.walls", severity="ok", evidence=f"{where}: bubblewrap shuts commands in")
        return
    then = "no command can run" if sandbox.backend == "bubblewrap" else "every command is asked about, and runs unheld"
    yield Finding(
        id="sandbox.walls",
        severity="error" if sandbox.backend == "bubblewrap" else "warning",
        evidence=f"{where}: {problem}; so {then}",
        fix=INSTALL,
    )
