"""skills.*: what skills there are. None is installed, changed or run from here."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from openclaw.agent.skill import FILE_NAME, Skill, Skills
from openclaw.base.errors import NotSupported
from openclaw.base.secret import masked
from openclaw.protocol.validate import Params
from openclaw.rpc.method import MethodSpec, Rate
from openclaw.rpc.peer import Peer
from openclaw.rpc.room import Room

READS = Rate(30, 3)
NotEmpty = Annotated[str, Meta(min_length=1, max_length=512)]


class SkillsStatusParams(Params, frozen=True):
    """Whose skills: those of the agent, or of the agent that a session belongs to; neither means the default agent."""

    agent_id: NotEmpty = ""
    session_key: NotEmpty = ""


class SkillsSearchParams(Params, frozen=True):
    """What to look for."""

    query: NotEmpty = ""
    limit: Annotated[int, Meta(ge=1, le=100)] = 20


class SkillsDetailParams(Params, frozen=True):
    """Names a skill of the public catalogue."""

    slug: NotEmpty


class SkillsLibraryListParams(Params, frozen=True):
    """Filters of an empty list."""

    session_key: NotEmpty = ""
    scope: Literal["mine", "team", "all"] = "all"


class SkillsInstallParams(Params, frozen=True):
    """What to install, in the words of either protocol."""

    name: str = ""
    install_id: str = ""
    source: str = ""
    slug: str = ""
    version: str = ""
    upload_id: str = ""
    sha256: str = ""
    force: bool = False
    dangerously_force_unsafe_install: bool = False
    agent_id: str = ""
    session_key: str = ""
    timeout_ms: Annotated[int, Meta(ge=0)] | UnsetType = UNSET


class SkillsUpdateParams(Params, frozen=True):
    """What to change of a skill."""

    skill_key: str = ""
    enabled: bool | UnsetType = UNSET
    api_key: str | UnsetType = UNSET
    env: dict[str, str] | UnsetType = UNSET
    source: str = ""
    slug: str = ""
    all: bool = False
    agent_id: str = ""

    __repr__ = masked


async def skills_status(room: Room, peer: Peer, params: SkillsStatusParams) -> dict[str, Any]:
    """Read the folders of an agent in a thread and judge what is there."""
    if params.session_key:
        agent_id = room.agent_of(room.session_key(params.session_key, params.agent_id))
    else:
        agent_id = room.deps.agent.resolve_agent(params.agent_id)
    workspace = next(agent.workspace for agent in room.deps.agent.agents() if agent.id == agent_id)
    skills = room.deps.skills
    found = [] if skills is None else await asyncio.to_thread(_rows, skills, Path(workspace))
    return {
        "workspaceDir": workspace,
        "managedSkillsDir": "" if skills is None else str(skills.managed),
        "agentId": agent_id,
        "skills": found,
    }


def _rows(skills: Skills, workspace: Path) -> list[dict[str, Any]]:
    return [_row(skill, skills) for skill in skills.of(workspace)]


def _row(skill: Skill, skills: Skills) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": skill.name,
        "description": skill.description,
        "source": skill.source,
        "bundled": False,
        "filePath": str(skill.folder / FILE_NAME),
        "baseDir": str(skill.folder),
        "skillKey": skill.key,
        "always": skill.always,
        "disabled": False,
        "blockedByAllowlist": False,
        "eligible": not skill.missing.os and (skill.always or not skill.missing),
        "requirements": skill.needs,
        "missing": skill.missing,
        "configChecks": [{"path": path, "satisfied": skills.is_set(path)} for path in skill.needs.config],
        "install": skill.install,
    }
    optional = {"emoji": skill.emoji, "homepage": skill.homepage, "primaryEnv": skill.primary_env}
    return row | {name: value for name, value in optional.items() if value}


def skills_search(room: Room, peer: Peer, params: SkillsSearchParams) -> dict[str, Any]:
    """Return nothing: no catalogue of strangers' skills is asked."""
    return {"results": []}


def skills_detail(room: Room, peer: Peer, params: SkillsDetailParams) -> dict[str, Any]:
    """Return no skill, for the same reason."""
    return {"skill": None, "latestVersion": None, "metadata": None, "owner": None}


def skills_library_list(room: Room, peer: Peer, params: SkillsLibraryListParams) -> dict[str, Any]:
    """Return an empty library."""
    return {"skills": []}


def skills_install(room: Room, peer: Peer, params: SkillsInstallParams) -> None:
    """Refuse."""
    raise NotSupported("this gateway installs no skills", hint="Put the skill's folder under the workspace's skills/.")


def skills_update(room: Room, peer: Peer, params: SkillsUpdateParams) -> None:
    """Refuse."""
    raise NotSupported("this gateway changes no skills", hint="Change or remove the skill's folder.")


METHODS = (
    MethodSpec(
        "skills.status",
        SkillsStatusParams,
        "operator.read",
        skills_status,
        "Lists the skills of an agent, from its workspace and the managed folder, and what each of them lacks.",
        "`{workspaceDir, managedSkillsDir, agentId, skills: [{name, description, source, bundled, filePath, baseDir, "
        "skillKey, emoji?, homepage?, always, disabled, blockedByAllowlist, eligible, requirements{bins, anyBins, env, "
        "config, os}, missing{}, configChecks[], install[]}]}`",
        rate=READS,
    ),
    MethodSpec(
        "skills.search",
        SkillsSearchParams,
        "operator.read",
        skills_search,
        "Searches a public catalogue of skills: none is connected.",
        "`{results: []}`",
        since=4,
    ),
    MethodSpec(
        "skills.detail",
        SkillsDetailParams,
        "operator.read",
        skills_detail,
        "Describes a skill of a public catalogue: none is connected.",
        "`{skill: null, latestVersion: null, metadata: null, owner: null}`",
        since=4,
    ),
    MethodSpec(
        "skills.library.list",
        SkillsLibraryListParams,
        "operator.read",
        skills_library_list,
        "Lists skills that people keep in a shared library: there is none.",
        "`{skills: []}`",
        since=4,
    ),
    MethodSpec(
        "skills.install",
        SkillsInstallParams,
        "operator.admin",
        skills_install,
        "Refused: skills are put into their folder by hand.",
        "An error with code NOT_SUPPORTED.",
    ),
    MethodSpec(
        "skills.update",
        SkillsUpdateParams,
        "operator.admin",
        skills_update,
        "Refused: skills are changed in their folder.",
        "An error with code NOT_SUPPORTED.",
    ),
)
