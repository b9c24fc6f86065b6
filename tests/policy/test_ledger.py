"""Writing to the ledger: no row, no act; and once there are rows again, how many acts were refused."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from openclaw.base.clock import ManualClock
from openclaw.base.errors import Unavailable
from openclaw.base.principal import Principal
from openclaw.base.tasks import TaskSet
from openclaw.policy.ledger import MAX_REASON, MAX_REQUEST, MAX_TARGET, TRY_EVERY_S, Ledger
from openclaw.store.sqlite import SqliteStore
from tests.fakes.doors import LedgerRows

pytestmark = pytest.mark.anyio
ANN = Principal(method="token", scopes=frozenset())


@pytest.fixture
async def tasks() -> AsyncIterator[TaskSet]:
    found = TaskSet("test")
    yield found
    await found.close()


async def test_what_was_refused_is_counted_in_the_first_row_after(tasks: TaskSet) -> None:
    rows, clock = LedgerRows(), ManualClock()
    ledger = Ledger(rows, clock)
    await ledger.note(ANN, "config", "config.set")
    rows.full = True
    for _ in range(3):
        with pytest.raises(Unavailable, match="was not done"):
            await ledger.note(ANN, "config", "config.set")
    assert ledger.problem() == "the disk is full"
    rows.full = False
    await ledger.note(ANN, "config", "config.patch")
    assert [(row.action, dict(row.facts)) for row in rows.entries] == [
        ("config.set", {}),
        ("resumed", {"refused": 3}),
        ("config.patch", {}),
    ]
    assert ledger.problem() is None


async def test_it_tries_again_by_itself(tasks: TaskSet) -> None:
    rows, clock = LedgerRows(), ManualClock()
    ledger = Ledger(rows, clock)
    tasks.spawn(ledger.watch(), "watch")
    rows.full = True
    with pytest.raises(Unavailable):
        await ledger.note(ANN, "config", "config.set")
    for full, left in ((True, "the disk is full"), (False, None)):
        rows.full = full
        clock.advance(TRY_EVERY_S)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert ledger.problem() == left
    assert [row.action for row in rows.entries] == ["resumed"]


async def test_a_ledger_whose_head_is_gone_takes_no_row_and_no_act(tmp_path: Path) -> None:
    clock = ManualClock()
    store = await SqliteStore.open(tmp_path / "openclaw.db", clock=clock)
    ledger = Ledger(store.audit, clock)
    try:
        await ledger.note(ANN, "config", "config.set")
        with sqlite3.connect(tmp_path / "openclaw.db") as db:
            db.execute("DELETE FROM audit_head")
        db.close()
        with pytest.raises(Unavailable, match="ledger cannot be written"):
            await ledger.note(ANN, "config", "config.set")
        assert ledger.problem() is not None
        assert (await store.audit.verify()).problem == "the head cannot be read"
        with pytest.raises(Unavailable, match="head"):
            await store.audit.kept()
    finally:
        await store.close()


async def test_what_others_chose_is_cut_short() -> None:
    rows = LedgerRows()
    await Ledger(rows, ManualClock()).note(ANN, "admin", "x", "t" * 10_000, reason="r" * 10_000, request="q" * 10_000)
    row = rows.entries[0]
    assert (len(row.target), len(row.reason), len(row.request)) == (MAX_TARGET, MAX_REASON, MAX_REQUEST)
