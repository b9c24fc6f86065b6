"""kill -9 between reserving and settling, in a process of its own."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from openclaw.base.clock import ManualClock
from openclaw.store.connect import connect
from openclaw.store.sqlite import SqliteStore
from tests.store.test_budget import total

pytestmark = pytest.mark.anyio

KILLS = 6
LIMIT = 3_000


def _work_until_killed(path: Path, lines: int) -> list[tuple[str, ...]]:
    """Kill the driver once it has said that many lines. Return all it said, also while it died."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.store.budget_crash_driver", str(path), str(LIMIT)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as driver:
        assert driver.stdout is not None
        said = []
        for line in driver.stdout:
            said.append(tuple(line.split()))
            if len(said) == lines:
                driver.kill()
    assert driver.returncode == -9
    return said


async def test_kill_9_between_reserve_and_settle_costs_the_full_amount_and_never_passes_the_cap(tmp_path: Path) -> None:
    path, dice = tmp_path / "state" / "openclaw.db", random.Random(7)
    path.parent.mkdir()
    held: dict[str, int] = {}
    settled: dict[str, int] = {}
    for _ in range(KILLS):
        for kind, number, *rest in _work_until_killed(path, dice.randrange(2, 60)):
            if kind == "held":
                held[number] = int(rest[0])
            elif kind == "settled":
                settled[number] = int(rest[0])
    store = await SqliteStore.open(path, clock=ManualClock())
    left = await store.reconcile(1)
    spent, open_holds = await store.spent(total(LIMIT))
    ledger = [row for row in await store.usage_since(0) if row.purpose == "reconciled"]
    await store.close()
    assert 0 < spent <= LIMIT
    assert open_holds == 0

    db = connect(path, cache_kib=100)
    found: list[Any] = db.execute("SELECT id, usd_micros, settled_usd_micros FROM reservations").fetchall()
    db.close()
    rows = {str(number): (amount, paid) for number, amount, paid in found}
    assert sum(paid for _, paid in rows.values()) == spent, "the counter is the plain sum"
    for number, amount in held.items():
        assert rows[number][0] == amount, "an acknowledged reservation is gone"
    for number, cost in settled.items():
        assert rows[number][1] == cost, "an acknowledged settlement is gone"
    in_full = [amount for amount, paid in rows.values() if paid == amount]
    assert len(in_full) >= left
    assert sorted(row.usd_micros or 0 for row in ledger) == sorted(in_full), "each stands in the ledger"
