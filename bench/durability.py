"""What durability costs: how many commits, each an fsync, a turn needs alone and in company.

Counted in SQLite's write-ahead log itself: a frame whose header has a database size ends a transaction, and with
`synchronous=FULL` each of them was synced before anybody was told.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

from bench.completion import body_file, request
from bench.gateway import BEARER, COMPLETIONS, Gateway, Lab, running
from bench.machine import fsync_ms
from bench.report import Row
from bench.tools import BadRun

FAMILY = "durability"
_LOG_HEAD, _FRAME_HEAD = 32, 24
TURNS = 64
"""Few enough that the log does not begin anew while we count."""


class LogRestarted(Exception):
    """The log began anew: what was in it before cannot be counted any more."""


def commits(log: bytes) -> tuple[bytes, int]:
    """Return the salts of a write-ahead log and the number of transactions in it. Source: sqlite.org/fileformat."""
    if len(log) < _LOG_HEAD:
        return b"", 0
    (page_bytes,) = struct.unpack(">I", log[8:12])
    salts, count = log[16:24], 0
    for start in range(_LOG_HEAD, len(log) - _FRAME_HEAD - page_bytes + 1, _FRAME_HEAD + page_bytes):
        size_after, salt = log[start + 4 : start + 8], log[start + 8 : start + 16]
        if salt != salts:
            break
        count += size_after != b"\0\0\0\0"
    return salts, count


def per_turn(before: tuple[bytes, int], after: tuple[bytes, int], turns: int) -> float:
    """Return the commits of each turn. Raises: LogRestarted."""
    if before[0] and before[0] != after[0]:
        raise LogRestarted
    return (after[1] - before[1]) / turns


def sync_cost(lab: Lab) -> list[Row]:
    """Count the commits of turns on fresh gateways."""
    rows = [Row(family=FAMILY, name="fdatasync of 4 KiB, at its best", unit="ms", samples=(fsync_ms(lab.folder),))]
    for clients in (1, 64):
        found = _count(lab, clients)
        if found:
            name = f"commits (fsyncs) of a turn, {clients} client{'s' if clients > 1 else ''}"
            rows.append(Row(family=FAMILY, name=name, unit="", samples=tuple(found), steady=True))
    return rows


def _count(lab: Lab, clients: int) -> Sequence[float]:
    with running(lab) as gateway:
        log = _log_of(gateway)
        _ask(lab, gateway, clients, clients)
        before = commits(log.read_bytes())
        done = _ask(lab, gateway, clients, TURNS * min(clients, 4))
        try:
            return [per_turn(before, commits(log.read_bytes()), done)]
        except LogRestarted:
            return []


def _log_of(gateway: Gateway) -> Path:
    found = list(gateway.state.rglob("*-wal"))
    if len(found) != 1:
        raise BadRun(f"no write-ahead log in {gateway.state}")
    return found[0]


def _ask(lab: Lab, gateway: Gateway, clients: int, count: int) -> int:
    body = body_file(lab.folder, request("openclaw", stream=False))
    load = lab.tools.loadgen(
        gateway.port,
        COMPLETIONS,
        body,
        concurrency=clients,
        seconds=10,
        marker='"stop"',
        headers=(BEARER,),
        requests=count,
    )
    return load.ok
