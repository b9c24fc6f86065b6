"""Which protocol versions we speak and how one is chosen."""

from __future__ import annotations

from typing import Final

SUPPORTED: Final = (3, 4)
OLDEST: Final = SUPPORTED[0]
CURRENT: Final = SUPPORTED[-1]


def negotiate(minimum: int, maximum: int) -> int | None:
    """Return the highest version both sides speak, or None."""
    common = [version for version in SUPPORTED if minimum <= version <= maximum]
    return common[-1] if common else None


def shape_for(minimum: object, maximum: object) -> int:
    """Return the version whose error shapes a client expects, also when nothing else about it is valid."""
    if isinstance(minimum, int) and isinstance(maximum, int) and maximum == OLDEST and minimum <= OLDEST:
        return OLDEST
    return CURRENT
