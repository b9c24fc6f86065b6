"""The lock of a state directory: one gateway owns it, and the kernel lets go of it when its owner dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from openclaw.base.errors import StateLocked

LOCK_NAME = "openclaw.lock"
MAX_COMMAND = 160


class StateLock:
    """An advisory `flock` on one file of the state directory. The file stays; only the kernel's lock counts.

    The holder's pid is written into the file for people to read. Nothing decides by it, so a stale pid is harmless.
    """

    def __init__(self, state_dir: Path) -> None:
        self.path = state_dir / LOCK_NAME
        self._fd: int | None = None

    @property
    def held(self) -> bool:
        """True while this object owns the lock."""
        return self._fd is not None

    def acquire(self) -> None:
        """Take the lock at once or not at all; a second call by its holder does nothing.

        Raises: StateLocked (with the holder's pid in `details`).
        """
        if self._fd is not None:
            return
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _pid(fd)
            os.close(fd)
            raise self._locked(holder) from None
        except BaseException:
            os.close(fd)
            raise
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._fd = fd

    def release(self) -> None:
        """Let go. The file is kept: unlinking it would let two owners lock two files of one name."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _locked(self, pid: int | None) -> StateLocked:
        what = command_of(pid) if pid else ""
        who = f"process {pid}" if pid else "another process"
        return StateLocked(
            f"the state directory {self.path.parent} is in use by {who}{f' ({what})' if what else ''}",
            details={"pid": pid, "path": str(self.path), "command": what},
        )


def command_of(pid: int, proc: Path = Path("/proc")) -> str:
    """Return a process's command line for people, "" where the system does not tell. Shape: one short line."""
    try:
        raw = (proc / str(pid) / "cmdline").read_bytes()[:4096]
    except OSError:
        return ""
    text = " ".join(raw.rstrip(b"\0").decode(errors="replace").split("\0"))
    shown = "".join(char if char.isprintable() else "?" for char in text)
    return shown if len(shown) <= MAX_COMMAND else f"{shown[: MAX_COMMAND - 1]}…"


def _pid(fd: int) -> int | None:
    text = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
    return int(text) if text.isdigit() else None
