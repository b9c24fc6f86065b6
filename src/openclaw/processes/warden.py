"""Kills the gateway's children when the gateway is gone: a script of its own, run apart from everything else.

The gateway keeps the write end of this script's stdin and tells it which process groups live: `+<pgid>`, `-<pgid>`.
However the gateway ends, the kernel closes that pipe; the warden then kills every group it still knows and leaves.
A pipe works on every system and with any number of threads, and it reaches grandchildren, which `PR_SET_PDEATHSIG`
does not.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import BinaryIO


def watch(lines: BinaryIO) -> set[int]:
    """Follow the list until the pipe closes; return the groups that were still alive then."""
    groups: set[int] = set()
    for line in lines:
        pgid = int(line[1:])
        if line[:1] == b"+":
            groups.add(pgid)
        else:
            groups.discard(pgid)
    return groups


def main() -> None:
    """Outlive the gateway by as long as it takes to kill what it left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    for pgid in watch(sys.stdin.buffer):
        try:
            os.killpg(pgid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue


if __name__ == "__main__":
    main()
