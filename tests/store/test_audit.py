"""The audit ledger: a chain that shows what was changed, lost or put in between; queries; retention."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.audit import Entry, Head
from openclaw.base.clock import ManualClock
from openclaw.base.errors import Unavailable
from openclaw.base.ids import OwnerId, TenantId
from openclaw.store.audit import Wanted, append, differing, in_file, kept, prune, query, verify
from openclaw.store.connect import WRITER_CACHE_KIB, connect, create_private
from openclaw.store.schema import migrate
from openclaw.store.sqlite import SqliteStore

pytestmark = pytest.mark.anyio


def entry(at_ms: int, **fields: str) -> Entry:
    return Entry(**{"at_ms": at_ms, "kind": "egress", "action": "get", "target": "a.org:443", **fields})  # type: ignore[arg-type]


def ledger(folder: Path, *entries: Entry) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "openclaw.db"
    create_private(path)
    db = connect(path, cache_kib=WRITER_CACHE_KIB)
    migrate(db)
    with db:
        append(db, entries)
    db.close()
    return path


async def test_rows_are_durable_numbered_and_bound_to_each_other(store: SqliteStore) -> None:
    first = await store.audit.append([entry(1), entry(2)])
    second = await store.audit.append([entry(3)])
    assert (first.seq, second.seq) == (2, 3)
    found = await store.audit.verify()
    assert (found.rows, found.problem, found.head) == (3, "", second)
    rows = await store.audit.query(Wanted(last_first=False))
    assert [row.seq for row in rows] == [1, 2, 3]
    assert rows[2].hash == second.hash


async def test_an_entry_whose_transaction_fails_is_not_there(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "openclaw.db", clock=ManualClock())
    try:
        await store.audit.append([entry(1)])
        with pytest.raises(Exception, match="surrogate"):
            await store.audit.append([entry(2), entry(3, owner="\ud800")])
        assert (await store.audit.verify()).rows == 1
    finally:
        await store.close()


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ("UPDATE audit SET at_ms = at_ms + 1 WHERE seq = 2", "the columns of row 2 were changed"),
        ("UPDATE audit SET owner = 'eve' WHERE seq = 2", "the columns of row 2 were changed"),
        ("UPDATE audit SET body = CAST(body AS TEXT) WHERE seq = 2", "row 2 was changed, or a row before it"),
        ("UPDATE audit SET hash = zeroblob(32) WHERE seq = 3", "row 3 was changed, or a row before it"),
        ("DELETE FROM audit WHERE seq = 2", "row 2 is missing"),
        ("DELETE FROM audit WHERE seq = 1", "row 1 is missing"),
        ("DELETE FROM audit WHERE seq = 3", "the last row is 2, but there were 3"),
        ("DELETE FROM audit", "the last row is 0, but there were 3"),
        ("UPDATE audit_head SET seq = 2", "the last row is 3, but there were 2"),
        ("UPDATE audit_head SET hash = zeroblob(32)", "the head does not match the last row"),
        ("UPDATE audit_head SET removed_seq = 1", "row 2 is missing"),
        ("UPDATE audit SET seq = 9 WHERE seq = 3", "row 3 is missing"),
    ],
)
def test_what_was_changed_is_found(tmp_path: Path, damage: str, problem: str) -> None:
    path = ledger(tmp_path, entry(1), entry(2), entry(3))
    assert in_file(path, verify).problem == ""
    with sqlite3.connect(path) as db:
        db.execute(damage)
    db.close()
    assert in_file(path, verify).problem == problem


@given(st.integers(0, 2), st.data())
def test_any_flipped_bit_of_any_body_is_found(
    tmp_path_factory: pytest.TempPathFactory, number: int, data: st.DataObject
) -> None:
    path = ledger(tmp_path_factory.mktemp("l"), entry(1), entry(2, reason="because"), entry(3))
    with sqlite3.connect(path) as db:
        body = bytearray(db.execute("SELECT body FROM audit WHERE seq = ?", (number + 1,)).fetchone()[0])
        at = data.draw(st.integers(0, len(body) * 8 - 1))
        body[at // 8] ^= 1 << at % 8
        db.execute("UPDATE audit SET body = ? WHERE seq = ?", (bytes(body), number + 1))
    db.close()
    assert in_file(path, verify).at == number + 1


@pytest.mark.parametrize("change", ["body = x'7b'", "hash = 'none'"])
def test_a_query_says_which_row_cannot_be_read(tmp_path: Path, change: str) -> None:
    path = ledger(tmp_path, entry(1), entry(2))
    db = connect(path, cache_kib=WRITER_CACHE_KIB)
    db.execute(f"UPDATE audit SET {change} WHERE seq = 2")
    with pytest.raises(Unavailable, match="row 2"):
        query(db, Wanted())
    assert len(query(db, Wanted(before_seq=2))) == 1
    db.close()


async def test_queries_name_whose_rows_they_want(store: SqliteStore) -> None:
    await store.audit.append(
        [
            entry(10, owner="ann", agent="main"),
            entry(20, owner="bob", answer="deny", rule="egress.unlisted"),
            entry(30, owner="ann", kind="exec", action="exec /bin/ls", run="r1"),
            entry(40, owner="ann", tenant="other"),
        ]
    )

    async def seqs(**wanted: object) -> list[int]:
        return [row.seq for row in await store.audit.query(Wanted(**wanted))]  # type: ignore[arg-type]

    assert await seqs() == [4, 3, 2, 1]
    assert await seqs(owner=OwnerId("ann")) == [4, 3, 1]
    assert await seqs(owner=OwnerId("ann"), tenant=TenantId("other")) == [4]
    assert await seqs(kinds=("exec",)) == [3]
    assert await seqs(answers=("deny",)) == [2]
    assert await seqs(agent="main") == [1]
    assert await seqs(run="r1") == [3]
    assert await seqs(text="/bin/ls") == [3]
    assert await seqs(text="unlisted") == [2]
    assert await seqs(since_ms=20, before_ms=40) == [3, 2]
    assert await seqs(after_seq=1, last_first=False, limit=2) == [2, 3]
    assert await seqs(before_seq=3) == [2, 1]


async def test_retention_keeps_the_chain_whole_and_says_what_it_took(store: SqliteStore) -> None:
    await store.audit.append([entry(at) for at in (10, 20, 30, 15)])
    assert await store.audit.prune(20, 50) == 1
    assert await store.audit.prune(20, 50) == 0
    assert await store.audit.prune(31, 60) == 3
    found = await store.audit.verify()
    assert (found.first, found.rows, found.problem) == (5, 2, "")
    row = (await store.audit.query(Wanted(limit=1)))[0]
    assert (row.entry.action, row.entry.facts["rows"], row.entry.facts["upTo"]) == ("pruned", 3, 4)


def test_a_pruned_ledger_that_lost_its_next_row_is_found(tmp_path: Path) -> None:
    path = ledger(tmp_path, entry(1), entry(2), entry(3))
    db = connect(path, cache_kib=WRITER_CACHE_KIB)
    with db:
        prune(db, 2, 9)
        db.execute("DELETE FROM audit WHERE seq = 2")
    db.close()
    assert in_file(path, verify).problem == "row 2 is missing"
    assert [row.seq for row in in_file(path, lambda db: query(db, Wanted()))] == [4, 3]


def test_any_flipped_byte_of_the_file_is_found_or_changes_nothing(tmp_path: Path) -> None:
    path = ledger(tmp_path, *(entry(at, owner="ann", reason=f"because {at}") for at in range(1, 9)))
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA journal_mode = delete")  # one file, without a log beside it
        tables = "SELECT rootpage FROM sqlite_schema WHERE name IN ('audit', 'audit_head')"
        pages = [row[0] - 1 for row in db.execute(tables)]
    db.close()
    whole = path.read_bytes()
    size = int.from_bytes(whole[16:18])
    own = [at for page in pages for at in range(page * size, (page + 1) * size) if whole[at] or at % 13 == 0]
    rest = range(0, len(whole), 1009)
    right, found = _told(whole), 0
    assert right is not None
    for at in (*own, *rest):
        flipped = bytearray(whole)
        flipped[at] ^= 1 << at % 8
        told = _told(bytes(flipped))
        found += told is None
        assert told in (None, right), at
    assert found > sum(len(body) for body, _ in right[1])  # every byte of every body, and more


def _told(file: bytes) -> tuple[object, list[tuple[bytes, bytes]]] | None:
    """Return what a store of these bytes tells of its ledger; None when a check finds that something is wrong."""
    db = apsw.Connection(":memory:")
    try:
        db.deserialize("main", file)
        if verify(db).problem:
            return None
        rows: list[Any] = db.execute("SELECT body, hash FROM audit ORDER BY seq").fetchall()
        assert [row.hash for row in query(db, Wanted(last_first=False))] == [hash_.hex() for _, hash_ in rows]
        return kept(db), rows
    except apsw.Error:
        return None
    finally:
        db.close()


def test_a_chain_that_was_forged_as_a_whole_is_not_the_one_that_was_written_down(tmp_path: Path) -> None:
    path = ledger(tmp_path, entry(1), entry(2), entry(3))
    heads = [Head(row.seq, row.hash) for row in in_file(path, lambda db: query(db, Wanted()))]
    assert in_file(path, lambda db: differing(db, heads)) is None
    forged = ledger(tmp_path / "forged", entry(1), entry(2, target="b.org:443"), entry(3))
    assert in_file(forged, verify).problem == ""
    assert in_file(forged, lambda db: differing(db, heads)) == heads[1]
    shorter = ledger(tmp_path / "shorter", entry(1))
    assert in_file(shorter, lambda db: differing(db, heads)) == heads[1]
