"""The same program again, in the same process."""

from __future__ import annotations

import os
import signal
import sys
from typing import Final, NoReturn

QUIET: Final = (signal.SIGHUP, signal.SIGUSR1)
"""Would end a process that has not said yet what they mean to it."""
HELD: Final = (signal.SIGTERM, signal.SIGINT)
"""Wait until the program says what they mean to it: a stop is told to it, never lost, and never an end by surprise."""


def hold() -> None:
    """Let signals wait, through `begin_again` as well, until `listen`."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HELD)


def listen() -> None:
    """Take the signals that waited since this process began again; call it once it is said what they mean."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)


def begin_again() -> NoReturn:
    """Replace this process by the same command line: the pid stays, every descriptor of ours is closed by the kernel.

    Raises: OSError when the program is not there any more.
    """
    for number in QUIET:
        signal.signal(number, signal.SIG_IGN)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606  # no shell is wanted
