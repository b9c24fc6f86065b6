"""What every command of the tree costs before it does its own work."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from bench.gateway import Gateway, Lab
from bench.machine import pinned
from bench.report import Aim, Row

FAMILY = "commands, one by one"
START = Aim(0.3)
LOOKS = {"audit", "check", "env", "file", "health", "history", "list", "look", "presence", "probe", "status", "usage"}
"""Last words of commands that only look: they are run whole, against the gateway. Of the others help is asked for."""


def every_command(lab: Lab, gateway: Gateway) -> list[Row]:
    """Time each command a few times; what is run whole has its work in the figure, too."""
    rows = []
    for name in leaves():
        whole = name.split()[-1] in LOOKS
        what = name if whole else f"{name} --help"
        walls, cpus = zip(*(timed(lab, what.split(), gateway.environment) for _ in range(lab.rounds)), strict=True)
        rows.append(Row(family=FAMILY, name=f"{what}, CPU", unit="s", samples=cpus, aim=START, steady=True))
        rows.append(Row(family=FAMILY, name=f"{what}, wall", unit="s", samples=walls))
    return rows


def leaves() -> Iterator[str]:
    """Yield every command's name as it is typed."""
    from tests.docs.generate import commands

    for path, command, _ in commands():
        if not isinstance(command, click.Group):
            yield path.removeprefix("openclaw ")


def timed(lab: Lab, arguments: list[str], environment: Mapping[str, str]) -> tuple[float, float]:
    """Return how long a command took and what CPU it used, in seconds. How it ended does not matter here."""
    program = str(Path(sys.executable).with_name("openclaw"))
    with pinned(lab.cores.others):
        began = time.perf_counter()
        process = subprocess.Popen(
            [program, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return time.perf_counter() - began, used.ru_utime + used.ru_stime
