"""The desk where requests to people wait: durable rows, one end each, and whoever waits is told.

1. A row is on the shelf before anybody is asked, and its end before anybody is told: a crash forgets no decision. Both
   are rows of the audit ledger in the same transaction.
2. Two ends race on the row's version; the first that is written holds.
3. What was pending when a gateway ended is cancelled at the next start: nobody waits for it any more. What names in
   `follow` what is to be done waits on.
4. There are at most MAX_PENDING open requests; of the ended ones the KEPT latest stay.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from openclaw.base import own_names
from openclaw.base.audit import Entry, Fact
from openclaw.base.clock import Clock
from openclaw.base.errors import Conflict, OpenClawError, TooLarge, Unavailable
from openclaw.base.ids import SessionKey
from openclaw.base.principal import Principal
from openclaw.base.tasks import TaskSet
from openclaw.policy.approval import (
    DECISIONS,
    Answers,
    Approval,
    Decision,
    Kind,
    Status,
    already_ended,
    answered,
    cut_off,
    decided,
    expired,
    may_know,
    may_review,
    remaining_s,
    unheard,
    unknown,
)
from openclaw.policy.grant import Grants
from openclaw.policy.ledger import MAX_TARGET
from openclaw.store.shelf import ABSENT, Change, Record, Shelf

KIND: Final = "approval"
MAX_PENDING: Final = 256
KEPT: Final = 1000
TRIM_EVERY: Final = 100
MAX_REQUEST_BYTES: Final = 32_768
MAX_WAIT_MS: Final = 86_400_000
"""No request waits longer than a day."""
PAGE: Final = 100
MAX_BY: Final = 128
_ANSWERS: Final[Mapping[Status, Literal["", "allow", "deny", "ask"]]] = {
    "pending": "ask",
    "allowed": "allow",
    "answered": "",
    "denied": "deny",
    "expired": "deny",
    "cancelled": "deny",
}

_log = logging.getLogger("openclaw.policy")

Observer = Callable[[Approval], None]
"""Hears of every request when it is made and when it has ended. Called on the loop; must not block or raise."""


Follow = Callable[[Principal, Approval], None]
"""What is done once a person has allowed something; called with who did. Must not block or raise."""


class NewApproval(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody asks. `id` may be the asker's own choice; `timeout_ms` is cut to MAX_WAIT_MS."""

    kind: Kind
    request: Mapping[str, Any]
    timeout_ms: int
    id: str = ""
    agent_id: str = ""
    session_key: str = ""
    offered: tuple[Decision, ...] = DECISIONS
    reviewers: tuple[str, ...] = ()
    needs: str = ""
    follow: str = ""
    kept: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class _Open:
    """A pending request; `end` gives the row as it ended."""

    approval: Approval
    end: asyncio.Future[Approval]


class Approvals:
    """One tenant's requests. `open` before anything else."""

    def __init__(self, shelf: Shelf, clock: Clock) -> None:
        self.grants = Grants(shelf, clock)
        self._shelf = shelf
        self._clock = clock
        self._open: dict[str, _Open] = {}
        self._places: dict[str, str] = {}
        """Where each kept request lies, by its id, oldest first."""
        self._observers: list[Observer] = []
        self._follow: dict[str, Follow] = {}
        self._tasks = TaskSet("policy.approvals", limit=MAX_PENDING * 2)

    async def open(self) -> None:
        """Read what is kept, and cancel what the last gateway left pending."""
        now_ms = self._clock.now_ms()
        left: list[Change] = []
        rows: list[Entry] = []
        after = ""
        while page := await self._shelf.list(KIND, after=after, limit=PAGE):
            after = page[-1].id
            for record in page:
                approval = _decode(record)
                self._places[approval.id] = record.id
                if approval.status != "pending":
                    continue
                if approval.follow and now_ms < approval.expires_at_ms:
                    self._await(approval)
                else:
                    ended = cut_off(approval, "gateway-restart", now_ms)
                    left.append(Change(KIND, record.id, msgspec.json.encode(ended), record.version))
                    rows.append(row_of(ended, now_ms))
        if left:
            await self._shelf.apply(left, now_ms, rows)

    async def close(self) -> None:
        """Stop the clocks. Who still waits is cancelled with its own task."""
        await self._tasks.close()
        for waiting in self._open.values():
            waiting.end.cancel()

    def _await(self, approval: Approval) -> None:
        """Go on waiting for a decision that the last gateway waited for."""
        waiting = self._open[approval.id] = _Open(approval, asyncio.get_running_loop().create_future())
        self._tasks.spawn(self._expire(waiting), "expiry")

    def follow(self, name: str, act: Follow) -> None:
        """Do `act` when a request that names it in `follow` is allowed, also one that was made before a restart."""
        self._follow[name] = act

    def following(self, name: str) -> int:
        """Return how many open requests name it."""
        return sum(waiting.approval.follow == name for waiting in self._open.values())

    def observe(self, observer: Observer) -> None:
        """Tell `observer` of every request from now on."""
        self._observers.append(observer)

    async def request(
        self,
        principal: Principal,
        new: NewApproval,
        reachable: Callable[[Approval], bool] = lambda _: True,
    ) -> Approval:
        """Ask. What nobody can be asked about is denied at once: its row comes back ended.

        Raises: Conflict for an id that was used, NotFound for a session of another, TooLarge, Unavailable when too
        many are pending.
        """
        self._check(principal, new)
        now_ms = self._clock.now_ms()
        key = own_names.kept_key(principal, SessionKey(new.session_key))  # nobody asks in another's session
        request = {**new.request, "sessionKey": key} if new.request.get("sessionKey") else new.request
        approval = Approval(
            id=own_names.kept_name(principal, new.id) if new.id else self._fresh_id(),
            kind=new.kind,
            tenant=principal.tenant,
            owner=principal.owner,
            request=request,
            created_at_ms=now_ms,
            expires_at_ms=now_ms + min(new.timeout_ms, MAX_WAIT_MS),
            agent_id=new.agent_id,
            session_key=key,
            offered=new.offered,
            reviewers=new.reviewers,
            needs=new.needs,
            follow=new.follow,
            kept=new.kept,
        )
        if not reachable(approval):
            approval = unheard(approval, now_ms)
        self._places[approval.id] = approval.place
        waiting = _Open(approval, asyncio.get_running_loop().create_future())
        if approval.status == "pending":
            self._open[approval.id] = waiting
        try:
            change = Change(KIND, approval.place, msgspec.json.encode(approval), ABSENT)
            await self._shelf.apply([change], now_ms, [row_of(approval, now_ms)])
        except BaseException:
            self._open.pop(approval.id, None)
            self._places.pop(approval.id, None)
            waiting.end.cancel()
            raise
        if self._open.get(approval.id) is waiting:
            self._tasks.spawn(self._expire(waiting), "expiry")
            self._tell(approval)
        if len(self._places) - len(self._open) >= KEPT + TRIM_EVERY:
            await self._trim()
        return approval

    async def wait(self, viewer: Principal, approval_id: str, kind: Kind | None = None) -> Approval:
        """Return a request as it ended; wait for that while it is pending. Raises: NotFound."""
        waiting = self._open.get(self._meant(viewer, approval_id))
        if waiting is None:
            return await self.get(viewer, approval_id, kind)
        _require(viewer, waiting.approval, kind)
        return await asyncio.shield(waiting.end)

    async def get(self, viewer: Principal, approval_id: str, kind: Kind | None = None) -> Approval:
        """Return a request, pending or ended. Raises: NotFound."""
        meant = self._meant(viewer, approval_id)
        waiting = self._open.get(meant)
        place = self._places.get(meant)
        if waiting is not None:
            approval = waiting.approval
        elif place is not None and (record := await self._shelf.get(KIND, place)) is not None:
            approval = _decode(record)
        else:
            raise unknown(approval_id)
        return _require(viewer, approval, kind)

    def pending(self, viewer: Principal, kind: Kind) -> list[Approval]:
        """Return the open requests of a kind that somebody may decide, the oldest first."""
        now_ms = self._clock.now_ms()
        rows = (waiting.approval for waiting in self._open.values())
        return [row for row in rows if row.kind == kind and now_ms < row.expires_at_ms and may_review(viewer, row)]

    async def history(
        self, viewer: Principal, *, kind: Kind | None = None, cursor: str = "", limit: int = 50
    ) -> tuple[list[Approval], str]:
        """Return ended approvals (no questions), the latest first, and the cursor of the next page, or ""."""
        found: list[Approval] = []
        after = cursor
        while page := await self._shelf.list(KIND, after=after, limit=PAGE, last_first=True):
            for record in page:
                after = record.id
                row = _decode(record)
                if row.status == "pending" or row.kind != (kind or row.kind) or row.kind == "question":
                    continue
                if may_know(viewer, row):
                    found.append(row)
                    if len(found) == limit:
                        return found, after
        return found, ""

    async def decide(
        self,
        principal: Principal,
        approval_id: str,
        decision: Decision,
        *,
        by: str = "",
        kind: Kind | None = None,
        grant_days: int | None = None,
    ) -> Approval:
        """End a request with a person's decision. Raises: NotFound, Conflict, InvalidRequest, Unavailable."""
        row = await self.get(principal, approval_id, kind)
        if not may_review(principal, row):
            raise unknown(approval_id)
        ended = decided(row, decision, by, self._clock.now_ms())
        grant = await self.grants.minted(ended, grant_days) if decision == "allow-always" else ()
        follow = self._follow[row.follow] if row.follow else None
        ended = await self._end(ended, *grant)
        if follow is not None and ended.status == "allowed":
            follow(principal, ended)
        return ended

    async def answer(self, principal: Principal, question_id: str, answers: Answers | None, by: str = "") -> Approval:
        """End a question with a person's answers; None: they would not. Raises: as `decide`."""
        row = await self.get(principal, question_id, "question")
        return await self._end(answered(row, answers, by, self._clock.now_ms()))

    async def cancel(self, approval_id: str) -> None:
        """End a request because what asked has ended; harmless when it has an end."""
        waiting = self._open.get(approval_id)
        if waiting is not None:
            await self._end_quietly(cut_off(waiting.approval, "run-aborted", self._clock.now_ms()))

    def _check(self, principal: Principal, new: NewApproval) -> None:
        if len(self._open) >= MAX_PENDING:
            raise Unavailable(f"{MAX_PENDING} approvals are pending; decide some first", retry_after_s=10)
        size = len(msgspec.json.encode((new.request, new.kept)))
        if size > MAX_REQUEST_BYTES:
            raise TooLarge(f"the request has {size} bytes; an approval takes {MAX_REQUEST_BYTES}")
        kept = own_names.kept_name(principal, new.id)
        if kept in self._places:
            state = "pending" if kept in self._open else "used"
            raise Conflict(f"approval id already {state}", hint="Use a new id, or leave it out.")

    def _meant(self, viewer: Principal, approval_id: str) -> str:
        """Return the id that is kept: of the viewer's own choice, else as it was made up here."""
        own = own_names.kept_name(viewer, approval_id)
        return own if own in self._places else approval_id

    def _fresh_id(self) -> str:
        """Return a short id: people type it."""
        while (fresh := secrets.token_hex(4)) in self._places:
            pass
        return fresh

    async def _expire(self, waiting: _Open) -> None:
        approval = waiting.approval
        await self._clock.sleep(remaining_s(approval, self._clock.now_ms()))
        await self._end_quietly(expired(approval, self._clock.now_ms()))

    async def _end_quietly(self, ended: Approval) -> None:
        """End a request that runs nothing thereby: whoever waits learns it even when it cannot be written."""
        try:
            await self._end(ended)
        except Conflict:
            pass  # a decision was faster
        except OpenClawError as error:
            _log.warning("approval_unwritten", extra={"fields": {"approval": ended.id, "code": error.code}})
            self._settle(ended)

    async def _end(self, ended: Approval, *more: Change) -> Approval:
        """Write the end and tell it. A row is written twice at most: when it is made, and here."""
        try:
            change, now_ms = Change(KIND, ended.place, msgspec.json.encode(ended), expected=1), self._clock.now_ms()
            await self._shelf.apply([change, *more], now_ms, [row_of(ended, now_ms)])
        except Conflict:
            raise already_ended() from None
        self._settle(ended)
        return ended

    def _settle(self, ended: Approval) -> None:
        waiting = self._open.pop(ended.id, None)
        if waiting is not None and not waiting.end.done():
            waiting.end.set_result(ended)
        self._tell(ended)

    def _tell(self, approval: Approval) -> None:
        for observer in self._observers:
            observer(approval)

    async def _trim(self) -> None:
        """Let go of the oldest that have ended."""
        ended = sorted((place, name) for name, place in self._places.items() if name not in self._open)
        gone = ended[: max(0, len(ended) - KEPT)]
        await self._shelf.apply([Change(KIND, place, None) for place, _ in gone], self._clock.now_ms())
        for _, name in gone:
            self._places.pop(name, None)


def row_of(approval: Approval, now_ms: int) -> Entry:
    """Return the row of a request that was made or has ended, without a word of what it asks."""
    facts: dict[str, Fact] = {"kind": approval.kind}
    if approval.resolved_by:
        facts["by"] = approval.resolved_by[:MAX_BY]
    if approval.decision is not None:
        facts["decision"] = approval.decision
    return Entry(
        at_ms=now_ms,
        kind="approval",
        action=f"approval {'asked' if approval.status == 'pending' else approval.status}",
        target=approval.id[:MAX_TARGET],
        answer=_ANSWERS[approval.status],
        rule=f"approval.{approval.reason}" if approval.reason else "",
        tenant=approval.tenant,
        owner=approval.owner,
        agent=approval.agent_id,
        session=approval.session_key,
        facts=facts,
    )


def _decode(record: Record) -> Approval:
    return msgspec.json.decode(record.body, type=Approval)


def _require(viewer: Principal, approval: Approval, kind: Kind | None) -> Approval:
    if not may_know(viewer, approval) or approval.kind != (kind or approval.kind):
        raise unknown(approval.id)
    return approval
