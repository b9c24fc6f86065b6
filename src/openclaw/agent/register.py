"""The register of sessions: made without a message, marked, grouped, found by their words, copied and rewound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import msgspec

from openclaw.agent.api import Found, Mark
from openclaw.base import own_names
from openclaw.base.clock import Clock
from openclaw.base.ids import AgentId, RunId, SessionId, SessionKey
from openclaw.base.message import Message
from openclaw.base.principal import Limits, Principal
from openclaw.base.thinking import Thinking
from openclaw.store.api import SessionFilter, SessionRow, StepRow, Store

SEARCHED_SESSIONS: Final = 100
"""Sessions that a search looks into: the latest ones, unless it names them."""

CANDIDATES: Final = 200
"""Steps that a search takes from the archive to look at; what is sought may be in a field's name instead of a text."""

SNIPPET_CHARS: Final = 240


def within(limits: Limits, wanted: SessionFilter) -> SessionFilter:
    """Return a filter that leaves out the sessions of agents that somebody's roles do not let them talk to."""
    if limits.agents is None or "*" in limits.agents:
        return wanted
    allowed = tuple(AgentId(name) for name in limits.agents if wanted.agents is None or name in wanted.agents)
    return msgspec.structs.replace(wanted, agents=allowed)


class Study(Protocol):
    """What the register needs of the study."""

    async def session(self, key: SessionKey, principal: Principal) -> SessionRow | None: ...

    async def overlooked(self, principal: Principal, rows: Sequence[SessionRow]) -> None:
        """Note that sessions of other people are looked at."""
        ...

    async def quiet(self, key: SessionKey, principal: Principal, reason: str) -> None:
        """Stop what runs in a session and wait for it, a short while."""
        ...

    def changed(self, session: SessionRow, reason: str) -> None:
        """Tell the observers."""
        ...

    def check_model(self, principal: Principal, ref: str) -> None:
        """Raises: ModelUnavailable, ModelNotFound."""
        ...

    def runs_of(self, key: SessionKey) -> list[RunId]:
        """Return the runs of a session that are going or waiting."""
        ...


class Register:
    """Implements agent.api.SessionRegister over the archive."""

    def __init__(self, study: Study, store: Store, clock: Clock) -> None:
        self._study = study
        self._store = store
        self._clock = clock

    async def create(self, key: SessionKey, agent_id: AgentId, principal: Principal) -> SessionRow:
        """Make a session; one that is there already stays as it is."""
        own_names.expect_own(principal, key)
        before = await self._store.session(key, principal.rows_of)
        if before is not None:
            return before
        row = await self._store.create_session(key, agent_id, principal.owner, self._clock.now_ms())
        self._study.changed(row, "create")
        return row

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
        """Change what is given in one transaction."""
        if model:
            self._study.check_model(principal, model)
        row = await self._store.patch_session(
            key,
            label=label,
            model=model,
            thinking=thinking,
            marks=marks,
            expected=expected,
            owner=principal.rows_of,
        )
        self._study.changed(row, "patch")
        return row

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
        rows, count = await self._store.sessions(
            owner=principal.looks_at,
            wanted=wanted if principal.limits is None else within(principal.limits, wanted),
            agent_id=agent_id,
            active_since_ms=active_since_ms,
            limit=limit,
            offset=offset,
        )
        await self._study.overlooked(principal, rows)
        return rows, count

    async def fork(self, key: SessionKey, to_key: SessionKey, principal: Principal, before_seq: int) -> SessionRow:
        """Copy a session with its steps before one."""
        marks: dict[str, Mark] = {"parent": key, "forked": True}
        row = await self._store.fork_session(
            key, to_key, self._clock.now_ms(), before_seq=before_seq, marks=marks, owner=principal.rows_of
        )
        self._study.changed(row, "fork")
        return row

    async def rewind(self, key: SessionKey, principal: Principal, before_seq: int) -> SessionRow:
        """Stop what runs, and go on from before a step."""
        await self._study.quiet(key, principal, "rewind")
        row = await self._store.rewind_session(
            key, self._clock.now_ms(), before_seq=before_seq, owner=principal.rows_of
        )
        self._study.changed(row, "rewind")
        return row

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
        """Return messages of people and models that hold a text, the latest first."""
        rows = await self._searched(principal, keys, agent_id, wanted or SessionFilter(archived=False))
        by_id = {row.id: row for row in rows}
        steps = await self._store.search_steps(list(by_id), text, limit=CANDIDATES)
        found = []
        for step in steps:
            for index, message in enumerate(step.messages):
                snippet = _snippet(message, text)
                if snippet and step.kind != "summary":
                    found.append(Found(row=by_id[step.session_id], step=step, index=index, snippet=snippet))
        return found[:limit]

    async def _searched(
        self, principal: Principal, keys: Sequence[SessionKey], agent_id: AgentId | None, wanted: SessionFilter
    ) -> list[SessionRow]:
        if not keys:
            return (await self.find(principal, wanted, agent_id=agent_id, limit=SEARCHED_SESSIONS))[0]
        rows = [await self._study.session(key, principal) for key in keys]
        return [row for row in rows if row is not None]

    async def regroup(self, principal: Principal, name: str, to: str | None) -> int:
        """Put the principal's own sessions of one group into another, or into none."""
        return await self._store.regroup(name, to, principal.owner)

    async def grouped(self, principal: Principal) -> dict[str, int]:
        """Return how many of the principal's own sessions are in each group."""
        return await self._store.grouped(principal.owner)

    async def step(self, key: SessionKey, principal: Principal, session_id: str, seq: int) -> StepRow | None:
        """Return one step of a session, while that is its id; None for any other."""
        row = await self._study.session(key, principal)
        if row is None or row.id != session_id:
            return None
        steps = await self._store.steps(row.id, limit=1, before_seq=seq + 1)
        return steps[0] if steps and steps[0].seq == seq else None

    def runs(self, key: SessionKey) -> list[RunId]:
        """Return the runs of a session that are going or waiting."""
        return self._study.runs_of(key)


def _snippet(message: Message, text: str) -> str:
    """Return what surrounds a text in a message, or an empty text."""
    if message.role not in ("user", "assistant"):
        return ""
    at = message.text.lower().find(text.lower())
    if at < 0:
        return ""
    start = max(0, at - SNIPPET_CHARS // 3)
    return message.text[start : start + SNIPPET_CHARS]
