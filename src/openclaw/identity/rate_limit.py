"""Failed sign-ins per address: a window, then a lockout. Bounded: old addresses are forgotten first."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from openclaw.base.bounded import BoundedMap
from openclaw.base.clock import Clock
from openclaw.config.schema import RateLimitConfig

MAX_ADDRESSES = 10_000


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

    def retry_after_s(self, key: str) -> float | None:
        """Return how long the key is still locked out, or None."""
        record = self._records.get(key)
        if record is None:
            return None
        left = record.locked_until_s - self._clock.monotonic_s()
        return left if left > 0 else None

    def failed(self, key: str) -> None:
        """Count a failure; the last one allowed in a window starts the lockout."""
        limits = self._limits()
        record = self._records.get(key)
        if record is None:
            record = _Record()
            self._records.put(key, record)
        if record.failures.maxlen != limits.max_attempts:
            record.failures = deque(record.failures, maxlen=limits.max_attempts)
        now = self._clock.monotonic_s()
        record.failures.append(now)
        full = len(record.failures) == limits.max_attempts
        if full and now - record.failures[0] <= limits.window_ms / 1000:
            record.locked_until_s = now + limits.lockout_ms / 1000
            record.failures.clear()

    def succeeded(self, key: str) -> None:
        """Forget the key's failures."""
        self._records.pop(key)
