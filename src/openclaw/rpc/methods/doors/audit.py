"""audit.query, audit.verify: the ledger of what doors decided and operators did. Reading it leaves a row in it."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from openclaw.base.audit import Kind
from openclaw.base.errors import Unavailable
from openclaw.ops.audit_heads import heads_in
from openclaw.protocol.validate import NoParams, Params
from openclaw.rpc.method import MethodSpec, Rate
from openclaw.rpc.peer import Peer
from openclaw.rpc.room import Room
from openclaw.store.audit import MAX_PAGE, Audit, Row, Wanted

READS: Final = Rate(30, 2)
CHECKS: Final = Rate(3, 0.05)
When = Annotated[int, Meta(ge=0)]
Text = Annotated[str, Meta(max_length=512)]


class AuditQueryParams(Params, frozen=True):
    """Which rows; what is left out is "all". `cursor` is the number of a row: only what comes before it."""

    kinds: Annotated[tuple[Kind, ...], Meta(max_length=20)] = ()
    answers: Annotated[tuple[Literal["allow", "deny", "ask"], ...], Meta(max_length=3)] = ()
    principal: Text = ""
    agent_id: Text = ""
    session_key: Text = ""
    run_id: Text = ""
    text: Text = ""
    since_ms: When = 0
    before_ms: When = 0
    cursor: When = 0
    limit: Annotated[int, Meta(ge=1, le=MAX_PAGE)] = 100


async def audit_query(room: Room, peer: Peer, params: AuditQueryParams) -> dict[str, Any]:
    """Return rows, the last first."""
    found = await _ledger(room).query(
        Wanted(
            kinds=params.kinds,
            answers=params.answers,
            tenant=peer.principal.tenant,
            owner=params.principal or None,  # type: ignore[arg-type]  # a new type of str
            agent=params.agent_id,
            session=params.session_key,
            run=params.run_id,
            text=params.text,
            since_ms=params.since_ms,
            before_ms=params.before_ms,
            before_seq=params.cursor,
            limit=params.limit,
        )
    )
    more = {"nextCursor": found[-1].seq} if len(found) == params.limit else {}
    return {"rows": [_row(row) for row in found], **more}


async def audit_verify(room: Room, peer: Peer, params: NoParams) -> dict[str, Any]:
    """Return what a check of the whole chain found, against the heads in the log too."""
    heads = await asyncio.to_thread(heads_in, room.deps.logs_dir)
    found = await _ledger(room).verify(heads)
    return {"ok": not found.problem, **msgspec.to_builtins(found)}


def _ledger(room: Room) -> Audit:
    if room.deps.audit is None:
        raise Unavailable("this gateway keeps no audit ledger")
    return room.deps.audit


def _row(row: Row) -> dict[str, Any]:
    return {"seq": row.seq, **msgspec.to_builtins(row.entry), "hash": row.hash}


METHODS: tuple[MethodSpec, ...] = (
    MethodSpec(
        "audit.query",
        AuditQueryParams,
        "operator.admin",
        audit_query,
        "Lists rows of the audit ledger, the last first.",
        "`{rows: [{seq, atMs, kind, action, target, answer, rule, …, hash}], nextCursor?}`",
        rate=READS,
        announced=False,
    ),
    MethodSpec(
        "audit.verify",
        NoParams,
        "operator.admin",
        audit_verify,
        "Checks every row of the audit ledger against the one before it, and the chain against the heads in the log.",
        "`{ok, rows, first, head: {seq, hash}, problem, at}`",
        rate=CHECKS,
        announced=False,
    ),
)
