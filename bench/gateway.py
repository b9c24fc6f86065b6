"""A real gateway in a process and on a core of its own, with a fresh state directory, before the stand-in upstream."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bench.machine import Cores, pinned
from bench.tools import BadRun, Tools

TOKEN = "bench-token-bench-token-bench-token-0123456789"
BEARER = f"Authorization: Bearer {TOKEN}"
COMPLETIONS = "/v1/chat/completions"
DOORLESS = Path(__file__).parent / "doorless.py"
START_S = 30.0
POLL_S = 0.001
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Lab(msgspec.Struct, frozen=True):
    """What every measurement needs. Shape: `rounds` of `seconds` each; `minutes` is the soak's own length, if any."""

    tools: Tools
    cores: Cores
    folder: Path
    upstream: int
    rounds: int
    seconds: float
    minutes: float = 0.0


class Setting(msgspec.Struct, frozen=True):
    """How a gateway differs from the usual one.

    Shape: `folder` is where its state is kept, None = beside the others; `doors` False: without any (doorless.py).
    """

    providers: dict[str, dict[str, object]] = {}
    agents: tuple[dict[str, object], ...] = ()
    folder: Path | None = None
    doors: bool = True


class Started(msgspec.Struct, frozen=True):
    """How a start went. Shape: seconds since the spawn, and CPU seconds up to ready."""

    healthy_s: float
    ready_s: float
    cpu_s: float


class Gateway:
    """One running gateway."""

    def __init__(self, lab: Lab, setting: Setting | None = None) -> None:
        """Start it; returns at once."""
        setting = setting or Setting()
        self._core = lab.cores.gateway
        self._program = ("-m", "openclaw") if setting.doors else (str(DOORLESS),)
        self.port = free_port()
        self.state = Path(tempfile.mkdtemp(prefix="state-", dir=setting.folder or lab.folder))
        self.environment = _environment(self.state)
        (self.state / "openclaw.json").write_text(json.dumps(_config(self.port, lab.upstream, setting)))
        self._spawn()

    def _spawn(self) -> None:
        argv = (sys.executable, *self._program, "gateway", "run")
        log = (self.state / "gateway.out").open("wb")
        with pinned(self._core):
            self._spawned = time.perf_counter()
            self.process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.state, env=self.environment
            )
        log.close()

    def wait(self) -> Started:
        """Wait until it is ready. Raises: BadRun when it does not start."""
        healthy = self._poll("/health")
        ready = self._poll("/ready")
        return Started(healthy, ready, self.cpu_s())

    def _poll(self, path: str) -> float:
        while (passed := time.perf_counter() - self._spawned) < START_S and self.process.poll() is None:
            if status(self.port, path) == 200:
                return passed
            time.sleep(POLL_S)
        raise BadRun(f"the gateway did not start: {(self.state / 'gateway.out').read_text(errors='replace')[-800:]}")

    def cpu_s(self) -> float:
        """Return the CPU time of all its threads so far."""
        # The clock id of another process's CPU time: clock_getcpuclockid(3). /proc/PID/stat only counts 10 ms ticks.
        return time.clock_gettime((~self.process.pid << 3) | 2)

    def rss_mb(self) -> float:
        """Return its resident memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * _PAGE_BYTES / 1e6

    def restart(self) -> None:
        """Start it anew on the same state. Raises: BadRun."""
        self._end()
        self._spawn()
        self.wait()

    def stop(self) -> None:
        """Stop it and remove its state."""
        self._end()
        shutil.rmtree(self.state, ignore_errors=True)

    def _end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@contextlib.contextmanager
def running(lab: Lab, setting: Setting | None = None) -> Iterator[Gateway]:
    """Run a gateway for the length of a measurement."""
    gateway = Gateway(lab, setting)
    try:
        gateway.wait()
        yield gateway
    finally:
        gateway.stop()


def _config(port: int, upstream: int, setting: Setting) -> dict[str, object]:
    provider = {"api": "openai-completions", "baseUrl": f"http://127.0.0.1:{upstream}/v1", "apiKey": "bench-key"}
    return {
        "gateway": {"port": port, "auth": {"token": TOKEN}},
        "agents": {"defaults": {"model": "bench/fake-n100"}, "list": [*setting.agents]},
        "models": {"providers": {"bench": provider, **setting.providers}},
    }


def _environment(state: Path) -> dict[str, str]:
    names = ("PATH", "HOME", "LANG", "PYTHONPATH")  # the last, to measure the sources of another checkout
    kept = {name: os.environ[name] for name in names if name in os.environ}
    return {**kept, "OPENCLAW_STATE_DIR": str(state)}


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def status(port: int, path: str) -> int:
    """Return the status of a GET, 0 when nobody answers."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as line:
            line.sendall(request.encode())
            return int(line.recv(64).split(b" ", 2)[1])
    except (OSError, ValueError, IndexError):
        return 0


@contextlib.contextmanager
def upstream(tools: Tools) -> Iterator[int]:
    """Run the stand-in provider and return its port."""
    port = free_port()
    process = tools.start_upstream(port)
    try:
        deadline = time.perf_counter() + 5
        while status(port, "/v1/models") != 200:
            if time.perf_counter() > deadline or process.poll() is not None:
                raise BadRun("the stand-in upstream did not start")
            time.sleep(0.01)
        with _pacemaker(port):
            yield port
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def _pacemaker(port: int) -> Iterator[None]:
    """Keep one answer due in the far future: the stand-in sleeps through what is due when nothing else will be."""
    body = '{"model":"fake-l86400000","stream":true}'
    head = f"POST {COMPLETIONS} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), 5) as line:
        line.sendall((head + body).encode())
        yield
