"""Who is left alone after a failure, for how long, and who tries again first. Pure: every question brings its time.

1. A failure closes the road for a while; each further failure in a row doubles the time. Failures of calls that were
   under way together count once.
2. When the time is over, exactly one call probes. Until it is known how it went, the road stays closed for the others.
3. A probe that succeeds opens the road and forgets the failures; one that fails closes it for longer; one that was
   given up leaves it to the next call.
"""

from __future__ import annotations

import msgspec

from openclaw.base.bounded import BoundedMap
from openclaw.models.chain import Rule, cooldown_s

LIMIT = 1_000
"""Roads remembered; the one unused for longest is forgotten, which opens it."""

Road = tuple[str, str, str]
"""Provider, name of the credential, model; an empty model is the credential with every model."""


class Closed(msgspec.Struct):
    """A road that failed."""

    until_s: float
    failures: int
    code: str
    probing: bool = False


class Visit(msgspec.Struct, frozen=True):
    """A call on roads that are not known to be open. `probes` are those it alone may try."""

    roads: tuple[Road, ...] = ()
    probes: tuple[Road, ...] = ()


OPEN = Visit()
"""A call on roads that never failed."""


class Cooldowns:
    """The closed roads of one gateway."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._closed: BoundedMap[Road, Closed] = BoundedMap("cooldowns", limit)

    def __len__(self) -> int:
        return len(self._closed)

    def ready(self, roads: tuple[Road, ...], now_s: float) -> bool:
        """Say whether a call may go these roads now: open, or due for a probe that nobody makes yet."""
        found = (self._closed.get(road) for road in roads)
        return all(entry is None or (entry.until_s <= now_s and not entry.probing) for entry in found)

    def wait(self, roads: tuple[Road, ...], now_s: float) -> tuple[float, str]:
        """Return the seconds until the roads are due, and the code of the failure that closed them; (0, "") if open."""
        entries = [entry for road in roads if (entry := self._closed.get(road)) is not None]
        if not entries:
            return 0.0, ""
        last = max(entries, key=lambda entry: entry.until_s)
        return max(0.0, last.until_s - now_s), last.code

    def enter(self, roads: tuple[Road, ...], now_s: float) -> Visit:
        """Begin a call; it is the probe of those roads that are due."""
        shut = tuple(road for road in roads if road in self._closed)
        probes = []
        for road in shut:
            entry = self._closed.get(road)
            if entry is not None and entry.until_s <= now_s and not entry.probing:
                entry.probing = True
                probes.append(road)
        return Visit(shut, tuple(probes)) if shut else OPEN

    def succeed(self, visit: Visit) -> None:
        """Open the roads of a call that was answered."""
        for road in visit.roads:
            self._closed.pop(road)

    def leave(self, visit: Visit) -> None:
        """End a call of which nothing was learnt."""
        for road in visit.probes:
            if (entry := self._closed.get(road)) is not None:
                entry.probing = False

    def fail(
        self, road: Road, visit: Visit, rule: Rule, *, code: str, retry_after_s: float | None, now_s: float
    ) -> bool:
        """Close a road after a failure, and end the visit. Return whether this call is the one that closed it."""
        self.leave(visit)
        entry = self._closed.get(road)
        # Who entered before the road was closed, or went it for want of another, has nothing new to tell.
        if entry is not None and road not in visit.probes and (entry.probing or entry.until_s > now_s):
            entry.until_s = max(entry.until_s, now_s + min(retry_after_s or 0.0, rule.cooldown_cap_s))
            return False
        failures = entry.failures + 1 if entry is not None else 1
        self._closed.put(road, Closed(now_s + cooldown_s(rule, failures, retry_after_s), failures, code))
        return True

    def closed_for(self, code: str) -> set[str]:
        """Return the providers with a road that a failure with that code has closed."""
        roads = ((road, self._closed.get(road)) for road in self._closed)
        return {road[0] for road, entry in roads if entry is not None and entry.code == code}

    def clear(self) -> None:
        """Open every road."""
        self._closed.clear()
