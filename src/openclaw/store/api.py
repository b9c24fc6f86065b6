"""What every store offers, whatever database is behind it.

Each method is one transaction: when it returns, its rows are durable (synchronous=FULL, group commit). Every row that
belongs to someone carries tenant and owner; `owner=None` in a query means "all owners" and is for operators only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from openclaw.base.ids import AgentId, OwnerId, RunId, SessionId, SessionKey, TenantId
from openclaw.base.message import Message, ToolOutcome
from openclaw.base.model import Usage
from openclaw.base.run import Inbound, Reply, RunState
from openclaw.base.thinking import Thinking


class SessionMarks(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What people put on a session to find it again. Times are Unix ms; 0 and the empty text are "not"."""

    archived_at_ms: int = 0
    pinned_at_ms: int = 0
    unread_at_ms: int = 0
    """When somebody marked it as unread."""
    read_at_ms: int = 0
    category: str = ""
    """The group it is in."""
    icon: str = ""
    color: str = ""
    note: str = ""
    note_until_ms: int = 0
    attention: str = ""
    board_face: str = ""
    parent: str = ""
    """The key of the session it was made from."""
    forked: bool = False
    """It began with a copy of its parent's transcript."""


class SessionFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which sessions are wanted; None means that it does not matter. `search` looks at key and label, in either case
    of ASCII letters."""

    search: str | None = None
    label: str | None = None
    archived: bool | None = None
    pinned: bool | None = None
    category: str | None = None
    board_face: str | None = None
    parent: str | None = None
    agents: tuple[AgentId, ...] | None = None
    cron: bool | None = None
    """Made by a scheduled job (`:cron:` in its key)."""
    subagent: bool | None = None


EVERY_SESSION = SessionFilter()


class SessionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A session: the key is stable, the id changes with each reset. Times are Unix ms; token counts are totals."""

    key: SessionKey
    id: SessionId
    agent_id: AgentId
    tenant: TenantId
    owner: OwnerId
    created_at_ms: int
    updated_at_ms: int
    ephemeral: bool = False
    label: str = ""
    model: str = ""
    """`provider/model` override chosen for this session, or empty."""
    input_tokens: int = 0
    output_tokens: int = 0
    aborted_last_run: bool = False
    thinking: Thinking = ""
    """How much to think, chosen for this session, or empty."""
    marks: SessionMarks = SessionMarks()
    prompt_tokens: int = 0
    """What the last model call was given: how full the model's context is. 0 while that is not known."""


class StepRow(msgspec.Struct, frozen=True, kw_only=True):
    """One committed step: an inbound message, or a model answer *with* the outcomes of all its tool calls.

    Shape: `seq` grows by at least one within a session id, from 1.
    """

    session_id: SessionId
    seq: int
    run_id: RunId
    kind: Literal["inbound", "model", "notice", "summary"]
    messages: tuple[Message, ...]
    at_ms: int
    usage: Usage = Usage()
    model: str = ""
    provider: str = ""
    finish_reason: str = ""
    covers_seq: int = 0
    """Of a summary: the last step that it stands for."""


class RunRow(msgspec.Struct, frozen=True, kw_only=True):
    """An accepted message and what became of it. `reply` is set once the run has ended."""

    id: RunId
    session_key: SessionKey
    session_id: SessionId
    inbound: Inbound
    state: RunState
    attempts: int
    accepted_at_ms: int
    reply: Reply | None = None


class Accepted(msgspec.Struct, frozen=True):
    """Answer of `accept`: `duplicate` holds the earlier run when this (owner, run id) was accepted before."""

    session: SessionRow
    duplicate: RunRow | None = None
    seq: int = 0
    """The seq of the inbound step, when the run starts at once."""


class NewStep(msgspec.Struct, frozen=True, kw_only=True):
    """A step to commit; the store gives it its seq."""

    kind: Literal["inbound", "model", "notice", "summary"]
    messages: tuple[Message, ...]
    usage: Usage = Usage()
    model: str = ""
    provider: str = ""
    finish_reason: str = ""
    latency_ms: int = 0
    first_token_ms: int = 0
    purpose: str = "interactive"
    usd_micros: int | None = None
    channel: str = ""
    covers_seq: int = 0
    """Of a summary: the last step that it stands for. The steps themselves stay in the archive."""


class UsageRow(msgspec.Struct, frozen=True, kw_only=True):
    """One model call in the usage ledger."""

    at_ms: int
    run_id: RunId
    session_key: SessionKey
    agent_id: AgentId
    tenant: TenantId
    owner: OwnerId
    provider: str
    model: str
    purpose: str
    usage: Usage
    latency_ms: int
    first_token_ms: int
    error_code: str = ""
    usd_micros: int | None = None
    """What it cost, in millionths of a US dollar; None when no price is known."""
    channel: str = ""


class PendingStep(msgspec.Struct, frozen=True, kw_only=True):
    """An answer whose tools are running, with the outcomes known so far."""

    message: Message
    outcomes: tuple[ToolOutcome, ...] = ()
    usage: Usage = Usage()
    latency_ms: int = 0
    first_token_ms: int = 0
    model: str = ""
    provider: str = ""
    usd_micros: int | None = None


class Cap(msgspec.Struct, frozen=True, kw_only=True):
    """A cap that applies to one call. `scope` and `subject` say whose calls count together, from `since_ms` on."""

    scope: Literal["total", "tenant", "principal", "agent", "channel"]
    subject: str
    since_ms: int
    limit_usd_micros: int
    notice_usd_micros: int = 0


class Spender(msgspec.Struct, frozen=True, kw_only=True):
    """Who a call is for: the subjects that caps go by."""

    run_id: RunId
    tenant: TenantId
    owner: OwnerId
    agent_id: AgentId
    channel: str


class Reservation(msgspec.Struct, frozen=True):
    """Money set aside before a call. `notices`: the caps whose notice level this one is the first to pass."""

    id: int
    usd_micros: int
    notices: tuple[Cap, ...] = ()
    used_usd_micros: tuple[int, ...] = ()
    """What is spent or held of each cap with this reservation, in the order the caps were given."""


UsageBy = Literal["agent", "channel", "principal", "model", "provider", "purpose", "day", "session"]


class UsageTotal(msgspec.Struct, frozen=True, kw_only=True):
    """Model calls of one group. `key` has a value per dimension asked for, in that order; a day is an ISO date, UTC."""

    key: tuple[str, ...]
    calls: int
    failed: int
    usage: Usage
    usd_micros: int
    unpriced: int
    """Calls that used tokens at no known price: `usd_micros` is without them."""


class MemoryRow(msgspec.Struct, frozen=True, kw_only=True):
    """One remembered thing. Only its owner's agents may read it."""

    id: str
    agent_id: AgentId
    tenant: TenantId
    owner: OwnerId
    text: str
    created_at_ms: int
    source: str = ""
    score: float = 0.0
    """How well it fits a search: higher is better; 0 outside searches."""


class Store(Protocol):
    """The archive. Raises InvalidRequest, NotFound or Conflict for callers' faults, Unavailable when it is closed."""

    async def accept(self, inbound: Inbound, now_ms: int, *, start: bool) -> Accepted:
        """Make the session if need be, and write the run in one transaction: what was accepted is never lost.

        With `start` (the lane is free) the run is `running`, attempt 1, and its inbound step is in the transcript.
        Without, the run is `queued` and its message enters the transcript with `begin_run`, so that a message that
        waited stands after the answer it waited for. `history` of an ephemeral inbound is written as steps before it.
        A second accept of the same (tenant, owner, run_id) writes nothing and returns the first as `duplicate`. A key
        that belongs to another owner: NotFound.
        """
        ...

    async def begin_run(self, run_id: RunId, now_ms: int) -> int:
        """Mark a run as running, write its inbound step unless it is there, count the attempt. Return the attempts.

        Called for a run that waited in its lane and for one resumed after a crash. Raises: NotFound.
        """
        ...

    async def commit_step(self, run_id: RunId, step: NewStep, now_ms: int) -> int:
        """Append one step to the run's session and its model call to the usage ledger. Return its seq.

        Raises: InvalidRequest when a tool call in it lacks its outcome, or an outcome its call.
        """
        ...

    async def pend(self, run_id: RunId, step: PendingStep) -> None:
        """Keep an answer before its tools act, and again with each outcome; the run's next commit or end drops it."""
        ...

    async def pending(self, run_id: RunId) -> PendingStep | None:
        """Return what a crash interrupted, or None."""
        ...

    async def finish_run(self, run_id: RunId, reply: Reply, step: NewStep | None, now_ms: int) -> int:
        """Append the last step (if any), its usage, and the end of the run in one transaction.

        Return the last step's seq, 0 without one.
        """
        ...

    async def record_usage(self, rows: Sequence[UsageRow]) -> None:
        """Append model calls that belong to no step (probes, failed calls)."""
        ...

    async def run(self, run_id: RunId, owner: OwnerId | None = None) -> RunRow | None:
        """Return a run, or None."""
        ...

    async def open_runs(self) -> list[RunRow]:
        """Return every run that has not ended, oldest first: what a crash left behind."""
        ...

    async def session(self, key: SessionKey, owner: OwnerId | None = None) -> SessionRow | None:
        """Return a session by key, or None."""
        ...

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
        """Return sessions, latest first, and how many match without the limit."""
        ...

    async def steps(self, session_id: SessionId, *, limit: int = 1000, before_seq: int | None = None) -> list[StepRow]:
        """Return the last `limit` steps (before `before_seq`), oldest first."""
        ...

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
        """Change what is given, all or nothing; of `marks` (fields of SessionMarks) None takes one away.

        Raises: NotFound; Conflict when the session's id is no longer `expected`.
        """
        ...

    async def create_session(self, key: SessionKey, agent_id: AgentId, owner: OwnerId, now_ms: int) -> SessionRow:
        """Make a session without a run; one that is there already stays as it is. Another owner's key: NotFound."""
        ...

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
        """Copy a session, with its steps before one, under another key. Raises: NotFound, Conflict (key taken)."""
        ...

    async def rewind_session(
        self, key: SessionKey, now_ms: int, *, before_seq: int, owner: OwnerId | None = None
    ) -> SessionRow:
        """Go on under a new id with the steps before one; the old transcript stays in the archive. Raises: NotFound."""
        ...

    async def regroup(self, name: str, to: str | None, owner: OwnerId) -> int:
        """Put an owner's sessions of one group into another, or into none. Return how many."""
        ...

    async def grouped(self, owner: OwnerId) -> dict[str, int]:
        """Return how many of an owner's sessions are in each group."""
        ...

    async def search_steps(self, session_ids: Sequence[SessionId], text: str, *, limit: int) -> list[StepRow]:
        """Return recent steps whose stored form holds a text, the latest first: candidates, to be looked at."""
        ...

    async def reset_session(self, key: SessionKey, now_ms: int, owner: OwnerId | None = None) -> SessionRow:
        """Start the session afresh under a new id; the old transcript stays in the archive. Raises: NotFound."""
        ...

    async def delete_session(self, key: SessionKey, owner: OwnerId | None = None) -> bool:
        """Delete the session, its transcripts and runs (never the usage ledger). Say whether it was there."""
        ...

    async def append_notice(self, key: SessionKey, message: Message, now_ms: int) -> int:
        """Append a message from outside any run (chat.inject, a crash notice). Return its seq. Raises: NotFound."""
        ...

    async def append_summary(
        self, key: SessionKey, step: NewStep, now_ms: int, *, session_id: SessionId, run_id: RunId
    ) -> int:
        """Append a summary made outside any run, and its model call (if it took one) to the usage ledger.

        `run_id` names the reservation that paid for it. Return its seq. Raises: NotFound; Conflict when the session was
        reset meanwhile: the summary is of another transcript.
        """
        ...

    async def usage_since(self, since_ms: int, *, owner: OwnerId | None = None, limit: int = 10_000) -> list[UsageRow]:
        """Return the usage ledger from a time on, oldest first."""
        ...

    async def usage_totals(
        self,
        by: Sequence[UsageBy],
        *,
        since_ms: int = 0,
        before_ms: int | None = None,
        owner: OwnerId | None = None,
        limit: int = 1000,
    ) -> list[UsageTotal]:
        """Return sums of the usage ledger per group: the dearest first, or by day when the first dimension is one."""
        ...

    async def reserve(self, spender: Spender, usd_micros: int, caps: Sequence[Cap], now_ms: int) -> Reservation:
        """Set money aside in one transaction: no number of concurrent calls passes a cap by a single micro-dollar.

        Raises: BudgetExceeded naming the cap, what is spent and what is held.
        """
        ...

    async def settle(self, reservation_id: int, usd_micros: int, now_ms: int) -> None:
        """Replace a reservation by what the call really cost. A second settle of the same id changes nothing."""
        ...

    async def release(self, reservation_id: int) -> None:
        """Give a reservation back: the call never reached the provider."""
        ...

    async def reconcile(self, now_ms: int) -> int:
        """Settle at their full amount what a crash left reserved: the provider may have worked. Return how many."""
        ...

    async def spent(self, cap: Cap) -> tuple[int, int]:
        """Return (settled, held) USD micros that count against a cap."""
        ...

    async def remember(self, row: MemoryRow, keep: int) -> None:
        """Add a memory and drop the oldest of its owner and agent beyond `keep`."""
        ...

    async def recall(
        self, query: str, *, owner: OwnerId, agent_id: AgentId, tenant: TenantId, limit: int = 10
    ) -> list[MemoryRow]:
        """Return what fits a query best, by full-text search, best first. Any text is a valid query."""
        ...

    async def forget(self, memory_id: str, *, owner: OwnerId, agent_id: AgentId, tenant: TenantId) -> bool:
        """Delete a memory. Say whether it was there."""
        ...

    async def prune_ephemeral(self, before_ms: int, limit: int = 1000) -> int:
        """Delete ephemeral sessions not used since then, at most `limit`. Return how many went."""
        ...

    async def prune_transcripts(self, before_ms: int, limit: int = 1000) -> int:
        """Delete lasting sessions not used since then, and past ones that ended before, at most `limit` of each.

        Return the larger of the two numbers.
        """
        ...

    async def prune_usage(self, before_ms: int, limit: int = 1000) -> int:
        """Delete model calls older than that from the usage ledger, at most `limit`. Return how many went."""
        ...

    async def ping(self) -> None:
        """Prove that a write transaction works. Raises: Unavailable."""
        ...

    async def close(self) -> None:
        """Commit what is queued and let go of the database and the lock."""
        ...
