"""What people put on their sessions (pins, groups, colours, notes), sessions made without a run, and their copies.

1. The marks of a session are one JSON object in its row; what is at its default is not in it.
2. A change is a merge patch that SQLite applies: null takes a mark away, and no two writers undo each other.
3. A copy takes whole steps, so that every tool call keeps its outcome, and leaves the transcript it came from alone.
"""

# ruff: noqa: S608  # statements are joined from constants; every value is bound

from __future__ import annotations

from collections.abc import Sequence

import apsw
import msgspec

from openclaw.base import own_names
from openclaw.base.errors import Conflict
from openclaw.base.ids import AgentId, OwnerId, SessionId, SessionKey, TenantId
from openclaw.store import read
from openclaw.store.api import SessionRow, StepRow
from openclaw.store.codec import decode_steps
from openclaw.store.read import SESSION_COLUMNS, session_row
from openclaw.store.write import no_session

MAX_COPIED_STEPS = 5000
"""Steps that a copy takes, the last ones: far beyond what any model is shown, and a bound on the transaction."""

SEARCHED_STEPS = 200
"""Steps of each session that a search looks at, the last ones."""

_PATCH = (
    "UPDATE sessions SET label = COALESCE(?4, label), model = COALESCE(?5, model), thinking = COALESCE(?6, thinking),"
    " marks = json_patch(marks, ?7) WHERE tenant = ?1 AND key = ?2 AND (?3 IS NULL OR owner = ?3)"
    " AND (?8 IS NULL OR id = ?8) RETURNING " + SESSION_COLUMNS
)
_CREATE = (
    "INSERT INTO sessions (tenant, key, id, agent_id, owner, created_at_ms, updated_at_ms)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6) ON CONFLICT (tenant, key) DO UPDATE SET ephemeral = 0"
    " WHERE owner = excluded.owner RETURNING " + SESSION_COLUMNS
)
_COPY_SESSION = (
    "INSERT INTO sessions (tenant, key, id, agent_id, owner, created_at_ms, updated_at_ms, label, model, thinking,"
    " marks) SELECT tenant, ?3, ?4, agent_id, ?7, ?5, ?5, '', model, thinking, ?6 FROM sessions"
    " WHERE tenant = ?1 AND key = ?2"
)
_COPY_STEPS = (
    "INSERT INTO steps (session_id, seq, run_id, body) SELECT ?2, seq, '', body FROM (SELECT seq, body FROM steps"
    " WHERE session_id = ?1 AND seq < ?3 ORDER BY seq DESC LIMIT ?4) ORDER BY seq"
)
_KEEP_PAST = "INSERT INTO past_sessions (tenant, key, id, owner, ended_at_ms) VALUES (?, ?, ?, ?, ?)"
_MOVE = "UPDATE sessions SET id = ?3, updated_at_ms = MAX(updated_at_ms, ?4) WHERE tenant = ?1 AND key = ?2"
_REGROUP = (
    "UPDATE sessions SET marks = json_patch(marks, json_object('category', ?4)) WHERE tenant = ?1 AND owner = ?2"
    " AND marks ->> '$.category' = ?3 RETURNING 1"
)
_GROUPED = (
    "SELECT marks ->> '$.category' AS name, COUNT(*) FROM sessions WHERE tenant = ? AND owner = ? AND marks <> '{}'"
    " AND name IS NOT NULL GROUP BY name"
)
# The body is JSON: what is sought must be in its text as well, escapes aside. The caller looks at the words themselves.
_SEARCH = (
    "SELECT '{\"session_id\":' || json_quote(session_id) || ',\"seq\":' || seq || ',' || substr(body, 2)"
    " FROM json_each(?1) AS wanted JOIN steps ON session_id = wanted.value"
    " AND seq > (SELECT MAX(seq) FROM steps AS own WHERE own.session_id = wanted.value) - ?3"
    " WHERE CAST(body AS TEXT) LIKE ?2 ESCAPE '\\' ORDER BY num DESC LIMIT ?4"
)


def patch_session(
    db: apsw.Connection,
    tenant: TenantId,
    key: SessionKey,
    owner: OwnerId | None,
    label: str | None,
    model: str | None,
    thinking: str | None,
    marks: str,
    expected: SessionId | None,
) -> SessionRow:
    """Change what is not None. Raises: Conflict when the session is no longer `expected`."""
    columns = db.execute(_PATCH, (tenant, key, owner, label, model, thinking, marks, expected)).get
    if columns is not None:
        return session_row(columns)
    if expected is None or read.session(db, tenant, key, owner) is None:
        raise no_session(key)
    raise Conflict(f"session {key} changed meanwhile", hint="List the sessions and try again.")


def create_session(
    db: apsw.Connection,
    tenant: TenantId,
    key: SessionKey,
    agent_id: AgentId,
    owner: OwnerId,
    fresh: SessionId,
    now_ms: int,
) -> SessionRow:
    """Make a session without a run; one that is there already stays as it is."""
    columns = db.execute(_CREATE, (tenant, key, fresh, agent_id, owner, now_ms)).get
    if columns is None:
        raise no_session(key)
    return session_row(columns)


def fork_session(
    db: apsw.Connection,
    tenant: TenantId,
    key: SessionKey,
    owner: OwnerId | None,
    before_seq: int,
    to_key: SessionKey,
    marks: str,
    fresh: SessionId,
    now_ms: int,
) -> SessionRow:
    """Copy a session up to a step under another key, which must not be taken. The copy is whose its key says."""
    source = _source(db, tenant, key, owner)
    if read.session(db, tenant, to_key, None) is not None:
        raise Conflict(f"the session key {to_key!r} is taken", hint="Choose another one.")
    db.execute(_COPY_SESSION, (tenant, key, to_key, fresh, now_ms, marks, own_names.owner_of(to_key)))
    db.execute(_COPY_STEPS, (source.id, fresh, before_seq, MAX_COPIED_STEPS))
    return _source(db, tenant, to_key, None)


def rewind_session(
    db: apsw.Connection,
    tenant: TenantId,
    key: SessionKey,
    owner: OwnerId | None,
    before_seq: int,
    fresh: SessionId,
    now_ms: int,
) -> SessionRow:
    """Go on under a new id with the steps before one; the whole transcript is kept under the old id."""
    source = _source(db, tenant, key, owner)
    db.execute(_KEEP_PAST, (tenant, key, source.id, source.owner, now_ms))
    db.execute(_MOVE, (tenant, key, fresh, now_ms))
    db.execute(_COPY_STEPS, (source.id, fresh, before_seq, MAX_COPIED_STEPS))
    return _source(db, tenant, key, owner)


def _source(db: apsw.Connection, tenant: TenantId, key: SessionKey, owner: OwnerId | None) -> SessionRow:
    row = read.session(db, tenant, key, owner)
    if row is None:
        raise no_session(key)
    return row


def regroup(db: apsw.Connection, tenant: TenantId, owner: OwnerId, name: str, to: str | None) -> int:
    """Put an owner's sessions of one group into another, or into none. Return how many."""
    return len(db.execute(_REGROUP, (tenant, owner, name, to)).fetchall())


def grouped(db: apsw.Connection, tenant: TenantId, owner: OwnerId) -> dict[str, int]:
    """Return how many of an owner's sessions are in each group."""
    return {str(name): int(count or 0) for name, count in db.execute(_GROUPED, (tenant, owner)).fetchall()}


def pattern(text: str) -> str:
    """Return what a step's stored form is compared with to find a text. Raises: UnicodeEncodeError."""
    stored = msgspec.json.encode(text).decode()[1:-1]
    return "%" + stored.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"


def search_steps(db: apsw.Connection, session_ids: Sequence[SessionId], like: str, limit: int) -> list[StepRow]:
    """Return the last steps of those sessions whose stored form fits a `pattern`, the latest first.

    ASCII letters match in either case. Names of fields match too: the caller must look at the messages.
    """
    ids = msgspec.json.encode(session_ids).decode()
    found = [str(row[0]) for row in db.execute(_SEARCH, (ids, like, SEARCHED_STEPS, limit)).fetchall()]
    return decode_steps(("[" + ",".join(found) + "]").encode()) if found else []
