"""The writer thread: groups, full disks, failing disks, a full queue."""

from __future__ import annotations

import asyncio
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest

from openclaw.base.errors import InternalError, NotFound, Unavailable
from openclaw.base.ids import RunId
from openclaw.base.message import user
from openclaw.store.sqlite import SqliteStore
from openclaw.store.thread import QUEUE_LIMIT
from openclaw.store.writer import BACKSTOP_PAGES
from tests.store.build import KEY, answer, inbound, reply

pytestmark = pytest.mark.anyio

BIG = "x" * 50_000


async def _limit_pages(store: SqliteStore, spare: int) -> None:
    """Let the database grow by that many pages only: then SQLite says that the disk is full."""

    def job(db: apsw.Connection) -> None:
        db.pragma("max_page_count", int(db.pragma("page_count")) + spare)

    await store._writer.submit(job, "test")


@contextmanager
def _held(store: SqliteStore) -> Iterator[None]:
    """Keep the writer busy, so that what is submitted meanwhile becomes one group."""
    release = threading.Event()
    store._writer.submit(lambda _db: release.wait(10), "test")
    try:
        yield
    finally:
        release.set()


async def test_a_full_disk_is_reported_and_nothing_is_half_written(store: SqliteStore) -> None:
    session = (await store.accept(inbound("r1"), 1, start=True)).session
    await _limit_pages(store, 2)
    with pytest.raises(Unavailable, match="full") as caught:
        await store.accept(inbound("r2", BIG), 2, start=True)
    assert caught.value.retry_after_s is not None
    with pytest.raises(Unavailable):
        await store.commit_step(RunId("r1"), answer(BIG), 2)
    assert await store.run(RunId("r2")) is None
    assert await store.session(KEY) == session
    assert await store.usage_since(0) == []
    await _limit_pages(store, 1000)
    await store.accept(inbound("r2", BIG), 3, start=True)
    await store.finish_run(RunId("r1"), reply("r1"), answer(BIG), 4)
    assert [step.seq for step in await store.steps(session.id)] == [1, 2, 3]


async def test_a_full_disk_within_a_group_fails_what_does_not_fit_and_keeps_what_was_told(store: SqliteStore) -> None:
    await store.accept(inbound("r1"), 1, start=True)
    await _limit_pages(store, 20)
    with _held(store):
        notes = [asyncio.ensure_future(store.append_notice(KEY, user(BIG), n)) for n in range(4)]
        await asyncio.sleep(0)
    results = await asyncio.gather(*notes, return_exceptions=True)
    told = [result for result in results if isinstance(result, int)]
    assert any(isinstance(result, Unavailable) for result in results)
    session = await store.session(KEY)
    assert session is not None
    assert [step.seq for step in await store.steps(session.id)] == [1, *told]
    await _limit_pages(store, 1000)
    await store.append_notice(KEY, user(BIG), 9)


async def test_a_disk_that_refuses_writes_is_reported_and_the_store_goes_on_afterwards(
    store: SqliteStore, tmp_path: Path
) -> None:
    session = (await store.accept(inbound("r1"), 1, start=True)).session
    log_size = (tmp_path / "openclaw.db-wal").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (log_size + 4096, hard))  # writing beyond it is EFBIG
    try:
        results = await asyncio.gather(
            *(store.append_notice(KEY, user(BIG), n) for n in range(8)), store.ping(), return_exceptions=True
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert all(isinstance(result, Unavailable) for result in results[:8])
    assert [step.seq for step in await store.steps(session.id)] == [1]
    assert await store.append_notice(KEY, user(BIG), 9) == 2
    await store.ping()


async def test_jobs_that_wait_together_share_one_commit_and_keep_their_own_fate(store: SqliteStore) -> None:
    await store.accept(inbound("r1"), 1, start=True)
    commits = 0

    def count() -> bool:
        nonlocal commits
        commits += 1
        return False

    await store._writer.submit(lambda db: db.set_commit_hook(count), "test")
    commits = 0
    with _held(store):
        jobs = [asyncio.ensure_future(store.begin_run(RunId("unknown" if n % 2 else "r1"), n)) for n in range(100)]
        await asyncio.sleep(0)
    results = await asyncio.gather(*jobs, return_exceptions=True)
    assert results[0::2] == list(range(2, 52))
    assert all(isinstance(result, NotFound) for result in results[1::2])
    assert commits <= 2  # that of the held job, and one for all


async def test_a_full_queue_refuses_at_once_and_recovers(store: SqliteStore) -> None:
    with _held(store):
        waiting = [store._writer.submit(lambda _db: None, "test") for _ in range(QUEUE_LIMIT - 1)]
        with pytest.raises(Unavailable) as caught:
            await store.ping()
        assert caught.value.retry_after_s
    await asyncio.gather(*waiting)
    await store.ping()
    assert store._writer.waiting == 0


async def test_a_cancelled_waiter_neither_undoes_its_job_nor_stops_the_thread(store: SqliteStore) -> None:
    with _held(store):
        waiting = asyncio.ensure_future(store.accept(inbound("r1"), 1, start=True))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    await store.ping()
    assert await store.run(RunId("r1")) is not None


async def test_the_log_is_checkpointed_beside_the_writer_and_does_not_grow_for_ever(
    store: SqliteStore, tmp_path: Path
) -> None:
    await store.accept(inbound("r1"), 1, start=True)
    for _ in range(100):  # 20 times what is kept: a note takes 13 pages
        await asyncio.gather(*(store.append_notice(KEY, user(BIG), 2) for _ in range(16)))
    log_size = (tmp_path / "openclaw.db-wal").stat().st_size
    assert log_size < 2 * BACKSTOP_PAGES * 4096


async def test_what_a_failing_job_wrote_goes_and_what_its_neighbours_wrote_stays(store: SqliteStore) -> None:
    def put(name: str, *, fail: bool = False) -> asyncio.Future[None]:
        def job(db: apsw.Connection) -> None:
            db.execute("INSERT INTO meta (name, value) VALUES (?, '')", (name,))
            if fail:
                raise NotFound(name)

        return store._writer.submit(job, "test")

    with pytest.raises(NotFound):
        await put("alone", fail=True)
    with _held(store):
        jobs = [put("before"), put("bad", fail=True), put("after")]
    await asyncio.gather(*jobs, return_exceptions=True)
    names = await store._reader.submit(lambda db: db.execute("SELECT name FROM meta").fetchall(), "test")
    assert {name for (name,) in names} == {"compatible_from", "before", "after"}


async def test_a_fault_of_ours_is_reported_as_internal_and_the_thread_lives_on(store: SqliteStore) -> None:
    with pytest.raises(InternalError, match="ZeroDivisionError"):
        await store._writer.submit(lambda _db: 1 // 0, "test")
    with pytest.raises(InternalError):
        await store._writer.submit(lambda db: db.execute("SELECT * FROM nowhere"), "test")
    with pytest.raises(Unavailable, match="opened for writing"):
        await store._reader.submit(lambda db: db.execute("DELETE FROM usage"), "test")
    await store.ping()
