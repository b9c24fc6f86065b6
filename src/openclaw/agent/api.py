"""What the doors (rpc, HTTP, channels) may ask of the study."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Protocol, TypeAlias

import msgspec

from openclaw.base.ids import AgentId, OwnerId, RunId, SessionId, SessionKey
from openclaw.base.message import Message
from openclaw.base.principal import Principal
from openclaw.base.run import Inbound, Reply, RunEvent, RunState
from openclaw.base.thinking import Thinking
from openclaw.store.api import RunRow, SessionFilter, SessionRow, StepRow


class AgentInfo(msgspec.Struct, frozen=True, kw_only=True):
    """An agent as listed. `model` is `provider/model`; `problem` says why it cannot run, if so."""

    id: AgentId
    name: str
    model: str
    workspace: str
    default: bool
    tools: tuple[str, ...] = ()
    problem: str = ""
    thinking: Thinking = ""


class CompactedSession(msgspec.Struct, frozen=True, kw_only=True):
    """What a compaction on request did. `messages` went, `kept` stay beside the summary; tokens are estimates."""

    key: SessionKey
    compacted: bool
    messages: int = 0
    kept: int = 0
    tokens_before: int = 0
    tokens_after: int = 0
    summary: str = ""
    """What stands in their place; empty when they were dropped."""
    reason: str = ""
    """Why nothing was done, or why they were dropped instead of summarised."""


Mark: TypeAlias = str | int | bool | None
"""The new value of a field of SessionMarks; None takes it away."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A message that a search found: `index` is its place among the messages of the step."""

    row: SessionRow
    step: StepRow
    index: int
    snippet: str


class SessionRegister(Protocol):
    """The sessions as a person keeps them. Everything is the principal's own, an administrator's everybody's."""

    async def create(self, key: SessionKey, agent_id: AgentId, principal: Principal) -> SessionRow:
        """Make a session without a message; one that is there already stays as it is. Raises: NotFound (foreign)."""
        ...

    async def mark(
        self,
        key: SessionKey,
        principal: Principal,
        *,
        label: str | None = None,
        model: str | None = None,
        thinking: Thinking | None = None,
        marks: Mapping[str, Mark] | None = None,
        expected: SessionId | None = None,
    ) -> SessionRow:
        """Change what is given, all or nothing.

        Raises: NotFound; Conflict when the id is no longer `expected`; ModelUnavailable, ModelNotFound.
        """
        ...

    async def find(
        self,
        principal: Principal,
        wanted: SessionFilter,
        *,
        agent_id: AgentId | None = None,
        active_since_ms: int = 0,
        limit: int = 100,
        offset: int = 0,
    ) -> tuple[list[SessionRow], int]:
        """Return sessions that fit, latest first, and how many fit without the limit."""
        ...

    async def fork(self, key: SessionKey, to_key: SessionKey, principal: Principal, before_seq: int) -> SessionRow:
        """Copy a session, with its steps before one, under a key that is free. Raises: NotFound, Conflict."""
        ...

    async def rewind(self, key: SessionKey, principal: Principal, before_seq: int) -> SessionRow:
        """Stop what runs, then go on under a new id with the steps before one. Raises: NotFound."""
        ...

    async def search(
        self,
        principal: Principal,
        text: str,
        *,
        keys: Sequence[SessionKey] = (),
        agent_id: AgentId | None = None,
        wanted: SessionFilter | None = None,
        limit: int = 25,
    ) -> list[Found]:
        """Return recent messages of people and models that hold a text, the latest first."""
        ...

    async def regroup(self, principal: Principal, name: str, to: str | None) -> int:
        """Put one's own sessions of a group into another, or into none. Return how many."""
        ...

    async def grouped(self, principal: Principal) -> dict[str, int]:
        """Return how many of one's own sessions are in each group."""
        ...

    async def step(self, key: SessionKey, principal: Principal, session_id: str, seq: int) -> StepRow | None:
        """Return one step of a session, while that is its id; None for any other."""
        ...

    def runs(self, key: SessionKey) -> list[RunId]:
        """Return the runs of a session that are going or waiting."""
        ...


class Run(Protocol):
    """A live run. Everyone who awaits `result` gets the same reply; any number may read `events`."""

    @property
    def id(self) -> RunId: ...

    @property
    def inbound(self) -> Inbound: ...

    @property
    def state(self) -> RunState: ...

    @property
    def accepted_at_ms(self) -> int: ...

    @property
    def duplicate(self) -> bool:
        """True when this submit repeated an earlier run id and got that run."""
        ...

    def events(self) -> AsyncIterator[Sequence[RunEvent]]:
        """Yield the run's events from its start, in batches, up to RunEnded. A slow reader never delays the run."""
        ...

    async def result(self) -> Reply:
        """Wait for the end. Never raises for a failed run: the reply says so."""
        ...


class RunObserver(Protocol):
    """Hears every event of every run (the RPC event bridge, metrics). Called on the loop; must not block or raise."""

    def on_run_accepted(self, run: Run, session: SessionRow) -> None:
        """A message is durable. `session` is as it was then; one made for it has the run's `accepted_at_ms`."""
        ...

    def on_run_events(self, run: Run, events: Sequence[RunEvent]) -> None: ...

    def on_session_changed(self, session: SessionRow, reason: str) -> None:
        """A session was reset, deleted, patched, compacted or written into. `session` is as it is now, or was."""
        ...


class Owned(Protocol):
    """What is somebody's."""

    @property
    def owner(self) -> str: ...


class AgentService(Protocol):
    """The study's counter."""

    @property
    def register(self) -> SessionRegister: ...

    def agents(self) -> list[AgentInfo]:
        """Every configured agent, the default first."""
        ...

    def default_agent(self) -> AgentId: ...

    def resolve_agent(self, name: str) -> AgentId:
        """Return the agent for a name; `default` and "" mean the default agent. Raises: NotFound."""
        ...

    def resolve_key(self, principal: Principal, raw: str, agent_id: AgentId | None = None) -> SessionKey:
        """Return the key of the session that the principal calls so (`main`, `agent:main:main`, any name).

        Raises: InvalidRequest; NotFound for somebody else's.
        """
        ...

    async def submit(self, inbound: Inbound) -> Run:
        """Accept a message: it is durable when this returns.

        Raises: LaneBusy, NotFound (agent, foreign session), InvalidRequest (too large, bad model), Unavailable.
        """
        ...

    def live_run(self, run_id: RunId) -> Run | None:
        """Return a run that is queued or running, or ended a short while ago."""
        ...

    async def past_run(self, run_id: RunId, owner: OwnerId | None = None) -> RunRow | None:
        """Return a run from the archive."""
        ...

    async def abort(
        self, key: SessionKey, principal: Principal, run_id: RunId | None = None, reason: str = "rpc"
    ) -> list[RunId]:
        """Stop the session's run (or that one) and its queue. Return the ids stopped; [] when nothing ran."""
        ...

    async def session(self, key: SessionKey, principal: Principal) -> SessionRow | None: ...

    async def sessions(
        self,
        principal: Principal,
        *,
        agent_id: AgentId | None = None,
        active_since_ms: int = 0,
        include_ephemeral: bool = False,
        limit: int = 100,
        offset: int = 0,
    ) -> tuple[list[SessionRow], int]: ...

    async def overlooked(self, principal: Principal, rows: Iterable[Owned], what: str = "session") -> None:
        """Note in the ledger that the principal is about to see what is other people's. Raises: Unavailable."""
        ...

    async def history(
        self, key: SessionKey, principal: Principal, limit: int = 200, before_seq: int | None = None
    ) -> list[StepRow]:
        """Return the last steps of the session (before `before_seq`), oldest first; [] when there is none."""
        ...

    async def reset_session(self, key: SessionKey, principal: Principal) -> SessionRow:
        """Abort what runs, then start afresh. Raises: NotFound."""
        ...

    async def delete_session(self, key: SessionKey, principal: Principal) -> bool: ...

    async def patch_session(
        self,
        key: SessionKey,
        principal: Principal,
        *,
        label: str | None = None,
        model: str | None = None,
        thinking: Thinking | None = None,
    ) -> SessionRow:
        """Raises: NotFound, ModelUnavailable for an unknown model."""
        ...

    async def compact_session(self, key: SessionKey, principal: Principal) -> CompactedSession:
        """Summarise everything but the last exchange; when no model can, drop it. Nothing runs meanwhile.

        Raises: NotFound; LaneBusy while a run is going; RunAborted when it is stopped; Unavailable.
        """
        ...

    async def inject(self, key: SessionKey, principal: Principal, message: Message) -> int:
        """Append a message from outside any run. Return its seq. Raises: NotFound."""
        ...

    def running(self) -> int:
        """How many runs are going."""
        ...

    def queued(self) -> int:
        """How many messages wait in lanes."""
        ...

    def load(self, principal: Principal) -> tuple[int, int]:
        """How many runs go and how many messages wait: of everybody for the operator, else one's own."""
        ...

    def observe(self, observer: RunObserver) -> None: ...
