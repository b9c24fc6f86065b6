"""Every change, as a function that runs in the writer's transaction. One that raises leaves nothing behind.

A run id is unique per (tenant, owner), and among *open* runs it is unique altogether: so `begin`, `commit` and `finish`
need no owner, and nobody can write into another's run.
"""

# ruff: noqa: S608  # statements are joined from constants; every value is bound

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apsw

from openclaw.base.errors import Conflict, NotFound
from openclaw.base.ids import AgentId, OwnerId, RunId, SessionId, SessionKey, TenantId
from openclaw.base.run import Inbound, RunState
from openclaw.store import budget, pending, read
from openclaw.store.api import Accepted, NewStep, SessionRow, UsageRow
from openclaw.store.codec import decode_inbound, encode_inbound_steps
from openclaw.store.read import SESSION_COLUMNS, session_row

_RUNS_OF_ID = "SELECT owner, tenant, ended_at_ms FROM runs WHERE run_id = ?"
_UPSERT_SESSION = (
    "INSERT INTO sessions (tenant, key, id, agent_id, owner, created_at_ms, updated_at_ms, ephemeral)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7) ON CONFLICT (tenant, key) DO UPDATE SET"
    " updated_at_ms = MAX(updated_at_ms, excluded.updated_at_ms), ephemeral = MIN(ephemeral, excluded.ephemeral)"
    " WHERE owner = excluded.owner RETURNING " + SESSION_COLUMNS
)
_INSERT_STEP = (
    "INSERT INTO steps (session_id, seq, run_id, body)"
    " SELECT ?1, COALESCE(MAX(seq), 0) + 1, ?2, ?3 FROM steps WHERE session_id = ?1 RETURNING seq"
)
_INSERT_RUN = (
    "INSERT INTO runs (tenant, owner, run_id, session_key, session_id, agent_id, state, attempts, accepted_at_ms,"
    " first_seq, inbound_seq, inbound) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_BEGIN_RUN = (
    "UPDATE runs SET state = 'running', attempts = attempts + 1 WHERE run_id = ? AND ended_at_ms IS NULL"
    " RETURNING attempts, session_id, CASE WHEN inbound_seq IS NULL THEN inbound END"
)
_MARK_STEPS = "UPDATE runs SET first_seq = ?2, inbound_seq = ?3 WHERE run_id = ?1 AND ended_at_ms IS NULL"
_RUN_COLUMNS = "tenant, owner, session_key, session_id, agent_id"
_RUNNING = f"SELECT {_RUN_COLUMNS} FROM runs WHERE run_id = ? AND ended_at_ms IS NULL AND state = 'running'"
_END_RUN = (
    "UPDATE runs SET state = ?2, ended_at_ms = ?3, reply = ?4 WHERE run_id = ?1 AND ended_at_ms IS NULL"
    " RETURNING " + _RUN_COLUMNS
)
# The id keeps a run that outlives a reset from counting into the fresh session.
_UPDATE_SESSION = (
    "UPDATE sessions SET updated_at_ms = MAX(updated_at_ms, ?4), input_tokens = input_tokens + ?5,"
    " output_tokens = output_tokens + ?6, aborted_last_run = COALESCE(?7, aborted_last_run),"
    " prompt_tokens = COALESCE(?8, prompt_tokens)"
    " WHERE tenant = ?1 AND key = ?2 AND id = ?3"
)
# A call is paid by a reservation if its run has one: then it counts there, and here only otherwise.
_INSERT_USAGE = (
    "INSERT INTO usage (at_ms, run_id, session_key, agent_id, tenant, owner, provider, model, purpose, input_tokens,"
    " output_tokens, cache_read_tokens, cache_write_tokens, latency_ms, first_token_ms, error_code, usd_micros,"
    " channel, reserved) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,"
    " ?17 IS NOT NULL AND EXISTS (SELECT 1 FROM reservations WHERE run_id = ?2 AND owner = ?6 AND tenant = ?5))"
    " RETURNING reserved"
)
_KEEP_PAST = "INSERT INTO past_sessions (tenant, key, id, owner, ended_at_ms) VALUES (?, ?, ?, ?, ?)"
_RESET_SESSION = (
    "UPDATE sessions SET id = ?3, created_at_ms = ?4, updated_at_ms = ?4, input_tokens = 0, output_tokens = 0,"
    " aborted_last_run = 0, prompt_tokens = 0 WHERE tenant = ?1 AND key = ?2 RETURNING " + SESSION_COLUMNS
)
_DELETE_SESSION = "DELETE FROM sessions WHERE tenant = ?1 AND key = ?2 AND (?3 IS NULL OR owner = ?3) RETURNING id"
_DELETE_PAST = "DELETE FROM past_sessions WHERE tenant = ? AND key = ? RETURNING id"
_DELETE_RUNS = "DELETE FROM runs WHERE session_id = ?"
_DELETE_STEPS = "DELETE FROM steps WHERE session_id = ?"
_UNUSED_EPHEMERAL = (
    "SELECT tenant, key FROM sessions WHERE ephemeral = 1 AND updated_at_ms < ?"
    " AND id NOT IN (SELECT session_id FROM runs WHERE ended_at_ms IS NULL) ORDER BY updated_at_ms LIMIT ?"
)
_UNUSED_LASTING = _UNUSED_EPHEMERAL.replace("ephemeral = 1", "ephemeral = 0")
_OLD_PAST = (
    "DELETE FROM past_sessions WHERE id IN"
    " (SELECT id FROM past_sessions WHERE ended_at_ms < ? ORDER BY ended_at_ms LIMIT ?) RETURNING id"
)
_OLD_USAGE = "DELETE FROM usage WHERE num IN (SELECT num FROM usage WHERE at_ms < ? ORDER BY at_ms LIMIT ?)"
_PING = (
    "INSERT INTO meta (name, value) VALUES ('pinged_at_ms', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)


def accept(
    db: apsw.Connection, inbound: Inbound, row: bytes, steps: Sequence[bytes] | None, fresh: SessionId, now_ms: int
) -> Accepted:
    """Write the session and the run, or return the run that this owner accepted under the id before.

    With `steps` the run starts at once, and they go into the transcript; without, it waits for `begin_run`.
    """
    tenant, owner, run_id = inbound.principal.tenant, inbound.principal.owner, inbound.run_id
    known: list[Any] = db.execute(_RUNS_OF_ID, (run_id,)).fetchall()
    if any((its_owner, its_tenant) == (owner, tenant) for its_owner, its_tenant, _ in known):
        return _duplicate(db, tenant, owner, run_id)
    if any(ended is None for *_, ended in known):
        raise Conflict(f"the run id {run_id!r} is in use", hint="Choose another run id, for example a random UUID.")
    key, agent_id = inbound.session_key, inbound.agent_id
    columns = db.execute(_UPSERT_SESSION, (tenant, key, fresh, agent_id, owner, now_ms, int(inbound.ephemeral))).get
    if columns is None:
        raise no_session(key)
    session = session_row(columns)
    state: tuple[str | int | None, ...] = ("queued", 0, now_ms, None, None)
    if steps is not None:
        state = ("running", 1, now_ms, *_append_all(db, session.id, run_id, steps))
    db.execute(_INSERT_RUN, (tenant, owner, run_id, key, session.id, agent_id, *state, row))
    return Accepted(session, seq=int(state[4] or 0))


def _duplicate(db: apsw.Connection, tenant: TenantId, owner: OwnerId, run_id: RunId) -> Accepted:
    run = read.run(db, tenant, run_id, owner)
    assert run is not None
    session = read.session(db, tenant, run.session_key, owner)
    assert session is not None, "runs go when their session goes"
    return Accepted(session, run)


def begin_run(db: apsw.Connection, run_id: RunId, now_ms: int) -> int:
    """Count another attempt; the message of a run that waited enters the transcript."""
    run = db.execute(_BEGIN_RUN, (run_id,)).get
    if run is None:
        raise _not_open(db, run_id)
    attempts, session_id, inbound = run
    if inbound is not None:
        steps = encode_inbound_steps(decode_inbound(inbound), now_ms)
        db.execute(_MARK_STEPS, (run_id, *_append_all(db, session_id, run_id, steps)))
    return int(attempts)


def commit_step(db: apsw.Connection, run_id: RunId, step: NewStep, body: bytes, now_ms: int) -> int:
    """Append a step to the run's session, and its model call to the ledger."""
    run = db.execute(_RUNNING, (run_id,)).get
    if run is None:
        raise _not_open(db, run_id)
    pending.drop(db, run_id)
    return _write_step(db, run_id, run, step, body, None, now_ms)


def finish_run(
    db: apsw.Connection, run_id: RunId, state: RunState, reply: bytes, step: tuple[NewStep, bytes] | None, now_ms: int
) -> int:
    """Append the last step, if any, and end the run. Return the step's seq, or 0."""
    run = db.execute(_END_RUN, (run_id, state, now_ms, reply)).get
    if run is None:
        raise _not_open(db, run_id)
    pending.drop(db, run_id)
    aborted = int(state == "aborted")
    if step is not None:
        return _write_step(db, run_id, run, *step, aborted, now_ms)
    tenant, _, key, session_id, _ = run
    db.execute(_UPDATE_SESSION, (tenant, key, session_id, now_ms, 0, 0, aborted, None))
    return 0


def _write_step(
    db: apsw.Connection,
    run_id: RunId,
    run: tuple[str, str, str, SessionId, str],
    step: NewStep,
    body: bytes,
    aborted: int | None,
    now_ms: int,
) -> int:
    tenant, owner, key, session_id, agent_id = run
    usage = step.usage
    seq = _append(db, session_id, run_id, body)
    counted = (usage.input_tokens, usage.output_tokens, aborted, _prompt_tokens(step))
    db.execute(_UPDATE_SESSION, (tenant, key, session_id, now_ms, *counted))
    if step.kind == "model" or (step.kind == "summary" and step.provider):
        row = UsageRow(
            at_ms=now_ms,
            run_id=run_id,
            session_key=SessionKey(key),
            agent_id=AgentId(agent_id),
            tenant=TenantId(tenant),
            owner=OwnerId(owner),
            provider=step.provider,
            model=step.model,
            purpose=step.purpose,
            usage=usage,
            latency_ms=step.latency_ms,
            first_token_ms=step.first_token_ms,
            usd_micros=step.usd_micros,
            channel=step.channel,
        )
        _write_usage(db, row)
    return seq


def _prompt_tokens(step: NewStep) -> int | None:
    """Return how large the prompt is now, None when the step does not change what is known of it."""
    if step.kind == "summary":
        return 0
    return (step.usage.input_tokens or None) if step.kind == "model" else None


def _append(db: apsw.Connection, session_id: SessionId, run_id: str, body: bytes) -> int:
    return int(db.execute(_INSERT_STEP, (session_id, run_id, body)).get)


def _append_all(db: apsw.Connection, session_id: SessionId, run_id: RunId, steps: Sequence[bytes]) -> tuple[int, int]:
    """Return the first and the last seq."""
    seqs = [_append(db, session_id, run_id, body) for body in steps]
    return seqs[0], seqs[-1]


def record_usage(db: apsw.Connection, rows: Sequence[UsageRow]) -> None:
    """Append rows to the ledger."""
    for row in rows:
        _write_usage(db, row)


def _write_usage(db: apsw.Connection, row: UsageRow) -> None:
    used, cost = row.usage, row.usd_micros
    reserved = db.execute(
        _INSERT_USAGE,
        (
            *(row.at_ms, row.run_id, row.session_key, row.agent_id, row.tenant, row.owner),
            *(row.provider, row.model, row.purpose),
            *(used.input_tokens, used.output_tokens, used.cache_read_tokens, used.cache_write_tokens),
            *(row.latency_ms, row.first_token_ms, row.error_code, cost, row.channel),
        ),
    ).get
    if cost and not reserved:
        budget.count(db, cost, 0, row.at_ms, row.tenant, row.owner, row.agent_id, row.channel)


def reset_session(
    db: apsw.Connection, tenant: TenantId, key: SessionKey, owner: OwnerId | None, fresh: SessionId, now_ms: int
) -> SessionRow:
    """Give the session a new id; label, model and thinking stay, the old transcript is kept under the old id."""
    before = read.session(db, tenant, key, owner)
    if before is None:
        raise no_session(key)
    db.execute(_KEEP_PAST, (tenant, key, before.id, before.owner, now_ms))
    return session_row(db.execute(_RESET_SESSION, (tenant, key, fresh, now_ms)).get)


def delete_session(db: apsw.Connection, tenant: TenantId, key: SessionKey, owner: OwnerId | None) -> bool:
    """Delete the session with its past ones. Say whether it was there."""
    current = db.execute(_DELETE_SESSION, (tenant, key, owner)).get
    if current is None:
        return False
    past: list[Any] = db.execute(_DELETE_PAST, (tenant, key)).fetchall()
    _delete_transcripts(db, [current, *(row[0] for row in past)])
    return True


def _delete_transcripts(db: apsw.Connection, session_ids: Sequence[str]) -> None:
    for session_id in session_ids:
        db.execute(_DELETE_RUNS, (session_id,))
        db.execute(_DELETE_STEPS, (session_id,))


def append_notice(db: apsw.Connection, tenant: TenantId, key: SessionKey, body: bytes, now_ms: int) -> int:
    """Append a step that belongs to no run."""
    session = read.session(db, tenant, key, None)
    if session is None:
        raise no_session(key)
    db.execute(_UPDATE_SESSION, (tenant, key, session.id, now_ms, 0, 0, None, None))
    return _append(db, session.id, "", body)


def append_summary(
    db: apsw.Connection,
    tenant: TenantId,
    key: SessionKey,
    session_id: SessionId,
    run_id: RunId,
    step: NewStep,
    body: bytes,
    now_ms: int,
) -> int:
    """Append a summary that belongs to no run, and its model call to the ledger."""
    session = read.session(db, tenant, key, None)
    if session is None:
        raise no_session(key)
    if session.id != session_id:
        raise Conflict(f"session {key} was reset: it is now {session.id}")
    row = (session.tenant, session.owner, key, session_id, session.agent_id)
    return _write_step(db, run_id, row, step, body, None, now_ms)


def prune_ephemeral(db: apsw.Connection, before_ms: int, limit: int) -> int:
    """Delete unused ephemeral sessions of every tenant, except those with an open run."""
    return _prune_unused(db, _UNUSED_EPHEMERAL, before_ms, limit)


def prune_transcripts(db: apsw.Connection, before_ms: int, limit: int) -> int:
    """Delete unused lasting sessions of every tenant, except those with an open run, and past ones of used ones."""
    past: list[Any] = db.execute(_OLD_PAST, (before_ms, limit)).fetchall()
    _delete_transcripts(db, [row[0] for row in past])
    return max(len(past), _prune_unused(db, _UNUSED_LASTING, before_ms, limit))


def _prune_unused(db: apsw.Connection, which: str, before_ms: int, limit: int) -> int:
    unused: list[Any] = db.execute(which, (before_ms, limit)).fetchall()
    for tenant, key in unused:
        delete_session(db, tenant, key, None)
    return len(unused)


def prune_usage(db: apsw.Connection, before_ms: int, limit: int) -> int:
    """Delete the oldest model calls of every tenant from the usage ledger."""
    db.execute(_OLD_USAGE, (before_ms, limit))
    return db.changes()


def ping(db: apsw.Connection, now_ms: int) -> None:
    """Write a row that nobody needs."""
    db.execute(_PING, (str(now_ms),))


def no_session(key: SessionKey) -> NotFound:
    """Return the error for a session that is not there, or not this owner's: the two look alike on purpose."""
    return NotFound(f"no session {key!r}", hint="`openclaw sessions list` shows the sessions there are.")


def _not_open(db: apsw.Connection, run_id: RunId) -> Conflict | NotFound:
    states = [row[0] for row in db.execute("SELECT state FROM runs WHERE run_id = ?", (run_id,)).fetchall()]
    if not states:
        return NotFound(f"no run {run_id!r}; its session may have been deleted")
    return Conflict(f"the run {run_id!r} {'has not begun' if 'queued' in states else 'has already ended'}")
