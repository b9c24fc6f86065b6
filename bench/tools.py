"""The load tools: small C programs outside this repository, compiled into bench/bin and run on the generators' core."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.machine import pinned

HERE = Path(__file__).parent
NAMES = ("fake_upstream", "loadgen", "wsgen")
VARIABLE = "OPENCLAW_BENCH_TOOLS"
SPARE_S = 20.0


class ToolMissing(Exception):
    """Sources or a compiler are not there; the message says which and where they were looked for."""


class BadRun(Exception):
    """A load generator got no answer worth counting."""


class Load(msgspec.Struct, frozen=True):
    """What loadgen prints. Shape: latencies in ms; `ok` and `err` count answers."""

    ok: int
    err: int
    rps: float
    p50: float
    p99: float
    ttfb_p50: float
    ev_per_s: float


class WsLoad(msgspec.Struct, frozen=True):
    """What wsgen prints. Shape: latencies in ms."""

    rps: float
    p50: float
    p99: float


def source_folder(given: Path | None) -> Path:
    """Return where the sources are: the argument, else the variable, else ../shared/bench."""
    return given or Path(os.environ.get(VARIABLE) or HERE.parent.parent / "shared" / "bench")


class Tools:
    """The compiled tools."""

    def __init__(self, sources: Path, core: int | None) -> None:
        """Compile what is new. Raises: ToolMissing."""
        self.core = core
        missing = [str(sources / f"{name}.c") for name in NAMES if not (sources / f"{name}.c").is_file()]
        if missing:
            raise ToolMissing(f"no load tools: {', '.join(missing)} not found; say where with --tools or {VARIABLE}")
        self._bin = HERE / "bin"
        self._bin.mkdir(exist_ok=True)
        for name in NAMES:
            self._build(sources / f"{name}.c", self._bin / name)

    @staticmethod
    def _build(source: Path, binary: Path) -> None:
        if binary.exists() and binary.stat().st_mtime >= source.stat().st_mtime:
            return
        compiler = shutil.which("gcc") or shutil.which("cc")
        if compiler is None:
            raise ToolMissing("no C compiler: the load tools need gcc or cc on the PATH")
        subprocess.run((compiler, "-O2", "-w", "-o", str(binary), str(source)), check=True)

    def start_upstream(self, port: int) -> subprocess.Popen[bytes]:
        """Start the stand-in model provider."""
        with pinned(self.core):
            return subprocess.Popen((str(self._bin / "fake_upstream"), str(port)), stdin=subprocess.DEVNULL)

    def loadgen(
        self,
        port: int,
        path: str,
        body: Path,
        *,
        concurrency: int,
        seconds: float,
        marker: str,
        headers: Sequence[str] = (),
        requests: int = 0,
        sessions: int = 0,
    ) -> Load:
        """Ask over and over for that long, or that many times. Raises: BadRun when nothing good came back."""
        argv = ["-p", str(port), "-P", path, "-b", str(body), "-m", marker]
        argv += ["-c", str(concurrency), "-d", str(seconds), "-w", "0"]
        argv += [part for header in headers for part in ("-H", header)]
        argv += ["-r", str(requests)] if requests else []
        argv += ["-S", str(sessions)] if sessions else []
        load = msgspec.json.decode(self._run("loadgen", argv, seconds), type=Load)
        if not load.ok:
            raise BadRun(f"loadgen on port {port}: {load.err} failures, no good answer")
        return load

    def wsgen(self, port: int, *, concurrency: int, seconds: float, frame: Path, first: Path, skip: int) -> WsLoad:
        """Send a frame over and over on that many connections, after `first` and `skip` more frames from the server."""
        argv = ["-p", str(port), "-P", "/", "-c", str(concurrency), "-d", str(seconds), "-w", "0", "-k", "1"]
        argv += ["-f", str(frame), "-i", str(first), "-s", str(skip)]
        load = msgspec.json.decode(self._run("wsgen", argv, seconds), type=WsLoad)
        if not load.rps:
            raise BadRun(f"wsgen on port {port}: no answer")
        return load

    def _run(self, name: str, argv: Sequence[str], seconds: float) -> bytes:
        with pinned(self.core):
            argv = (str(self._bin / name), *argv)
            done = subprocess.run(argv, check=False, capture_output=True, timeout=seconds + SPARE_S)
        if done.returncode or not done.stdout:
            raise BadRun(f"{name} ended with {done.returncode}: {done.stderr.decode(errors='replace')[-400:]}")
        return done.stdout
