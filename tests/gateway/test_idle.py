"""A day without users costs nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from openclaw.base.clock import ManualClock
from openclaw.gateway.run import GatewayHandle, RunOptions, _Gateway
from openclaw.telemetry.metrics import METRICS

from .process import free_port, write_config

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

HOURS = 24


def model_calls() -> float:
    return sum(METRICS.counter("openclaw_model_calls", "", ()).values.values())


async def test_a_day_without_users_makes_no_model_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENCLAW_STATE_DIR", str(tmp_path))
    write_config(tmp_path, free_port())
    clock = ManualClock()
    ready: asyncio.Future[GatewayHandle] = asyncio.get_running_loop().create_future()
    gateway = _Gateway(RunOptions(quiet=True, drain_s=0), ready.set_result, clock)
    running = asyncio.ensure_future(gateway.main())
    handle = await asyncio.wait_for(ready, 10)
    before = model_calls()
    for _ in range(HOURS * 60):
        clock.advance(60)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert model_calls() == before
    handle.request_stop()
    while not running.done():
        clock.advance(1)
        await asyncio.sleep(0.005)
    await running
