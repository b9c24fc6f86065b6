"""The memory tools: what an agent chose to remember for one owner, and its own notes, searched as one.

1. Memories belong to an owner and an agent: the caller's principal decides, never an argument.
2. Two rankings, the archive's and the notes', are fused by rank: 1 / (60 + rank), as their scores cannot be compared.
3. What is found may once have been said by a stranger: it comes back as data.
4. A repeated call (a run resumed after a crash) remembers once: the memory's id follows from the call's key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, NamedTuple, Protocol

from msgspec import Meta

from openclaw.base.clock import Clock
from openclaw.base.errors import ToolError
from openclaw.base.ids import AgentId, OwnerId, TenantId, new_id
from openclaw.store.api import MemoryRow
from openclaw.tools.action import Context, action, build_tool
from openclaw.tools.api import Tool
from openclaw.tools.notes import Passage, search_notes
from openclaw.tools.thread import in_thread
from openclaw.tools.untrusted import fenced

RANK_OFFSET = 60
"""Source: Cormack et al. 2009, reciprocal rank fusion."""
MEMORY_CHARS = 4_000
ID_CHARS = 12


class MemoryPort(Protocol):
    """The part of the archive that keeps memories; `store.api.Store` is one."""

    async def remember(self, row: MemoryRow, keep: int) -> None:
        """Add a memory and drop the oldest of its owner and agent beyond `keep`."""
        ...

    async def recall(
        self, query: str, *, owner: OwnerId, agent_id: AgentId, tenant: TenantId, limit: int = 10
    ) -> list[MemoryRow]:
        """Return what fits best, best first."""
        ...

    async def forget(self, memory_id: str, *, owner: OwnerId, agent_id: AgentId, tenant: TenantId) -> bool:
        """Delete a memory. Say whether it was there."""
        ...


class Memory(NamedTuple):
    """What the memory tools work on. `keep` says how many memories an agent may have per owner; 0 = none."""

    port: MemoryPort
    keep: Callable[[AgentId], int]
    clock: Clock


def memory_tools(memory: Memory) -> tuple[Tool, ...]:
    """Return the memory tools of a gateway."""

    @action
    async def memory_search(
        query: Annotated[str, Meta(description="What to look for, in a few words.", max_length=1_000)],
        context: Context,
        limit: Annotated[int, Meta(description="Most results.", ge=1, le=50)] = 8,
    ) -> str:
        """Search what was remembered earlier: memories, MEMORY.md and the notes in memory/. Best results first."""
        who = context.principal
        kept = await memory.port.recall(
            query, owner=who.owner, agent_id=context.agent_id, tenant=who.tenant, limit=limit
        )
        noted = await in_thread(search_notes, workspace=context.workspace, query=query, limit=limit)
        found = fused(kept, noted)[:limit]
        return fenced("memory", "\n\n".join(found)) if found else "Nothing about this is remembered."

    @action(writes=True)
    async def memory_write(
        text: Annotated[
            str,
            Meta(
                description="One fact, preference or decision, so that it is understood without this conversation.",
                min_length=1,
                max_length=MEMORY_CHARS,
            ),
        ],
        context: Context,
    ) -> str:
        """Remember something for later conversations with this user. Never remember passwords or keys."""
        keep = memory.keep(context.agent_id)
        if keep < 1:
            raise ToolError("This agent keeps no memories (agents.defaults.memory.size is 0).")
        if not text.strip():
            raise ToolError("The text is empty.")
        row = MemoryRow(
            id=_fresh_id(context.idempotency_key),
            agent_id=context.agent_id,
            tenant=context.principal.tenant,
            owner=context.principal.owner,
            text=text.strip(),
            created_at_ms=memory.clock.now_ms(),
            source=context.session_key,
        )
        await memory.port.remember(row, keep)
        return f"Remembered as {row.id}."

    @action(writes=True)
    async def memory_forget(
        memory_id: Annotated[str, Meta(description="The id that memory_search shows.", max_length=100)],
        context: Context,
    ) -> str:
        """Delete one memory by its id."""
        who = context.principal
        gone = await memory.port.forget(memory_id, owner=who.owner, agent_id=context.agent_id, tenant=who.tenant)
        if not gone:
            raise ToolError(f"There is no memory {memory_id!r}. memory_search shows the ids.")
        return f"Forgot {memory_id}."

    return tuple(map(build_tool, (memory_search, memory_write, memory_forget)))


def fused(kept: list[MemoryRow], noted: list[Passage]) -> list[str]:
    """Return both rankings as one list of lines, best first; a text that is in both counts twice and stands once."""
    scores: dict[str, float] = {}
    lines: dict[str, str] = {}
    for rank, row in enumerate(kept, start=1):
        scores[row.text] = scores.get(row.text, 0.0) + 1 / (RANK_OFFSET + rank)
        lines.setdefault(row.text, f"[memory {row.id}, {_day(row.created_at_ms)}] {row.text}")
    for rank, passage in enumerate(noted, start=1):
        scores[passage.text] = scores.get(passage.text, 0.0) + 1 / (RANK_OFFSET + rank)
        lines.setdefault(passage.text, f"[{passage.path}] {passage.text}")
    return [lines[text] for text in sorted(scores, key=lambda text: -scores[text])]


def _fresh_id(key: str) -> str:
    return hashlib.sha256((key or new_id()).encode()).hexdigest()[:ID_CHARS]


def _day(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d")
