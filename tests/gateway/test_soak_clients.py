"""Many clients at once, for a short while: every event in order, none missed, nothing left behind.

`python -m bench --only soak --minutes 10` is the same for as long as you like.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec
import pytest
from bench.soak import Book, Ears, Outcome
from bench.watcher import Data, Frame, Payload

from .process import TOKEN, gateway

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
IDLE, BUSY, SECONDS = 100, 20, 8


async def test_many_clients_hear_every_event_in_order_and_leave_nothing_behind(tmp_path: Path) -> None:
    async with gateway(tmp_path, "fake/fake-n20-d20") as running:
        load = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.soak", "--port", str(running.port), "--pid", str(running.process.pid)),
            *("--token", TOKEN, "--idle", str(IDLE), "--busy", str(BUSY), "--seconds", str(SECONDS), "--pause", "2"),
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        printed, _ = await load.communicate()
    done = msgspec.json.decode(printed, type=Outcome)
    assert (done.fault_count, list(done.faults), done.ends_missed) == (0, [], 0)
    assert done.runs >= BUSY
    assert done.events > done.runs * done.clients
    assert done.descriptors[1] <= done.descriptors[0] + 2  # the SQLite log, and a connection on its way out
    assert done.tasks[1] <= done.tasks[0]


def test_a_gap_in_the_order_of_a_connection_or_a_run_is_noticed() -> None:
    book = Book()
    ears = Ears(book, "one")
    ears.hear(Frame("event", "agent", 1), Payload("r", 1))
    ears.hear(Frame("event", "chat", 2), Payload("r", 1))
    assert book.faults == 0
    ears.hear(Frame("event", "agent", 4), Payload("r", 2))
    assert book.faults == 1
    ears.hear(Frame("event", "agent", 5), Payload("r", 4))
    assert book.faults == 2
    ears.hear(Frame("event", "chat", 6), Payload("r", 4, state="aborted"))
    ears.hear(Frame("event", "agent", 7), Payload("r", 5, stream="lifecycle", data=Data("end")))
    ears.hear(Frame("event", "agent", 8), Payload("r", 1))
    assert (book.faults, ears.ends) == (2, 1)
