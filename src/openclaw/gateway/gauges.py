"""What the scraper reads of the whole house."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from openclaw.telemetry.metrics import METRICS

if TYPE_CHECKING:
    from openclaw.gateway.rooms import Rooms

GAUGES: tuple[tuple[str, str, Callable[[Rooms], float]], ...] = (
    ("openclaw_uptime_seconds", "Time since the start.", lambda rooms: rooms.health.uptime_ms() / 1000),
    ("openclaw_loop_lag_seconds", "Lag of the event loop.", lambda rooms: rooms.health.loop_lag_ms() / 1000),
    (
        "openclaw_loop_lag_p99_seconds",
        "99th percentile of the event loop's lag over the last half minute.",
        lambda rooms: rooms.health.p99_loop_lag_ms() / 1000,
    ),
    ("openclaw_runs_running", "Runs that are going.", lambda rooms: rooms.study.running()),
    ("openclaw_runs_queued", "Messages that wait in lanes.", lambda rooms: rooms.study.queued()),
    ("openclaw_ws_peers", "Connected clients of the Gateway protocol.", lambda rooms: len(rooms.hub)),
    ("openclaw_nodes", "Connected nodes.", lambda rooms: len(rooms.nodes.live)),
    (
        "openclaw_disk_free_bytes",
        "Free space for the state directory, -1 = unknown.",
        lambda rooms: rooms.disk.free,
    ),
    (
        "openclaw_tls_certificate_ends_seconds",
        "Unix time at which the gateway's own certificate expires, 0 = TLS is off.",
        lambda rooms: rooms.tls.ends_s,
    ),
    ("openclaw_tasks", "Tasks of the event loop.", lambda rooms: len(asyncio.all_tasks())),
    ("openclaw_children", "Child processes.", lambda rooms: rooms.spawner.children()),
    ("process_resident_memory_bytes", "Resident memory of the gateway.", lambda rooms: resident_bytes()),
)


def watch(rooms: Rooms) -> None:
    """Register what the scraper reads."""
    for name, doc, read in GAUGES:
        METRICS.gauge(name, doc, partial(read, rooms))


def resident_bytes() -> float:
    """Return this process's resident memory, or 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_bytes().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * 4096
