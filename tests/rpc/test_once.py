"""What must not run twice, over a real store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from openclaw.base.clock import ManualClock
from openclaw.base.errors import Conflict, Unavailable
from openclaw.base.ids import OwnerId
from openclaw.base.principal import Principal
from openclaw.base.tasks import TaskSet
from openclaw.rpc.once import KEPT_MS, KIND, MAX_ANSWER_BYTES, MAX_KEPT, Once
from openclaw.store.sqlite import SqliteStore

pytestmark = pytest.mark.anyio
ANN, BEN = (Principal(owner=OwnerId(name)) for name in ("ann", "ben"))
Act = Callable[[], Awaitable[Any]]


class House:
    """A store on disk; `once` is what one life of the gateway has."""

    def __init__(self, store: SqliteStore, clock: ManualClock) -> None:
        self.clock = clock
        self.store = store
        self.acts = 0
        self.tasks = TaskSet("test")
        self.once = Once(store.shelf, clock, self.tasks)

    async def restart(self) -> None:
        await self.tasks.close()
        self.tasks = TaskSet("test")
        self.once = Once(self.store.shelf, self.clock, self.tasks)

    async def act(self) -> dict[str, int]:
        self.acts += 1
        return {"act": self.acts}


@asynccontextmanager
async def _house(path: Path) -> AsyncIterator[House]:
    clock = ManualClock()
    store = await SqliteStore.open(path / "db.sqlite", clock=clock)
    house = House(store, clock)
    try:
        yield house
    finally:
        await house.tasks.close()
        await store.close()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with _house(tmp_path) as made:
        yield made


async def test_a_repeat_gets_the_first_answer_also_after_a_restart(house: House) -> None:
    assert await house.once.run(ANN, "send", "k", {"a": 1}, house.act) == {"act": 1}
    assert await house.once.run(ANN, "send", "k", {"a": 1}, house.act) == {"act": 1}
    await house.restart()
    assert await house.once.run(ANN, "send", "k", {"a": 1}, house.act) == {"act": 1}
    assert house.acts == 1


async def test_a_key_belongs_to_its_owner_and_its_method(house: House) -> None:
    for principal, method in ((ANN, "send"), (BEN, "send"), (ANN, "cron.run")):
        await house.once.run(principal, method, "k", {}, house.act)
    assert house.acts == 3


async def test_the_same_key_with_other_parameters_is_a_conflict(house: House) -> None:
    await house.once.run(ANN, "send", "k", {"text": "one"}, house.act)
    with pytest.raises(Conflict) as refused:
        await house.once.run(ANN, "send", "k", {"text": "two"}, house.act)
    assert refused.value.details == {"code": "IDEMPOTENCY_KEY_REUSED"}
    assert house.acts == 1


async def test_a_repeat_while_the_first_goes_joins_it_even_when_its_caller_has_gone(house: House) -> None:
    begun, go = anyio.Event(), anyio.Event()
    answers: list[Any] = []

    async def slow() -> dict[str, int]:
        begun.set()
        await go.wait()
        return await house.act()

    async def call() -> None:
        answers.append(await house.once.run(ANN, "node.invoke", "k", {}, slow))

    async with anyio.create_task_group() as first:
        first.start_soon(call)
        await begun.wait()
        first.cancel_scope.cancel()
    async with anyio.create_task_group() as second:
        second.start_soon(call)
        second.start_soon(call)
        await anyio.wait_all_tasks_blocked()
        assert (await house.once.open(ANN, "node.invoke", "k", {})).going
        go.set()
    assert answers == [{"act": 1}, {"act": 1}]
    assert house.acts == 1


async def test_a_failure_reaches_all_who_wait_and_frees_the_key(house: House) -> None:
    async def fail() -> None:
        raise Unavailable("node not connected")

    with pytest.raises(Unavailable):
        await house.once.run(ANN, "node.invoke", "k", {}, fail)
    await house.restart()
    assert await house.once.run(ANN, "node.invoke", "k", {}, house.act) == {"act": 1}


async def test_a_call_that_a_restart_cut_off_does_not_run_again(house: House) -> None:
    ticket = await house.once.open(ANN, "send", "k", {})
    assert ticket.first
    await house.restart()
    with pytest.raises(Conflict) as refused:
        await house.once.run(ANN, "send", "k", {}, house.act)
    assert refused.value.details == {"code": "OUTCOME_UNKNOWN"}
    assert house.acts == 0


async def test_an_answer_too_long_to_keep_is_given_once_and_does_not_act_again(house: House) -> None:
    async def long() -> str:
        house.acts += 1
        return "x" * MAX_ANSWER_BYTES

    assert len(await house.once.run(ANN, "node.invoke", "k", {}, long)) == MAX_ANSWER_BYTES
    with pytest.raises(Conflict) as refused:
        await house.once.run(ANN, "node.invoke", "k", {}, long)
    assert refused.value.details == {"code": "IDEMPOTENT_ANSWER_NOT_KEPT"}
    assert house.acts == 1


async def test_keys_are_kept_for_a_day_and_never_more_than_so_many(house: House) -> None:
    await house.once.run(ANN, "send", "old", {}, house.act)
    house.clock.advance(KEPT_MS / 1000)
    assert await house.once.run(ANN, "send", "old", {}, house.act) == {"act": 2}
    for index in range(MAX_KEPT):
        ticket = await house.once.open(ANN, "send", str(index), {})
        await ticket.done(index)
    kept = await house.store.shelf.list(KIND, limit=MAX_KEPT + 10)
    assert len(kept) <= MAX_KEPT + 1  # the last one pushed out goes with the next write
    house.clock.advance(KEPT_MS / 1000)
    await house.restart()
    await house.once.run(ANN, "send", "new", {}, house.act)
    assert len(await house.store.shelf.list(KIND, limit=MAX_KEPT + 10)) == 1


async def test_a_gateway_that_closes_begins_nothing_and_keeps_the_key_free(house: House) -> None:
    await house.tasks.close()
    with pytest.raises(Unavailable):
        await house.once.run(ANN, "send", "k", {}, house.act)
    await house.restart()
    assert await house.once.run(ANN, "send", "k", {}, house.act) == {"act": 1}


async def test_without_a_shelf_it_remembers_while_it_lives() -> None:
    tasks = TaskSet("test")
    once = Once(None, ManualClock(), tasks)
    ticket = await once.open(ANN, "send", "k", {})
    await ticket.done({"ok": True})
    assert await (await once.open(ANN, "send", "k", {})).answer() == {"ok": True}
    await tasks.close()
