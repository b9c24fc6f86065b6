"""The memory tools: what an agent chose to remember for one owner, and its own notes, searched as one.

1. Memories belong to an owner and an agent: the caller's principal decides, never an argument.
2. Rankings (by words, by meaning where an embedder is there, the notes') are fused by rank, 1 / (60 + rank), as their
   scores cannot be compared.
3. What is found may once have been said by a stranger: it comes back as data.
4. A repeated call (a run resumed after a crash) remembers once: the memory's id follows from the call's key.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, NamedTuple, Protocol

from msgspec import Meta

from openclaw.base.clock import Clock
from openclaw.base.errors import ModelError, ToolError
from openclaw.base.ids import AgentId, OwnerId, TenantId
from openclaw.store.api import MemoryRow
from openclaw.tools.action import Context, action, build_tool
from openclaw.tools.api import Tool
from openclaw.tools.builtin.notes import Passage, search_notes
from openclaw.tools.call_key import call_key
from openclaw.tools.thread import in_thread
from openclaw.tools.untrusted import fenced

_log = logging.getLogger("openclaw.tools")

RANK_OFFSET = 60
"""Source: Cormack et al. 2009, reciprocal rank fusion."""
LEAST_SIMILAR = 0.3
"""Below it texts have nothing to do with each other (MiniLM: unrelated sentences lie around 0.05)."""
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


class VectorPort(Protocol):
    """The part of the archive that keeps vectors beside memories; `store.sqlite.SqliteStore` is one."""

    async def put_vector(
        self, memory_id: str, model: str, data: bytes, *, owner: OwnerId, agent_id: AgentId, tenant: TenantId
    ) -> bool:
        """Set a memory's vector in a model's space."""
        ...

    async def vectors(
        self, model: str, *, owner: OwnerId, agent_id: AgentId, tenant: TenantId
    ) -> list[tuple[str, bytes]]:
        """Return (memory id, vector) of the newest memories that have one of this model."""
        ...

    async def memories(
        self, ids: Sequence[str], *, owner: OwnerId, agent_id: AgentId, tenant: TenantId
    ) -> list[MemoryRow]:
        """Return those memories, in the order of the ids."""
        ...


class Embedder(Protocol):
    """Texts into vectors of length 1. `model` names their space."""

    model: str

    async def embed(self, texts: Sequence[str]) -> list[bytes]:
        """Return a vector for each text. Raises: ModelError."""
        ...

    async def similar(self, vector: bytes, others: Sequence[bytes]) -> list[float]:
        """Return how near each of the others is, from -1 to 1."""
        ...


class Meaning(NamedTuple):
    """What a search by meaning needs."""

    embedder: Embedder
    port: VectorPort


class Memory(NamedTuple):
    """What the memory tools work on. `keep` says how many memories an agent may have per owner; 0 = none."""

    port: MemoryPort
    keep: Callable[[AgentId], int]
    clock: Clock
    meaning: Meaning | None = None


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
        near = await _near(memory.meaning, query, context, limit)
        noted = await in_thread(search_notes, workspace=context.workspace, query=query, limit=limit)
        found = fused(kept, near, noted)[:limit]
        return fenced("memory", "\n\n".join(found)) if found else "Nothing about this is remembered."

    @action(writes=True, inward=True, own_words=True)
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
            id=call_key(context.idempotency_key, text)[:ID_CHARS],
            agent_id=context.agent_id,
            tenant=context.principal.tenant,
            owner=context.principal.owner,
            text=text.strip(),
            created_at_ms=memory.clock.now_ms(),
            source=context.session_key,
        )
        await memory.port.remember(row, keep)
        await _embed(memory.meaning, row)
        return f"Remembered as {row.id}."

    @action(writes=True, own_words=True)
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


def fused(*rankings: Sequence[MemoryRow | Passage]) -> list[str]:
    """Return rankings as one list of lines, best first; a text that is in several counts for each and stands once."""
    scores: dict[str, float] = {}
    lines: dict[str, str] = {}
    for ranking in rankings:
        for rank, found in enumerate(ranking, start=1):
            scores[found.text] = scores.get(found.text, 0.0) + 1 / (RANK_OFFSET + rank)
            lines.setdefault(found.text, _line(found))
    return [lines[text] for text in sorted(scores, key=lambda text: -scores[text])]


def _line(found: MemoryRow | Passage) -> str:
    if isinstance(found, Passage):
        return f"[{found.path}] {found.text}"
    return f"[memory {found.id}, {_day(found.created_at_ms)}] {found.text}"


async def _near(meaning: Meaning | None, query: str, context: Context, limit: int) -> list[MemoryRow]:
    """Return the memories nearest in meaning; without an embedder, or while it fails, none: words still find."""
    if meaning is None or not query.strip():
        return []
    who, agent_id = context.principal, context.agent_id
    known = await meaning.port.vectors(meaning.embedder.model, owner=who.owner, agent_id=agent_id, tenant=who.tenant)
    if not known:
        return []
    try:
        (wanted,) = await meaning.embedder.embed([query])
        scores = await meaning.embedder.similar(wanted, [vector for _, vector in known])
    except ModelError as error:
        _log.warning("memory_not_embedded", extra={"fields": {"code": error.code, "reason": error.message}})
        return []
    ranked = sorted(zip(scores, (id_ for id_, _ in known), strict=True), reverse=True)
    near = [id_ for score, id_ in ranked[:limit] if score >= LEAST_SIMILAR]
    return await meaning.port.memories(near, owner=who.owner, agent_id=agent_id, tenant=who.tenant)


async def _embed(meaning: Meaning | None, row: MemoryRow) -> None:
    if meaning is None:
        return
    try:
        (data,) = await meaning.embedder.embed([row.text])
    except ModelError as error:
        _log.warning("memory_not_embedded", extra={"fields": {"code": error.code, "reason": error.message}})
        return
    await meaning.port.put_vector(
        row.id, meaning.embedder.model, data, owner=row.owner, agent_id=row.agent_id, tenant=row.tenant
    )


def _day(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d")
