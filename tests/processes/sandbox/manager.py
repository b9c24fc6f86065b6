"""Who starts the service of a command for every connection to its socket."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
from pathlib import Path

from openclaw.processes.sandbox.bubblewrap import ENTRANCE


class Manager:
    """Starts the script for every connection, as systemd does with `Accept=yes`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.started: list[subprocess.Popen[bytes]] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._listener.setblocking(False)
        asyncio.get_running_loop().add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        near, _ = self._listener.accept()
        near.setblocking(True)
        with near:
            command = [sys.executable, "-I", "-S", str(ENTRANCE)]
            self.started.append(subprocess.Popen(command, stdin=near.fileno(), stdout=subprocess.DEVNULL))

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._listener)
        self._listener.close()
        for each in self.started:
            with contextlib.suppress(ProcessLookupError):
                each.kill()
            each.wait()
