"""The desk of widenings: kept on the shelf, judged at every verdict, ended by itself, told to administrators.

1. A row in the ledger comes before the opening, and one with every end; so does the record on the shelf.
2. While anything is open the latest time seen is kept too, every FLOOR_MS: a clock that was set back ends what is open,
   also when it was set back while no gateway ran.
3. A gateway that is gone holds nothing open: the doors ask here, and the next start ends what is over first.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from openclaw.base.audit import Fact
from openclaw.base.clock import Clock
from openclaw.base.errors import InvalidRequest, NotFound, OpenClawError, Unavailable
from openclaw.base.ids import OwnerId
from openclaw.base.principal import Principal
from openclaw.base.tasks import TaskSet
from openclaw.config.schema import Config
from openclaw.policy.ledger import Ledger
from openclaw.policy.widening import (
    MAX_MS,
    MIN_MS,
    SLACK_MS,
    Door,
    Moment,
    Widening,
    checked,
    end_of,
    remaining_s,
    widened,
)
from openclaw.store.shelf import ABSENT, Change, Record, Shelf

KIND: Final = "widening"
FLOOR: Final = "policy-clock"
FLOOR_MS: Final = 15_000
TICK_S: Final = 1.0
MAX_OPEN: Final = 32
KEPT: Final = 500

_CLOCKWORK: Final = Principal(owner=OwnerId("gateway"), method="none")
"""Who ends what is over: the gateway itself, which may do nothing else by this name."""

_log = logging.getLogger("openclaw.policy")

Observer = Callable[[Widening], None]
"""Hears of every widening when it starts and when it has ended. Called on the loop; must not block or raise."""


class _Floor(msgspec.Struct, frozen=True):
    at_ms: int


class Widenings:
    """One tenant's widenings. `open` before anything else; `boot` names this start of the machine."""

    def __init__(self, shelf: Shelf, ledger: Ledger, clock: Clock, state_dir: Path, boot: str = "") -> None:
        self._shelf = shelf
        self._ledger = ledger
        self._clock = clock
        self._state_dir = state_dir
        self._boot = boot
        self._floor_ms = self._kept_ms = 0
        self._open: dict[str, tuple[Widening, int]] = {}
        """What has not been ended, with the version of its record."""
        self._observers: list[Observer] = []
        self._tasks = TaskSet("policy.widenings")
        self._watching = False
        self._ending = asyncio.Lock()
        """An administrator and the clock may end the same one at once."""
        self._made: tuple[Config, tuple[str, ...], Config] | None = None

    async def open(self) -> None:
        """Read what was left open, and end what is over."""
        floor = await self._shelf.get(FLOOR, "floor")
        self._floor_ms = msgspec.json.decode(floor.body, type=_Floor).at_ms if floor else 0
        for record in await self._shelf.list(KIND, limit=KEPT * 2, last_first=True):
            widening = _decode(record)
            if not widening.end:
                self._open[widening.id] = (widening, record.version)
        await self._look()
        self._watch()

    async def close(self) -> None:
        """Stop the clocks."""
        await self._tasks.close()

    def observe(self, observer: Observer) -> None:
        """Tell `observer` of every widening from now on."""
        self._observers.append(observer)

    def openings(self, door: Door | None = None) -> tuple[Widening, ...]:
        """Return what is open at this very moment, the oldest first."""
        if not self._open:
            return ()
        at = self._moment()
        rows = (each for each, _ in self._open.values() if door in (None, each.door) and not end_of(each, at))
        return tuple(sorted(rows, key=lambda each: each.place))

    def effective(self, config: Config) -> Config:
        """Return the configuration with what is open; the same object for the same question."""
        found = self.openings()
        if not found:
            return config
        ids = tuple(each.id for each in found)
        if self._made is None or self._made[0] is not config or self._made[1] != ids:
            self._made = (config, ids, widened(config, found))
        return self._made[2]

    async def start(self, by: Principal, door: Door, value: str, for_ms: int, ticket: str, why: str) -> Widening:
        """Open something for a time. Raises: InvalidRequest, Unavailable when too much is open or nothing is kept."""
        try:
            value = checked(door, value, self._state_dir)
        except InvalidRequest as error:
            await self._ledger.note(
                by, "policy", f"widen {door}", value, answer="deny", rule="policy.forbidden", reason=error.message
            )
            raise
        if not MIN_MS <= for_ms <= MAX_MS:
            raise InvalidRequest("a widening lasts from one second to a day")
        if not ticket.strip() or not why.strip():
            raise InvalidRequest("a widening names its ticket and says why")
        if len(self.openings()) >= MAX_OPEN:
            raise Unavailable(f"{MAX_OPEN} widenings are open", hint="End some: openclaw policy narrow ID.")
        at = self._moment()
        if at.now_ms + SLACK_MS < at.floor_ms:
            await self._set_back(at)
        widening = Widening(
            id=secrets.token_hex(4),
            door=door,
            value=value,
            ticket=ticket.strip(),
            why=why.strip(),
            by=by.owner,
            started_at_ms=at.now_ms,
            ends_at_ms=at.now_ms + for_ms,
            boot=self._boot,
            ends_s=at.steady_s + for_ms / 1000,
        )
        facts: dict[str, Fact] = {"id": widening.id, "ticket": widening.ticket, "endsAtMs": widening.ends_at_ms}
        await self._ledger.note(by, "policy", f"widen {door}", value, answer="allow", rule="policy.widen", facts=facts)
        await self._shelf.apply(
            [Change(KIND, widening.place, msgspec.json.encode(widening), ABSENT), self._floor(at.now_ms)], at.now_ms
        )
        self._open[widening.id] = (widening, 1)
        self._tell(widening)
        self._watch()
        return widening

    async def narrow(self, by: Principal, widening_id: str) -> Widening:
        """End one before its time. Raises: NotFound, Unavailable when the ledger or the shelf cannot be written.

        It is over for the doors at once, also when the end could not be written.
        """
        held = self._open.get(widening_id)
        if held is None or end_of(held[0], self._moment()):
            raise NotFound(f"no widening {widening_id[:32]} is open", hint="`openclaw policy widenings` lists them.")
        ended = msgspec.structs.replace(held[0], end="narrowed", ended_at_ms=self._clock.now_ms(), ended_by=by.owner)
        await self._end(by, ended)
        return ended

    async def history(self, limit: int = 50) -> list[Widening]:
        """Return widenings, the latest first, each with its end if it has one."""
        at = self._moment()
        found = [_decode(record) for record in await self._shelf.list(KIND, limit=limit, last_first=True)]
        return [each if each.end or not (end := end_of(each, at)) else _over(each, end, at) for each in found]

    def remaining_s(self, widening: Widening) -> float:
        """Return how long a widening is still open, in seconds."""
        return remaining_s(widening, self._moment())

    def _moment(self) -> Moment:
        now_ms = self._clock.now_ms()
        moment = Moment(now_ms, self._clock.monotonic_s(), self._boot, self._floor_ms)
        self._floor_ms = max(self._floor_ms, now_ms)
        return moment

    async def _set_back(self, at: Moment) -> None:
        """Go by a clock that was set back, now that an administrator acts by it: what it ended stays ended."""
        await self._look()
        if self._open:
            raise Unavailable("the clock was set back, and what that ended cannot be written", retry_after_s=5)
        self._floor_ms = self._kept_ms = at.now_ms

    def _watch(self) -> None:
        if self._open and not self._watching:
            self._watching = True
            self._tasks.spawn(self._end_on_time(), "watch")

    async def _end_on_time(self) -> None:
        try:
            while self._open:
                at = self._moment()
                nearest = min(remaining_s(each, at) for each, _ in self._open.values())
                await self._clock.sleep(nearest if 0 < nearest < TICK_S else TICK_S)
                await self._look()
        finally:
            self._watching = False

    async def _look(self) -> None:
        """End what is over, and keep the time. What cannot be written is over all the same and tried again."""
        at = self._moment()
        over = [(each, end) for each, _ in self._open.values() if (end := end_of(each, at))]
        try:
            for each, end in over:
                if each.id in self._open:  # nobody else has ended it while this waited
                    await self._end(_CLOCKWORK, each if each.end else _over(each, end, at))
            if self._open and at.now_ms - self._kept_ms >= FLOOR_MS:
                await self._shelf.apply([self._floor(at.now_ms)], at.now_ms)
        except OpenClawError as error:
            _log.error("widening_end_unwritten", extra={"fields": {"code": error.code}})

    async def _end(self, by: Principal, ended: Widening) -> None:
        """Write an end, once. The record goes first: what stands in it counts at the next start."""
        known, version = self._open[ended.id]
        ended = known if known.end else ended
        self._open[ended.id] = (ended, version)
        async with self._ending:
            if ended.id in self._open:  # else it was written meanwhile
                await self._write_end(by, ended)

    async def _write_end(self, by: Principal, ended: Widening) -> None:
        version = self._open[ended.id][1]
        now_ms = self._clock.now_ms()
        await self._shelf.apply(
            [Change(KIND, ended.place, msgspec.json.encode(ended), version), self._floor(now_ms)], now_ms
        )
        self._open[ended.id] = (ended, version + 1)
        facts: dict[str, Fact] = {"id": ended.id, "ticket": ended.ticket, "end": ended.end}
        await self._ledger.note(
            by, "policy", f"narrow {ended.door}", ended.value, rule=f"policy.{ended.end}", facts=facts
        )
        self._open.pop(ended.id, None)
        self._tell(ended)
        await self._shelf.trim(KIND, keep=KEPT)

    def _floor(self, at_ms: int) -> Change:
        """Return what keeps the latest time that was seen."""
        at_ms = self._kept_ms = max(self._floor_ms, at_ms)
        return Change(FLOOR, "floor", msgspec.json.encode(_Floor(at_ms)))

    def _tell(self, widening: Widening) -> None:
        fields: dict[str, Any] = {
            "id": widening.id,
            "door": widening.door,
            "ticket": widening.ticket,
            "end": widening.end,
        }
        _log.warning("policy_narrowed" if widening.end else "policy_widened", extra={"fields": fields})
        for observer in self._observers:
            observer(widening)


def _over(widening: Widening, end: Any, at: Moment) -> Widening:
    seen_ms = max(at.now_ms, at.floor_ms)  # later than it was over, where no gateway ran just then
    ended_ms = min(seen_ms, widening.ends_at_ms) if end == "time" else seen_ms
    return msgspec.structs.replace(widening, end=end, ended_at_ms=ended_ms)


def _decode(record: Record) -> Widening:
    return msgspec.json.decode(record.body, type=Widening)
