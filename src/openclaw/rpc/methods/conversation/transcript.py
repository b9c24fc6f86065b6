"""One session looked at closely: found, previewed, read, compacted, written into."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, structs

from openclaw.base.errors import Conflict, InvalidRequest, NotFound
from openclaw.base.ids import AgentId
from openclaw.base.message import assistant
from openclaw.protocol.validate import Params
from openclaw.rpc.compaction import compact
from openclaw.rpc.events import house_message
from openclaw.rpc.method import MethodSpec, Rate
from openclaw.rpc.peer import Peer
from openclaw.rpc.room import Room
from openclaw.rpc.rows import MAX_HISTORY_CHARS, fitting, message_rows, preview_items
from openclaw.store.api import SessionRow

MAX_SEARCHED: Final = 1000
"""Sessions, the latest ones, among which one is looked for by id or label."""

MAX_MESSAGES: Final = 1000
MAX_STEPS: Final = 500
"""Of a transcript in one page: a step is what a person, a model or its tools said at once."""

READS: Final = Rate(60, 20)
WRITES: Final = Rate(60, 10)
COMPACTIONS: Final = Rate(5, 0.5)
"""Each may be a handful of model calls."""

Key = Annotated[str, Meta(min_length=1, max_length=512)]
NotEmpty = Annotated[str, Meta(min_length=1, max_length=512)]


class SessionsPreviewParams(Params, frozen=True):
    """`limit` messages of each session, each cut to `maxChars`."""

    keys: Annotated[tuple[NotEmpty, ...], Meta(min_length=1, max_length=64)]
    limit: Annotated[int, Meta(ge=1, le=200)] = 12
    max_chars: Annotated[int, Meta(ge=20, le=10_000)] = 240


class Reference(Params, frozen=True):
    """A session as a link names it; the slug is only for people."""

    key: NotEmpty
    slug: str = ""


class SessionsResolveParams(Params, frozen=True):
    """One of `key`, `sessionId`, `shortId` (the beginning of an id) and `label`; `reference` is another way to say
    `key`. The `include…` change nothing here."""

    key: str = ""
    reference: Reference | None = None
    session_id: str = ""
    short_id: str = ""
    label: Annotated[str, Meta(max_length=512)] = ""
    slug_hint: str = ""
    agent_id: str = ""
    spawned_by: str = ""
    include_global: bool = False
    include_unknown: bool = False
    allow_missing: bool = False


class SessionsGetParams(Params, frozen=True):
    """The last `limit` messages."""

    key: Key
    agent_id: str = ""
    limit: Annotated[int, Meta(ge=1, le=MAX_MESSAGES)] = 200


class SessionsExportParams(Params, frozen=True):
    """What comes `after` a place in the transcript; `sessionId` is the one that the pages before were of."""

    key: Key
    agent_id: str = ""
    session_id: str = ""
    after: Annotated[int, Meta(ge=0)] = 0
    limit: Annotated[int, Meta(ge=1, le=MAX_STEPS)] = MAX_STEPS


class SessionsCompactParams(Params, frozen=True):
    """`maxLines` is accepted; what stays as it is is always the last exchange."""

    key: Key
    agent_id: str = ""
    max_lines: Annotated[int, Meta(ge=1)] | None = None


class ChatInjectParams(Params, frozen=True):
    """`label` stands in brackets before the message."""

    session_key: Key
    message: Annotated[str, Meta(min_length=1, max_length=1_000_000)]
    agent_id: str = ""
    label: Annotated[str, Meta(max_length=100)] = ""


async def sessions_preview(room: Room, peer: Peer, params: SessionsPreviewParams) -> dict[str, Any]:
    """Return the last texts of several sessions."""
    previews = [await _preview(room, peer, key, params) for key in dict.fromkeys(params.keys)]
    return {"ts": room.deps.clock.now_ms(), "previews": previews}


async def _preview(room: Room, peer: Peer, raw: str, params: SessionsPreviewParams) -> dict[str, Any]:
    try:
        key = room.session_key(peer.principal, raw)
    except (InvalidRequest, NotFound):
        return {"key": raw, "status": "error", "items": []}
    if await room.deps.agent.session(key, peer.principal) is None:
        return {"key": room.as_called(raw, key), "status": "missing", "items": []}
    steps = await room.deps.agent.history(key, peer.principal, limit=params.limit)
    items = preview_items(steps, params.max_chars)[-params.limit :]
    return {"key": room.as_called(raw, key), "status": "ok" if items else "empty", "items": items}


async def sessions_resolve(room: Room, peer: Peer, params: SessionsResolveParams) -> dict[str, Any]:
    """Return the key of the session that is meant."""
    if params.reference is not None and not params.key:
        params = structs.replace(params, key=params.reference.key, reference=None)
    given = [name for name in ("key", "session_id", "short_id", "label") if getattr(params, name)]
    if len(given) != 1:
        raise InvalidRequest("sessions.resolve needs exactly one of key, sessionId, shortId, label")
    found = await _find(room, peer, params)
    if len(found) == 1:
        row = found[0]
        shown = {"ok": True, "key": row.key, "agentId": row.agent_id}
        return {**shown, "displayName": row.label} if row.label else shown
    if params.allow_missing:
        candidates = [{"key": row.key, "agentId": row.agent_id} for row in found[:10]]
        return {"ok": False, "candidates": candidates} if candidates else {"ok": False}
    wanted = str(getattr(params, given[0]))[:128]
    if found:
        keys = ", ".join(row.key for row in found[:5])
        raise InvalidRequest(f"Several sessions are meant by {wanted}: {keys}", hint="Name one of them by its key.")
    raise InvalidRequest(f"No session found: {wanted}", hint="sessions.list shows the sessions there are.")


async def _find(room: Room, peer: Peer, params: SessionsResolveParams) -> list[SessionRow]:
    service = room.deps.agent
    if params.spawned_by:
        return []
    if params.key:
        row = await service.session(room.session_key(peer.principal, params.key, params.agent_id), peer.principal)
        return [] if row is None else [row]
    agent_id = AgentId(params.agent_id) if params.agent_id else None
    rows, _ = await service.sessions(
        peer.principal, agent_id=agent_id, include_ephemeral=not params.label, limit=MAX_SEARCHED
    )
    if params.label:
        return [row for row in rows if row.label == params.label]
    if params.session_id:
        return [row for row in rows if row.id == params.session_id]
    return [row for row in rows if row.id.startswith(params.short_id)]


async def sessions_get(room: Room, peer: Peer, params: SessionsGetParams) -> dict[str, Any]:
    """Return the transcript's end; an unknown session has no messages."""
    key = room.session_key(peer.principal, params.key, params.agent_id)
    rows = list(message_rows(await room.deps.agent.history(key, peer.principal, limit=params.limit)))
    return {"messages": fitting(rows[-params.limit :])}


async def sessions_export(room: Room, peer: Peer, params: SessionsExportParams) -> dict[str, Any]:
    """Return the next page of a whole transcript, oldest first, nothing of it cut."""
    key = room.session_key(peer.principal, params.key, params.agent_id)
    service = room.deps.agent
    session = await service.session(key, peer.principal)
    if session is None:
        raise NotFound(f"session not found: {key}", hint="`openclaw sessions list` (sessions.list) names the sessions.")
    if params.session_id and params.session_id != session.id:
        raise Conflict(f"{key} was begun anew meanwhile", hint="Export it again.")
    last = await service.history(key, peer.principal, limit=1)
    end = params.after + params.limit
    steps = await service.history(key, peer.principal, limit=params.limit, before_seq=end + 1)
    messages: list[dict[str, Any]] = []
    left = MAX_HISTORY_CHARS
    for step in steps:
        if step.seq > params.after:
            rows = list(message_rows((step,)))
            left -= sum(len(msgspec.json.encode(row)) for row in rows)
            if left < 0 and messages:
                end = step.seq - 1
                break
            messages += rows
    more = bool(last) and last[-1].seq > end
    return {"key": key, "sessionId": session.id, "messages": messages, "next": end if more else None}


async def sessions_compact(room: Room, peer: Peer, params: SessionsCompactParams) -> dict[str, Any]:
    """Put a summary in the place of everything but the last exchange."""
    key = room.session_key(peer.principal, params.key, params.agent_id)
    done = await compact(room, key, peer.principal)
    answer: dict[str, Any] = {"ok": True, "key": key, "compacted": done.compacted, "kept": done.kept}
    if done.reason:
        answer["reason"] = done.reason
    if done.compacted:
        sizes = {"tokensBefore": done.tokens_before, "tokensAfter": done.tokens_after}
        answer["result"] = {"summary": done.summary, "messages": done.messages, **sizes}
    return answer


async def chat_inject(room: Room, peer: Peer, params: ChatInjectParams) -> dict[str, Any]:
    """Write a message of the assistant's side into a session without asking a model."""
    key = room.session_key(peer.principal, params.session_key, params.agent_id)
    row = await room.deps.agent.session(key, peer.principal)
    if row is None:
        raise NotFound(f"no session {key!r}", hint="A session begins with its first message: chat.send.")
    text = f"[{params.label}]\n\n{params.message}" if params.label else params.message
    seq = await room.deps.agent.inject(key, peer.principal, assistant(text))
    message_id = f"{row.id}-{seq}"
    message = house_message(text, room.deps.clock.now_ms())
    room.bridge.injected(message_id, key, row, message)
    return {"ok": True, "messageId": message_id}


METHODS = (
    MethodSpec(
        "sessions.preview",
        SessionsPreviewParams,
        "operator.read",
        sessions_preview,
        "Returns the last texts of several sessions, cut short.",
        "`{ts, previews: [{key, status, items: [{role, text}]}]}`; `status`: `ok`, `empty`, `missing`, `error`.",
        rate=READS,
        passing="large",
    ),
    MethodSpec(
        "sessions.resolve",
        SessionsResolveParams,
        "operator.read",
        sessions_resolve,
        f"Finds one session by key, id or label, by the latter two among the {MAX_SEARCHED} latest.",
        "`{ok, key, agentId, displayName?}` (protocol 3: `{ok, key}`); with `allowMissing`, `{ok: false, candidates?}` "
        "when there is none or more than one.",
        rate=READS,
    ),
    MethodSpec(
        "sessions.get",
        SessionsGetParams,
        "operator.read",
        sessions_get,
        "Returns the last messages of a session, oldest first, as chat.history does.",
        "`{messages[]}`",
        rate=READS,
        since=4,
        passing="large",
    ),
    MethodSpec(
        "sessions.export",
        SessionsExportParams,
        "operator.read",
        sessions_export,
        "Returns a whole transcript, also what was summarised since, page by page: `next` is the `after` of the page "
        "that follows, null at the end. It is refused with CONFLICT when the session was begun anew meanwhile.",
        "`{key, sessionId, messages[], next}`; messages as chat.history has them.",
        rate=READS,
        since=4,
        announced=False,
        passing="large",
    ),
    MethodSpec(
        "sessions.compact",
        SessionsCompactParams,
        "operator.write",
        sessions_compact,
        "Summarises everything but the last exchange, so that the model is shown less; the messages stay in the "
        "archive. When no model can, they are dropped from its view without a summary. Messages that come meanwhile "
        "wait; while a run is going it is refused.",
        "`{ok, key, compacted, kept}`; protocol 4 adds `result: {summary, messages, tokensBefore, tokensAfter}` and "
        "`reason`: why nothing was done, or why there is no summary.",
        rate=COMPACTIONS,
    ),
    MethodSpec(
        "chat.inject",
        ChatInjectParams,
        "operator.admin",
        chat_inject,
        "Writes a message of the assistant's side into a session; no model is asked. It is told as a `chat` final of "
        "the run `inject-<messageId>`.",
        "`{ok, messageId}`",
        rate=WRITES,
        announced=False,
    ),
)
