"""Backups while turns are written: whole, and every turn acknowledged before the backup began is in it."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import apsw
import pytest

from openclaw.base.clock import ManualClock
from openclaw.base.ids import RunId
from openclaw.ops.backup import database
from openclaw.ops.backup.database import check_store, copy_store
from openclaw.store.sqlite import SqliteStore
from tests.cli.gateway_process import wait_until
from tests.listeners.fakes import until
from tests.store.build import answer, inbound, reply

pytestmark = pytest.mark.anyio

WRITERS = 8
COPIES = 6


class Load:
    """Writes turns until told to stop, and knows which were acknowledged."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self.stop = False
        self.done: list[str] = []

    def has_more(self, than: int) -> bool:
        """Say whether more turns are acknowledged than that."""
        return len(self.done) > than

    async def write(self, writer: int) -> None:
        number = 0
        while not self.stop:
            run_id = f"r-{writer}-{number}"
            number += 1
            await self._store.accept(inbound(run_id, "x" * 2_000, key=f"agent:default:{writer}"), number, start=True)
            await self._store.finish_run(RunId(run_id), reply(run_id), answer("y" * 2_000), number)
            self.done.append(run_id)


async def test_every_acknowledged_turn_is_in_a_copy_taken_under_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_PAGES", 16)  # many pieces, so that writers come in between
    (tmp_path / "state").mkdir()
    source = tmp_path / "state" / "openclaw.db"
    store = await SqliteStore.open(source, clock=ManualClock())
    load = Load(store)
    async with asyncio.TaskGroup() as group:
        for writer in range(WRITERS):
            group.create_task(load.write(writer))
        for number in range(COPIES):
            await until(partial(load.has_more, len(load.done)))
            before = list(load.done)
            copy = tmp_path / f"copy-{number}.db"
            go_on = partial(wait_until, partial(load.has_more, len(before)))  # fails when the writers stand still
            schema = await asyncio.to_thread(copy_store, source, copy, go_on)
            check_store(copy, schema)
            await holds(copy, before)
        load.stop = True
    await store.close()


async def holds(copy: Path, acknowledged: list[str]) -> None:
    """Open a copy as a store and look for every turn, whole."""
    store = await SqliteStore.open(copy, clock=ManualClock())
    for run_id in acknowledged:
        row = await store.run(RunId(run_id))
        assert row is not None, run_id
        assert row.reply is not None, run_id
    await store.close()


async def test_a_copy_does_not_begin_again_when_others_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_PAGES", 4)
    source = tmp_path / "openclaw.db"
    store = await SqliteStore.open(source, clock=ManualClock())
    other = apsw.Connection(str(source))
    pieces = 0

    def write_between() -> None:
        nonlocal pieces
        pieces += 1
        other.execute("INSERT INTO meta VALUES (?, ?)", (f"between-{pieces}", "x" * 4_000)).fetchall()

    copy_store(source, tmp_path / "copy.db", write_between)
    other.close()
    copy = apsw.Connection(str(tmp_path / "copy.db"))
    assert pieces > 3
    assert copy.execute("SELECT count(*) FROM meta WHERE name LIKE 'between-%'").get == 0, "it is of one moment"
    copy.close()
    await store.close()
