"""Which backups go: by age or by number, and never the newest."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from openclaw.base.errors import InvalidRequest
from openclaw.ops.backup.create import ENCRYPTED

_NAME: Final = re.compile(r"openclaw-backup-(\d{8}T\d{6})Z-[0-9a-f]{6}\.tar\.gz(?:\.age)?", re.ASCII)
_KEEP: Final = re.compile(r"([1-9]\d{0,5})(h|d|w|m|y)?", re.ASCII)
_HOURS: Final = {"h": 1, "d": 24, "w": 7 * 24, "m": 30 * 24, "y": 365 * 24}


class Stored(msgspec.Struct, frozen=True, rename="camel"):
    """A backup where it is kept; the time (Unix ms) is the one in its name, the size is in bytes."""

    name: str
    at_ms: int
    size: int
    encrypted: bool


def stored(name: str, size: int) -> Stored | None:
    """Return a backup by its file's name, None for a file that is no backup of ours."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    try:
        when = datetime.strptime(found[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return Stored(name, int(when.timestamp()) * 1000, size, name.endswith(ENCRYPTED))


def newest_first(found: Sequence[Stored]) -> list[Stored]:
    """Return backups in the order in which one looks for one."""
    return sorted(found, key=lambda each: (each.at_ms, each.name), reverse=True)


def check_keep(keep: str) -> str:
    """Return a valid word for what is kept: `30d` (h, d, w, m, y) or a number. Raises: InvalidRequest."""
    if _KEEP.fullmatch(keep) is None:
        raise InvalidRequest(
            f"cannot keep {keep[:40]!r}", hint="Name an age (12h, 30d, 8w, 6m, 1y) or a number of backups (14)."
        )
    return keep


def superfluous(found: Sequence[Stored], keep: str, now_ms: int) -> list[Stored]:
    """Return the backups that may go, oldest first. Raises: InvalidRequest for a `keep` that means nothing."""
    ordered = newest_first(found)
    word = _KEEP.fullmatch(check_keep(keep))
    assert word is not None
    number = int(word[1])
    if word[2] is None:
        gone = ordered[number:]
    else:
        before_ms = now_ms - number * _HOURS[word[2]] * 3_600_000
        gone = [each for each in ordered[1:] if each.at_ms < before_ms]
    return gone[::-1]
