"""The lock of a state directory."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from openclaw.base.errors import StateLocked
from openclaw.store.lock import StateLock

_HOLD = """
import sys
from pathlib import Path
from openclaw.store.lock import StateLock
lock = StateLock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_owner_is_refused_and_told_the_pid_of_the_first(tmp_path: Path) -> None:
    lock = StateLock(tmp_path)
    lock.acquire()
    with pytest.raises(StateLocked) as caught:
        StateLock(tmp_path).acquire()
    assert caught.value.details["pid"] == os.getpid()
    assert str(os.getpid()) in caught.value.message
    lock.release()


def test_a_released_lock_can_be_taken_again(tmp_path: Path) -> None:
    lock = StateLock(tmp_path)
    lock.acquire()
    lock.acquire()
    lock.release()
    lock.release()
    other = StateLock(tmp_path)
    other.acquire()
    assert other.held
    assert not lock.held
    other.release()


def test_the_lock_file_is_private_and_a_missing_state_directory_is_made(tmp_path: Path) -> None:
    lock = StateLock(tmp_path / "deep" / "state")
    lock.acquire()
    assert stat.S_IMODE(lock.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(lock.path.parent.stat().st_mode) == 0o700
    lock.release()


def test_the_lock_dies_with_its_owner(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StateLocked) as caught:
            StateLock(tmp_path).acquire()
        assert caught.value.details["pid"] == holder.pid
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait(10)
    lock = StateLock(tmp_path)
    lock.acquire()
    assert (tmp_path / "openclaw.lock").read_text() == f"{os.getpid()}\n"
    lock.release()
