"""One chat stream, and sixteen, told to a hundred clients: events a second, how late they are, what each costs."""

from __future__ import annotations

import asyncio
import time
from typing import NamedTuple

import uvloop

from bench.gateway import Gateway, Lab, running
from bench.machine import pinned
from bench.report import Aim, Row, quantile
from bench.rpc import connect_frame
from bench.watcher import Frame, Payload, Watcher

FAMILY = "a chat stream to 100 watchers"
WATCHERS = 100
PAUSE_MS = 10
SETTLE_S = 2.0
"""Long enough for the presence event that follows the coming of the watchers."""


class Told(NamedTuple):
    """What all the watchers heard together. Shape: lags in ms, at least one; CPU in seconds."""

    events: int
    seconds: float
    lags: list[float]
    cpu_s: float


def fan_out(lab: Lab) -> list[Row]:
    """Stream to a hundred clients that see every session of their owner."""
    seconds = lab.seconds * 4
    rows: list[Row] = []
    with running(lab) as gateway, pinned(lab.cores.others):
        for streams in (1, 16):
            told = [uvloop.run(_watch(gateway, streams, seconds, number)) for number in range(lab.rounds)]
            rows += _rows(streams, told)
    return rows


def _rows(streams: int, told: list[Told]) -> list[Row]:
    name = f"{streams} stream{'s' if streams > 1 else ''}"
    rates = tuple(one.events / one.seconds for one in told)
    cpu = tuple(one.cpu_s / one.events * 1e6 for one in told)
    p50, p99 = (tuple(quantile(one.lags, share) for one in told) for share in (0.5, 0.99))
    return [
        Row(family=FAMILY, name=f"{name}, events", unit="/s", samples=rates),
        Row(family=FAMILY, name=f"{name}, lag p50", unit="ms", samples=p50),
        Row(family=FAMILY, name=f"{name}, lag p99", unit="ms", samples=p99, aim=Aim(50)),
        Row(family=FAMILY, name=f"{name}, CPU of an event", unit="µs", samples=cpu, steady=True),
    ]


async def _watch(gateway: Gateway, streams: int, seconds: float, number: int) -> Told:
    lags: list[float] = []
    events = ended = 0
    over = asyncio.Event()

    def heard(frame: Frame, payload: Payload) -> None:
        nonlocal events, ended
        if frame.event not in ("agent", "chat"):
            return
        events += 1
        if payload.ts:
            lags.append(time.time() * 1000 - payload.ts)
        if payload.state in ("final", "error", "aborted"):
            ended += 1
            if ended == streams * WATCHERS:
                over.set()

    port = gateway.port
    watchers = [await Watcher.open(port, connect_frame(one), heard) for one in range(WATCHERS)]
    sender = await Watcher.open(port, connect_frame(WATCHERS, "operator.write"), lambda frame, payload: None)
    model = f"bench/fake-n{int(seconds * 1000 / PAUSE_MS)}-d{PAUSE_MS}"
    await asyncio.sleep(SETTLE_S)
    began, cpu = time.perf_counter(), gateway.cpu_s()
    asking = []
    for stream in range(streams):
        asked = {
            "message": "go",
            "model": model,
            "sessionKey": f"s{streams}-{stream}",
            "idempotencyKey": f"{streams}-{number}-{stream}",
        }
        asking.append(asyncio.ensure_future(sender.ask("agent", asked)))
    async with asyncio.timeout(seconds * 4 + 20):
        await asyncio.gather(over.wait(), *asking)
    told = Told(events, time.perf_counter() - began, lags, gateway.cpu_s() - cpu)
    for client in (*watchers, sender):
        client.close()
    return told
