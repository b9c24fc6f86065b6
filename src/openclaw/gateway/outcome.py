"""What became of a reload."""

from __future__ import annotations

import msgspec


class Outcome(msgspec.Struct, frozen=True):
    """What became of a reload. `waiting` names the leaves that need a restart.

    Shape: `renewed` says that callers prove themselves by another shared credential now.
    """

    applied: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    error: str = ""
    renewed: bool = False
