"""Times as people write them: `15m`, `2h`, `1d` ago, or `2026-02-20T12:00`."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from openclaw.base.errors import InvalidRequest

_AGO = re.compile(r"(\d{1,6})\s*(s|m|min|h|d)")
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}


def moment(option: str, text: str) -> datetime:
    """Return the moment that a person means, in UTC. Raises: InvalidRequest naming the option."""
    from openclaw.base.clock import SYSTEM_CLOCK

    if match := _AGO.fullmatch(text.strip()):
        return datetime.fromtimestamp(SYSTEM_CLOCK.now_ms() / 1000 - int(match[1]) * _SECONDS[match[2]], UTC)
    try:
        return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidRequest(f"{option} {text!r} is no time", hint="Say 15m, 2h, 1d or 2026-02-20T12:00.") from None


def duration_ms(option: str, text: str) -> int:
    """Read `90s`, `10m`, `2h` or `1d`; a bare number means seconds. Raises: InvalidRequest naming the option."""
    found = re.fullmatch(r"([0-9]{1,6})\s*([smhd]?)", text.strip())
    if not found:
        raise InvalidRequest(f"{option} {text!r} is no duration", hint="For example 90s, 10m, 2h or 1d.")
    return int(found[1]) * _SECONDS[found[2] or "s"] * 1000


def moment_ms(option: str, text: str) -> int:
    """Return it as Unix ms."""
    return int(moment(option, text).timestamp() * 1000)


def moment_iso(option: str, text: str) -> str:
    """Return it as log lines write it."""
    return moment(option, text).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
