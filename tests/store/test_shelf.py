"""The shelf: versions, all or nothing, tenants, order."""

from __future__ import annotations

import pytest

from openclaw.base.errors import Conflict
from openclaw.base.ids import TenantId
from openclaw.store.shelf import ABSENT, Change
from openclaw.store.sqlite import SqliteStore

pytestmark = pytest.mark.anyio


async def test_a_record_is_read_as_it_was_put_and_its_version_grows(store: SqliteStore) -> None:
    shelf = store.shelf
    await shelf.apply([Change("device", "a", b'{"n":1}', ABSENT)], 5)
    await shelf.apply([Change("device", "a", b'{"n":2}', 1)], 6)
    found = await shelf.get("device", "a")
    assert found is not None
    assert (found.id, found.body, found.version, found.updated_at_ms) == ("a", b'{"n":2}', 2, 6)
    assert await shelf.get("job", "a") is None


async def test_one_change_that_does_not_fit_undoes_them_all(store: SqliteStore) -> None:
    shelf = store.shelf
    await shelf.apply([Change("device", "a", b"1")], 1)
    with pytest.raises(Conflict, match="device a was changed meanwhile"):
        await shelf.apply([Change("device", "b", b"2", ABSENT), Change("device", "a", b"3", ABSENT)], 2)
    with pytest.raises(Conflict):
        await shelf.apply([Change("device", "c", b"3", 1)], 2)
    assert [record.id for record in await shelf.list("device")] == ["a"]


async def test_changes_of_one_record_in_one_call_see_each_other(store: SqliteStore) -> None:
    shelf = store.shelf
    await shelf.apply([Change("k", "a", b"1", ABSENT), Change("k", "a", b"2", 1), Change("k", "a", None, 2)], 1)
    assert await shelf.get("k", "a") is None
    await shelf.apply([Change("k", "a", None)], 1)


async def test_lists_are_by_prefix_in_either_order_and_can_be_continued(store: SqliteStore) -> None:
    shelf = store.shelf
    names = ("a/1", "a/2", "a/3", "a%/1", "b/1", "é/1")
    await shelf.apply([Change("run", name, b"{}") for name in names], 1)
    assert [record.id for record in await shelf.list("run", prefix="a/")] == ["a/1", "a/2", "a/3"]
    assert [record.id for record in await shelf.list("run", prefix="a/", last_first=True, limit=2)] == ["a/3", "a/2"]
    assert [record.id for record in await shelf.list("run", prefix="a/", last_first=True, after="a/2")] == ["a/1"]
    assert [record.id for record in await shelf.list("run", prefix="a/", after="a/2")] == ["a/3"]
    assert [record.id for record in await shelf.list("run", prefix="é")] == ["é/1"]
    assert len(await shelf.list("run")) == len(names)


async def test_trimming_keeps_the_last_ids_of_the_prefix_only(store: SqliteStore) -> None:
    shelf = store.shelf
    await shelf.apply([Change("run", f"{job}/{number}", b"{}") for job in "ab" for number in range(5)], 1)
    assert await shelf.trim("run", prefix="a/", keep=2) == 3
    assert [record.id for record in await shelf.list("run")] == ["a/3", "a/4", "b/0", "b/1", "b/2", "b/3", "b/4"]


async def test_tenants_do_not_see_each_other(store: SqliteStore) -> None:
    await store.shelf.apply([Change("device", "a", b"1")], 1)
    other = store.for_tenant(TenantId("elsewhere")).shelf
    assert await other.get("device", "a") is None
    await other.apply([Change("device", "a", None)], 1)
    assert await other.trim("device", keep=0) == 0
    assert await store.shelf.get("device", "a") is not None
