"""Reserves and settles without end, and says on stdout what was acknowledged: to be killed at any moment.

Run: `python -m tests.store.budget_crash_driver DB LIMIT`. Lines: `reconciled N`, `held ID AMOUNT`, `settled ID COST`.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec

from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.base.errors import BudgetExceeded
from openclaw.base.ids import RunId
from openclaw.store.sqlite import SqliteStore
from tests.store.test_budget import SPENDER, total

WAITERS = 5


async def _spend(store: SqliteStore, number: int, limit: int) -> None:
    cap = total(limit)
    for turn in range(1_000_000):
        spender = msgspec.structs.replace(SPENDER, run_id=RunId(f"{number}.{turn}"))
        amount = 10 + (number + turn) % 7
        try:
            held = await store.reserve(spender, amount, [cap], SYSTEM_CLOCK.now_ms())
        except BudgetExceeded:
            print("full -", flush=True)
            await asyncio.sleep(0.001)
            continue
        print(f"held {held.id} {amount}", flush=True)
        await asyncio.sleep(0)
        await store.settle(held.id, amount // 2, SYSTEM_CLOCK.now_ms())
        print(f"settled {held.id} {amount // 2}", flush=True)


async def _main(db_path: Path, limit: int) -> None:
    store = await SqliteStore.open(db_path, clock=SYSTEM_CLOCK)
    print(f"reconciled {await store.reconcile(SYSTEM_CLOCK.now_ms())}", flush=True)
    await asyncio.gather(*(_spend(store, number, limit) for number in range(WAITERS)))


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]), int(sys.argv[2])))
