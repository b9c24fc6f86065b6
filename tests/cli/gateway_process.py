"""A real gateway in a process of its own, on the fake provider, and real command lines against it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.gateway.process import free_port

DEADLINE_S = 60.0
"""How long a busy machine may take for one step before a test gives up; nothing ever waits for its end."""
SCRIPT = str(Path(sys.executable).with_name("openclaw"))


@dataclass
class Place:
    """A state directory with a port of its own, and the environment that names it."""

    root: Path
    model: str = "echo"
    port: int = field(default_factory=free_port)

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def env(self) -> dict[str, str]:
        kept = {
            name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH") if name in os.environ
        }
        return kept | {
            "OPENCLAW_STATE_DIR": str(self.state),
            "OPENCLAW_CACHE_DIR": str(self.root / "models"),
            "OPENCLAW_GATEWAY_PORT": str(self.port),
            "OPENCLAW_LLM_PROVIDER": f"fake/{self.model}",
        }

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run one command line to its end."""
        return subprocess.run(
            [SCRIPT, *arguments],
            env=self.env,
            cwd=self.root,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )

    @contextmanager
    def serving(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Run a command that serves, for the block, once its start is over; it must end by itself on SIGTERM."""
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        manager.bind("")  # Linux gives it an abstract name
        manager.setblocking(False)
        process = subprocess.Popen(
            [SCRIPT, *arguments],
            env=self.env | {"NOTIFY_SOCKET": f"@{manager.getsockname()[1:].decode()}"},
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            wait_until(lambda: process.poll() is not None or _is_told(manager, "READY=1"))
            assert process.poll() is None, f"the gateway ended with {process.returncode}"
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.communicate(timeout=DEADLINE_S)
            finally:
                process.kill()
                manager.close()


def _is_told(manager: socket.socket, wanted: str) -> bool:
    """Say whether a service manager has heard it, among what came since the last look."""
    with suppress(BlockingIOError):
        while True:
            if wanted in manager.recv(4096).decode().splitlines():
                return True
    return False


def listens(port: int) -> bool:
    """Say whether something takes connections there."""
    try:
        with socket.create_connection(("127.0.0.1", port), 1):
            return True
    except OSError:
        return False


def wait_until(holds: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
    """Poll until it holds; fail after the deadline."""
    end = time.monotonic() + deadline_s
    while not holds():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
