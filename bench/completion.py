"""Whole durable turns through `/v1/chat/completions`, beside the same load on the upstream itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from bench.gateway import BEARER, COMPLETIONS, Gateway, Lab
from bench.report import Aim, Row, added
from bench.tools import Load

WHOLE, STREAM = "turns, whole answer", "turns, streamed"
QUESTION = "What is the capital of Japan?"


class Case(NamedTuple):
    """One load. `chunks` is the length of the upstream's stream."""

    family: str
    label: str
    clients: int
    stream: bool
    chunks: int = 100


class Measured(NamedTuple):
    """The rounds of one case. Shape: CPU seconds of the gateway per turn."""

    case: Case
    mine: tuple[Load, ...]
    direct: tuple[Load, ...]
    cpu_s: tuple[float, ...]


def request(model: str, *, stream: bool, user: str | None = None) -> dict[str, Any]:
    """Return the body of a chat completion. One with a `user` is remembered in a session of that user."""
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": QUESTION}]}
    return body | ({"stream": True} if stream else {}) | ({"user": user} if user else {})


def body_file(folder: Path, body: dict[str, Any]) -> Path:
    """Write a body for loadgen."""
    path = folder / "body.json"
    path.write_text(json.dumps(body))
    return path


def run(lab: Lab, gateway: Gateway, case: Case) -> Measured:
    """Measure a case, the gateway and the upstream in turn."""
    marker = "[DONE]" if case.stream else '"stop"'
    headers = (BEARER, f"x-openclaw-model: bench/fake-n{case.chunks}")
    mine, direct, cpu = [], [], []
    for _ in range(lab.rounds):
        body = body_file(lab.folder, request("openclaw", stream=case.stream))
        before = gateway.cpu_s()
        load = lab.tools.loadgen(
            gateway.port,
            COMPLETIONS,
            body,
            concurrency=case.clients,
            seconds=lab.seconds,
            marker=marker,
            headers=headers,
        )
        mine.append(load)
        cpu.append((gateway.cpu_s() - before) / (load.ok + load.err))
        body = body_file(lab.folder, request(f"fake-n{case.chunks}", stream=case.stream))
        direct.append(
            lab.tools.loadgen(
                lab.upstream, COMPLETIONS, body, concurrency=case.clients, seconds=lab.seconds / 2, marker=marker
            )
        )
    return Measured(case, tuple(mine), tuple(direct), tuple(cpu))


def turns(lab: Lab, gateway: Gateway) -> list[Row]:
    """Measure whole answers and streams at 1, 16 and 64 clients."""
    rows: list[Row] = []
    warm = msgspec.structs.replace(lab, rounds=1)  # the first turn of all loads the HTTP client
    for stream in (False, True):
        run(warm, gateway, Case("", "", 16, stream=stream))
    for clients in (1, 16, 64):
        rows += _rows(run(lab, gateway, Case(WHOLE, _clients(clients), clients, stream=False)))
    for clients in (1, 16, 64):
        rows += _rows(run(lab, gateway, Case(STREAM, f"100 chunks, {_clients(clients)}", clients, stream=True)))
    rows += _rows(run(lab, gateway, Case(STREAM, "1000 chunks, 16 clients", 16, stream=True, chunks=1000)))
    return rows


def _clients(count: int) -> str:
    return f"{count} client{'s' if count > 1 else ''}"


def _rows(measured: Measured) -> list[Row]:
    case, mine, direct = measured.case, measured.mine, measured.direct
    middle = (tuple(load.p50 for load in mine), tuple(load.p50 for load in direct))
    aims: dict[str, Aim] = {}
    if case.clients == 64:
        aims = {"rate": Aim(600, at_least=True), "CPU": Aim(1.5)} if not case.stream else {"CPU": Aim(1.5)}
    failures = sum(load.err for load in mine)
    rows = [
        Row(
            family=case.family,
            name=case.label,
            unit="/s",
            samples=tuple(load.rps for load in mine),
            direct=tuple(load.rps for load in direct),
            aim=aims.get("rate"),
            note=f"{failures} failed" if failures else "",
        ),
        Row(family=case.family, name=f"{case.label}, p50", unit="ms", samples=middle[0], direct=middle[1]),
        Row(
            family=case.family,
            name=f"{case.label}, p99",
            unit="ms",
            samples=tuple(load.p99 for load in mine),
            direct=tuple(load.p99 for load in direct),
        ),
        Row(
            family=case.family,
            name=f"{case.label}, CPU",
            unit="ms",
            samples=tuple(cpu * 1000 for cpu in measured.cpu_s),
            aim=aims.get("CPU"),
            steady=True,
        ),
    ]
    if case.clients == 1:
        name = f"{case.label}, added"
        rows.append(Row(family=case.family, name=name, unit="ms", samples=added(*middle), aim=Aim(1)))
    if case.stream and case.clients > 1:
        rows += _event_rows(measured)
    return rows


def _event_rows(measured: Measured) -> list[Row]:
    case = measured.case
    events = tuple(load.ev_per_s for load in measured.mine)
    per_turn = [load.ev_per_s / load.rps for load in measured.mine]
    of_cpu = tuple(count / cpu for count, cpu in zip(per_turn, measured.cpu_s, strict=True))
    aim = Aim(100_000, at_least=True) if case.chunks == 1000 else None
    direct = tuple(load.ev_per_s for load in measured.direct)
    return [
        Row(family=case.family, name=f"{case.label}, events", unit="/s", samples=events, direct=direct, aim=aim),
        Row(
            family=case.family,
            name=f"{case.label}, events of a core",
            unit="/s",
            samples=of_cpu,
            aim=aim,
            steady=True,
        ),
    ]
