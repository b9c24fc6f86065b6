"""The Gateway protocol: `health` calls, handshakes, and sockets that only wait."""

from __future__ import annotations

import json
import time
from pathlib import Path

import uvloop

from bench.gateway import TOKEN, Gateway, Lab, running
from bench.machine import pinned
from bench.report import Aim, Row
from bench.socket_client import handshakes, hold

FAMILY = "RPC over WebSocket"
IDLE_SOCKETS = 500
CHALLENGE = 1
"""Frames that the server sends before it answers `connect`."""


def connect_frame(instance: int | None = None, scope: str = "operator.read", token: str = TOKEN) -> str:
    """Return a `connect` request; clients with an instance are told apart in the presence list."""
    client = {"id": "gateway-client", "version": "bench", "platform": "linux", "mode": "backend"}
    if instance is not None:
        client["instanceId"] = f"bench-{instance}"
    params = {
        "minProtocol": 3,
        "maxProtocol": 4,
        "client": client,
        "auth": {"token": token},
        "role": "operator",
        "scopes": [scope],
    }
    return json.dumps({"type": "req", "id": "c", "method": "connect", "params": params})


def _frames(folder: Path) -> tuple[Path, Path]:
    connect, health = folder / "connect.json", folder / "health.json"
    connect.write_text(connect_frame())
    health.write_text('{"type":"req","id":"1","method":"health","params":{}}')
    return connect, health


def health_calls(lab: Lab, gateway: Gateway) -> list[Row]:
    """Call `health` in a closed loop on 1, 16 and 64 connections."""
    connect, health = _frames(lab.folder)
    rows = []
    for clients in (1, 16, 64):
        loads, cpu = [], []
        for _ in range(lab.rounds):
            before = gateway.cpu_s()
            load = lab.tools.wsgen(
                gateway.port, concurrency=clients, seconds=lab.seconds, frame=health, first=connect, skip=CHALLENGE
            )
            loads.append(load)
            cpu.append((gateway.cpu_s() - before) / (load.rps * lab.seconds) * 1e6)
        name = f"health, {clients} connection{'s' if clients > 1 else ''}"
        aims = (Aim(20_000, at_least=True), Aim(10), Aim(50)) if clients == 64 else (None, None, None)
        rates, middles = tuple(load.rps for load in loads), tuple(load.p50 for load in loads)
        tails = tuple(load.p99 for load in loads)
        rows += [
            Row(family=FAMILY, name=name, unit="/s", samples=rates, aim=aims[0]),
            Row(family=FAMILY, name=f"{name}, p50", unit="ms", samples=middles),
            Row(family=FAMILY, name=f"{name}, p99", unit="ms", samples=tails, aim=aims[1]),
            Row(family=FAMILY, name=f"{name}, CPU", unit="µs", samples=tuple(cpu), aim=aims[2], steady=True),
        ]
    return rows


def handshake_rate(lab: Lab, gateway: Gateway) -> list[Row]:
    """Connect, be let in, and leave, with 16 clients at a time."""
    rates, cpu = [], []
    for _ in range(lab.rounds):
        before, began = gateway.cpu_s(), time.perf_counter()
        with pinned(lab.cores.others):
            done = uvloop.run(handshakes(gateway.port, connect_frame(), clients=16, seconds=lab.seconds))
        rates.append(done / (time.perf_counter() - began))
        cpu.append((gateway.cpu_s() - before) / done * 1e6)
    note = "the generator is Python too: read the CPU"
    return [
        Row(family=FAMILY, name="handshakes", unit="/s", samples=tuple(rates), note=note),
        Row(family=FAMILY, name="handshakes, CPU", unit="µs", samples=tuple(cpu), steady=True),
    ]


def idle_sockets(lab: Lab) -> list[Row]:
    """Hold authenticated sockets on a fresh gateway, whose allocator has nothing to reuse yet."""
    sizes = []
    for _ in range(min(lab.rounds, 2)):
        with running(lab) as gateway, pinned(lab.cores.others):
            frames = [connect_frame(number) for number in range(IDLE_SOCKETS + 1)]
            growth = uvloop.run(hold(gateway.port, frames, gateway.rss_mb))
            sizes.append(growth * 1000 / IDLE_SOCKETS)
    return [
        Row(
            family=FAMILY,
            name=f"{IDLE_SOCKETS} idle sockets, each",
            unit="KB",
            samples=tuple(sizes),
            aim=Aim(25),
            steady=True,
        )
    ]
