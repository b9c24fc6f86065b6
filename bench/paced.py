"""Time to the first token of streams at a model's pace, through the gateway and straight from the upstream."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import uvloop

from bench.completion import request
from bench.gateway import BEARER, Gateway, Lab
from bench.machine import pinned
from bench.report import Aim, Row, added, quantile
from bench.stream_client import Line, message

FAMILY = "time to the first token"
CHUNKS, PAUSE_MS = 50, 20


class Pace(NamedTuple):
    """A load. `spread` lets the clients begin evenly over one stream's length instead of all at once."""

    name: str
    clients: int
    chunks: int
    pause_ms: int
    streams: int
    spread: bool = True
    aim: Aim | None = None


async def _client(port: int, question: bytes, streams: int, wait_s: float, out: list[float]) -> None:
    async with Line(port) as line:
        await asyncio.sleep(wait_s)
        for _ in range(streams):
            out.append((await line.ask(question)).first_ms)


async def _first_tokens(port: int, question: bytes, pace: Pace) -> list[float]:
    out: list[float] = []
    length_s = pace.chunks * pace.pause_ms / 1000
    waits = [length_s * number / pace.clients if pace.spread else 0.0 for number in range(pace.clients)]
    await asyncio.gather(*(_client(port, question, pace.streams, wait_s, out) for wait_s in waits))
    return out


def first_tokens(lab: Lab, gateway: Gateway) -> list[Row]:
    """Measure one stream at a time, 64 that began at different times, and 64 that begin in the same instant."""
    paces = (
        Pace("added, 1 stream", 1, 2, 10, int(40 * lab.seconds), aim=Aim(1)),
        Pace("added, 64 streams", 64, CHUNKS, PAUSE_MS, 2, aim=Aim(1)),
        Pace("added, 64 in one instant", 64, CHUNKS, PAUSE_MS, 1, spread=False),
    )
    return [row for pace in paces for row in _measure(lab, gateway, pace)]


def _measure(lab: Lab, gateway: Gateway, pace: Pace) -> list[Row]:
    model = f"fake-n{pace.chunks}-d{pace.pause_ms}"
    asked = (BEARER, f"x-openclaw-model: bench/{model}")
    through = message(gateway.port, request("openclaw", stream=True), asked)
    straight = message(lab.upstream, request(model, stream=True), ())
    mine, direct, cpu = [], [], []
    for _ in range(lab.rounds):
        with pinned(lab.cores.others):
            before = gateway.cpu_s()
            mine.append(uvloop.run(_first_tokens(gateway.port, through, pace)))
            cpu.append((gateway.cpu_s() - before) / len(mine[-1]) * 1000)
            direct.append(uvloop.run(_first_tokens(lab.upstream, straight, pace)))
    middle = added([quantile(one, 0.5) for one in mine], [quantile(one, 0.5) for one in direct])
    tail = added([quantile(one, 0.99) for one in mine], [quantile(one, 0.99) for one in direct])
    rows = [
        Row(family=FAMILY, name=f"{pace.name}, p50", unit="ms", samples=middle, aim=pace.aim),
        Row(family=FAMILY, name=f"{pace.name}, p99", unit="ms", samples=tail),
    ]
    if pace.spread:
        note = f"a turn of {pace.chunks} chunks, each read and sent alone"
        rows.append(
            Row(
                family=FAMILY,
                name=f"CPU of a turn, {pace.clients} paced",
                unit="ms",
                samples=tuple(cpu),
                steady=True,
                note=note,
            )
        )
    return rows
