"""Skills in the house: their settings, and their door before a model reads one."""

from __future__ import annotations

import asyncio
from collections.abc import Container
from dataclasses import dataclass

from openclaw.agent.skill import ALL, FOLDER, Skill, Skills
from openclaw.base.errors import NotFound, PolicyDenied
from openclaw.base.principal import Principal
from openclaw.config.schema import Config
from openclaw.gateway.doors import Doors
from openclaw.gateway.present import Site
from openclaw.net.egress import Place
from openclaw.net.http import HttpClient
from openclaw.net.way import Way
from openclaw.ops.skill_desk import SkillDesk
from openclaw.ops.skill_git import ACTION, GitSource
from openclaw.policy.egress.door import Errand
from openclaw.policy.gatekeeper import Ask, Gatekeeper
from openclaw.policy.skill.door import FACT, KIND
from openclaw.policy.skill.gate import HINT, SkillGate
from openclaw.tools.action import Context
from openclaw.tools.builtin.skill import SkillText


def skills_of(config: Config, agent_id: str) -> Container[str]:
    """Return the names of skills that an agent may use: its own list narrows that of all."""
    own = next((agent.skills for agent in config.agents.list if agent.id == agent_id), None)
    house = config.agents.defaults.skills
    if own is None or house is None:
        return ALL if own is house else frozenset(own if own is not None else house or ())
    return frozenset(own) & frozenset(house)


def open_skills(site: Site) -> Skills:
    """Return the skills of the house, as the configuration of the moment wants them."""
    present, state_dir = site.present, site.paths.state_dir
    gate = SkillGate(state_dir, confines=lambda: present.config.skills.on_failure == "confine", clock=site.clock)
    return Skills(
        state_dir / FOLDER,
        lambda: present.loaded.env,
        lambda: present.loaded.parsed,
        gate,
        lambda agent_id: skills_of(present.config, agent_id),
    )


async def open_skill_desk(site: Site, skills: Skills, doors: Doors, http: HttpClient) -> SkillDesk:
    """Return the desk that changes them; what a crash broke off is brought to its end.

    Repositories are fetched from hosts that the operator has named for artifacts, or from the open web.
    """

    async def door(by: Principal, there: Place) -> Way:
        return await doors.egress.leave(by, Errand("artifacts", ACTION), there.host, there.port)

    desk = SkillDesk(skills, doors.gate, site.clock, GitSource(http, door))
    await asyncio.to_thread(desk.recover)
    return desk


@dataclass(frozen=True)
class SkillReading:
    """Implements SkillPort: the door is passed, with its row in the ledger, before the text is read."""

    skills: Skills
    gate: Gatekeeper

    async def read(self, context: Context, name: str, path: str) -> SkillText:
        """See SkillPort."""
        skill = await asyncio.to_thread(self.skills.named, context.workspace, name, context.agent_id)
        if not skill.listed:
            raise NotFound(f"the skill {skill.name} is not on this agent's list")
        ask = _ask(context, skill)
        verdict = await self.gate.admit(ask, once=True)
        if verdict.answer != "allow":
            raise PolicyDenied(
                f"the skill is not loaded: {verdict.reason} (rule {verdict.rule_id})",
                hint=HINT,
                details={"rule": verdict.rule_id, "kind": KIND},
            )
        return SkillText(await asyncio.to_thread(self.skills.read, skill, path), skill.outside)


def _ask(context: Context, skill: Skill) -> Ask:
    entry = skill.standing.entry
    return Ask(
        kind=KIND,
        principal=context.principal,
        action="skill.read",
        target=entry.name if entry else "",
        facts={FACT: skill.standing},
        written={"digest": entry.digest} if entry else {},
        tainted=bool(context.tainted),
        agent=context.agent_id,
        session=context.session_key,
        run=context.run_id,
    )
