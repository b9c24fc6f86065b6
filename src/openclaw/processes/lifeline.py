"""The pipe between the spawner and its warden (see warden.py)."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

_SCRIPT = Path(__file__).with_name("warden.py")
_log = logging.getLogger("openclaw.processes")


class Lifeline:
    """Tells a warden which process groups live. The warden is started with the first group and replaced if it dies."""

    def __init__(self) -> None:
        self._groups: set[int] = set()
        self._warden: subprocess.Popen[bytes] | None = None
        self._pipe = -1

    def hold(self, pgid: int) -> None:
        """Have the group killed when this process ends, however it ends."""
        self._groups.add(pgid)
        if self._warden is None:
            self._start()
        else:
            self._tell(b"+%d\n" % pgid)

    def let_go(self, pgid: int) -> None:
        """Forget a group that has ended."""
        if pgid in self._groups:
            self._groups.discard(pgid)
            self._tell(b"-%d\n" % pgid)

    def close(self) -> None:
        """End the warden; it kills whatever group is still held."""
        warden, self._warden = self._warden, None
        if warden is None:
            return
        os.close(self._pipe)
        try:
            warden.wait(2)
        except subprocess.TimeoutExpired:
            warden.kill()
            warden.wait()

    def _start(self) -> None:
        reader, self._pipe = os.pipe()
        os.set_blocking(self._pipe, False)
        try:
            self._warden = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_SCRIPT)],
                stdin=reader,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={},
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            os.close(self._pipe)
            _log.error("warden_not_started", extra={"fields": {"error": str(error)}})
            return
        finally:
            os.close(reader)
        for pgid in self._groups:
            self._tell(b"+%d\n" % pgid)

    def _tell(self, line: bytes) -> None:
        if self._warden is None:
            return
        try:
            os.write(self._pipe, line)
        except OSError as error:
            _log.warning("warden_lost", extra={"fields": {"error": str(error)}})
            warden, self._warden = self._warden, None
            os.close(self._pipe)
            warden.kill()
            warden.wait()
