"""Reading the audit ledger over the wire: administrators only, and not without a trace."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from openclaw.base.audit import Entry
from openclaw.base.clock import ManualClock
from openclaw.store.sqlite import SqliteStore
from tests.rpc.support import Bench, FakePeer

pytestmark = pytest.mark.anyio


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = await SqliteStore.open(tmp_path / "openclaw.db", clock=ManualClock())
    yield opened
    await opened.close()


async def test_rows_come_the_last_first_a_page_at_a_time(store: SqliteStore) -> None:
    bench = Bench(audit=store.audit)
    await store.audit.append([Entry(at_ms=at, kind="egress", action="get", target=f"h{at}") for at in (1, 2, 3)])
    page = (await bench.ask(FakePeer(4), "audit.query", {"limit": 2}))["payload"]
    assert [row["target"] for row in page["rows"]] == ["h3", "h2"]
    rest = (await bench.ask(FakePeer(4), "audit.query", {"limit": 2, "cursor": page["nextCursor"]}))["payload"]
    assert [row["target"] for row in rest["rows"]] == ["h1"]
    assert "nextCursor" not in rest
    found = (await bench.ask(FakePeer(4), "audit.verify"))["payload"]
    assert (found["ok"], found["rows"], found["head"]["seq"]) == (True, 3, 3)
    assert [(row.kind, row.action) for row in bench.ledger.entries] == [
        ("admin", "audit.query"),
        ("admin", "audit.query"),
        ("admin", "audit.verify"),
    ]
    assert all(row.request for row in bench.ledger.entries)


async def test_nobody_reads_it_while_that_cannot_be_written(store: SqliteStore) -> None:
    bench = Bench(audit=store.audit)
    bench.ledger.full = True
    answer = await bench.ask(FakePeer(4), "audit.query")
    assert answer["error"]["code"] == "UNAVAILABLE"
    assert "was not done" in answer["error"]["message"]


async def test_a_kind_that_is_none_is_refused(store: SqliteStore) -> None:
    answer = await Bench(audit=store.audit).ask(FakePeer(4), "audit.query", {"kinds": ["gossip"]})
    assert answer["error"]["message"].startswith("invalid audit.query params: at /kinds/0")
