"""64 streams at a model's pace, all the while: tokens relayed, and how late the gateway's event loop is meanwhile."""

from __future__ import annotations

import asyncio
import urllib.request
from typing import NamedTuple

import msgspec
import uvloop

from bench.completion import request
from bench.gateway import BEARER, Gateway, Lab, running
from bench.machine import pinned
from bench.paced import CHUNKS, PAUSE_MS
from bench.report import Aim, Row
from bench.stream_client import Line, message

FAMILY = "64 concurrent streams"
CLIENTS = 64
WINDOW_S = 32.0
"""A little longer than the half minute that the gateway's own percentile looks back on."""
QUICK_S = 4.0


class Loop(msgspec.Struct, frozen=True, rename="camel"):
    """What `/readyz` says of the event loop."""

    delay_p99_ms: float = msgspec.field(name="delayP99Ms")


class _Ready(msgspec.Struct, frozen=True, rename="camel"):
    event_loop: Loop


class Relayed(NamedTuple):
    """Tokens a second while all the streams were going, and the gateway's CPU in that time."""

    per_s: float
    cpu_s: float


def steady_streams(lab: Lab) -> list[Row]:
    """Keep the streams going for half a minute, then ask the gateway itself about its loop."""
    window_s = WINDOW_S if lab.rounds > 1 else QUICK_S
    with running(lab) as gateway, pinned(lab.cores.others):
        model = f"fake-n{CHUNKS}-d{PAUSE_MS}"
        asked = (BEARER, f"x-openclaw-model: bench/{model}")
        through = message(gateway.port, request("openclaw", stream=True), asked)
        uvloop.run(_relay(gateway.port, through, 1.0, gateway))
        mine = uvloop.run(_relay(gateway.port, through, window_s, gateway))
        lag = _lag(gateway)
        straight = message(lab.upstream, request(model, stream=True), ())
        direct = uvloop.run(_relay(lab.upstream, straight, QUICK_S, gateway))
    cpu = mine.cpu_s / (mine.per_s * window_s) * 1e6
    return [
        Row(
            family=FAMILY,
            name=f"chunks at {PAUSE_MS} ms each",
            unit="/s",
            samples=(mine.per_s,),
            direct=(direct.per_s,),
            note=f"{CLIENTS} streams over {window_s:.0f} s",
        ),
        Row(family=FAMILY, name="CPU of a chunk", unit="µs", samples=(cpu,), steady=True, note="its turn included"),
        Row(family=FAMILY, name="event loop lag, p99", unit="ms", samples=(lag,), aim=Aim(20)),
    ]


async def _relay(port: int, question: bytes, window_s: float, gateway: Gateway) -> Relayed:
    """Count the tokens of a window that begins when every stream is on its way."""
    count, over = 0, False

    def on_tokens(tokens: int) -> None:
        nonlocal count
        count += tokens

    async def client(wait_s: float) -> None:
        await asyncio.sleep(wait_s)
        async with Line(port, on_tokens) as line:
            while not over:
                await line.ask(question)

    length_s = CHUNKS * PAUSE_MS / 1000
    clients = [asyncio.ensure_future(client(length_s * number / CLIENTS)) for number in range(CLIENTS)]
    await asyncio.sleep(length_s)
    loop = asyncio.get_running_loop()
    before, cpu, began = count, gateway.cpu_s(), loop.time()
    await asyncio.sleep(window_s)
    relayed = Relayed((count - before) / (loop.time() - began), gateway.cpu_s() - cpu)
    over = True
    await asyncio.gather(*clients)
    return relayed


def _lag(gateway: Gateway) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{gateway.port}/readyz", timeout=5) as answer:
        return msgspec.json.decode(answer.read(), type=_Ready).event_loop.delay_p99_ms
