"""Skills as they lie on disk: folders with a SKILL.md, read as data. Nothing of one is run here.

1. Links are not followed, and sizes and counts are bounded: a workspace is written by agents and strangers.
2. A skill of the workspace comes before a managed one of its name, unless only the managed one may be loaded.
3. The model is told name and description of each skill that loads, within a budget, and reads the rest with a tool:
   what it is told and what it reads are the bytes that were audited. Of a confined one it is told the name alone.
4. What a skill says is text from outside, unless an operator has vouched for that very content.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import sys
from collections.abc import Callable, Container, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from openclaw.base.errors import NotFound
from openclaw.base.ids import AgentId
from openclaw.config.env import Environment
from openclaw.policy.skill.audit import FILE_NAME
from openclaw.policy.skill.confined import confining
from openclaw.policy.skill.finding import shown
from openclaw.policy.skill.gate import Answer, SkillGate, Standing
from openclaw.policy.skill.head import MAX_HEAD_BYTES, Install, Needs, frontmatter, manifest
from openclaw.policy.skill.lock import Locked

FOLDER: Final = "skills"
MAX_SKILLS: Final = 200
"""Per folder of skills; the first by name."""
PROMPT_BYTES: Final = 8_192
"""What the list of skills may take of a prompt; what does not fit is counted in its last line."""
MAX_DESCRIPTION: Final = 300
HEADING: Final = """\
Skills:
- Each is a folder of instructions for one kind of task. When one fits, read it first: read_skill with its name."""

CONFINED: Final = "[its audit failed: a conversation that reads it can only read from then on]"
OUTSIDE: Final = "read_skill"

Source = Literal["openclaw-workspace", "openclaw-managed"]


class Skill(msgspec.Struct, frozen=True, kw_only=True):
    """One skill, and whether it could be used here. `listed`: the agent's own list, if it has one, names it."""

    name: str
    description: str
    source: Source
    folder: Path
    key: str
    emoji: str = ""
    homepage: str = ""
    primary_env: str = ""
    always: bool = False
    needs: Needs = Needs()
    missing: Needs = Needs()
    install: tuple[Install, ...] = ()
    standing: Standing = Standing("unaudited")
    listed: bool = True

    @property
    def lacks_nothing(self) -> bool:
        """Whether the machine has what it needs."""
        return not self.missing.os and (self.always or not self.missing)

    @property
    def usable(self) -> bool:
        """Whether the model is told of it."""
        return self.standing.loads and self.listed and self.lacks_nothing

    @property
    def outside(self) -> str:
        """By what way its text comes into a conversation; "" for what an operator has vouched for."""
        entry = self.standing.entry
        if entry is None or self.standing.answer == "confined":
            return confining(entry.name if entry else self.name)
        return "" if self.standing.vouched else OUTSIDE


class _All(Container[str]):
    def __contains__(self, name: object) -> bool:
        return True


ALL: Final[Container[str]] = _All()


class Skills:
    """The skills that one gateway knows. `config` returns the configuration as written. Blocks: use a thread.

    `lists` returns the names of skills that an agent may use.
    """

    def __init__(
        self,
        managed: Path,
        env: Callable[[], Environment],
        config: Callable[[], Mapping[str, Any]],
        gate: SkillGate,
        lists: Callable[[str], Container[str]] = lambda _: ALL,
    ) -> None:
        self.managed = managed
        self.gate = gate
        self._env = env
        self._config = config
        self._lists = lists

    def of(self, workspace: Path, agent_id: str = "") -> list[Skill]:
        """Return the skills of an agent with that workspace, by name; without its id, whatever its own list says."""
        listed = self._lists(agent_id) if agent_id else ALL
        found: dict[str, Skill] = {}
        for root, source in _roots(self.managed, workspace):
            for skill in map(self._judged, _read_all(root, source)):
                before = found.get(skill.name)
                if before is None or _RANK[skill.standing.answer] <= _RANK[before.standing.answer]:
                    found[skill.name] = msgspec.structs.replace(skill, listed=skill.name in listed)
        return [found[name] for name in sorted(found)]

    def named(self, workspace: Path, name: str, agent_id: str = "") -> Skill:
        """Return one skill. Raises: NotFound."""
        found = self.of(workspace, agent_id)
        # A name goes before a key: a key is what another skill says of itself.
        for skill in (*(each for each in found if each.name == name), *(each for each in found if each.key == name)):
            return skill
        raise NotFound(f"there is no skill {shown(name)}", hint="`openclaw skills list` shows those that there are.")

    def read(self, skill: Skill, path: str) -> str:
        """Return a text of a skill that loads. Raises: PolicyDenied."""
        return self.gate.read(skill.folder, path, skill.standing).decode("utf-8", "replace")

    async def prompt(self, agent_id: AgentId, workspace: Path) -> str:
        """Return what the model is told of its skills, the same bytes for the same skills; "" when it has none."""
        if not any(root.is_dir() for root, _ in _roots(self.managed, workspace)):
            return ""
        return await asyncio.to_thread(self._listed, workspace, agent_id)

    def _listed(self, workspace: Path, agent_id: str) -> str:
        lines = [
            f"- {entry.name}: {_told(skill.standing, entry)}"
            for skill in self.of(workspace, agent_id)
            if skill.usable and (entry := skill.standing.entry)
        ]
        kept: list[str] = []
        left = PROMPT_BYTES - len(HEADING) - 80
        for line in lines:
            left -= len(line.encode()) + 1
            if left < 0:
                kept.append(f"- [{len(lines) - len(kept)} more are not shown: their list is too long]")
                break
            kept.append(line)
        return "\n".join((HEADING, *kept)) if kept else ""

    def _judged(self, skill: Skill) -> Skill:
        needs, env = skill.needs, self._env()
        found_any = any(self._has(name) for name in needs.any_bins)
        missing = Needs(
            bins=tuple(name for name in needs.bins if not self._has(name)),
            any_bins=() if found_any else needs.any_bins,
            env=tuple(name for name in needs.env if not env.get(name)),
            config=tuple(path for path in needs.config if not self.is_set(path)),
            os=() if not needs.os or sys.platform in needs.os else needs.os,
        )
        return msgspec.structs.replace(skill, missing=missing, standing=self.gate.standing(skill.folder))

    def _has(self, program: str) -> bool:
        return os.sep not in program and shutil.which(program, path=self._env().get("PATH") or os.defpath) is not None

    def is_set(self, path: str) -> bool:
        """Say whether a setting has a value that is not empty, zero or false."""
        value: Any = self._config()
        for name in path.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        return bool(value)


_RANK: Final[Mapping[Answer, int]] = {
    "ready": 0,
    "confined": 1,
    "disabled": 2,
    "failed": 2,
    "changed": 2,
    "unaudited": 2,
}
"""Of two skills of one name, the lower counts; of equals, the workspace's."""


def _told(standing: Standing, entry: Locked) -> str:
    """Return what stands behind a name: of what failed its audit, no word of its author."""
    return CONFINED if standing.answer == "confined" else shown(entry.description, MAX_DESCRIPTION)


def _roots(managed: Path, workspace: Path) -> tuple[tuple[Path, Source], ...]:
    return (managed, "openclaw-managed"), (workspace / FOLDER, "openclaw-workspace")


def folders(root: Path) -> list[Path]:
    """Return the folders of skills below a root, the first MAX_SKILLS by name. Hidden ones are none."""
    try:
        with os.scandir(root) as entries:
            names = sorted(
                entry.name for entry in entries if entry.is_dir(follow_symlinks=False) and entry.name[0] != "."
            )
    except OSError:
        return []
    return [root / name for name in names[:MAX_SKILLS] if os.path.lexists(root / name / FILE_NAME)]


def _read_all(root: Path, source: Source) -> Iterator[Skill]:
    for folder in folders(root):
        head = _head(folder / FILE_NAME)
        if head is not None:
            yield read_skill(frontmatter(head), folder, source)


def _head(path: Path) -> str | None:
    """Return the beginning of a file that is one, no link."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            return file.read(MAX_HEAD_BYTES).decode("utf-8", "replace")
    except OSError:
        return None


def read_skill(head: Mapping[str, str], folder: Path, source: Source) -> Skill:
    """Return the skill that a head describes."""
    said = manifest(head, folder.name)
    return Skill(
        name=said.name,
        description=said.description,
        source=source,
        folder=folder,
        key=said.key,
        emoji=said.emoji,
        homepage=said.homepage,
        primary_env=said.primary_env,
        always=said.always,
        needs=said.needs,
        install=said.install,
    )
