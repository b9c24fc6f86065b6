"""A real gateway in a process of its own, on the fake provider, and real command lines against it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

DEADLINE_S = 30.0
SCRIPT = str(Path(sys.executable).with_name("openclaw"))


def free_port() -> int:
    """Return a port that is free on both loopback addresses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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
        """Run a command that serves, for the block; it must end by itself on SIGTERM."""
        process = subprocess.Popen(
            [SCRIPT, *arguments],
            env=self.env,
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            wait_until(lambda: process.poll() is not None or listens(self.port))
            assert process.poll() is None, f"the gateway ended with {process.returncode}"
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.communicate(timeout=DEADLINE_S)
            finally:
                process.kill()


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
