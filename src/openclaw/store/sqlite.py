"""The store on SQLite: one writer thread with group commit, one reader thread, bound to one event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import ParamSpec, TypeVar

import apsw

from openclaw.base.audit import Entry
from openclaw.base.clock import Clock
from openclaw.base.errors import BudgetExceeded, InvalidRequest, Unavailable
from openclaw.base.ids import DEFAULT_TENANT, AgentId, OwnerId, RunId, SessionId, SessionKey, TenantId, new_session_id
from openclaw.base.message import Message
from openclaw.base.run import Inbound, Reply
from openclaw.base.thinking import Thinking
from openclaw.store import audit, budget, memory, pending, read, usage, vector, write
from openclaw.store import marks as marking
from openclaw.store.api import (
    EVERY_SESSION,
    Accepted,
    Cap,
    MemoryRow,
    NewStep,
    PendingStep,
    Reservation,
    RunRow,
    SessionFilter,
    SessionRow,
    Spender,
    StepRow,
    UsageBy,
    UsageRow,
    UsageTotal,
)
from openclaw.store.codec import encode_inbound, encode_inbound_steps, encode_patch, encode_reply, encode_step
from openclaw.store.connect import READER_CACHE_KIB, WRITER_CACHE_KIB, connect, create_private
from openclaw.store.copy import snapshot_before
from openclaw.store.fault import fault
from openclaw.store.lock import StateLock
from openclaw.store.schema import migrate
from openclaw.store.shelf import Shelf
from openclaw.store.thread import DatabaseThread
from openclaw.store.transcript import check_complete
from openclaw.store.writer import Writer

_log = logging.getLogger("openclaw.store")
P = ParamSpec("P")
T = TypeVar("T")

_ENDED = ("ok", "error", "aborted")


class SqliteStore:
    """Implements `store.api.Store` for one tenant's callers; recovery and pruning see every tenant."""

    def __init__(
        self, writer: Writer, reader: DatabaseThread, lock: StateLock | None, clock: Clock, path: Path
    ) -> None:
        self.audit = audit.Audit(writer, path)
        self._path = path
        self._writer = writer
        self._reader = reader
        self._lock = lock
        self._clock = clock
        self._tenant: TenantId = DEFAULT_TENANT

    @classmethod
    async def open(cls, db_path: Path, *, clock: Clock, lock: StateLock | None = None) -> SqliteStore:
        """Open (or create) the database, migrate it, and start its threads.

        Without a `lock` the store takes the state directory's lock itself and lets go of it in `close`. A `lock` that
        is given must be held by the caller already, and stays the caller's.

        Raises: StateLocked, ConfigError (a newer schema), Unavailable (disk, permissions, damage).
        """
        own = StateLock(db_path.parent) if lock is None else None
        try:
            if own is not None:
                own.acquire()
            writing, checkpoints, reading = await asyncio.to_thread(_connect_all, db_path)
        except BaseException as error:
            if own is not None:
                own.release()
            if isinstance(error, (OSError, apsw.Error)):
                raise fault(error, f"opening {db_path}") from error
            raise
        return cls(Writer(writing, checkpoints), DatabaseThread("reader", reading), own, clock, db_path)

    def for_tenant(self, tenant: TenantId) -> SqliteStore:
        """Return a view of the same store whose queries see that tenant's rows only."""
        view = SqliteStore(self._writer, self._reader, self._lock, self._clock, self._path)
        view._tenant = tenant
        return view

    @property
    def shelf(self) -> Shelf:
        """The tenant's small records."""
        return Shelf(self._writer, self._reader, self._tenant)

    async def accept(self, inbound: Inbound, now_ms: int, *, start: bool) -> Accepted:
        """See Store.accept. Also raises Conflict when another owner's open run has this id."""
        if not inbound.run_id or not inbound.session_key:
            raise InvalidRequest("accept: the run id and the session key must not be empty")
        check_complete((*inbound.history, inbound.message) if inbound.ephemeral else (inbound.message,))
        row = _encoded("accept", encode_inbound, inbound, whole=not start)
        steps = _encoded("accept", encode_inbound_steps, inbound, now_ms) if start else None
        fresh = new_session_id()
        entry = _admitted(inbound, now_ms)

        def job(db: apsw.Connection) -> Accepted:
            accepted = write.accept(db, inbound, row, steps, fresh, now_ms)
            if accepted.duplicate is None:
                audit.append(db, (entry,))
            return accepted

        return await self._writer.submit(job, "accept")

    async def begin_run(self, run_id: RunId, now_ms: int) -> int:
        """See Store.begin_run."""
        return await self._writer.submit(lambda db: write.begin_run(db, run_id, now_ms), "begin_run")

    async def commit_step(self, run_id: RunId, step: NewStep, now_ms: int) -> int:
        """See Store.commit_step. Raises: Conflict when the run has not begun or has ended."""
        check_complete(step.messages)
        body = _encoded("commit_step", encode_step, run_id, step, now_ms)
        return await self._writer.submit(lambda db: write.commit_step(db, run_id, step, body, now_ms), "commit_step")

    async def pend(self, run_id: RunId, step: PendingStep) -> None:
        """See Store.pend."""
        body = _encoded("pend", pending.encode, step)
        await self._writer.submit(lambda db: pending.put(db, run_id, body), "pend")

    async def pending(self, run_id: RunId) -> PendingStep | None:
        """See Store.pending."""
        return await self._reader.submit(lambda db: pending.get(db, run_id), "pending")

    async def finish_run(self, run_id: RunId, reply: Reply, step: NewStep | None, now_ms: int) -> int:
        """See Store.finish_run. Raises: Conflict when the run has ended, NotFound when it is gone."""
        if reply.state not in _ENDED:
            raise InvalidRequest(f"finish_run: {reply.state!r} is not the state of a run that has ended")
        last = None
        if step is not None:
            check_complete(step.messages)
            last = (step, _encoded("finish_run", encode_step, run_id, step, now_ms))
        raw = _encoded("finish_run", encode_reply, reply)
        return await self._writer.submit(
            lambda db: write.finish_run(db, run_id, reply.state, raw, last, now_ms), "finish_run"
        )

    async def record_usage(self, rows: Sequence[UsageRow]) -> None:
        """See Store.record_usage."""
        if rows:
            await self._writer.submit(lambda db: write.record_usage(db, rows), "record_usage")

    async def run(self, run_id: RunId, owner: OwnerId | None = None) -> RunRow | None:
        """See Store.run."""
        return await self._reader.submit(lambda db: read.run(db, self._tenant, run_id, owner), "run")

    async def open_runs(self) -> list[RunRow]:
        """See Store.open_runs. Covers every tenant."""
        return await self._reader.submit(read.open_runs, "open_runs")

    async def session(self, key: SessionKey, owner: OwnerId | None = None) -> SessionRow | None:
        """See Store.session."""
        return await self._reader.submit(lambda db: read.session(db, self._tenant, key, owner), "session")

    async def sessions(
        self,
        *,
        owner: OwnerId | None = None,
        agent_id: AgentId | None = None,
        active_since_ms: int = 0,
        include_ephemeral: bool = False,
        wanted: SessionFilter = EVERY_SESSION,
        limit: int = 100,
        offset: int = 0,
    ) -> tuple[list[SessionRow], int]:
        """See Store.sessions."""
        return await self._reader.submit(
            lambda db: read.sessions(
                db,
                self._tenant,
                owner=owner,
                agent_id=agent_id,
                active_since_ms=active_since_ms,
                include_ephemeral=include_ephemeral,
                wanted=wanted,
                limit=max(limit, 0),
                offset=max(offset, 0),
            ),
            "sessions",
        )

    async def steps(self, session_id: SessionId, *, limit: int = 1000, before_seq: int | None = None) -> list[StepRow]:
        """See Store.steps."""
        return await self._reader.submit(
            lambda db: read.steps(db, session_id, limit=max(limit, 0), before_seq=before_seq), "steps"
        )

    async def patch_session(
        self,
        key: SessionKey,
        *,
        label: str | None = None,
        model: str | None = None,
        thinking: Thinking | None = None,
        marks: Mapping[str, str | int | bool | None] | None = None,
        expected: SessionId | None = None,
        owner: OwnerId | None = None,
    ) -> SessionRow:
        """See Store.patch_session."""
        patch = _encoded("patch_session", encode_patch, marks or {})
        return await self._writer.submit(
            lambda db: marking.patch_session(db, self._tenant, key, owner, label, model, thinking, patch, expected),
            "patch_session",
        )

    async def create_session(self, key: SessionKey, agent_id: AgentId, owner: OwnerId, now_ms: int) -> SessionRow:
        """See Store.create_session."""
        fresh = new_session_id()
        return await self._writer.submit(
            lambda db: marking.create_session(db, self._tenant, key, agent_id, owner, fresh, now_ms), "create_session"
        )

    async def fork_session(
        self,
        key: SessionKey,
        to_key: SessionKey,
        now_ms: int,
        *,
        before_seq: int,
        marks: Mapping[str, str | int | bool | None],
        owner: OwnerId | None = None,
    ) -> SessionRow:
        """See Store.fork_session."""
        fresh, put = new_session_id(), _encoded("fork_session", encode_patch, marks)
        return await self._writer.submit(
            lambda db: marking.fork_session(db, self._tenant, key, owner, before_seq, to_key, put, fresh, now_ms),
            "fork_session",
        )

    async def rewind_session(
        self, key: SessionKey, now_ms: int, *, before_seq: int, owner: OwnerId | None = None
    ) -> SessionRow:
        """See Store.rewind_session."""
        fresh = new_session_id()
        return await self._writer.submit(
            lambda db: marking.rewind_session(db, self._tenant, key, owner, before_seq, fresh, now_ms),
            "rewind_session",
        )

    async def regroup(self, name: str, to: str | None, owner: OwnerId) -> int:
        """See Store.regroup."""
        return await self._writer.submit(lambda db: marking.regroup(db, self._tenant, owner, name, to), "regroup")

    async def grouped(self, owner: OwnerId) -> dict[str, int]:
        """See Store.grouped."""
        return await self._reader.submit(lambda db: marking.grouped(db, self._tenant, owner), "grouped")

    async def search_steps(self, session_ids: Sequence[SessionId], text: str, *, limit: int) -> list[StepRow]:
        """See Store.search_steps."""
        like = _encoded("search_steps", marking.pattern, text)
        return await self._reader.submit(
            lambda db: marking.search_steps(db, session_ids, like, max(limit, 0)), "search_steps"
        )

    async def reset_session(self, key: SessionKey, now_ms: int, owner: OwnerId | None = None) -> SessionRow:
        """See Store.reset_session. Label, model and thinking stay; counts start again from zero."""
        fresh = new_session_id()
        return await self._writer.submit(
            lambda db: write.reset_session(db, self._tenant, key, owner, fresh, now_ms), "reset_session"
        )

    async def delete_session(self, key: SessionKey, owner: OwnerId | None = None) -> bool:
        """See Store.delete_session."""
        return await self._writer.submit(
            lambda db: write.delete_session(db, self._tenant, key, owner), "delete_session"
        )

    async def append_notice(self, key: SessionKey, message: Message, now_ms: int) -> int:
        """See Store.append_notice."""
        check_complete((message,))
        body = _encoded("append_notice", encode_step, "", NewStep(kind="notice", messages=(message,)), now_ms)
        return await self._writer.submit(
            lambda db: write.append_notice(db, self._tenant, key, body, now_ms), "append_notice"
        )

    async def append_summary(
        self, key: SessionKey, step: NewStep, now_ms: int, *, session_id: SessionId, run_id: RunId
    ) -> int:
        """See Store.append_summary."""
        check_complete(step.messages)
        body = _encoded("append_summary", encode_step, run_id, step, now_ms)
        return await self._writer.submit(
            lambda db: write.append_summary(db, self._tenant, key, session_id, run_id, step, body, now_ms),
            "append_summary",
        )

    async def usage_since(self, since_ms: int, *, owner: OwnerId | None = None, limit: int = 10_000) -> list[UsageRow]:
        """See Store.usage_since."""
        return await self._reader.submit(
            lambda db: read.usage_since(db, self._tenant, since_ms, owner, max(limit, 0)), "usage_since"
        )

    async def usage_totals(
        self,
        by: Sequence[UsageBy],
        *,
        since_ms: int = 0,
        before_ms: int | None = None,
        owner: OwnerId | None = None,
        limit: int = 1000,
    ) -> list[UsageTotal]:
        """See Store.usage_totals. Raises: InvalidRequest when no dimension is asked for."""
        if not by:
            raise InvalidRequest("usage_totals: name at least one dimension")
        return await self._reader.submit(
            lambda db: usage.totals(db, self._tenant, by, since_ms, before_ms, owner, max(limit, 0)), "usage_totals"
        )

    async def reserve(self, spender: Spender, usd_micros: int, caps: Sequence[Cap], now_ms: int) -> Reservation:
        """See Store.reserve. Cancels: the money goes back."""
        if usd_micros < 0:
            raise InvalidRequest("reserve: an amount must not be negative")
        made: list[int] = []

        def job(db: apsw.Connection) -> Reservation | BudgetExceeded:
            outcome = budget.reserve(db, spender, usd_micros, caps, now_ms)
            audit.append(db, (_reserved(spender, usd_micros, outcome, now_ms),))
            if isinstance(outcome, Reservation):
                made.append(outcome.id)
            return outcome

        try:
            outcome = await self._writer.submit(job, "reserve")
        except asyncio.CancelledError:
            with suppress(Unavailable):  # a store that closes leaves the hold to the next start
                undoing = self._writer.submit(lambda db: made and budget.settle(db, made[0], 0, now_ms), "release")
                undoing.add_done_callback(lambda done: done.cancelled() or done.exception())
            raise
        if isinstance(outcome, BudgetExceeded):
            raise outcome
        return outcome

    async def settle(self, reservation_id: int, usd_micros: int, now_ms: int) -> None:
        """See Store.settle."""
        if usd_micros < 0:
            raise InvalidRequest("settle: an amount must not be negative")
        await self._writer.submit(lambda db: budget.settle(db, reservation_id, usd_micros, now_ms), "settle")

    async def release(self, reservation_id: int) -> None:
        """See Store.release. The ledger keeps the reservation, settled at nothing."""
        await self.settle(reservation_id, 0, self._clock.now_ms())

    async def reconcile(self, now_ms: int) -> int:
        """See Store.reconcile. Covers every tenant."""
        return await self._writer.submit(lambda db: budget.reconcile(db, now_ms), "reconcile")

    async def spent(self, cap: Cap) -> tuple[int, int]:
        """See Store.spent."""
        return await self._reader.submit(lambda db: budget.spent(db, cap), "spent")

    async def remember(self, row: MemoryRow, keep: int) -> None:
        """See Store.remember."""
        await self._writer.submit(lambda db: memory.remember(db, row, max(keep, 0)), "remember")

    async def recall(
        self, query: str, *, owner: OwnerId, agent_id: AgentId, tenant: TenantId, limit: int = 10
    ) -> list[MemoryRow]:
        """See Store.recall."""
        return await self._reader.submit(
            lambda db: memory.recall(db, tenant, owner, agent_id, query, max(limit, 0)), "recall"
        )

    async def forget(self, memory_id: str, *, owner: OwnerId, agent_id: AgentId, tenant: TenantId) -> bool:
        """See Store.forget."""
        return await self._writer.submit(lambda db: memory.forget(db, tenant, owner, agent_id, memory_id), "forget")

    async def put_vector(
        self, memory_id: str, model: str, data: bytes, *, owner: OwnerId, agent_id: AgentId, tenant: TenantId
    ) -> bool:
        """Set a memory's vector in a model's space. Say whether the memory was there."""
        return await self._writer.submit(
            lambda db: vector.put(db, tenant, owner, agent_id, memory_id, model, data), "put_vector"
        )

    async def vectors(
        self, model: str, *, owner: OwnerId, agent_id: AgentId, tenant: TenantId
    ) -> list[tuple[str, bytes]]:
        """Return (memory id, vector) of the newest memories that have one of this model."""
        return await self._reader.submit(lambda db: vector.vectors(db, tenant, owner, agent_id, model), "vectors")

    async def memories(
        self, ids: Sequence[str], *, owner: OwnerId, agent_id: AgentId, tenant: TenantId
    ) -> list[MemoryRow]:
        """Return those memories, in the order of the ids; what is not there, or another's, is left out."""
        return await self._reader.submit(lambda db: vector.by_id(db, tenant, owner, agent_id, list(ids)), "memories")

    async def prune_ephemeral(self, before_ms: int, limit: int = 1000) -> int:
        """See Store.prune_ephemeral. A session with an open run stays. Covers every tenant."""
        return await self._writer.submit(lambda db: write.prune_ephemeral(db, before_ms, limit), "prune_ephemeral")

    async def prune_transcripts(self, before_ms: int, limit: int = 1000) -> int:
        """See Store.prune_transcripts. A session with an open run stays. Covers every tenant."""
        return await self._writer.submit(lambda db: write.prune_transcripts(db, before_ms, limit), "prune_transcripts")

    async def prune_usage(self, before_ms: int, limit: int = 1000) -> int:
        """See Store.prune_usage. Covers every tenant."""
        return await self._writer.submit(lambda db: write.prune_usage(db, before_ms, limit), "prune_usage")

    async def ping(self) -> None:
        """See Store.ping."""
        now_ms = self._clock.now_ms()
        await self._writer.submit(lambda db: write.ping(db, now_ms), "ping")

    async def close(self) -> None:
        """See Store.close. Safe to call again."""
        await self._reader.close()
        await self._writer.close()
        if self._lock is not None:
            self._lock.release()


def _admitted(inbound: Inbound, now_ms: int) -> Entry:
    who = inbound.principal
    return Entry(
        at_ms=now_ms,
        kind="run",
        action="accepted",
        tenant=who.tenant,
        owner=who.owner,
        method=who.method,
        device=who.device,
        channel=inbound.source,
        agent=inbound.agent_id,
        session=inbound.session_key,
        run=inbound.run_id,
        request=inbound.run_id,
    )


def _reserved(spender: Spender, usd_micros: int, outcome: Reservation | BudgetExceeded, now_ms: int) -> Entry:
    refused = isinstance(outcome, BudgetExceeded)
    return Entry(
        at_ms=now_ms,
        kind="spend",
        action="reserve",
        answer="deny" if refused else "allow",
        rule="spend.cap" if refused else "spend.within-caps",
        tenant=spender.tenant,
        owner=spender.owner,
        channel=spender.channel,
        agent=spender.agent_id,
        run=spender.run_id,
        request=spender.run_id,
        facts={"usdMicros": usd_micros},
    )


def _connect_all(db_path: Path) -> tuple[apsw.Connection, apsw.Connection, apsw.Connection]:
    """Return the writer's, the checkpointer's and the reader's connection; the schema is up to date."""
    create_private(db_path)
    opened: list[apsw.Connection] = []
    try:
        for cache_kib in (WRITER_CACHE_KIB, 0, READER_CACHE_KIB):
            opened.append(connect(db_path, cache_kib=cache_kib))
            if len(opened) == 1:
                if (copy := snapshot_before(opened[0], db_path)) is not None:
                    _log.info("store_snapshot", extra={"fields": {"path": str(copy), "why": "the schema is upgraded"}})
                migrate(opened[0])
        opened[2].pragma("query_only", True)
    except BaseException:
        for db in opened:
            db.close()
        raise
    return opened[0], opened[1], opened[2]


def _encoded(what: str, encode: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Encode in the caller, so that the writer's transaction holds no Python work that can be done before it."""
    try:
        return encode(*args, **kwargs)
    except (UnicodeEncodeError, OverflowError) as error:
        raise fault(error, what) from error
