"""Cold start, memory at rest, and what a command costs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from bench.gateway import Gateway, Lab
from bench.machine import pinned
from bench.report import Aim, Row
from bench.tools import BadRun

SETTLE_S = 0.5
FAMILY = "start and rest"


def cold_start(lab: Lab) -> list[Row]:
    """Start a gateway on an empty state directory, again and again."""
    starts, rests = [], []
    for _ in range(5 if lab.rounds > 1 else 1):
        gateway = Gateway(lab)
        try:
            starts.append(gateway.wait())
            time.sleep(SETTLE_S)
            rests.append(gateway.rss_mb())
        finally:
            gateway.stop()
    healthy = tuple(start.healthy_s for start in starts)
    ready = tuple(start.ready_s for start in starts)
    cpu = tuple(start.cpu_s for start in starts)
    return [
        Row(family=FAMILY, name="spawn to healthy", unit="s", samples=healthy, aim=Aim(0.6)),
        Row(family=FAMILY, name="spawn to ready", unit="s", samples=ready),
        Row(family=FAMILY, name="CPU to ready", unit="s", samples=cpu, aim=Aim(0.6), steady=True),
        Row(family=FAMILY, name="idle RSS", unit="MB", samples=tuple(rests), aim=Aim(60), steady=True),
    ]


def commands(lab: Lab, gateway: Gateway) -> list[Row]:
    """Run two commands, the least one and one that asks the gateway."""
    program = Path(sys.executable).with_name("openclaw")
    rows = []
    for arguments, aim in ((("--version",), Aim(0.1)), (("health",), None)):
        runs = [_timed(lab, (str(program), *arguments), gateway.environment) for _ in range(2 * lab.rounds + 1)]
        name = " ".join(arguments)
        rows += [
            Row(family="commands", name=f"{name}, wall", unit="s", samples=tuple(wall for wall, _ in runs), aim=aim),
            Row(
                family="commands",
                name=f"{name}, CPU",
                unit="s",
                samples=tuple(cpu for _, cpu in runs),
                aim=aim,
                steady=True,
            ),
        ]
    return rows


def _timed(lab: Lab, argv: tuple[str, ...], environment: Mapping[str, str]) -> tuple[float, float]:
    with pinned(lab.cores.others):
        began = time.perf_counter()
        process = subprocess.Popen(argv, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        _, result, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(result)
    if process.returncode:
        raise BadRun(f"{' '.join(argv)} ended with {process.returncode}")
    return time.perf_counter() - began, used.ru_utime + used.ru_stime
