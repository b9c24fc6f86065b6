"""Skills: what was audited is what lies there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from openclaw.agent.skill import FOLDER, folders
from openclaw.base.errors import ConfigError
from openclaw.ops.doctor.scene import Finding, Scene
from openclaw.policy.skill.gate import SkillGate

MAX_NAMED = 20


def skill_folders(scene: Scene) -> Iterator[Path]:
    """Return the folders of all skills that lie there."""
    state = scene.paths.state_dir
    workspaces = {Path(agent.workspace).expanduser() for agent in scene.loaded.config.agents.list if agent.workspace}
    for place in (state, *sorted({scene.paths.workspace, *workspaces})):
        yield from folders(place / FOLDER)


def skill_findings(scene: Scene) -> Iterator[Finding]:
    """Report skills that are not loaded: not audited, changed since, or failed."""
    state = scene.paths.state_dir
    gate = SkillGate(state, confines=lambda: scene.loaded.config.skills.on_failure == "confine")
    try:
        gate.lock()
    except ConfigError as error:
        yield Finding(id="skills.lock", severity="error", evidence=error.message, fix=error.hint)
        return
    standings = {gate.key(folder): gate.standing(folder) for folder in skill_folders(scene)}
    blocked = {key: each for key, each in standings.items() if each.answer not in ("ready", "disabled")}
    for key, standing in list(blocked.items())[:MAX_NAMED]:
        yield Finding(
            id="skills.blocked",
            severity="warning",
            evidence=f"{key} is {'confined' if standing.loads else 'not loaded'}: {standing.why}",
            fix="`openclaw skills audit NAME` shows what is in it; `--lock` audits it and binds it to its content.",
        )
    if standings and not blocked:
        yield Finding(id="skills.blocked", severity="ok", evidence=f"{len(standings)} skills are as they were audited")
