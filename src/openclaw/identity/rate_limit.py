"""Failed sign-ins per address: a window, then a lockout. Bounded: old addresses are forgotten first.

A lockout outlives a restart: `Lockouts` keeps it on the shelf until it is over.
"""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import msgspec

from openclaw.base.bounded import BoundedMap
from openclaw.base.clock import Clock
from openclaw.base.errors import OpenClawError
from openclaw.base.tasks import TaskSet
from openclaw.config.schema import RateLimitConfig
from openclaw.store.shelf import Change, Record

_log = logging.getLogger("openclaw.identity")

MAX_ADDRESSES = 10_000
KIND: Final = "lockout"
MAX_KEPT: Final = 1000


class _Record:
    __slots__ = ("failures", "locked_until_s")

    def __init__(self) -> None:
        self.failures: deque[float] = deque()
        self.locked_until_s = 0.0


class SignInLimiter:
    """Counts failures per client key and says when it is locked out, by the limits of the moment."""

    def __init__(self, limits: Callable[[], RateLimitConfig], clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._records: BoundedMap[str, _Record] = BoundedMap("identity.sign_in_failures", MAX_ADDRESSES)
        self.on_lockout: Callable[[str, float], None] = lambda key, seconds: None
        """Told of every lockout that begins, with its length."""

    def retry_after_s(self, key: str) -> float | None:
        """Return how long the key is still locked out, or None."""
        record = self._records.get(key)
        if record is None:
            return None
        left = record.locked_until_s - self._clock.monotonic_s()
        return left if left > 0 else None

    def failed(self, key: str, times: int = 1) -> None:
        """Count a failure; the last one allowed in a window starts the lockout. `times` as many are for a crowd."""
        limits = self._limits()
        most = limits.max_attempts * times
        record = self._records.get(key)
        if record is None:
            record = _Record()
            self._records.put(key, record)
        if record.failures.maxlen != most:
            record.failures = deque(record.failures, maxlen=most)
        now = self._clock.monotonic_s()
        record.failures.append(now)
        full = len(record.failures) == most
        if full and now - record.failures[0] <= limits.window_ms / 1000:
            record.locked_until_s = now + limits.lockout_ms / 1000
            record.failures.clear()
            self.on_lockout(key, limits.lockout_ms / 1000)

    def restore(self, left_s: Mapping[str, float]) -> None:
        """Go on with lockouts of before a restart; none is longer than one of today's could be."""
        now, most = self._clock.monotonic_s(), self._limits().lockout_ms / 1000
        for key, seconds in left_s.items():
            record = _Record()
            record.locked_until_s = now + min(seconds, most)
            self._records.put(key, record)

    def succeeded(self, key: str) -> None:
        """Forget the key's failures."""
        self._records.pop(key)


class Shelf(Protocol):
    """store.shelf.Shelf."""

    async def list(self, kind: str, *, limit: int = 1000) -> list[Record]: ...

    async def apply(self, changes: Sequence[Change], now_ms: int) -> None: ...


class _Kept(msgspec.Struct, frozen=True):
    until_ms: int


class Lockouts:
    """Keeps a limiter's lockouts across restarts."""

    def __init__(self, shelf: Shelf, clock: Clock) -> None:
        self._shelf = shelf
        self._clock = clock
        self._tasks = TaskSet("lockouts")
        self._kept: dict[str, int] = {}
        """When each that is kept is over, in Unix ms; at most MAX_KEPT: a flood of addresses fills no disk."""

    async def follow(self, limiter: SignInLimiter) -> None:
        """Hand a limiter what is kept, drop what is over, and keep what begins from now on."""
        now_ms = self._clock.now_ms()
        over: list[Change] = []
        for record in await self._shelf.list(KIND, limit=MAX_KEPT):
            until_ms = msgspec.json.decode(record.body, type=_Kept).until_ms
            if until_ms > now_ms:
                self._kept[record.id] = until_ms
            else:
                over.append(Change(KIND, record.id, None))
        if over:
            await self._shelf.apply(over, now_ms)
        limiter.restore({key: (until_ms - now_ms) / 1000 for key, until_ms in self._kept.items()})
        limiter.on_lockout = self._begun

    def _begun(self, key: str, seconds: float) -> None:
        now_ms = self._clock.now_ms()
        over: list[str] = []
        if key not in self._kept and len(self._kept) >= MAX_KEPT:
            over = [other for other, until_ms in self._kept.items() if until_ms <= now_ms]
            if not over:
                return
        for other in over:
            del self._kept[other]
        self._kept[key] = now_ms + int(seconds * 1000)
        with contextlib.suppress(RuntimeError):  # closing: it holds all the same, until a restart
            self._tasks.spawn(self._keep(key, self._kept[key], over), "keep")

    async def _keep(self, key: str, until_ms: int, over: Sequence[str]) -> None:
        gone = [Change(KIND, other, None) for other in over]
        try:
            await self._shelf.apply(
                [*gone, Change(KIND, key, msgspec.json.encode(_Kept(until_ms)))], self._clock.now_ms()
            )
        except OpenClawError as error:  # it holds all the same, until a restart
            _log.warning("lockout_not_kept", extra={"fields": {"code": error.code}})

    async def close(self) -> None:
        """Stop."""
        await self._tasks.close(1.0)
