"""Memories: whose they are, what a search finds, how many are kept."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.errors import InvalidRequest
from openclaw.base.ids import AgentId, OwnerId, TenantId
from openclaw.store import memory as memories
from openclaw.store import vector
from openclaw.store.api import MemoryRow
from openclaw.store.memory import MAX_QUERY_WORDS, match_expression
from openclaw.store.schema import migrate
from openclaw.store.sqlite import SqliteStore

pytestmark = pytest.mark.anyio

ALICE, BOB = OwnerId("alice"), OwnerId("bob")
MAIN, OTHER = AgentId("main"), AgentId("other")
HERE, ELSEWHERE = TenantId("default"), TenantId("elsewhere")


def memory(
    id_: str, text: str, *, owner: OwnerId = ALICE, agent: AgentId = MAIN, tenant: TenantId = HERE, at_ms: int = 1
) -> MemoryRow:
    return MemoryRow(id=id_, agent_id=agent, tenant=tenant, owner=owner, text=text, created_at_ms=at_ms, source="test")


async def found(store: SqliteStore, query: str, **whose: str) -> list[str]:
    rows = await store.recall(
        query,
        owner=OwnerId(whose.get("owner", ALICE)),
        agent_id=AgentId(whose.get("agent", MAIN)),
        tenant=TenantId(whose.get("tenant", HERE)),
        limit=100,
    )
    return [row.id for row in rows]


async def test_a_memory_is_found_by_words_beginnings_cases_and_accents(store: SqliteStore) -> None:
    await store.remember(memory("m1", "The café's Deployment runs on Fridays, über-safe"), 10)
    for query in ("cafe", "CAFÉ", "deploy", "DEPLOYMENT?", "runs (on", "uber", "cafe\u0301", '"friday', "safe* NOT"):
        assert await found(store, query) == ["m1"], query
    for query in ("", "  ", "ployment", "saturday", "***", '"', "🦞", "a" * 10_000):
        assert await found(store, query) == [], query


async def test_a_search_returns_what_was_remembered_with_a_score_that_is_higher_for_better(store: SqliteStore) -> None:
    await store.remember(memory("far", "the cat and a long tale of other things that happened to be said", at_ms=5), 10)
    await store.remember(memory("near", "the cat sat", at_ms=6), 10)
    await store.remember(memory("not", "dogs", at_ms=7), 10)
    rows = await store.recall("cat sat", owner=ALICE, agent_id=MAIN, tenant=HERE)
    assert [row.id for row in rows] == ["near", "far"]
    assert rows[0].score > rows[1].score > 0
    assert (rows[0].text, rows[0].created_at_ms, rows[0].source) == ("the cat sat", 6, "test")


async def test_nobody_finds_or_deletes_what_is_anothers(store: SqliteStore) -> None:
    whose: list[dict[str, str]] = [
        {"owner": owner, "agent": agent, "tenant": tenant}
        for owner in (ALICE, BOB)
        for agent in (MAIN, OTHER)
        for tenant in (HERE, ELSEWHERE)
    ]
    for number, one in enumerate(whose):
        row = memory(
            f"m{number}",
            "secret",
            owner=OwnerId(one["owner"]),
            agent=AgentId(one["agent"]),
            tenant=TenantId(one["tenant"]),
        )
        await store.remember(row, 10)
    for number, one in enumerate(whose):
        assert await found(store, "secret", **one) == [f"m{number}"]
        strangers = OwnerId(one["owner"]), AgentId(one["agent"]), TenantId(one["tenant"])
        other = f"m{(number + 1) % len(whose)}"
        assert not await store.forget(other, owner=strangers[0], agent_id=strangers[1], tenant=strangers[2])
    assert await store.forget("m0", owner=ALICE, agent_id=MAIN, tenant=HERE)
    assert not await store.forget("m0", owner=ALICE, agent_id=MAIN, tenant=HERE)
    assert await found(store, "secret") == []


async def test_the_oldest_go_first_and_only_the_owners_own(store: SqliteStore) -> None:
    await store.remember(memory("bobs", "word", owner=BOB, at_ms=0), 2)
    for number in range(5):
        await store.remember(memory(f"m{number}", f"word {number}", at_ms=number), 2)
    assert sorted(await found(store, "word")) == ["m3", "m4"]
    assert await found(store, "word", owner=BOB) == ["bobs"]
    await store.remember(memory("none", "word"), 0)
    assert await found(store, "word") == []


async def test_the_same_id_is_remembered_once(store: SqliteStore) -> None:
    await store.remember(memory("m1", "first"), 10)
    await store.remember(memory("m1", "second"), 10)
    assert await found(store, "first") == ["m1"]
    assert await found(store, "second") == []


async def test_a_text_that_is_not_unicode_is_refused(store: SqliteStore) -> None:
    with pytest.raises(InvalidRequest):
        await store.remember(memory("m1", "\ud800"), 10)


async def test_what_is_forgotten_is_in_neither_table_nor_index(store: SqliteStore, tmp_path: Path) -> None:
    await store.remember(memory("m1", "xylophonist"), 10)
    await store.forget("m1", owner=ALICE, agent_id=MAIN, tenant=HERE)
    left = await store._reader.submit(
        lambda db: db.execute("SELECT COUNT(*) FROM memory_words_data WHERE instr(block, 'xylophon')").get, "test"
    )
    assert left == 0


def test_a_long_query_is_cut_to_a_bounded_number_of_words() -> None:
    assert match_expression(" ".join(f"w{number}" for number in range(500))).count(" OR ") == MAX_QUERY_WORDS - 1


@given(st.lists(st.tuples(st.text(max_size=60), st.text(max_size=60)), min_size=1, max_size=10))
def test_any_text_can_be_remembered_and_is_a_valid_query(pairs: list[tuple[str, str]]) -> None:
    db = fresh()
    for number, (text, query) in enumerate(pairs):
        memories.remember(db, memory(f"m{number}", text, at_ms=number), 5)
        rows = memories.recall(db, HERE, ALICE, MAIN, query, 10)
        assert all(row.text in [text for text, _ in pairs] for row in rows)
        itself = memories.recall(db, HERE, ALICE, MAIN, text, 10)
        assert all(row.score >= 0 for row in itself)
        if any(map(str.isalnum, text[:30])) and all(char < "\u0250" for char in text):
            assert f"m{number}" in [row.id for row in itself]
    db.close()


@given(
    st.lists(
        st.tuples(st.sampled_from([ALICE, BOB]), st.sampled_from([MAIN, OTHER]), st.sampled_from([HERE, ELSEWHERE])),
        min_size=1,
        max_size=25,
    ),
    st.integers(0, 4),
)
def test_whatever_is_written_each_reads_its_own_newest_and_nothing_else(
    writers: list[tuple[OwnerId, AgentId, TenantId]], keep: int
) -> None:
    db = fresh()
    for number, (owner, agent, tenant) in enumerate(writers):
        row = memory(f"m{number}", "shared word", owner=owner, agent=agent, tenant=tenant, at_ms=number)
        memories.remember(db, row, keep)
        vector.put(db, tenant, owner, agent, f"m{number}", "model", bytes([number]))
    for owner, agent, tenant in {*writers, (BOB, OTHER, ELSEWHERE)}:
        own = [f"m{number}" for number, writer in enumerate(writers) if writer == (owner, agent, tenant)]
        newest = own[::-1][:keep]
        assert [row.id for row in memories.recall(db, tenant, owner, agent, "word", 100)] == newest
        assert vector.vectors(db, tenant, owner, agent, "model") == [(id_, bytes([int(id_[1:])])) for id_ in newest]
        assert vector.vectors(db, tenant, owner, agent, "other") == []
        everyone = [f"m{number}" for number in range(len(writers))]
        assert [row.id for row in vector.by_id(db, tenant, owner, agent, everyone)] == newest[::-1]
    db.close()


def fresh() -> apsw.Connection:
    db = apsw.Connection(":memory:")
    migrate(db)
    return db
