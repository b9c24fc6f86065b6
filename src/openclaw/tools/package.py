"""Actions that installed packages offer by entry points."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINTS = "openclaw.actions"
"""Entry point group; the entry point's name is the tool's."""


def installed_actions() -> Iterable[EntryPoint]:
    """Return the entry points of all installed packages in our group.

    Nearly nobody has one, and importlib.metadata takes 15 ms of every start to say so: look for the group's name first.
    """
    if not any(map(_mentions_us, sys.path)):
        return ()
    from importlib.metadata import entry_points

    return entry_points(group=ENTRY_POINTS)


def _mentions_us(folder: str) -> bool:
    wanted = ENTRY_POINTS.encode()
    with suppress(OSError), os.scandir(folder or ".") as items:
        for item in items:
            if item.name.endswith((".dist-info", ".egg-info")):
                with suppress(OSError):
                    if wanted in Path(item.path, "entry_points.txt").read_bytes():
                        return True
    return False
