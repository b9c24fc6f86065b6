"""A real gateway in a process of its own, as an operator runs it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from openclaw.client.errors import GatewayDown
from openclaw.client.ws import GatewayClient

TOKEN = "test-token-test-token-test-token-0123456789"
START_S = 60.0
"""How long a busy machine may take for a start or an end before a test gives up; nothing ever waits for its end."""
_PORTS = range(20_000, 32_000)
"""Below those that the kernel gives to connections: it could take one of them before the gateway does."""


def free_port() -> int:
    """Return a port that is free on both loopback addresses now."""
    for port in random.sample(_PORTS, 100):
        with contextlib.suppress(OSError), contextlib.ExitStack() as held:
            for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
                if family == socket.AF_INET or IPV6:
                    held.enter_context(socket.socket(family)).bind((host, port))
            return port
    raise AssertionError("there is no free port")


def _has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


IPV6 = _has_ipv6()


def write_config(folder: Path, port: int, model: str = "fake/echo", **sections: Any) -> Path:
    """Write a configuration for a gateway on that port; `sections` add to it."""
    config: dict[str, Any] = {
        "gateway": {"port": port, "auth": {"token": TOKEN}},
        "agents": {"defaults": {"model": model}},
        **sections,
    }
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / "openclaw.json"
    path.write_text(json.dumps(config, indent=1))
    return path


class GatewayProcess:
    """One gateway process and the ways to reach it."""

    def __init__(self, folder: Path, port: int, process: asyncio.subprocess.Process) -> None:
        self.folder, self.port, self.process = folder, port, process
        self.ws_url = f"ws://127.0.0.1:{port}"
        self.http_url = f"http://127.0.0.1:{port}"

    @classmethod
    async def start(
        cls, folder: Path, port: int, *arguments: str, env: Mapping[str, str] | None = None
    ) -> GatewayProcess:
        """Start it and return at once."""
        log = (folder / "gateway.out").open("ab")
        environ = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "PYTHONPATH") if name in os.environ}
        environ |= {"OPENCLAW_STATE_DIR": str(folder), "PYTHONWARNINGS": "error", **(env or {})}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "openclaw", "gateway", "run", *arguments),
            stdout=log,
            stderr=log,
            stdin=asyncio.subprocess.DEVNULL,
            cwd=folder,
            env=environ,
        )
        log.close()
        return cls(folder, port, process)

    async def ready(self) -> GatewayProcess:
        """Wait until it takes connections and is past its start."""
        async with asyncio.timeout(START_S):
            while self.process.returncode is None:
                try:
                    async with await self.connect():
                        return self
                except (GatewayDown, Exception) as error:
                    if not _still_starting(error):
                        raise
                await asyncio.sleep(0.02)
        raise AssertionError(f"the gateway ended with {self.process.returncode}: {self.output()[-2000:]}")

    async def connect(self, **options: Any) -> GatewayClient:
        """Open a client."""
        return await GatewayClient.connect(self.ws_url, token=TOKEN, **options)

    def output(self) -> str:
        """Return everything it has printed."""
        return (self.folder / "gateway.out").read_text(errors="replace")

    async def kill(self) -> None:
        """kill -9."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGKILL)
        await self.process.wait()

    async def stop(self) -> int:
        """SIGTERM, and wait; return the exit code."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(START_S):
            return await self.process.wait()


def _still_starting(error: BaseException) -> bool:
    return isinstance(error, GatewayDown) or "start" in str(error).lower()


@asynccontextmanager
async def gateway(folder: Path, model: str = "fake/echo", **sections: Any) -> AsyncIterator[GatewayProcess]:
    """Run a gateway for the length of a test; its end must be clean."""
    port = free_port()
    write_config(folder, port, model, **sections)
    running = await GatewayProcess.start(folder, port)
    try:
        yield await running.ready()
    finally:
        await running.stop()
