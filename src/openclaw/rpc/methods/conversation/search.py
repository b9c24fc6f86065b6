"""sessions.search and memory.search: what was said, and what agents remember of it."""

from __future__ import annotations

from typing import Annotated, Any, Final

from msgspec import Meta

from openclaw.agent.api import Found
from openclaw.base.errors import InvalidRequest
from openclaw.protocol.validate import Params
from openclaw.rpc.method import MethodSpec, Rate
from openclaw.rpc.methods.conversation.sessions import NotEmpty
from openclaw.rpc.peer import Peer
from openclaw.rpc.room import Room
from openclaw.rpc.rows import message_id
from openclaw.store.api import MemoryRow, SessionFilter

MAX_HITS: Final = 25
SEARCHES: Final = Rate(20, 4)
"""Each reads thousands of steps."""

Query = Annotated[str, Meta(min_length=1, max_length=4096)]


class SearchScope(Params, frozen=True):
    """Which sessions are searched: the filters of sessions.list that matter here, the others are accepted."""

    search: Annotated[str, Meta(max_length=4096)] = ""
    label: Annotated[str, Meta(max_length=512)] = ""
    group: Annotated[str, Meta(max_length=512)] | None = None
    pinned: bool | None = None
    archived: bool | str = False
    agent_id: NotEmpty = ""
    spawned_by: str = ""
    exclude_cron: bool = False
    exclude_subagents: bool = False
    exclude_system: bool = False
    active_minutes: Annotated[int, Meta(ge=1)] | None = None
    active_only: bool = False
    require_last_interaction: bool = False
    sort_by: str = ""
    include_global: bool = True
    include_unknown: bool = False
    configured_agents_only: bool = False
    project_id: str = ""
    workspace_dir: str = ""
    board_face: str = ""
    has_board: bool = False
    creator_id: str = ""
    owner_id: str = ""
    involving_me: bool = False
    involving_profile_id: str = ""
    profile_relation: dict[str, Any] | None = None


class SessionsSearchParams(Params, frozen=True):
    """`sessionKeys` names the sessions to search; else the latest ones within `scope`."""

    query: Query
    agent_id: NotEmpty = ""
    session_keys: Annotated[tuple[NotEmpty, ...], Meta(min_length=1, max_length=200)] | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_HITS)] = MAX_HITS
    scope: SearchScope | None = None


class MemorySearchParams(Params, frozen=True):
    """`agentId`: whose memories; the default agent's without it."""

    query: str
    agent_id: NotEmpty = ""
    limit: Annotated[int, Meta(ge=1, le=100)] = 10
    max_results: Annotated[int, Meta(ge=1, le=100)] | None = None
    min_score: float = 0.0


async def sessions_search(room: Room, peer: Peer, params: SessionsSearchParams) -> dict[str, Any]:
    """Return messages that hold the query, the latest first."""
    scope = params.scope or SearchScope()
    agent = params.agent_id or scope.agent_id
    wanted = SessionFilter(
        search=scope.search or None,
        label=scope.label or None,
        category=scope.group,
        pinned=scope.pinned,
        archived=None if isinstance(scope.archived, str) else scope.archived,
        parent=room.session_key(peer.principal, scope.spawned_by) if scope.spawned_by else None,
        cron=False if scope.exclude_cron or scope.exclude_system else None,
        subagent=False if scope.exclude_subagents else None,
    )
    found = await room.deps.agent.register.search(
        peer.principal,
        params.query,
        keys=[room.session_key(peer.principal, key, params.agent_id) for key in params.session_keys or ()],
        agent_id=room.deps.agent.resolve_agent(agent) if agent else None,
        wanted=wanted,
        limit=params.limit + 1,
    )
    answer: dict[str, Any] = {"results": [_hit(hit) for hit in found[: params.limit]]}
    if len(found) > params.limit:
        answer["truncated"] = True
    return answer


def _hit(hit: Found) -> dict[str, Any]:
    return {
        "sessionKey": hit.row.key,
        "sessionId": hit.row.id,
        "messageId": message_id(hit.step, hit.index),
        "role": hit.step.messages[hit.index].role,
        "timestamp": hit.step.at_ms,
        "snippet": hit.snippet,
        "score": 1.0,
    }


async def memory_search(room: Room, peer: Peer, params: MemorySearchParams) -> dict[str, Any]:
    """Return what an agent remembers for oneself."""
    if not params.query.strip():
        raise InvalidRequest("query must be a non-empty string")
    agent_id = room.agent(peer.principal, params.agent_id)
    rows: list[MemoryRow] = []
    if room.deps.memories is not None:
        rows = await room.deps.memories.recall(
            params.query,
            owner=peer.principal.owner,
            agent_id=agent_id,
            tenant=peer.principal.tenant,
            limit=params.max_results or params.limit,
        )
    results = [_memory(row) for row in rows if row.score >= params.min_score]
    return {"agentId": agent_id, "provider": "none", "searchMode": "fts-only", "results": results}


def _memory(row: MemoryRow) -> dict[str, Any]:
    """Return a memory in the shape of a passage of a file, which is what clients know."""
    return {
        "path": f"memories/{row.id}",
        "startLine": 1,
        "endLine": row.text.count("\n") + 1,
        "score": row.score,
        "snippet": row.text,
        "source": "memory",
    }


METHODS = (
    MethodSpec(
        "sessions.search",
        SessionsSearchParams,
        "operator.read",
        sessions_search,
        "Finds messages of people and models by a text, in recent messages of the latest sessions or of those named.",
        "`{results: [{sessionKey, sessionId, messageId, role, timestamp, snippet, score}], truncated?}`, the latest "
        "first.",
        rate=SEARCHES,
        since=4,
        passing="large",
    ),
    MethodSpec(
        "memory.search",
        MemorySearchParams,
        "operator.read",
        memory_search,
        "Finds what an agent remembers for oneself, by words.",
        "`{agentId, provider, searchMode, results: [{path, startLine, endLine, score, snippet, source}]}`",
        rate=SEARCHES,
        since=4,
        passing="large",
    ),
)
