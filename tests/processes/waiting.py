"""Waiting for what another process does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import psutil


def alive(pid: int) -> bool:
    """Say whether the process runs; one that only waits to be reaped does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


async def until(claim: Callable[[], bool], deadline_s: float = 5.0) -> None:
    """Wait for a claim about another process to come true."""
    end = time.monotonic() + deadline_s
    while not claim():
        assert time.monotonic() < end, "deadline"
        await asyncio.sleep(0.01)
