"""Durable turns per second of the store alone: accept + finish_run, at 1, 16 and 64 waiters.

Run: `python bench/store_turns.py [seconds]`. Prints, per number of waiters, turns/s, the median and 99th percentile of
`accept` and `finish_run`, and CPU per turn of the whole process (all threads).
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.base.ids import AgentId, SessionKey, new_run_id
from openclaw.base.message import assistant, user
from openclaw.base.model import Usage
from openclaw.base.principal import LOCAL_OPERATOR
from openclaw.base.run import Inbound, Reply
from openclaw.store.api import NewStep
from openclaw.store.sqlite import SqliteStore

AGENT = AgentId("default")
ANSWER = "The capital of Japan is Tokyo. " * 8


async def turn(store: SqliteStore, key: SessionKey, accepts: list[float], finishes: list[float]) -> None:
    """One whole turn of one short answer."""
    clock = SYSTEM_CLOCK
    run_id = new_run_id()
    began = time.perf_counter()
    accepted = await store.accept(
        Inbound(
            run_id=run_id,
            session_key=key,
            agent_id=AGENT,
            message=user("What is the capital of Japan?"),
            principal=LOCAL_OPERATOR,
        ),
        clock.now_ms(),
        start=True,
    )
    accepts.append(time.perf_counter() - began)
    usage = Usage(120, 60)
    reply = Reply(
        run_id=run_id,
        session_key=key,
        session_id=accepted.session.id,
        agent_id=AGENT,
        state="ok",
        text=ANSWER,
        usage=usage,
        model="m",
        provider="p",
    )
    step = NewStep(kind="model", messages=(assistant(ANSWER),), usage=usage, model="m", provider="p")
    began = time.perf_counter()
    await store.finish_run(run_id, reply, step, clock.now_ms())
    finishes.append(time.perf_counter() - began)


async def measure(store: SqliteStore, waiters: int, seconds: float) -> str:
    """Run that many clients, each with its own session, for that long."""
    accepts: list[float] = []
    finishes: list[float] = []
    end = time.perf_counter() + seconds

    async def client(number: int) -> None:
        key = SessionKey(f"agent:default:{number}")
        while time.perf_counter() < end:
            await turn(store, key, accepts, finishes)

    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(client(number) for number in range(waiters)))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    turns = len(finishes)
    return (
        f"{waiters:3d} waiters  {turns / wall:8.0f} turns/s  accept p50 {_ms(accepts, 0.5)} p99 {_ms(accepts, 0.99)}"
        f"  finish p50 {_ms(finishes, 0.5)} p99 {_ms(finishes, 0.99)}  cpu {cpu / turns * 1e6:4.0f} µs/turn"
    )


def _ms(samples: list[float], quantile: float) -> str:
    return f"{sorted(samples)[int(len(samples) * quantile)] * 1e3:.2f} ms"


def _fsync_ms(directory: Path) -> str:
    samples = []
    with (directory / "probe").open("wb") as probe:
        probe.write(bytes(1 << 20))
        for _ in range(200):
            began = time.perf_counter()
            os.pwrite(probe.fileno(), bytes(4096), 0)
            os.fdatasync(probe.fileno())
            samples.append(time.perf_counter() - began)
    return _ms(samples, 0.5)


async def main(seconds: float) -> None:
    """Measure on a fresh database in the temporary directory."""
    with tempfile.TemporaryDirectory() as folder:
        print(f"fdatasync of 4 KiB here: p50 {_fsync_ms(Path(folder))}")
        store = await SqliteStore.open(Path(folder) / "bench.db", clock=SYSTEM_CLOCK)
        await measure(store, 16, 0.5)
        for waiters in (1, 16, 64):
            print(await measure(store, waiters, seconds))
        await store.close()
    print(f"peak RSS {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")


if __name__ == "__main__":
    uvloop.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 3.0))
