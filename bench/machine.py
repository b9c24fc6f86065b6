"""The machine: which core is whose, and the facts without which no figure means anything."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from bench.report import quantile

PROBE_WRITES = 100


class Cores(NamedTuple):
    """The core of what is measured, and the core of everything else; None where they cannot be told apart."""

    gateway: int | None
    others: int | None


def cores() -> Cores:
    """Return the first and the last core that we may use."""
    mine = sorted(os.sched_getaffinity(0))
    return Cores(mine[0], mine[-1]) if len(mine) > 1 else Cores(None, None)


@contextlib.contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """Be on one core for a while: what is started meanwhile stays there, with all its threads."""
    before = os.sched_getaffinity(0)
    if core is not None:
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def facts(split: Cores) -> dict[str, Any]:
    """Return what a reader must know beside the figures."""
    return {
        "at": datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="seconds"),
        "cores": len(os.sched_getaffinity(0)),
        "gatewayCore": split.gateway,
        "generatorCore": split.others,
        "loadAverage": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
        "kernel": platform.release(),
        "commit": commit(),
    }


def commit() -> str:
    """Return the commit that is measured, with a `+` when the sources differ from it; empty outside a repository."""
    try:
        head = _git("rev-parse", "--short", "HEAD")
        return head + ("+" if _git("status", "--porcelain", "--", "src") else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def _git(*arguments: str) -> str:
    place = Path(__file__).parent
    return subprocess.run(("git", *arguments), cwd=place, check=True, capture_output=True, text=True).stdout.strip()


def fsync_ms(folder: Path) -> float:
    """Return how long this disk takes to make 4 KiB durable when nobody disturbs it: the least a commit waits."""
    took = []
    with (folder / "fsync-probe").open("wb") as probe:
        probe.write(bytes(1 << 20))
        probe.flush()
        os.fsync(probe.fileno())
        for _ in range(PROBE_WRITES):
            began = time.perf_counter()
            os.pwrite(probe.fileno(), bytes(4096), 0)
            os.fdatasync(probe.fileno())
            took.append((time.perf_counter() - began) * 1000)
    return quantile(took, 0.1)


def supported() -> bool:
    """Say whether the figures can be read here: they come from Linux's /proc."""
    return sys.platform == "linux" and Path("/proc/self/stat").exists()
