"""The study on a real store: order, durability, tools, limits, stopping, resuming."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from openclaw.agent.api import Run
from openclaw.agent.asking import _without_images
from openclaw.base.clock import ManualClock
from openclaw.base.errors import InvalidRequest, LaneBusy, ModelNotFound, ModelTimeout, NotFound, Unavailable
from openclaw.base.ids import AgentId, RunId, SessionKey
from openclaw.base.message import ImagePart, Message, ToolCall, ToolOutcome, assistant, user
from openclaw.base.model import ModelEvent, ModelFinish, TextDelta, ToolCallDelta
from openclaw.base.principal import LOCAL_OPERATOR, Principal
from openclaw.base.run import Inbound, RunEnded, RunEvent, RunStarted, ToolFinished, ToolStarted
from openclaw.config.schema import LimitsConfig, QueueConfig
from openclaw.models.fake.client import FakeClient
from openclaw.store.sqlite import SqliteStore
from openclaw.telemetry.log import JsonFormatter

from .house import KEY, MAIN, config_of, house, inbound, until

pytestmark = pytest.mark.anyio


def calls(*names: str, text: str = "", start: int = 0) -> list[ModelEvent]:
    events: list[ModelEvent] = [TextDelta(text)] if text else []
    events += [ToolCallDelta(i, f"c{start + i}", name, "{}") for i, name in enumerate(names)]
    return [*events, ModelFinish("tool_calls")]


async def collect(run: Run) -> list[RunEvent]:
    return [event async for batch in run.events() for event in batch]


async def test_a_message_is_answered_and_both_are_in_the_transcript(tmp_path: Path) -> None:
    async with house(tmp_path, FakeClient(["Tokyo."])) as here:
        reply = await (await here.say("Capital of Japan?")).result()
        assert (reply.state, reply.text, reply.finish_reason) == ("ok", "Tokyo.", "stop")
        assert await here.texts() == ["Capital of Japan?", "Tokyo."]


async def test_the_log_has_a_line_for_each_run_and_none_of_its_words(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "openclaw.agent")
    async with house(tmp_path, FakeClient(["Tokyo."])) as here:
        reply = await (await here.say("Capital of Japan?")).result()
    (line,) = [json.loads(JsonFormatter().format(one)) for one in caplog.records if one.getMessage() == "run_ended"]
    named = {"request_id", "session", "agent", "channel", "principal", "provider", "model", "tokens", "duration_ms"}
    assert named < set(line)
    assert (line["request_id"], line["model"], line["state"]) == (reply.run_id, reply.model, "ok")
    assert line["tokens"] == reply.usage.total_tokens
    assert "Tokyo" not in caplog.text + json.dumps(line)
    assert "Japan" not in caplog.text + json.dumps(line)


async def test_a_reply_is_durable_before_it_is_told(tmp_path: Path) -> None:
    async with house(tmp_path, FakeClient(["hello"])) as here:
        run = await here.say("hi")
        async for batch in run.events():
            if isinstance(batch[-1], RunEnded):
                row = await here.store.run(run.id)
                assert row is not None
                assert row.reply == batch[-1].reply


async def test_history_is_sent_to_the_model_in_order(tmp_path: Path) -> None:
    async with house(tmp_path, FakeClient(["one", "two"])) as here:
        await (await here.say("a")).result()
        await (await here.say("b")).result()
        assert here.client.requests[-1].messages == (user("a"), assistant("one"), user("b"))


async def test_a_tool_call_and_its_result_are_one_step(tmp_path: Path) -> None:
    client = FakeClient([calls("look", text="Looking."), "Found it."])
    async with house(tmp_path, client, functions={"look": lambda _: "42"}) as here:
        run = await here.say("find")
        events = await collect(run)
        reply = await run.result()
        kinds = [type(event) for event in events if not isinstance(event, TextDelta)]
        assert kinds == [RunStarted, ToolStarted, ToolFinished, RunEnded]
        assert reply.text == "Looking.\n\nFound it."
        assert "".join(event.text for event in events if isinstance(event, TextDelta)) == reply.text
        assert [(a.name, a.result) for a in reply.actions] == [("look", "42")]
        steps = await here.study.history(KEY, LOCAL_OPERATOR)
        assert steps[1].messages == (
            assistant("Looking.", [ToolCall("c0", "look", "{}")]),
            Message("tool", (ToolOutcome("c0", "look", "42"),)),
        )


async def test_late_readers_get_every_event_from_the_start(tmp_path: Path) -> None:
    async with house(tmp_path, FakeClient(["late"])) as here:
        run = await here.say("x")
        await run.result()
        events = await collect(run)
        assert isinstance(events[-1], RunEnded)
        again = here.study.live_run(run.id)
        assert again is not None
        assert any(isinstance(event, TextDelta) and event.text == "late" for event in await collect(again))


async def test_a_repeated_run_id_gets_the_first_answer_and_no_second_run(tmp_path: Path) -> None:
    async with house(tmp_path, FakeClient(["first", "second"])) as here:
        one, two = await asyncio.gather(here.say("x", run_id="same"), here.say("x", run_id="same"))
        assert sorted((one.duplicate, two.duplicate)) == [False, True]
        assert (await one.result()).text == (await two.result()).text == "first"
        assert len(here.client.requests) == 1


async def test_a_run_id_repeated_after_a_restart_gets_the_archived_answer(tmp_path: Path) -> None:
    async with house(tmp_path, FakeClient(["first"])) as here:
        await (await here.say("x", run_id="same")).result()
    async with house(tmp_path, FakeClient(["second"])) as here:
        run = await here.say("x", run_id="same")
        assert run.duplicate
        assert (await run.result()).text == "first"


async def test_one_session_runs_one_at_a_time_and_in_order(tmp_path: Path) -> None:
    clock = ManualClock()
    client = FakeClient(clock=clock)
    async with house(tmp_path, client, clock=clock) as here:
        runs = [await here.say(f"m{i}", model="fake/fake-n1-d10") for i in range(5)]
        assert [run.state for run in runs[1:]] == ["queued"] * 4
        results = asyncio.gather(*(run.result() for run in runs))
        for _ in range(500):
            clock.advance(0.1)
            await asyncio.sleep(0.001)
            if results.done():
                break
            assert sum(run.state == "running" for run in runs) <= 1
        replies = await results
        assert [reply.started_at_ms for reply in replies] == sorted(reply.started_at_ms for reply in replies)
        roles = [message.role for message in await here.transcript()]
        assert roles == ["user", "assistant"] * 5


async def test_the_global_cap_holds_and_everyone_is_served(tmp_path: Path) -> None:
    box_hold = asyncio.Event()
    client = FakeClient([step for _ in range(6) for step in (calls("wait"),)] + ["done"] * 6)
    config = config_of(max_concurrent=2)
    async with house(tmp_path, client, config=config, functions={"wait": lambda _: "ok"}) as here:
        here.box.hold = box_hold
        runs = [await here.say("x", key=SessionKey(f"agent:main:s{i}")) for i in range(6)]
        await until(lambda: len(here.box.calls) == 2)
        assert here.study.running() == 2
        box_hold.set()
        replies = await asyncio.gather(*(run.result() for run in runs))
        assert {reply.state for reply in replies} == {"ok"}
        await until(lambda: here.study.running() == 0)
        assert here.study.queued() == 0


async def stopped_reply(tmp_path: Path, client: FakeClient, hold_tool: bool) -> tuple[Run, list[Message]]:
    async with house(tmp_path, client, functions={"wait": lambda _: "ok"}) as here:
        if hold_tool:
            here.box.hold = asyncio.Event()
        run = await here.say("go", model="fake/fake-n100-d20" if not hold_tool else None)
        reader = asyncio.ensure_future(collect(run))
        if hold_tool:
            await until(lambda: bool(here.box.calls))
        else:
            await until(lambda: run.state == "running")
            async for batch in run.events():
                if any(isinstance(event, TextDelta) for event in batch):
                    break
        assert await here.study.abort(KEY, LOCAL_OPERATOR) == [run.id]
        async with asyncio.timeout(0.3):
            reply = await run.result()
        assert reply.state == "aborted"
        assert reply.error is not None
        await reader
        return run, await here.transcript()


async def test_an_abort_stops_the_stream_and_keeps_what_was_said(tmp_path: Path) -> None:
    run, transcript = await stopped_reply(tmp_path, FakeClient(), hold_tool=False)
    reply = await run.result()
    assert reply.text
    assert transcript[-1].text == reply.text


async def test_an_abort_during_a_tool_leaves_no_call_without_a_result(tmp_path: Path) -> None:
    _, transcript = await stopped_reply(tmp_path, FakeClient([calls("wait")]), hold_tool=True)
    assert [message.role for message in transcript] == ["user", "assistant", "tool"]
    outcome = transcript[-1].parts[0]
    assert isinstance(outcome, ToolOutcome)
    assert outcome.is_error


async def test_an_abort_takes_the_queue_with_it_and_the_session_goes_on(tmp_path: Path) -> None:
    async with house(tmp_path, FakeClient()) as here:
        first = await here.say("a", model="fake/fake-n100-d20")
        second = await here.say("b")
        assert await here.study.abort(KEY, LOCAL_OPERATOR) == [first.id, second.id]
        assert (await second.result()).state == "aborted"
        await first.result()
        assert (await (await here.say("c")).result()).state == "ok"


async def test_only_the_owner_or_an_admin_may_stop_a_run(tmp_path: Path) -> None:
    async with house(tmp_path, FakeClient()) as here:
        run = await here.say("a", model="fake/fake-n100-d20")
        stranger = Principal(owner="someone else", scopes=frozenset({"operator.write"}))  # type: ignore[arg-type]
        assert await here.study.abort(KEY, stranger) == []
        assert await here.study.session(KEY, stranger) is None
        assert run.state in {"queued", "running"}


async def test_a_failed_model_ends_the_run_with_its_typed_error(tmp_path: Path) -> None:
    async with house(tmp_path, FakeClient([ModelTimeout("too slow")])) as here:
        reply = await (await here.say("x")).result()
        assert reply.state == "error"
        assert reply.error is not None
        assert reply.error["code"] == "MODEL_TIMEOUT"
        ledger = await here.store.usage_since(0)
        assert [row.error_code for row in ledger] == ["MODEL_TIMEOUT"]


async def test_a_stream_that_breaks_off_is_an_error_and_keeps_what_was_said(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        reply = await (await here.say("x", model="fake/fake-n10-errdrop")).result()
        assert reply.state == "error"
        transcript = await here.texts()
        assert transcript[0] == "x"


async def test_the_wall_limit_ends_a_run_that_takes_too_long(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        reply = await (await here.say("x", model="fake/fake-n1000-d50", timeout_s=0.05)).result()
        assert reply.error is not None
        assert reply.error["code"] == "RUN_LIMIT"


async def test_a_model_that_only_calls_tools_meets_the_step_limit(tmp_path: Path) -> None:
    script: Sequence[list[ModelEvent]] = [calls("tick", start=i) for i in range(10)]
    counter = iter(range(100))
    config = config_of(limits=LimitsConfig(steps=3))
    async with house(
        tmp_path, FakeClient(script), config=config, functions={"tick": lambda _: str(next(counter))}
    ) as here:
        reply = await (await here.say("x")).result()
        assert reply.error is not None
        assert reply.error["code"] == "RUN_LIMIT"
        assert len(here.box.calls) == 3


async def test_a_loop_of_the_same_outcome_is_stopped(tmp_path: Path) -> None:
    script = [calls("same", start=i) for i in range(10)]
    async with house(tmp_path, FakeClient(script), functions={"same": lambda _: "x"}) as here:
        reply = await (await here.say("x")).result()
        assert reply.error is not None
        assert len(here.box.calls) == 4


async def test_steering_reaches_the_model_at_the_next_step(tmp_path: Path) -> None:
    client = FakeClient([calls("wait"), "I changed course."])
    async with house(tmp_path, client, functions={"wait": lambda _: "ok"}) as here:
        here.box.hold = asyncio.Event()
        first = await here.say("go")
        await until(lambda: bool(here.box.calls))
        second = await here.say("turn left", lane_mode="steer")
        here.box.hold.set()
        assert (await first.result()).text == (await second.result()).text == "I changed course."
        assert [m.role for m in await here.transcript()] == ["user", "assistant", "tool", "user", "assistant"]
        assert here.client.requests[-1].messages[-1] == user("turn left")


async def test_a_steering_message_that_comes_too_late_runs_on_its_own(tmp_path: Path) -> None:
    client = FakeClient(["one", "two"])
    async with house(tmp_path, client) as here:
        first = await here.say("a")
        second = await here.say("b", lane_mode="steer")
        replies = {(await first.result()).text, (await second.result()).text}
        assert replies <= {"one", "two"}
        assert (await here.texts())[0] == "a"


async def test_collect_joins_everything_that_waits_into_one_turn(tmp_path: Path) -> None:
    client = FakeClient([calls("wait"), "first", "all three"])
    config = config_of(queue=QueueConfig(mode="collect"))
    async with house(tmp_path, client, config=config, functions={"wait": lambda _: "ok"}) as here:
        here.box.hold = asyncio.Event()
        await here.say("go")
        await until(lambda: bool(here.box.calls))
        waiting = [await here.say(f"w{i}") for i in range(3)]
        here.box.hold.set()
        assert {(await run.result()).text for run in waiting} == {"all three"}
        assert len(here.client.requests) == 3
        assert (await here.texts())[-4:] == ["w0", "w1", "w2", "all three"]
        await until(lambda: here.study.queued() == 0)


async def test_interrupt_stops_the_run_and_goes_next(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        first = await here.say("a", model="fake/fake-n1000-d20")
        waiting = await here.say("b")
        newest = await here.say("c", lane_mode="interrupt")
        assert (await newest.result()).state == "ok"
        assert [(await run.result()).state for run in (first, waiting)] == ["aborted", "aborted"]


async def test_a_full_queue_refuses_or_drops_by_its_policy(tmp_path: Path) -> None:
    config = config_of(queue=QueueConfig(cap=1))
    async with house(tmp_path / "a", config=config) as here:
        await here.say("a", model="fake/fake-n1000-d20")
        await here.say("b")
        with pytest.raises(LaneBusy):
            await here.say("c")
        await here.study.abort(KEY, LOCAL_OPERATOR)
    config = config_of(queue=QueueConfig(cap=1, drop="summarise"))
    async with house(
        tmp_path / "b", FakeClient([calls("wait"), "ok", "yes"]), config=config, functions={"wait": str}
    ) as here:
        here.box.hold = asyncio.Event()
        await here.say("a")
        dropped = await here.say("drop me")
        kept = await here.say("c")
        reply = await dropped.result()
        assert reply.error is not None
        assert reply.error["code"] == "LANE_BUSY"
        here.box.hold.set()
        assert (await kept.result()).state == "ok"
        assert "drop me" in str(here.client.requests[-1].messages)


BAD: dict[str, Inbound] = {
    "agent": msgspec.structs.replace(inbound("x"), agent_id=AgentId("nobody")),
    "model": inbound("x", model="nope/x"),
    "empty": msgspec.structs.replace(inbound("x"), message=Message("user", ())),
    "long id": inbound("x", run_id="r" * 300),
}


@pytest.mark.parametrize("bad", BAD)
async def test_bad_requests_are_refused_and_leave_nothing_behind(tmp_path: Path, bad: str) -> None:
    async with house(tmp_path) as here:
        with pytest.raises((NotFound, ModelNotFound, InvalidRequest)):
            await here.study.submit(BAD[bad])
        assert here.study.queued() == 0
        assert (await here.study.sessions(LOCAL_OPERATOR))[1] == 0


async def test_a_stateless_call_brings_its_own_history(tmp_path: Path) -> None:
    key = SessionKey("agent:main:openai:1")
    async with house(tmp_path, FakeClient(["three"])) as here:
        run = await here.study.submit(
            inbound("c", key=key, ephemeral=True, history=(user("a"), assistant("b")), system="Be terse.")
        )
        await run.result()
        request = here.client.requests[-1]
        assert request.messages == (user("a"), assistant("b"), user("c"))
        assert request.system.endswith("Be terse.")
        assert await here.texts(key) == ["a", "b", "c", "three"]
        assert (await here.study.sessions(LOCAL_OPERATOR))[1] == 0


async def test_a_model_without_tools_is_sent_none(tmp_path: Path) -> None:
    async with house(tmp_path, functions={"look": str}, profile={"tools": False}) as here:
        await (await here.say("x")).result()
        assert here.client.requests[-1].tools == ()
        assert "Tools:" not in here.client.requests[-1].system


async def test_the_prompt_prefix_is_byte_stable_over_turns(tmp_path: Path) -> None:
    async with house(tmp_path, functions={"look": str, "find": str}) as here:
        for number in range(20):
            await (await here.say(f"turn {number}")).result()
        assert len({(request.system, repr(request.tools)) for request in here.client.requests}) == 1


async def test_reset_starts_afresh_and_delete_leaves_nothing(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        await (await here.say("a")).result()
        before = await here.study.session(KEY, LOCAL_OPERATOR)
        after = await here.study.reset_session(KEY, LOCAL_OPERATOR)
        assert before is not None
        assert before.id != after.id
        assert await here.transcript() == []
        assert await here.study.delete_session(KEY, LOCAL_OPERATOR)
        assert not await here.study.delete_session(KEY, LOCAL_OPERATOR)
        with pytest.raises(NotFound):
            await here.study.reset_session(KEY, LOCAL_OPERATOR)


async def test_a_reset_during_a_run_stops_it_first(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        run = await here.say("a", model="fake/fake-n1000-d20")
        await until(lambda: run.state == "running")
        await here.study.reset_session(KEY, LOCAL_OPERATOR)
        assert (await run.result()).state == "aborted"
        assert await here.transcript() == []


async def crashed_store(folder: Path, **more: object) -> None:
    """Leave an accepted message behind, as a crash does."""
    from openclaw.base.clock import SYSTEM_CLOCK

    store = await SqliteStore.open(folder / "openclaw.db", clock=SYSTEM_CLOCK)
    await store.accept(inbound("unanswered", run_id="lost", **more), 1_800_000_000_000, start=True)  # type: ignore[arg-type]
    await store.close()


async def test_what_a_crash_left_is_resumed_and_answered(tmp_path: Path) -> None:
    await crashed_store(tmp_path)
    async with house(tmp_path, FakeClient(["here it is"]), grace_s=5) as here:
        assert await here.study.resume() == (1, 0)
        run = here.study.live_run(RunId("lost"))
        assert run is not None
        assert (await run.result()).text == "here it is"
        assert await here.texts() == ["unanswered", "here it is"]
        assert await here.store.open_runs() == []


async def test_a_stateless_call_that_a_crash_cut_is_reported_not_run_again(tmp_path: Path) -> None:
    await crashed_store(tmp_path, ephemeral=True, stateless=True)
    async with house(tmp_path) as here:
        assert await here.study.resume() == (0, 1)
        row = await here.study.past_run(RunId("lost"))
        assert row is not None
        assert row.reply is not None
        assert row.reply.error is not None
        assert row.reply.error["code"] == "RUN_INTERRUPTED"
        assert not here.client.requests


async def test_a_run_that_kills_the_gateway_again_and_again_is_given_up(tmp_path: Path) -> None:
    await crashed_store(tmp_path)
    for _ in range(3):
        async with house(tmp_path, FakeClient()) as here:
            here.models.profile["name"] = "x"
            here.client._knobs = lambda _: (_ for _ in ()).throw(SystemError)  # type: ignore[assignment,method-assign]
            rows = await here.store.open_runs()
            if rows[0].attempts > 2:
                break
            await here.store.begin_run(RunId("lost"), 1)
    async with house(tmp_path) as here:
        assert await here.study.resume() == (0, 1)
        assert "[the gateway stopped" in (await here.texts())[-1]


async def test_a_shutdown_parks_the_run_and_who_waits_behind_it_and_the_next_start_takes_them_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with house(tmp_path) as here:
        run = await here.say("slow", run_id="parked", model="fake/fake-n1000-d20")
        await until(lambda: run.state == "running")
        await here.say("next", run_id="behind")
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []
    reply = await run.result()
    assert reply.error is not None
    assert reply.error["code"] == "RUN_INTERRUPTED"
    async with house(tmp_path, FakeClient(["done", "done too"])) as here:
        assert await here.study.resume() == (2, 0)
        for run_id, text in (("parked", "done"), ("behind", "done too")):
            resumed = here.study.live_run(RunId(run_id))
            assert resumed is not None
            assert (await resumed.result()).text == text


async def test_a_draining_study_takes_nothing_in(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        await here.study.stop(0)
        with pytest.raises(Unavailable):
            await here.say("x")


async def test_agents_are_listed_with_their_problem(tmp_path: Path) -> None:
    async with house(tmp_path, functions={"look": str}) as here:
        (agent,) = here.study.agents()
        assert (agent.id, agent.default, agent.tools, agent.problem) == (MAIN, True, ("look",), "")
        assert here.study.resolve_agent("default") == MAIN
        with pytest.raises(NotFound):
            here.study.resolve_agent("nobody")


async def test_what_is_remembered_of_a_session_is_what_the_archive_holds(tmp_path: Path) -> None:
    async with house(tmp_path, functions={"look": lambda _: "seen"}) as here:
        for number in range(6):
            text = "/tool look {}" if number % 2 else f"turn {number}"
            if number == 4:
                await here.store.append_notice(KEY, assistant("a note from outside"), 1)
            await (await here.say(text)).result()
            expected = (await here.transcript())[:-1]
            assert list(here.client.requests[-1].messages) == expected


async def test_a_model_without_eyes_is_told_that_an_image_was_there(tmp_path: Path) -> None:
    picture = ImagePart("image/png", "aGk=")
    async with house(tmp_path, profile={"images": False}) as here:
        message = Message("user", (picture, *user("what is it?").parts))
        await (await here.study.submit(msgspec.structs.replace(inbound("x"), message=message))).result()
        shown = here.client.requests[-1].messages[0]
        assert [type(part) for part in shown.parts] == [type(part) for part in user("a").parts * 2]
        assert "left out" in shown.text


def test_what_a_tool_showed_is_told_in_words_too() -> None:
    outcome = ToolOutcome("c", "look", "a cat", images=(ImagePart("image/png", "aGk="),))
    (told,) = _without_images(Message("tool", (outcome,))).parts
    assert isinstance(told, ToolOutcome)
    assert told.images == ()
    assert told.text.startswith("a cat")
