"""Commands of agents: what may run unasked, and what shuts it in."""

from __future__ import annotations

from collections.abc import Iterator

from openclaw.config.schema import Config, ExecConfig, SandboxConfig
from openclaw.ops.doctor.scene import Finding, Scene
from openclaw.policy.exec.rules import exec_config

INSTALL = (
    "Install bubblewrap (apt install bubblewrap) and let users make namespaces (sysctl user.max_user_namespaces=15000; "
    "on Ubuntu an AppArmor profile for bwrap), or name an image in agents.defaults.sandbox.docker.image."
)

DOCKER = "Start Docker, let the gateway's user call it, and have it get the image (docker pull); it pulls nothing."


def sandbox_findings(scene: Scene) -> Iterator[Finding]:
    """Report whether commands can run, who is asked, and whether anything holds them."""
    config = scene.loaded.config
    if not _any_runs(config):
        yield Finding(id="exec.policy", severity="ok", evidence="tools.exec.security is deny: no command runs")
        return
    yield from (_policy(where, rules) for where, rules in _rules(config))
    for where, sandbox in sandboxes(config):
        yield from _walls(where, sandbox, scene)


def needs_bubblewrap(config: Config) -> bool:
    """Say whether some command is to be shut in by bubblewrap."""
    return _any_runs(config) and any(
        sandbox.mode != "off" and not is_docker(sandbox) for _, sandbox in sandboxes(config)
    )


def images(config: Config) -> tuple[SandboxConfig, ...]:
    """Return one sandbox for each image that commands are to run in."""
    if not _any_runs(config):
        return ()
    named = {each.docker.image: each for _, each in sandboxes(config) if each.mode != "off" and is_docker(each)}
    return tuple(each for image, each in named.items() if image)


def walls_problem(sandbox: SandboxConfig, scene: Scene) -> str:
    """Say why the walls of a sandbox cannot be put up, or nothing."""
    if sandbox.mode == "off":
        return ""
    return scene.docker_problems.get(sandbox.docker.image, "") if is_docker(sandbox) else scene.wall_problem


def is_docker(sandbox: SandboxConfig) -> bool:
    """Say whether commands are to run in containers."""
    return sandbox.backend == "docker" or (sandbox.backend == "auto" and bool(sandbox.docker.image))


def _any_runs(config: Config) -> bool:
    """Say whether some agent may run a command at all."""
    return any(rules.security != "deny" for _, rules in _rules(config))


def _rules(config: Config) -> Iterator[tuple[str, ExecConfig]]:
    """Yield what holds for all agents' commands, and for those of an agent with settings of its own."""
    yield "tools.exec", config.tools.exec
    for at, agent in enumerate(config.agents.list):
        if agent.tools.exec is not None:
            yield f"agents.list[{at}].tools.exec", exec_config(config, agent.id)


def _policy(where: str, rules: ExecConfig) -> Finding:
    evidence = f"{where}.security is {rules.security}, {where}.ask is {rules.ask}"
    if rules.security == "full" and rules.ask == "off":
        fix = f"openclaw config set {where}.security allowlist, and name what may run in {where}.allowlist"
        return Finding(id="exec.policy", severity="warning", evidence=f"{evidence}: any command runs unasked", fix=fix)
    return Finding(id="exec.policy", severity="ok", evidence=evidence)


def sandboxes(config: Config) -> Iterator[tuple[str, SandboxConfig]]:
    """Return every sandbox of the configuration, with where it stands."""
    yield "agents.defaults.sandbox", config.agents.defaults.sandbox
    for agent in config.agents.list:
        if agent.sandbox is not None:
            yield f"the sandbox of agent {agent.id}", agent.sandbox


def _walls(where: str, sandbox: SandboxConfig, scene: Scene) -> Iterator[Finding]:
    if sandbox.mode != "all":
        yield Finding(
            id="sandbox.off",
            severity="warning",
            evidence=f"{where}: mode {sandbox.mode} lets commands run without walls, with all rights of the gateway",
            fix="openclaw config set agents.defaults.sandbox.mode all",
        )
    if sandbox.mode == "off":
        return
    docker, image = is_docker(sandbox), sandbox.docker.image
    if docker and not image:
        yield Finding(
            id="sandbox.image",
            severity="error",
            evidence=f"{where}: backend docker without docker.image: no command can run",
            fix="openclaw config set agents.defaults.sandbox.docker.image NAME, an image that Docker has",
        )
        return
    problem = walls_problem(sandbox, scene)
    if not problem:
        by = f"containers of {image} shut" if docker else "bubblewrap shuts"
        yield Finding(id="sandbox.walls", severity="ok", evidence=f"{where}: {by} commands in")
        return
    stops = docker or sandbox.backend == "bubblewrap"
    then = "no command can run" if stops else "every command is asked about, and runs unheld"
    yield Finding(
        id="sandbox.walls",
        severity="error" if stops else "warning",
        evidence=f"{where}: {problem}; so {then}",
        fix=DOCKER if docker else INSTALL,
    )
