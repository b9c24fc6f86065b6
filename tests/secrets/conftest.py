"""A state folder, a room of secrets over it, and AWS as moto plays it."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from openclaw.base.clock import ManualClock
from openclaw.base.secret import Secret
from openclaw.config.load import Loaded
from openclaw.secrets.room import Again, SecretRoom
from tests.config.make import Home
from tests.gateway.process import free_port


class House(Home):
    """A state folder with its secrets."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.clock = ManualClock()
        self.told: list[Secret] = []
        self.room = SecretRoom(self.paths(), self.clock, self.told.append)

    async def resolved(self, text: str | None = None, again: Again = "problems") -> Loaded:
        """Load the file, written first if a text is given, with what it names."""
        if text is not None:
            self.write(text)
        return await self.room.load(self.env(), again=again)

    def private(self, name: str, text: str, mode: int = 0o600) -> Path:
        """Write a file of the state directory."""
        path = self.state / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def program(self, body: str) -> str:
        """Write a Python program and return its path."""
        path = self.folder / f"program{len(list(self.folder.glob('program*')))}"
        path.write_text(f"#!{sys.executable} -IS\nimport json, os, sys, time\n{body}\n")
        path.chmod(0o700)
        return str(path)


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Return an empty state folder."""
    return House(tmp_path)


@pytest.fixture(scope="session")
def aws() -> Iterator[str]:
    """Run moto's server for the session, a program of its own; return its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    argv = (sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port))
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            deadline_s = time.monotonic() + 60
            while True:
                try:
                    with closing(urllib.request.urlopen(f"{url}/moto-api/data.json", timeout=5)):
                        break
                except OSError:
                    assert server.poll() is None, "moto's server ended"
                    assert time.monotonic() < deadline_s, "moto's server did not start"
                    time.sleep(0.1)
            yield url
        finally:
            server.terminate()
