"""What a conversation's past costs: turns of kept sessions, shallow and deep, and the first ones after a restart.

The number of turns is fixed, not the time: otherwise a faster gateway would be given longer histories to read.
"""

from __future__ import annotations

from typing import NamedTuple

from bench.completion import body_file, request
from bench.gateway import BEARER, COMPLETIONS, Gateway, Lab, running
from bench.report import Row
from bench.tools import Load

FAMILY = "64 kept sessions, 16 clients"
SESSIONS, CLIENTS = 64, 16
STEP, DEEP = 4, 24
"""Turns of each session in one measurement, and turns before the deep one."""
KEPT_USER = "bench-SSSSSSSS"
"""loadgen replaces the S by the number of a session, one after the other."""


class Depth(NamedTuple):
    """Turns of every session. Shape: CPU in ms of a turn."""

    load: Load
    cpu_ms: float


def kept_sessions(lab: Lab) -> list[Row]:
    """Let all sessions grow alike and measure on the way; then start anew, when nothing is remembered but on disk."""
    with running(lab) as gateway:
        _turns(lab, gateway, 4 * CLIENTS, kept=False)
        alone = [_turns(lab, gateway, SESSIONS * STEP, kept=False) for _ in range(lab.rounds)]
        first = _turns(lab, gateway, SESSIONS * STEP)
        _turns(lab, gateway, SESSIONS * (DEEP - STEP))
        deep = _turns(lab, gateway, SESSIONS * STEP)
        gateway.restart()
        _turns(lab, gateway, 4 * CLIENTS, kept=False)
        cold = _turns(lab, gateway, SESSIONS * STEP)
    rows: list[Row] = []
    for name, measured in (
        ("no session kept", alone),
        (f"turns 1 to {STEP}", [first]),
        (f"turns {DEEP + 1} to {DEEP + STEP}", [deep]),
        (f"turns {DEEP + STEP + 1} to {DEEP + 2 * STEP}, after a restart", [cold]),
    ):
        p50, cpu = tuple(one.load.p50 for one in measured), tuple(one.cpu_ms for one in measured)
        rows.append(Row(family=FAMILY, name=f"{name}, p50", unit="ms", samples=p50))
        rows.append(Row(family=FAMILY, name=f"{name}, CPU", unit="ms", samples=cpu, steady=True))
    each = (deep.cpu_ms - first.cpu_ms) / DEEP * 1000
    rows.append(Row(family=FAMILY, name="CPU for each earlier turn", unit="µs", samples=(each,), steady=True))
    return rows


def _turns(lab: Lab, gateway: Gateway, count: int, *, kept: bool = True) -> Depth:
    body = request("openclaw", stream=False, user=KEPT_USER if kept else None)
    before = gateway.cpu_s()
    load = lab.tools.loadgen(
        gateway.port,
        COMPLETIONS,
        body_file(lab.folder, body),
        concurrency=CLIENTS,
        seconds=30,
        marker='"stop"',
        headers=(BEARER, "x-openclaw-model: bench/fake-n10"),
        requests=count,
        sessions=SESSIONS if kept else 0,
    )
    return Depth(load, (gateway.cpu_s() - before) / (load.ok + load.err) * 1000)
