"""What the store promises, one sentence at a time."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from openclaw.base.clock import ManualClock
from openclaw.base.errors import Conflict, InvalidRequest, NotFound, StateLocked, Unavailable
from openclaw.base.ids import OwnerId, RunId, SessionKey, TenantId
from openclaw.base.message import ToolCall, assistant, outcomes, user
from openclaw.base.message import ToolOutcome as Outcome
from openclaw.base.model import Usage
from openclaw.store.api import NewStep, Store, UsageRow
from openclaw.store.lock import StateLock
from openclaw.store.sqlite import SqliteStore
from tests.store.build import AGENT, ALICE, BOB, ELSEWHERE, KEY, answer, inbound, reply, tool_step

pytestmark = pytest.mark.anyio

R1, R2 = RunId("r1"), RunId("r2")


async def test_an_accepted_message_makes_session_run_and_step(store: SqliteStore) -> None:
    as_contract: Store = store
    sent = inbound("r1", "a question")
    accepted = await as_contract.accept(sent, 1000, start=True)
    assert accepted.duplicate is None
    session = await store.session(KEY)
    assert session == accepted.session
    assert (session.owner, session.tenant, session.created_at_ms, session.updated_at_ms) == (
        ALICE.owner,
        ALICE.tenant,
        1000,
        1000,
    )
    run = await store.run(R1)
    assert run is not None
    assert run.inbound == sent
    assert (run.state, run.attempts, run.reply, run.session_id) == ("running", 1, None, session.id)
    [step] = await store.steps(session.id)
    assert (step.seq, step.kind, step.messages, step.run_id, step.at_ms) == (1, "inbound", (sent.message,), "r1", 1000)


async def test_a_message_that_waits_enters_the_transcript_when_its_run_begins(store: SqliteStore) -> None:
    session = (await store.accept(inbound("r1"), 1, start=True)).session
    sent = inbound("r2", "second")
    await store.accept(sent, 2, start=False)
    waiting = await store.run(R2)
    assert waiting is not None
    assert (waiting.state, waiting.attempts, waiting.inbound) == ("queued", 0, sent)
    with pytest.raises(Conflict, match="not begun"):
        await store.commit_step(R2, answer(), 3)
    await store.finish_run(R1, reply("r1"), answer(), 4)
    assert await store.begin_run(R2, 5) == 1
    assert [(step.run_id, step.at_ms) for step in await store.steps(session.id)] == [("r1", 1), ("r1", 4), ("r2", 5)]
    begun = await store.run(R2)
    assert begun is not None
    assert (begun.state, begun.attempts, begun.inbound) == ("running", 1, sent)


async def test_a_queued_run_can_be_ended_without_a_word_in_the_transcript(store: SqliteStore) -> None:
    session = (await store.accept(inbound("r1"), 1, start=False)).session
    await store.finish_run(R1, reply("r1", state="aborted"), None, 2)
    run = await store.run(R1)
    assert run is not None
    assert (run.state, run.inbound) == ("aborted", inbound("r1"))
    assert await store.steps(session.id) == []
    await store.delete_session(KEY)
    assert await store.run(R1) is None


async def test_a_turn_is_told_whole_afterwards(store: SqliteStore) -> None:
    session = (await store.accept(inbound("r1"), 1, start=True)).session
    assert await store.commit_step(R1, tool_step(), 3) == 2
    await store.finish_run(R1, reply("r1"), answer(), 4)
    run = await store.run(R1, owner=ALICE.owner)
    assert run is not None
    assert (run.state, run.attempts, run.reply) == ("ok", 1, reply("r1"))
    steps = await store.steps(session.id)
    assert [(step.seq, step.kind) for step in steps] == [(1, "inbound"), (2, "model"), (3, "model")]
    assert steps[1].messages == tool_step().messages
    assert (steps[2].usage, steps[2].model, steps[2].provider, steps[2].finish_reason) == (
        Usage(10, 5, 2, 1),
        "m",
        "fake",
        "stop",
    )
    after = await store.session(KEY)
    assert after is not None
    assert (after.input_tokens, after.output_tokens, after.updated_at_ms, after.aborted_last_run) == (13, 7, 4, False)
    assert after.prompt_tokens == 10
    ledger = await store.usage_since(0)
    assert [(row.run_id, row.usage.input_tokens, row.latency_ms, row.owner) for row in ledger] == [
        ("r1", 3, 0, "alice"),
        ("r1", 10, 30, "alice"),
    ]
    assert await store.open_runs() == []


async def test_a_repeated_run_id_returns_the_first_run_and_writes_nothing(store: SqliteStore) -> None:
    first = await store.accept(inbound("r1", "one"), 1, start=True)
    again = await store.accept(inbound("r1", "two", key="agent:default:other"), 3, start=True)
    assert again.duplicate is not None
    assert again.session == first.session
    assert (again.duplicate.inbound.message.text, again.duplicate.state, again.duplicate.attempts) == (
        "one",
        "running",
        1,
    )
    assert await store.session(SessionKey("agent:default:other")) is None
    await store.finish_run(R1, reply("r1"), None, 4)
    late = await store.accept(inbound("r1", "three"), 5, start=True)
    assert late.duplicate is not None
    assert late.duplicate.reply == reply("r1")
    assert len(await store.steps(first.session.id)) == 1


async def test_another_owners_session_looks_as_if_it_were_not_there(store: SqliteStore) -> None:
    session = (await store.accept(inbound("r1"), 1, start=True)).session
    with pytest.raises(NotFound):
        await store.accept(inbound("r2", principal=BOB), 2, start=True)
    assert await store.run(R2) is None
    assert await store.session(KEY, owner=BOB.owner) is None
    assert await store.run(R1, owner=BOB.owner) is None
    with pytest.raises(NotFound):
        await store.patch_session(KEY, label="mine", owner=BOB.owner)
    with pytest.raises(NotFound):
        await store.reset_session(KEY, 3, owner=BOB.owner)
    assert await store.delete_session(KEY, owner=BOB.owner) is False
    assert await store.sessions(owner=BOB.owner) == ([], 0)
    assert await store.session(KEY, owner=ALICE.owner) == session


async def test_two_owners_may_use_one_run_id_but_not_while_it_is_open(store: SqliteStore) -> None:
    await store.accept(inbound("r1"), 1, start=True)
    with pytest.raises(Conflict):
        await store.accept(inbound("r1", key="agent:default:bob", principal=BOB), 2, start=True)
    await store.finish_run(R1, reply("r1"), None, 3)
    accepted = await store.accept(inbound("r1", "bob's", key="agent:default:bob", principal=BOB), 4, start=True)
    assert accepted.duplicate is None
    bobs, alices = await store.run(R1, owner=BOB.owner), await store.run(R1, owner=ALICE.owner)
    assert bobs is not None
    assert alices is not None
    assert (bobs.inbound.message.text, bobs.state, alices.state) == ("bob's", "running", "ok")
    await store.delete_session(SessionKey("agent:default:bob"))
    assert await store.run(R1, owner=ALICE.owner) == alices


async def test_tenants_do_not_see_each_other(store: SqliteStore) -> None:
    here = (await store.accept(inbound("r1"), 1, start=True)).session
    there = (await store.accept(inbound("r2", principal=ELSEWHERE), 2, start=True)).session
    assert here.id != there.id
    view = store.for_tenant(TenantId("elsewhere"))
    assert await view.session(KEY) == there
    assert await store.session(KEY) == here
    assert await view.run(R1) is None
    await view.delete_session(KEY)
    assert await store.session(KEY) == here


@pytest.mark.parametrize("start", [True, False])
async def test_an_ephemeral_inbound_brings_its_history_as_steps(store: SqliteStore, *, start: bool) -> None:
    call = (assistant("", [ToolCall("c", "look")]), outcomes([Outcome("c", "look", "seen")]))
    history = (user("one"), *call, user("two"), assistant("three"))
    sent = inbound("r1", "four", history=history, ephemeral=True)
    session = (await store.accept(sent, 1, start=start)).session
    if not start:
        [waiting] = await store.open_runs()
        assert waiting.inbound == sent
        await store.begin_run(R1, 2)
    steps = await store.steps(session.id)
    assert [step.kind for step in steps] == ["inbound", "model", "inbound", "model", "inbound"]
    assert tuple(message for step in steps for message in step.messages) == (*history, sent.message)
    [run] = await store.open_runs()
    assert run.inbound == sent


async def test_a_lasting_inbound_keeps_its_history_out_of_the_transcript(store: SqliteStore) -> None:
    sent = inbound("r1", history=(user("one"), assistant("two")))
    session = (await store.accept(sent, 1, start=True)).session
    assert len(await store.steps(session.id)) == 1
    [run] = await store.open_runs()
    assert run.inbound == sent


async def test_an_invalid_transcript_is_never_committed(store: SqliteStore) -> None:
    call = assistant("", [ToolCall("c", "look")])
    with pytest.raises(InvalidRequest):
        await store.accept(inbound("r0", history=(call,), ephemeral=True), 1, start=True)
    session = (await store.accept(inbound("r1"), 1, start=True)).session
    broken = NewStep(kind="model", messages=(call,))
    with pytest.raises(InvalidRequest):
        await store.commit_step(R1, broken, 2)
    with pytest.raises(InvalidRequest):
        await store.finish_run(R1, reply("r1"), broken, 2)
    with pytest.raises(InvalidRequest):
        await store.append_notice(KEY, outcomes([Outcome("c", "look", "seen")]), 2)
    with pytest.raises(InvalidRequest):
        await store.finish_run(R1, reply("r1", state="running"), None, 2)
    assert len(await store.steps(session.id)) == 1
    assert await store.usage_since(0) == []


async def test_a_lone_surrogate_is_refused_as_invalid(store: SqliteStore) -> None:
    with pytest.raises(InvalidRequest):
        await store.accept(inbound("r1", "bad \ud800"), 1, start=True)
    with pytest.raises(InvalidRequest):
        await store.accept(inbound("r\ud800"), 1, start=True)
    assert await store.session(KEY, owner=OwnerId("x\x00' OR 1=1 --")) is None


async def test_text_comes_back_exactly(store: SqliteStore) -> None:
    text = 'nul \x00, quote " backslash \\ newline \n emoji 🦀 line separator \u2028'
    session = (await store.accept(inbound("r\x00'\"1", text), 1, start=True)).session
    [step] = await store.steps(session.id)
    assert (step.messages[0].text, step.run_id) == (text, "r\x00'\"1")


async def test_how_full_the_context_is_comes_from_the_last_model_call_and_is_unknown_after_a_summary(
    store: SqliteStore,
) -> None:
    session = (await store.accept(inbound("r1"), 1, start=True)).session
    await store.finish_run(R1, reply("r1"), answer(), 2)
    await store.accept(inbound("r2"), 3, start=True)
    await store.finish_run(R2, reply("r2", state="aborted"), None, 4)
    (known,) = (await store.sessions(limit=5))[0]
    assert known.prompt_tokens == 10
    summary = NewStep(kind="summary", messages=(user("old"),), covers_seq=1, provider="fake", usage=Usage(99, 1))
    await store.append_summary(KEY, summary, 5, session_id=session.id, run_id=R2)
    after = await store.session(KEY)
    assert after is not None
    assert (after.prompt_tokens, after.input_tokens) == (0, 109)
    assert (await store.reset_session(KEY, 6)).prompt_tokens == 0


async def test_an_ended_or_unknown_run_takes_no_more(store: SqliteStore) -> None:
    await store.accept(inbound("r1"), 1, start=True)
    await store.finish_run(R1, reply("r1", state="aborted"), None, 2)
    session = await store.session(KEY)
    assert session is not None
    assert session.aborted_last_run
    for write in (store.finish_run(R1, reply("r1"), answer(), 3), store.commit_step(R1, answer(), 3)):
        with pytest.raises(Conflict):
            await write
    with pytest.raises(Conflict):
        await store.begin_run(R1, 3)
    with pytest.raises(NotFound):
        await store.begin_run(R2, 3)
    with pytest.raises(NotFound):
        await store.commit_step(R2, answer(), 3)
    assert len(await store.steps(session.id)) == 1


async def test_a_reset_starts_afresh_and_keeps_the_old_transcript(store: SqliteStore) -> None:
    old = (await store.accept(inbound("r1"), 1, start=True)).session
    await store.commit_step(R1, answer(), 2)
    await store.patch_session(KEY, label="work", model="fake/m")
    fresh = await store.reset_session(KEY, 3, owner=ALICE.owner)
    assert fresh.id != old.id
    assert (fresh.label, fresh.model, fresh.input_tokens, fresh.created_at_ms) == ("work", "fake/m", 0, 3)
    assert await store.steps(fresh.id) == []
    await store.finish_run(R1, reply("r1"), answer(), 4)  # the run goes on in the old transcript
    assert [step.seq for step in await store.steps(old.id)] == [1, 2, 3]
    assert await store.session(KEY) == fresh


async def test_a_deleted_session_takes_all_but_the_ledger_with_it(store: SqliteStore) -> None:
    old = (await store.accept(inbound("r1"), 1, start=True)).session
    await store.finish_run(R1, reply("r1"), answer(), 2)
    fresh = await store.reset_session(KEY, 3)
    await store.accept(inbound("r2"), 4, start=False)
    assert await store.delete_session(KEY, owner=ALICE.owner) is True
    assert await store.delete_session(KEY) is False
    assert await store.session(KEY) is None
    assert await store.steps(old.id) == []
    assert await store.steps(fresh.id) == []
    assert await store.run(R1) is None
    with pytest.raises(NotFound):
        await store.finish_run(R2, reply("r2"), None, 5)
    assert len(await store.usage_since(0)) == 1


async def test_steps_can_be_read_page_by_page_from_the_end(store: SqliteStore) -> None:
    session = (await store.accept(inbound("r1"), 1, start=True)).session
    for number in range(2, 6):
        assert await store.append_notice(KEY, user(f"note {number}"), number) == number
    assert [step.seq for step in await store.steps(session.id, limit=2)] == [4, 5]
    assert [step.seq for step in await store.steps(session.id, limit=2, before_seq=4)] == [2, 3]
    assert [step.kind for step in await store.steps(session.id, limit=1)] == ["notice"]
    with pytest.raises(NotFound):
        await store.append_notice(SessionKey("agent:default:none"), user("x"), 6)


async def test_sessions_are_listed_latest_first_and_filtered(store: SqliteStore) -> None:
    for number in range(5):
        await store.accept(inbound(f"r{number}", key=f"agent:default:{number}"), number, start=True)
    await store.accept(inbound("e", key="agent:default:e", ephemeral=True), 9, start=True)
    rows, count = await store.sessions(limit=2, offset=1)
    assert ([row.key for row in rows], count) == (["agent:default:3", "agent:default:2"], 5)
    rows, count = await store.sessions(include_ephemeral=True)
    assert (rows[0].key, rows[0].ephemeral, count) == ("agent:default:e", True, 6)
    assert (await store.sessions(active_since_ms=3))[1] == 2
    assert (await store.sessions(owner=ALICE.owner, agent_id=AGENT))[1] == 5
    assert (await store.sessions(owner=BOB.owner))[1] == 0
    assert await store.sessions(limit=0) == ([], 5)


async def test_unused_ephemeral_sessions_are_pruned_but_not_under_an_open_run(store: SqliteStore) -> None:
    for number in range(4):
        await store.accept(inbound(f"r{number}", key=f"e{number}", ephemeral=True), number, start=True)
        if number != 1:
            await store.finish_run(RunId(f"r{number}"), reply(f"r{number}"), None, number)
    await store.accept(inbound("lasting"), 0, start=True)
    assert await store.prune_ephemeral(3, limit=1) == 1
    assert await store.prune_ephemeral(3) == 1
    assert {row.key for row in (await store.sessions(include_ephemeral=True))[0]} == {KEY, "e1", "e3"}
    assert await store.run(RunId("r0")) is None


async def test_unused_sessions_and_old_past_ones_go_with_their_transcripts(store: SqliteStore) -> None:
    for number in range(4):
        await store.accept(inbound(f"r{number}", key=f"s{number}"), number, start=True)
        if number != 1:
            await store.finish_run(RunId(f"r{number}"), reply(f"r{number}"), None, number)
    await store.reset_session(SessionKey("s3"), 3)
    assert await store.prune_transcripts(4, limit=1) == 1
    assert await store.prune_transcripts(3) == 1
    assert {row.key for row in (await store.sessions())[0]} == {"s1", "s3"}
    assert [await store.run(RunId(f"r{number}")) is None for number in range(4)] == [True, False, True, True]


async def test_usage_without_a_step_goes_to_the_ledger(store: SqliteStore) -> None:
    row = UsageRow(
        at_ms=5,
        run_id=RunId(""),
        session_key=SessionKey(""),
        agent_id=AGENT,
        tenant=ALICE.tenant,
        owner=ALICE.owner,
        provider="p",
        model="m",
        purpose="probe",
        usage=Usage(1, 2, 3, 4),
        latency_ms=9,
        first_token_ms=8,
        error_code="MODEL_TIMEOUT",
    )
    await store.record_usage([row, row])
    await store.record_usage([])
    assert await store.usage_since(5) == [row, row]
    assert await store.usage_since(5, limit=1) == [row]
    assert await store.usage_since(6) == []
    assert await store.usage_since(0, owner=BOB.owner) == []


async def test_attempts_are_counted_over_restarts(tmp_path: Path) -> None:
    for expected in (1, 2, 3):
        store = await SqliteStore.open(tmp_path / "db", clock=ManualClock())
        if expected == 1:
            await store.accept(inbound("r1"), 1, start=True)
        else:
            assert await store.begin_run(R1, 2) == expected
        [run] = await store.open_runs()
        assert (run.state, run.attempts) == ("running", expected)
        await store.close()


async def test_open_runs_come_oldest_first(store: SqliteStore) -> None:
    for run_id, at_ms in (("b", 2), ("a", 1), ("c", 2)):
        await store.accept(inbound(run_id), at_ms, start=True)
    assert [run.id for run in await store.open_runs()] == ["a", "b", "c"]


async def test_many_waiters_are_all_served_and_numbered_without_gaps(store: SqliteStore) -> None:
    session = (await store.accept(inbound("r1"), 0, start=True)).session

    async def notes(number: int) -> list[int]:
        return [await store.append_notice(KEY, user(f"{number}"), number) for _ in range(4)]

    seqs = await asyncio.gather(*(notes(number) for number in range(64)))
    assert sorted(seq for some in seqs for seq in some) == list(range(2, 258))
    assert len(await store.steps(session.id)) == 257


async def test_one_failing_write_leaves_its_neighbours_alone(store: SqliteStore) -> None:
    results = await asyncio.gather(
        *(store.accept(inbound(f"r{n}", principal=BOB if n % 3 == 2 else ALICE), n, start=True) for n in range(30)),
        return_exceptions=True,
    )
    assert [isinstance(result, NotFound) for result in results] == [n % 3 == 2 for n in range(30)]
    assert len(await store.open_runs()) == 20


async def test_closing_commits_what_is_queued_and_then_refuses(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "db", clock=ManualClock())
    accepts = asyncio.gather(*(store.accept(inbound(f"r{n}"), n, start=True) for n in range(100)))
    await asyncio.sleep(0)
    await asyncio.gather(store.close(), store.close())
    assert len(await accepts) == 100
    with pytest.raises(Unavailable):
        await store.ping()
    with pytest.raises(Unavailable):
        await store.session(KEY)
    again = await SqliteStore.open(tmp_path / "db", clock=ManualClock())
    assert len(await again.open_runs()) == 100
    await again.close()


async def test_two_stores_cannot_share_a_state_directory(store: SqliteStore, tmp_path: Path) -> None:
    with pytest.raises(StateLocked):
        await SqliteStore.open(tmp_path / "openclaw.db", clock=ManualClock())


async def test_a_lock_that_is_lent_stays_with_its_owner(tmp_path: Path) -> None:
    lock = StateLock(tmp_path)
    lock.acquire()
    store = await SqliteStore.open(tmp_path / "db", clock=ManualClock(), lock=lock)
    await store.close()
    assert lock.held
    lock.release()


def _names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


async def test_a_closed_store_leaves_neither_descriptors_nor_threads_nor_a_log(tmp_path: Path) -> None:
    before = len(_names(Path("/dev/fd")))
    for _ in range(5):
        store = await SqliteStore.open(tmp_path / "db", clock=ManualClock())
        await store.accept(inbound("r1"), 1, start=True)
        await store.close()
        assert _names(tmp_path) == ["db", "openclaw.lock"]
    assert len(_names(Path("/dev/fd"))) <= before
    for thread in threading.enumerate():
        if thread.name.startswith("openclaw-store"):
            thread.join(5)
            assert not thread.is_alive()


async def test_a_summary_outside_a_run_is_a_step_and_a_row_of_the_ledger(store: SqliteStore) -> None:
    session = (await store.accept(inbound("r1"), 1, start=True)).session
    told = NewStep(
        kind="summary",
        messages=(user("short"),),
        usage=Usage(30, 4),
        model="m",
        provider="fake",
        purpose="summary",
        covers_seq=1,
    )
    assert await store.append_summary(KEY, told, 5, session_id=session.id, run_id=R2) == 2
    step = (await store.steps(session.id))[-1]
    assert (step.kind, step.covers_seq, step.run_id) == ("summary", 1, "r2")
    (row,) = await store.usage_since(0)
    assert (row.purpose, row.usage, row.owner, row.run_id) == ("summary", Usage(30, 4), ALICE.owner, "r2")
    after = await store.session(KEY)
    assert after is not None
    assert (after.input_tokens, after.output_tokens, after.updated_at_ms) == (30, 4, 5)


async def test_a_summary_without_a_model_call_costs_nothing(store: SqliteStore) -> None:
    session = (await store.accept(inbound("r1"), 1, start=True)).session
    dropped = NewStep(kind="summary", messages=(user("dropped"),), covers_seq=1)
    await store.append_summary(KEY, dropped, 5, session_id=session.id, run_id=R2)
    assert await store.usage_since(0) == []


async def test_a_summary_of_a_session_that_was_reset_meanwhile_is_refused(store: SqliteStore) -> None:
    session = (await store.accept(inbound("r1"), 1, start=True)).session
    await store.reset_session(KEY, 2)
    step = NewStep(kind="summary", messages=(user("old"),), covers_seq=1)
    with pytest.raises(Conflict):
        await store.append_summary(KEY, step, 3, session_id=session.id, run_id=R2)
    with pytest.raises(NotFound):
        await store.append_summary(SessionKey("agent:default:none"), step, 3, session_id=session.id, run_id=R2)


async def test_a_message_sent_again_is_known_though_another_owner_uses_its_id_by_now(store: SqliteStore) -> None:
    await store.accept(inbound("r1", key="agent:default:b", principal=BOB), 1, start=True)
    await store.finish_run(R1, reply("r1", key="agent:default:b"), answer(), 2)
    await store.accept(inbound("r1", principal=ALICE), 3, start=True)
    again = await store.accept(inbound("r1", key="agent:default:b", principal=BOB), 4, start=True)
    assert again.duplicate is not None
    assert again.duplicate.state == "ok"
