"""What durability costs: the commits, each an fsync, that a turn needs alone and in company, and the rows it leaves.

With and without: the same gateway, the same writes and commits, its state once on disk and once in memory (/dev/shm),
where an fsync is nothing. The difference is the disk's part; what SQLite itself costs is in both.

Commits are counted in SQLite's write-ahead log itself: a frame whose header has a database size ends a transaction, and
with `synchronous=FULL` each of them was synced before anybody was told.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from statistics import median

import apsw

from bench.completion import body_file, request
from bench.gateway import BEARER, COMPLETIONS, Gateway, Lab, Setting, running
from bench.machine import fsync_ms
from bench.report import Row, added
from bench.tools import BadRun, Load

FAMILY = "durability"
_LOG_HEAD, _FRAME_HEAD = 32, 24
TURNS = 64
"""Few enough that the log does not begin anew while we count."""
MEMORY = Path("/dev/shm")


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
    """Count what turns write on fresh gateways, then let one on disk and one in memory take turns."""
    rows = [Row(family=FAMILY, name="fdatasync of 4 KiB, at its best", unit="ms", samples=(fsync_ms(lab.folder),))]
    for clients in (1, 64):
        rows += _count(lab, clients)
    if os.access(MEMORY, os.W_OK):
        for clients in (1, 64):
            rows += _compare(lab, clients)
    return rows


def _count(lab: Lab, clients: int) -> list[Row]:
    with running(lab) as gateway:
        log = _only(gateway, "*-wal")
        _ask(lab, gateway, clients, clients)
        before, rows_before = commits(log.read_bytes()), row_counts(_only(gateway, "*.db"))
        _ask(lab, gateway, clients, TURNS * min(clients, 2))
        after, rows_after = commits(log.read_bytes()), row_counts(_only(gateway, "*.db"))
    rows: list[Row] = []
    done = rows_after["runs"] - rows_before["runs"]  # with those that the generator did not wait for
    try:
        found = per_turn(before, after, done)
        rows.append(Row(family=FAMILY, name=_name("commits (fsyncs)", clients), unit="", samples=(found,), steady=True))
    except LogRestarted:
        pass
    if clients == 1:
        grown = {table: (rows_after[table] - rows_before[table]) / done for table in rows_after}
        note = ", ".join(f"{table} {count:.3g}" for table, count in grown.items() if count)
        new = sum(grown.values())
        rows.append(
            Row(family=FAMILY, name=_name("new rows", clients), unit="", samples=(new,), steady=True, note=note)
        )
    return rows


def row_counts(database: Path) -> dict[str, int]:
    """Return the number of rows of every table. Shape: without the tables that SQLite keeps for itself."""
    db = apsw.Connection(f"file:{database}?mode=ro", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    try:
        tables = [str(row[1]) for row in db.execute("PRAGMA table_list") if row[2] == "table" and row[0] == "main"]
        mine = [name for name in tables if not name.startswith("sqlite_")]
        return {name: len(db.execute(f'SELECT 1 FROM "{name}"').fetchall()) for name in mine}
    finally:
        db.close()


def _compare(lab: Lab, clients: int) -> list[Row]:
    """Both gateways are up all the while, on the same core; the one that is not asked has nothing to do."""
    disk: list[Load] = []
    memory: list[Load] = []
    with running(lab) as on_disk, running(lab, Setting(folder=MEMORY)) as in_memory:
        for gateway in (on_disk, in_memory):
            _ask(lab, gateway, clients, 4 * clients)
        for _ in range(lab.rounds):
            disk.append(_ask(lab, on_disk, clients, 0, lab.seconds))
            memory.append(_ask(lab, in_memory, clients, 0, lab.seconds))
    if clients == 1:
        mine, theirs = tuple(load.p50 for load in disk), tuple(load.p50 for load in memory)
        unit, label, extra = "ms", "1 client, p50", "the disk's part of a turn"
        difference = Row(family=FAMILY, name=f"{label}, {extra}", unit=unit, samples=added(mine, theirs))
    else:
        mine, theirs = tuple(load.rps for load in disk), tuple(load.rps for load in memory)
        unit, label = "/s", f"{clients} clients"
        shares = tuple((1 - one / other) * 100 for one, other in zip(mine, theirs, strict=True))
        note = f"{median(theirs) - median(mine):.0f} turns/s"
        difference = Row(family=FAMILY, name=f"{label}, lost to the disk", unit="%", samples=shares, note=note)
    return [
        Row(family=FAMILY, name=f"{label}, state on disk", unit=unit, samples=mine),
        Row(family=FAMILY, name=f"{label}, state in memory", unit=unit, samples=theirs),
        difference,
    ]


def _name(what: str, clients: int) -> str:
    return f"{what} of a turn, {clients} client{'s' if clients > 1 else ''}"


def _only(gateway: Gateway, pattern: str) -> Path:
    found = list(gateway.state.rglob(pattern))
    if len(found) != 1:
        raise BadRun(f"{len(found)} files {pattern} in {gateway.state}")
    return found[0]


def _ask(lab: Lab, gateway: Gateway, clients: int, count: int, seconds: float = 10) -> Load:
    return lab.tools.loadgen(
        gateway.port,
        COMPLETIONS,
        body_file(lab.folder, request("openclaw", stream=False)),
        concurrency=clients,
        seconds=seconds,
        marker='"stop"',
        headers=(BEARER,),
        requests=count,
    )
