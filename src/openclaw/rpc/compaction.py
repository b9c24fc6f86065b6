"""A session compacted because a client asks, told to everybody who watches it."""

from __future__ import annotations

from openclaw.agent.api import CompactedSession
from openclaw.base.errors import NotFound, OpenClawError
from openclaw.base.ids import SessionKey, new_id
from openclaw.base.principal import Principal
from openclaw.rpc.room import Room


async def compact(room: Room, key: SessionKey, principal: Principal) -> CompactedSession:
    """Compact and tell the start and the end of it. Raises: as AgentService.compact_session."""
    row = await room.deps.agent.session(key, principal)
    if row is None:
        raise NotFound(f"no session {key!r}")
    owner, operation = Principal(owner=row.owner, tenant=row.tenant), new_id()
    room.bridge.news.operation(operation, key, owner, {"phase": "start"})
    completed, reason = False, "nobody waited for it"
    try:
        done = await room.deps.agent.compact_session(key, principal)
        completed, reason = done.compacted, done.reason
    except OpenClawError as error:
        reason = error.message
        raise
    finally:
        end = {"phase": "end", "completed": completed}
        room.bridge.news.operation(operation, key, owner, {**end, "reason": reason} if reason else end)
    return done


def told(done: CompactedSession) -> str:
    """Return what a compaction did as a person reads it."""
    if not done.compacted:
        return f"Nothing to compact: {done.reason}."
    sizes = f"about {done.tokens_before} → {done.tokens_after} tokens; {done.kept} messages stay as they are"
    if done.summary:
        return f"Compacted: a summary stands for {done.messages} messages now ({sizes})."
    return f"Compacted without a summary: {done.messages} old messages were dropped ({sizes}). {done.reason}"
