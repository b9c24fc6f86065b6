"""The built-in tools that need other rooms: those whose room is given, and no others."""

from __future__ import annotations

from openclaw.tools.api import Tool
from openclaw.tools.builtin.egress import Egress
from openclaw.tools.builtin.memory import Memory, memory_tools
from openclaw.tools.builtin.propose import ProposalPort, proposal_tools
from openclaw.tools.builtin.sessions import SessionPort, session_tools
from openclaw.tools.builtin.skill import SkillPort, skill_tools
from openclaw.tools.builtin.web import web_tools


def room_tools(
    *,
    memory: Memory | None = None,
    egress: Egress | None = None,
    sessions: SessionPort | None = None,
    proposals: ProposalPort | None = None,
    skills: SkillPort | None = None,
) -> tuple[Tool, ...]:
    """Return the tools over these rooms, for the registry's `more`."""
    return (
        *(memory_tools(memory) if memory else ()),
        *(web_tools(egress) if egress else ()),
        *(session_tools(sessions) if sessions else ()),
        *(proposal_tools(proposals) if proposals else ()),
        *(skill_tools(skills) if skills else ()),
    )
