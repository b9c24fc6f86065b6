"""When a job is due. Pure: a schedule and a time give the next time; no clock, no store.

Rules
1. `next_ms` returns the first scheduled time strictly after a given one: asking again with an answer moves on.
2. `every` counts from its anchor in real milliseconds, whatever clocks on walls do; without an anchor, from 1970.
3. `at` has one time. A text without an offset is UTC.
4. `cron` is read in the job's zone, else the configured one, else UTC. Five fields, or six with seconds first; names,
   steps, lists, `L`, `LW` and `#` as in Debian's cron and cronsim.
5. When clocks go forward, a job at fixed hours and minutes that falls into the hour that is missing runs right after
   it, once. When they go back, it runs in the first of the two hours only.
6. A job whose minutes or hours begin with `*` goes by real time: it runs through the doubled hour, and never in the
   missing one. So does one with seconds.
7. A stagger moves every time of a job by the same amount, less than `staggerMs`, that follows from the job's id.
"""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from hashlib import sha256
from typing import Final, TypeAlias

import msgspec

from openclaw.base.errors import InvalidRequest

MIN_EVERY_MS: Final = 1_000
MAX_MS: Final = 8_640_000_000_000_000
"""The last time that clients of the protocol can hold."""
MAX_EXPR_CHARS: Final = 200
LAST_MS: Final = 253_370_764_800_000
"""The year 9999: beyond it the calendar that cron expressions are read with ends."""


class Form(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True):
    """Base of what clients send and the shelf keeps: one shape for both."""


class Every(Form, frozen=True, tag_field="kind", tag="every"):
    """Every so many milliseconds, counted from the anchor (Unix ms)."""

    every_ms: int
    anchor_ms: int | None = None


class Cron(Form, frozen=True, tag_field="kind", tag="cron"):
    """By a cron expression in a time zone (an IANA name)."""

    expr: str
    tz: str | None = None
    stagger_ms: int | None = None


class At(Form, frozen=True, tag_field="kind", tag="at"):
    """Once, at an ISO 8601 time."""

    at: str


Schedule: TypeAlias = Every | Cron | At


def next_ms(schedule: Schedule, after_ms: int, *, job_id: str = "", default_tz: str = "") -> int | None:
    """Return the first time after `after_ms` (Unix ms), or None when there is none.

    Raises: InvalidRequest for a schedule that cannot be read.
    """
    if isinstance(schedule, Every):
        return _next_every(schedule, after_ms)
    if isinstance(schedule, At):
        at_ms = at_time(schedule.at)
        return at_ms if at_ms > after_ms else None
    shift_ms = stagger_shift(job_id, schedule.stagger_ms or 0)
    found = _next_cron(schedule, max(0, after_ms - shift_ms), schedule.tz or default_tz)
    return None if found is None else found + shift_ms


def check(schedule: Schedule, *, default_tz: str = "") -> None:
    """Refuse a schedule that can never be due. Raises: InvalidRequest saying what is wrong with it."""
    if isinstance(schedule, Every):
        if not MIN_EVERY_MS <= schedule.every_ms <= MAX_MS:
            raise InvalidRequest(f"everyMs must be at least {MIN_EVERY_MS}", hint="Times are in milliseconds.")
        if schedule.anchor_ms is not None and not 0 <= schedule.anchor_ms <= MAX_MS:
            raise InvalidRequest("anchorMs is not a time in Unix milliseconds")
    elif isinstance(schedule, At):
        at_time(schedule.at)
    elif not 0 <= (schedule.stagger_ms or 0) <= MAX_MS:
        raise InvalidRequest("staggerMs must be at least 0")
    elif len(schedule.expr) > MAX_EXPR_CHARS:
        raise InvalidRequest(f"the cron expression is longer than {MAX_EXPR_CHARS} characters")
    elif next_ms(schedule, 0, default_tz=default_tz) is None:
        raise InvalidRequest(f"the cron expression {schedule.expr[:100]!r} never comes true")


def at_time(text: str) -> int:
    """Return the Unix ms of an ISO 8601 time, or of a number of milliseconds as text. Raises: InvalidRequest."""
    if text.isascii() and text.isdigit() and len(text) <= 16:
        return int(text)
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InvalidRequest(
            f"not a time: {text[:100]!r}", hint="Write ISO 8601, e.g. 2027-01-31T07:00:00Z or …+02:00."
        ) from None
    try:
        at_ms = round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    except (OverflowError, ValueError):
        at_ms = -1
    if at_ms < 0:
        raise InvalidRequest(f"a time before 1970 or beyond the calendar: {text[:100]!r}")
    return at_ms


def stagger_shift(job_id: str, stagger_ms: int) -> int:
    """Return the milliseconds, below `stagger_ms`, by which a job's times are moved; the same for a job for ever."""
    if stagger_ms <= 0:
        return 0
    return int.from_bytes(sha256(job_id.encode()).digest()[:8]) % stagger_ms


@lru_cache(maxsize=256)
def zone(name: str) -> tzinfo:
    """Return a time zone by its IANA name; empty is UTC, which needs no database.

    Raises: InvalidRequest for a name that this machine's time zone database does not have.
    """
    if name in ("", "UTC", "Etc/UTC", "Z"):
        return UTC
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        raise InvalidRequest(
            f"unknown time zone {name[:100]!r}",
            hint="Use an IANA name such as Europe/Berlin. If it is right, this machine has no time zone database: "
            "install the system's package tzdata, or the Python package of that name.",
        ) from None


def _next_every(schedule: Every, after_ms: int) -> int | None:
    every_ms, anchor_ms = max(schedule.every_ms, 1), schedule.anchor_ms or 0
    if after_ms < anchor_ms:
        return anchor_ms
    found = anchor_ms + ((after_ms - anchor_ms) // every_ms + 1) * every_ms
    return found if found <= MAX_MS else None


def _next_cron(schedule: Cron, after_ms: int, tz: str) -> int | None:
    if after_ms >= LAST_MS:
        return None
    from cronsim import CronSim, CronSimError

    after = datetime.fromtimestamp(after_ms // 1000, zone(tz))
    try:
        for moment in CronSim(schedule.expr, after):
            # In the doubled hour cronsim counts by the wall: what it finds there may lie behind.
            found = int(moment.timestamp()) * 1000
            if found > after_ms:
                return found
    except CronSimError as error:
        raise InvalidRequest(
            f"not a cron expression: {schedule.expr[:100]!r} ({error})",
            hint="Five fields: minute, hour, day of month, month, day of week; e.g. 0 7 * * MON-FRI.",
        ) from None
    except (OverflowError, RuntimeError, ValueError):  # the calendar's end: there is nothing more
        return None
    return None
