"""Control groups for jobs of a gateway that runs as root: the kernel counts no processes of root against a limit.

1. A job gets a group of its own before its first program starts, with its number of processes and, where it can be,
   its memory. Without control groups that we may write, the carrier's own counting has to do.
2. A group is removed when nobody is in it any more; those of gateways that are gone are removed by the next one.
3. No two groups have one name, also when a process begins again as another program: one that is still there would keep
   the next job from getting any.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
from pathlib import Path
from typing import Final

from openclaw.processes.sandbox.job import Limits

ROOT: Final = Path("/sys/fs/cgroup")
PREFIX: Final = "openclaw-"
ENTER: Final = ("/bin/sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"')
"""Starts what follows in a group; fails when that cannot be entered."""
EXTRA: Final = 8
"""Processes of the walls themselves."""
_LIFE: Final = secrets.token_hex(4)
"""Tells this program from the one that had its process before (`processes.again`)."""
_NUMBERS: Final = itertools.count(1)


class Cages:
    """The groups of one gateway. Blocks for moments only: these files are the kernel's."""

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root / "pids" if (root / "pids").is_dir() else root
        self._left: set[Path] = set()
        self._swept = False

    def make(self, limits: Limits) -> Path | None:
        """Return a new group; None where none is needed or possible."""
        if os.geteuid() != 0:
            return None
        self._sweep()
        cage = self._root / f"{PREFIX}{os.getpid()}-{_LIFE}-{next(_NUMBERS)}"
        try:
            cage.mkdir()
            (cage / "pids.max").write_text(str(limits.processes + EXTRA))
        except OSError:
            with contextlib.suppress(OSError):
                cage.rmdir()
            return None
        with contextlib.suppress(OSError):
            (cage / "memory.max").write_text(str(limits.memory_bytes))
        return cage

    def remove(self, cage: Path) -> None:
        """Remove a group whose job has ended, at once or with a later one."""
        self._left.add(cage)
        self._sweep()

    def _sweep(self) -> None:
        if not self._swept:
            self._swept = True
            self._left |= {each for each in self._root.glob(f"{PREFIX}*-*") if not _lives(each)}
        for each in list(self._left):
            try:
                each.rmdir()
            except FileNotFoundError:
                self._left.discard(each)
            except OSError:
                continue
            else:
                self._left.discard(each)


def _lives(cage: Path) -> bool:
    """Say whether the gateway that has made a group is there."""
    pid, _, rest = cage.name.removeprefix(PREFIX).partition("-")
    return rest.startswith(f"{_LIFE}-") if pid == str(os.getpid()) else Path("/proc", pid).exists()
