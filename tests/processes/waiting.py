"""Waiting for what another process does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import psutil


def alive(pid: int) -> bool:
    """Say whether the process runs; one that only waits to be reaped does not."""
    return status(pid) not in ("", psutil.STATUS_ZOMBIE)


def status(pid: int) -> str:
    """Return psutil's word for what a process does, "" when it is gone."""
    try:
        return str(psutil.Process(pid).status())
    except psutil.NoSuchProcess:
        return ""


async def until(claim: Callable[[], bool], deadline_s: float = 5.0) -> None:
    """Wait for a claim about another process to come true."""
    end = time.monotonic() + deadline_s
    while not claim():
        assert time.monotonic() < end, "deadline"
        await asyncio.sleep(0.01)
