"""The same program again, in the same process."""

from __future__ import annotations

import os
import signal
import sys
from typing import Final, NoReturn

QUIET: Final = (signal.SIGHUP, signal.SIGUSR1)
"""Would end a process that has not said yet what they mean to it."""


def begin_again() -> NoReturn:
    """Replace this process by the same command line: the pid stays, every descriptor of ours is closed by the kernel.

    Raises: OSError when the program is not there any more.
    """
    for number in QUIET:
        signal.signal(number, signal.SIG_IGN)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606  # no shell is wanted
