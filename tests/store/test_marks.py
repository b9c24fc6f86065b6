"""Marks, sessions without a run, forks and rewinds, groups, search: all of it the owner's own."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openclaw.base.errors import Conflict, NotFound
from openclaw.base.ids import RunId, SessionId, SessionKey
from openclaw.store.api import SessionFilter, SessionMarks
from openclaw.store.sqlite import SqliteStore
from tests.store.build import AGENT, ALICE, BOB, KEY, answer, inbound, reply

pytestmark = pytest.mark.anyio

OTHER = SessionKey("agent:default:other")
HERS = SessionKey("agent:default:@alice:other")


async def talk(store: SqliteStore, *texts: str, key: str = KEY) -> SessionId:
    """Have an exchange for each text; return the session's id."""
    for number, text in enumerate(texts):
        message = inbound(f"{key}-{number}", text, key=key)
        accepted = await store.accept(message, number, start=True)
        await store.finish_run(
            RunId(message.run_id), reply(message.run_id, key=key), answer(f"you said {text}"), number
        )
    return accepted.session.id


async def test_marks_are_changed_one_by_one_and_taken_away(store: SqliteStore) -> None:
    await store.create_session(KEY, AGENT, ALICE.owner, 5)
    await store.patch_session(KEY, marks={"pinned_at_ms": 7, "color": "red"})
    row = await store.patch_session(KEY, label="mine", marks={"color": None, "category": "work"})
    assert row.marks == SessionMarks(pinned_at_ms=7, category="work")
    assert await store.session(KEY) == row
    assert (await store.sessions())[0] == [row]


async def test_a_change_that_expects_another_session_changes_nothing(store: SqliteStore) -> None:
    made = await store.create_session(KEY, AGENT, ALICE.owner, 5)
    await store.reset_session(KEY, 6)
    with pytest.raises(Conflict):
        await store.patch_session(KEY, label="late", marks={"color": "red"}, expected=made.id)
    row = await store.session(KEY)
    assert row is not None
    assert (row.label, row.marks) == ("", SessionMarks())


async def test_a_session_made_again_stays_as_it_is_and_a_foreign_key_is_not_found(store: SqliteStore) -> None:
    first = await store.create_session(KEY, AGENT, ALICE.owner, 5)
    assert await store.create_session(KEY, AGENT, ALICE.owner, 9) == first
    for wrong in (
        store.create_session(KEY, AGENT, BOB.owner, 9),
        store.patch_session(KEY, marks={"color": "red"}, owner=BOB.owner),
        store.fork_session(KEY, OTHER, 9, before_seq=9, marks={}, owner=BOB.owner),
        store.rewind_session(KEY, 9, before_seq=1, owner=BOB.owner),
    ):
        with pytest.raises(NotFound):
            await wrong


async def test_a_list_is_narrowed_by_marks_text_and_agent(store: SqliteStore) -> None:
    names = ["agent:default:one", "agent:default:cron:2", "agent:extra:three"]
    for at, name in enumerate(names):
        await store.create_session(SessionKey(name), AGENT, ALICE.owner, at)
    await store.patch_session(SessionKey(names[0]), label="Tea time", marks={"archived_at_ms": 3, "category": "w"})
    await store.patch_session(SessionKey(names[2]), marks={"pinned_at_ms": 3, "parent": names[0]})

    async def found(**wanted: object) -> list[str]:
        rows, total = await store.sessions(wanted=SessionFilter(**wanted))  # type: ignore[arg-type]  # by name
        assert total == len(rows)
        return sorted(row.key for row in rows)

    assert await found(archived=True) == await found(category="w") == await found(search="tEA") == [names[0]]
    assert await found(archived=False) == sorted(names[1:])
    assert await found(pinned=True) == await found(parent=names[0]) == [names[2]]
    assert await found(cron=False, pinned=False) == [names[0]]
    assert await found(agents=(AGENT,)) == sorted(names)
    assert await found(agents=()) == await found(label="Tea") == []
    assert await found(board_face="chat", label="Tea time") == [names[0]]


async def test_a_fork_has_the_steps_before_a_point_and_leaves_its_source_alone(store: SqliteStore) -> None:
    source = await talk(store, "one", "two", "three")
    before = await store.steps(source)
    fork = await store.fork_session(KEY, HERS, 50, before_seq=5, marks={"parent": KEY, "forked": True})
    copied = await store.steps(fork.id)
    assert [(step.seq, step.messages) for step in copied] == [(step.seq, step.messages) for step in before[:4]]
    assert (fork.owner, fork.marks.parent, fork.input_tokens) == (ALICE.owner, KEY, 0)
    assert await store.steps(source) == before
    with pytest.raises(Conflict):
        await store.fork_session(KEY, HERS, 50, before_seq=5, marks={})
    assert await store.delete_session(HERS)
    assert await store.steps(source) == before
    assert await store.steps(fork.id) == []


async def test_a_rewound_session_goes_on_and_its_past_goes_when_it_is_deleted(store: SqliteStore) -> None:
    old = await talk(store, "one", "two")
    await store.patch_session(KEY, label="kept")
    row = await store.rewind_session(KEY, 50, before_seq=3)
    assert (row.id != old, row.label) == (True, "kept")
    assert [step.messages[0].text for step in await store.steps(row.id)] == ["one", "you said one"]
    assert len(await store.steps(old)) == 4
    again = inbound("again", "other")
    accepted = await store.accept(again, 60, start=True)
    assert (accepted.session.id, accepted.seq) == (row.id, 3)
    assert await store.delete_session(KEY)
    assert await store.steps(old) == await store.steps(row.id) == []


async def test_groups_are_counted_and_renamed_within_one_owner(store: SqliteStore) -> None:
    for name, owner in (("a", ALICE), ("b", ALICE), ("c", BOB)):
        key = SessionKey(f"agent:default:{name}")
        await store.create_session(key, AGENT, owner.owner, 1)
        await store.patch_session(key, marks={"category": "work"})
    assert await store.regroup("work", "home", ALICE.owner) == 2
    assert (await store.grouped(ALICE.owner), await store.grouped(BOB.owner)) == ({"home": 2}, {"work": 1})
    assert await store.regroup("home", None, ALICE.owner) == 2
    assert await store.grouped(ALICE.owner) == {}


async def test_a_search_finds_words_with_any_signs_in_the_sessions_named(store: SqliteStore) -> None:
    here = await talk(store, 'a "quoted" 100% of\nlines_and\\slashes', "Ünïcode ☕")
    there = await talk(store, "a quoted", key=OTHER)
    for text in ('"QUOTED"', "100% of\nlines", "lines_and\\", "☕"):
        found = await store.search_steps([here], text, limit=10)
        assert {step.session_id for step in found} == {here}, text
        assert found == sorted(found, key=lambda step: -step.seq)
    assert await store.search_steps([here], "100_", limit=10) == []
    assert {step.session_id for step in await store.search_steps([here, there], "quoted", limit=10)} == {here, there}
    assert len(await store.search_steps([here, there], "quoted", limit=1)) == 1
    assert await store.search_steps([], "quoted", limit=10) == []


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=st.text(min_size=1, max_size=20))
async def test_any_text_may_be_sought_and_finds_itself(store: SqliteStore, text: str) -> None:
    key = f"agent:default:{abs(hash(text))}"
    try:
        session_id = await talk(store, f"so {text} it is", key=key)
    except UnicodeEncodeError:
        return
    found = await store.search_steps([session_id], text, limit=10)
    assert any(text in step.messages[0].text for step in found)
    await store.delete_session(SessionKey(key))
