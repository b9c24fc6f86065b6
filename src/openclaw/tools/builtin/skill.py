"""The tool that reads skills: the files of those that passed their audit, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Protocol

from msgspec import Meta

from openclaw.base.errors import NotFound, PolicyDenied, ToolError
from openclaw.tools.action import Context, action, build_tool
from openclaw.tools.api import Tool

PAGE_CHARS = 60_000


class SkillPort(Protocol):
    """The skills of a gateway (agent.skill.Skills)."""

    def read(self, workspace: Path, name: str, path: str) -> str:
        """Raises: NotFound, PolicyDenied."""
        ...


def skill_tools(skills: SkillPort) -> tuple[Tool, ...]:
    """Return the tool over these skills."""

    @action(result_bytes=4 * PAGE_CHARS + 1024)
    def read_skill(
        name: Annotated[str, Meta(description="Name of the skill.", max_length=64)],
        context: Context,
        path: Annotated[str, Meta(description="File of the skill.", max_length=512)] = "SKILL.md",
        offset: Annotated[int, Meta(description="First character to read, from 0.", ge=0)] = 0,
    ) -> str:
        """Read a file of a skill, its SKILL.md first. Files are read-only. Long ones come in pages."""
        try:
            text = skills.read(context.workspace, name, path)
        except (NotFound, PolicyDenied) as error:
            raise ToolError(f"{error.message}. {error.hint}") from error
        page = text[offset : offset + PAGE_CHARS]
        more = f"\n[more follows: read on with offset={offset + PAGE_CHARS}]" if len(text) > offset + PAGE_CHARS else ""
        return page + more

    return (build_tool(read_skill),)
