"""The tool that reads skills: the files of those that may be loaded, and nothing else."""

from __future__ import annotations

from typing import Annotated, NamedTuple, Protocol

from msgspec import Meta

from openclaw.base.errors import NotFound, PolicyDenied, ToolError
from openclaw.tools.action import Context, action, build_tool
from openclaw.tools.api import READ_SKILL, Tool

PAGE_CHARS = 60_000


class SkillText(NamedTuple):
    """A file of a skill. `outside` is by what way its text comes in; "" when an operator has vouched for it."""

    text: str
    outside: str


class SkillPort(Protocol):
    """The skills of a gateway, behind their door."""

    async def read(self, context: Context, name: str, path: str) -> SkillText:
        """Raises: NotFound, PolicyDenied, Unavailable."""
        ...


def skill_tools(skills: SkillPort) -> tuple[Tool, ...]:
    """Return the tool over these skills."""

    # Whose words a text is, only its skill tells: the tool says so itself, before the text is there.
    @action(name=READ_SKILL, result_bytes=4 * PAGE_CHARS + 1024, own_words=True)
    async def read_skill(
        name: Annotated[str, Meta(description="Name of the skill.", max_length=64)],
        context: Context,
        path: Annotated[str, Meta(description="File of the skill.", max_length=512)] = "SKILL.md",
        offset: Annotated[int, Meta(description="First character to read, from 0.", ge=0)] = 0,
    ) -> str:
        """Read a file of a skill, its SKILL.md first. Files are read-only. Long ones come in pages."""
        try:
            found = await skills.read(context, name, path)
        except (NotFound, PolicyDenied) as error:
            raise ToolError(f"{error.message}. {error.hint}") from error
        if found.outside:
            context.take_in(found.outside)
        text = found.text
        page = text[offset : offset + PAGE_CHARS]
        more = f"\n[more follows: read on with offset={offset + PAGE_CHARS}]" if len(text) > offset + PAGE_CHARS else ""
        return page + more

    return (build_tool(read_skill),)
