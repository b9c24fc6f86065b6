"""At most once: what a side effect answered, kept under its idempotency key.

1. A key belongs to one owner and one method. The same key with other parameters is refused, never mixed up.
2. A call is on the shelf before it acts. A repeat while it is going joins it; one after its end gets the first answer,
   also after a restart.
3. A failure is forgotten, so that the same key may try again. A call that a restart cut off may have acted: its repeat
   is refused and told so.
4. A key is kept for KEPT_MS, and the MAX_KEPT keys used last are kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Any, Final, TypeVar, cast

import msgspec

from openclaw.base.bounded import BoundedMap
from openclaw.base.clock import Clock
from openclaw.base.errors import Conflict, OpenClawError, Unavailable
from openclaw.base.principal import Principal
from openclaw.base.tasks import TaskSet
from openclaw.store.shelf import Change, Record, Shelf

T = TypeVar("T")
KIND: Final = "once"
KEPT_MS: Final = 24 * 3600 * 1000
"""Clients repeat after a lost connection, at the latest after a night's sleep of the laptop."""

MAX_KEPT: Final = 4096
MAX_ANSWER_BYTES: Final = 32 * 1024
"""A longer answer is not kept: its repeat is refused, and does not act."""

_PAGE: Final = 1000
_encode: Final = msgspec.json.Encoder(order="deterministic").encode


class _Kept(msgspec.Struct):
    """A call as the shelf has it; `answer` stays empty until it has one."""

    digest: str
    done: bool = False
    answer: str = ""
    """Its JSON."""


class _Call:
    """A call as memory has it. `going` is there while this process is at it."""

    __slots__ = ("at_ms", "digest", "done", "going")

    def __init__(self, digest: str, at_ms: int, done: bool = False) -> None:
        self.digest = digest
        self.at_ms = at_ms
        self.done = done
        self.going: asyncio.Future[Any] | None = None


class Ticket:
    """One call. The `first` one acts and must end in `done` or `forget`; a repeat asks for `answer`."""

    def __init__(self, once: Once, place: str, call: _Call, first: bool) -> None:
        self._once = once
        self._place = place
        self._call = call
        self.first = first

    @property
    def going(self) -> bool:
        """Say whether the first call has not ended yet."""
        return self._call.going is not None

    async def done(self, answer: Any) -> None:
        """Keep the answer and give it to those who wait. Raises: Unavailable when it cannot be kept."""
        await self._once.finish(self._place, self._call, answer)

    async def forget(self, error: Exception) -> None:
        """Let the key be used again, and tell those who wait what happened."""
        await self._once.fail(self._place, self._call, error)

    def leave(self) -> None:
        """Let go of those who wait, when the act itself was cut off."""
        if self._call.going is not None:
            self._call.going.cancel()

    async def answer(self) -> Any:
        """Return what the first call answered, when it has ended. Raises: its error; Conflict when it is not kept."""
        if self._call.going is not None:
            return await asyncio.shield(self._call.going)
        return await self._once.recall(self._place, self._call)


class Once:
    """Runs what must not run twice. Without a shelf it remembers only until the gateway ends."""

    def __init__(self, shelf: Shelf | None, clock: Clock, tasks: TaskSet) -> None:
        self._shelf = shelf
        self._clock = clock
        self._tasks = tasks
        self._calls: BoundedMap[str, _Call] = BoundedMap("rpc.once", MAX_KEPT, self._evicted)
        self._answers: BoundedMap[str, bytes] = BoundedMap("rpc.once_answers", 256)
        """Only without a shelf."""
        self._gone: list[str] = []
        """Places that the next write takes off the shelf: never more than were put since the last one."""
        self._loaded = shelf is None
        self._loading = asyncio.Lock()

    async def run(self, principal: Principal, method: str, key: str, params: Any, act: Callable[[], Awaitable[T]]) -> T:
        """Return what `act` answers, or answered under the same key before. An `act` goes on when its caller is gone.

        Shape: `params` and the answer are whatever msgspec can write as JSON.
        Raises: whatever `act` raises; Conflict as in the rules.
        """
        ticket = await self.open(principal, method, key, params)
        if ticket.first:
            try:
                self._tasks.spawn(self._act(ticket, act), "once")
            except RuntimeError:
                error = Unavailable("too much is going on, or the gateway is closing", retry_after_s=5)
                await ticket.forget(error)
                raise error from None
        return cast("T", await ticket.answer())

    async def _act(self, ticket: Ticket, act: Callable[[], Awaitable[Any]]) -> None:
        try:
            answer = await act()
        except Exception as error:  # noqa: BLE001  # handed to everybody who waits for the answer, not lost
            await ticket.forget(error)
        else:
            await ticket.done(answer)
        finally:
            ticket.leave()

    async def open(self, principal: Principal, method: str, key: str, params: Any) -> Ticket:
        """Return the ticket of a call; the first one is on the shelf then.

        Raises: Conflict when the key was used with other parameters or a restart cut the call off.
        """
        if not self._loaded:
            await self._load()
        place = sha256("\0".join((principal.tenant, principal.owner, method, key)).encode()).hexdigest()[:40]
        digest = sha256(_encode(params)).hexdigest()
        now_ms = self._clock.now_ms()
        call = self._calls.get(place)
        if call is not None and call.going is None and now_ms - call.at_ms >= KEPT_MS:
            call = None
        if call is not None:
            self._check(call, method, digest)
            return Ticket(self, place, call, first=False)
        call = _Call(digest, now_ms)
        call.going = asyncio.get_running_loop().create_future()
        call.going.add_done_callback(_seen)
        self._calls.put(place, call)
        try:
            await self._write(place, _Kept(digest))
        except BaseException as error:
            self._settle(place, call, error if isinstance(error, Exception) else Unavailable("the call was given up"))
            raise
        return Ticket(self, place, call, first=True)

    @staticmethod
    def _check(call: _Call, method: str, digest: str) -> None:
        if call.digest != digest:
            raise Conflict(
                f"{method}: this idempotency key was used with other parameters",
                hint="Use a new key for a new call.",
                details={"code": "IDEMPOTENCY_KEY_REUSED"},
            )
        if call.going is None and not call.done:
            raise Conflict(
                f"{method}: this call was cut off; whether it took effect is unknown",
                hint="Look whether it did; to try again, use a new idempotency key.",
                details={"code": "OUTCOME_UNKNOWN"},
            )

    async def recall(self, place: str, call: _Call) -> Any:
        """Return the answer of a call that has ended: see Ticket.answer."""
        body: bytes | None = self._answers.get(place)
        if self._shelf is not None:
            record = await self._shelf.get(KIND, place)
            body = None if record is None else record.body
        kept = None if body is None else msgspec.json.decode(body, type=_Kept)
        if kept is None or not kept.answer:
            raise Conflict(
                "this call was done before; its answer is not kept", details={"code": "IDEMPOTENT_ANSWER_NOT_KEPT"}
            )
        return msgspec.json.decode(kept.answer)

    async def finish(self, place: str, call: _Call, answer: Any) -> None:
        """Keep a call's answer: see Ticket.done."""
        body = _encode(answer)
        kept = _Kept(call.digest, True, body.decode() if len(body) <= MAX_ANSWER_BYTES else "")
        try:
            await self._write(place, kept)
        except OpenClawError as error:
            self._settle(place, call, error, keep=True)
            raise
        call.done = True
        going, call.going = call.going, None
        if going is not None and not going.done():
            going.set_result(answer)

    async def fail(self, place: str, call: _Call, error: Exception) -> None:
        """Free a call's key: see Ticket.forget."""
        try:
            await self._write(place, None)
        finally:
            self._settle(place, call, error)

    def _settle(self, place: str, call: _Call, error: Exception, keep: bool = False) -> None:
        if not keep and self._calls.get(place) is call:
            self._calls.pop(place)
        going, call.going = call.going, None
        if going is not None and not going.done():
            going.set_exception(error)

    async def _write(self, place: str, kept: _Kept | None) -> None:
        if self._shelf is None:
            if kept is None:
                self._answers.pop(place)
            else:
                self._answers.put(place, _encode(kept))
            return
        gone, self._gone = self._gone, []
        changes = [Change(KIND, old, None) for old in gone if old not in self._calls]
        body = None if kept is None else _encode(kept)
        await self._shelf.apply([*changes, Change(KIND, place, body)], self._clock.now_ms())

    def _evicted(self, place: str, call: _Call) -> None:
        self._gone.append(place)

    async def _load(self) -> None:
        async with self._loading:
            if self._loaded or self._shelf is None:
                return
            records: list[Record] = []
            after = ""
            while page := await self._shelf.list(KIND, after=after, limit=_PAGE):
                records += page
                after = page[-1].id
            for record in sorted(records, key=lambda record: record.updated_at_ms):
                kept = msgspec.json.decode(record.body, type=_Kept)
                if self._clock.now_ms() - record.updated_at_ms >= KEPT_MS:
                    self._gone.append(record.id)
                else:
                    self._calls.put(record.id, _Call(kept.digest, record.updated_at_ms, kept.done))
            self._loaded = True


def _seen(going: asyncio.Future[Any]) -> None:
    """Take note of an error that nobody waits for: asyncio would report it as lost."""
    if not going.cancelled():
        going.exception()
