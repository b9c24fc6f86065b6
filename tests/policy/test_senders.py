"""Strangers' codes: short-lived, counted, single use, and good for one account."""

from __future__ import annotations

import asyncio

import pytest

from openclaw.base.clock import ManualClock
from openclaw.base.errors import NotFound
from openclaw.base.principal import LOCAL_OPERATOR
from openclaw.policy.dm_door import Message
from openclaw.policy.senders import ALPHABET, CODE_CHARS, CODE_MS, MAX_PENDING, MAX_TRIES, SEEN_EVERY_MS, Senders
from tests.fakes.memory_shelf import MemoryShelf

pytestmark = pytest.mark.anyio


def writes(sender: str = "1", account: str = "default") -> Message:
    return Message(channel="telegram", account=account, sender=sender)


async def desk(clock: ManualClock | None = None, shelf: MemoryShelf | None = None) -> Senders:
    senders = Senders(shelf or MemoryShelf(), clock or ManualClock())
    await senders.open()
    return senders


async def test_a_code_lets_in_its_sender_to_its_account_once_and_for_all() -> None:
    shelf, clock = MemoryShelf(), ManualClock()
    senders = await desk(clock, shelf)
    code = await senders.ask(writes(), "Alice")
    assert len(code) == CODE_CHARS
    assert set(code) <= set(ALPHABET)
    assert not senders.is_paired(writes())
    known = await senders.approve(LOCAL_OPERATOR, "telegram", "default", code.lower())
    assert (known.sender, known.name, known.by) == ("1", "Alice", LOCAL_OPERATOR.owner)
    (row,) = shelf.entries
    assert (row.kind, row.action, row.target) == ("pairing", "sender let in", "telegram:default:1")
    again = await desk(clock, shelf)
    assert again.is_paired(writes())
    assert not again.is_paired(writes(account="b"))
    assert not again.is_paired(writes("2"))
    with pytest.raises(NotFound):
        await senders.approve(LOCAL_OPERATOR, "telegram", "default", code)


async def test_the_code_is_kept_as_a_hash_alone() -> None:
    shelf = MemoryShelf()
    code = await (await desk(shelf=shelf)).ask(writes())
    assert all(code.encode() not in record.body for record in shelf.records.values())


async def test_a_code_ends_with_its_time_and_with_a_clock_that_was_set_back() -> None:
    for change_s in (CODE_MS / 1000, -1.0):
        clock = ManualClock()
        senders = await desk(clock)
        code = await senders.ask(writes())
        clock.step(int(change_s * 1000))
        with pytest.raises(NotFound):
            await senders.approve(LOCAL_OPERATOR, "telegram", "default", code)
        assert await senders.pending() == []


async def test_wrong_codes_make_a_request_void_and_wrong_ids_do_not() -> None:
    senders = await desk()
    code = await senders.ask(writes())
    for _ in range(MAX_TRIES * 2):
        with pytest.raises(NotFound):
            await senders.dismiss("telegram", "default", "0123456789abcdef")
    assert len(await senders.pending()) == 1
    for _ in range(MAX_TRIES):
        with pytest.raises(NotFound):
            await senders.approve(
                LOCAL_OPERATOR, "telegram", "default", "AAAAAAAA" if code != "AAAAAAAA" else "BBBBBBBB"
            )
    with pytest.raises(NotFound):
        await senders.approve(LOCAL_OPERATOR, "telegram", "default", code)


async def test_a_flood_of_messages_is_not_one_of_writes() -> None:
    shelf, clock = MemoryShelf(), ManualClock()
    senders = await desk(clock, shelf)
    await senders.ask(writes())
    for _ in range(20):
        clock.step(1000)
        assert await senders.ask(writes()) == ""
    (record,) = shelf.records.values()
    assert record.version == 1 + 20_000 // SEEN_EVERY_MS
    (asked,) = await senders.pending()
    assert clock.now_ms() - asked.last_seen_at_ms < SEEN_EVERY_MS


async def test_a_code_of_one_account_opens_no_other() -> None:
    senders = await desk()
    code = await senders.ask(writes(account="a"))
    with pytest.raises(NotFound):
        await senders.approve(LOCAL_OPERATOR, "telegram", "b", code)


async def test_a_stranger_gets_one_code_and_an_account_keeps_few_requests() -> None:
    clock = ManualClock()
    senders = await desk(clock)
    codes = [await senders.ask(writes(str(sender))) for sender in range(MAX_PENDING + 3)]
    assert [bool(code) for code in codes] == [True] * MAX_PENDING + [False] * 3
    assert await senders.ask(writes("0")) == ""
    assert await senders.ask(writes("0", account="b"))
    clock.advance(CODE_MS / 1000)
    assert await senders.ask(writes("9"))
    assert [each.sender for each in await senders.pending("telegram", "default")] == ["9"]


async def test_messages_at_once_make_one_request_and_no_more_than_there_is_room_for() -> None:
    senders = await desk()
    codes = await asyncio.gather(*(senders.ask(writes(str(n % 5))) for n in range(20)))
    assert len([code for code in codes if code]) == MAX_PENDING
    assert len({each.sender for each in await senders.pending()}) == MAX_PENDING


async def test_who_was_turned_away_or_taken_back_is_a_stranger_again() -> None:
    senders = await desk()
    await senders.ask(writes())
    (asked,) = await senders.pending()
    await senders.dismiss("telegram", "default", asked.id)
    assert await senders.pending() == []
    code = await senders.ask(writes())
    await senders.approve(LOCAL_OPERATOR, "telegram", "default", code)
    await senders.remove(LOCAL_OPERATOR, "telegram", "default", "1")
    assert not senders.is_paired(writes())
    with pytest.raises(NotFound):
        await senders.remove(LOCAL_OPERATOR, "telegram", "default", "1")
