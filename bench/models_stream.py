"""How much the model clients cost: events relayed per second, CPU per stream and per call, against a compiled stand-in.

Usage: python -m bench.models_stream [--tools DIR] [--seconds 3] [--wire openai|anthropic|both]

The client runs on one core, the stand-in on another, where the system lets us choose.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

from bench.gateway import upstream
from bench.machine import cores, pinned
from bench.tools import ToolMissing, Tools, source_folder
from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.base.message import user
from openclaw.base.model import ModelRequest
from openclaw.models.anthropic.client import AnthropicClient
from openclaw.models.catalog import Catalog
from openclaw.models.client import LLMClient
from openclaw.models.openai.client import OpenAIClient
from openclaw.net.http import HttpClient


def cpu_s() -> float:
    """User and system time of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def load(once: Callable[[], Awaitable[int]], concurrency: int, seconds: float) -> tuple[int, int, float, float]:
    """Repeat a call in a closed loop. Return calls, events, CPU seconds, wall seconds."""
    for _ in range(20):
        await once()
    calls = events = 0
    started, cpu = time.monotonic(), cpu_s()

    async def worker() -> None:
        nonlocal calls, events
        while time.monotonic() - started < seconds:
            seen = await once()
            events += seen
            calls += 1

    await asyncio.gather(*(worker() for _ in range(concurrency)))
    return calls, events, cpu_s() - cpu, time.monotonic() - started


async def measure(name: str, client: LLMClient, seconds: float) -> None:
    """Print the figures of one wire client."""

    async def stream(model: str) -> int:
        count = 0
        async for events in client.stream(ModelRequest(model=model, messages=(user("hi"),))):
            count += len(events)
        return count

    async def call() -> int:
        await client.generate(ModelRequest(model="fake", messages=(user("hi"),)))
        return 1

    cases: list[tuple[str, Callable[[], Awaitable[int]], int]] = [
        ("stream of 10000, 1 client", lambda: stream("fake-n10000-b8"), 1),
        ("stream of 100, 1 client", lambda: stream("fake-n100-b8"), 1),
        ("stream of 100, 64 clients", lambda: stream("fake-n100-b8"), 64),
        ("call, 1 client", call, 1),
        ("call, 64 clients", call, 64),
    ]
    for label, once, concurrency in cases:
        calls, events, cpu, wall = await load(once, concurrency, seconds)
        print(
            f"{name:9} {label:26} {calls / wall:9.0f}/s {events / wall:10.0f} events/s"
            f" {cpu / calls * 1e6:9.0f} µs CPU each {events / cpu:10.0f} events/s of CPU"
        )


async def run(origin: str, wire: str, seconds: float) -> None:
    """Measure the wires asked for."""
    async with HttpClient() as http:
        if wire in ("openai", "both"):
            await measure(
                "openai", OpenAIClient(http=http, clock=SYSTEM_CLOCK, catalog=Catalog(), base_url=origin), seconds
            )
        if wire in ("anthropic", "both"):
            client = AnthropicClient(http=http, clock=SYSTEM_CLOCK, catalog=Catalog(), base_url=origin)
            await measure("anthropic", client, seconds)


def main() -> int:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description="Cost of the model clients.")
    parser.add_argument("--tools", type=Path)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--wire", choices=("openai", "anthropic", "both"), default="both")
    options = parser.parse_args()
    split = cores()
    try:
        tools = Tools(source_folder(options.tools), split.others)
    except ToolMissing as missing:
        print(missing, file=sys.stderr)
        return 2
    with upstream(tools) as port, pinned(split.gateway):
        print(f"load average {os.getloadavg()[0]:.2f}, Python {sys.version.split()[0]}")
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run(f"http://127.0.0.1:{port}", options.wire, options.seconds))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
