"""What a crash leaves of a turn whose tools were running, and runs that begin before their message is durable."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.base.errors import ModelAuth, Unavailable
from openclaw.base.ids import RunId, SessionKey
from openclaw.base.message import Message, ToolCall, ToolOutcome, assistant, user
from openclaw.base.model import ModelEvent, ModelFinish, TextDelta, ToolCallDelta, ToolSpec, Usage
from openclaw.base.run import Inbound
from openclaw.models.fake.client import FakeClient
from openclaw.store.api import Accepted, PendingStep
from openclaw.store.sqlite import SqliteStore

from .house import KEY, house, inbound

pytestmark = pytest.mark.anyio

ASKED = assistant("On it.", [ToolCall("c1", "pay", '{"n":1}'), ToolCall("c2", "mail", "{}")])


async def interrupted(folder: Path, known: tuple[ToolOutcome, ...]) -> None:
    store = await SqliteStore.open(folder / "openclaw.db", clock=SYSTEM_CLOCK)
    await store.accept(inbound("do it", run_id="cut"), 1_800_000_000_000, start=True)
    await store.pend(
        RunId("cut"),
        PendingStep(message=ASKED, outcomes=known, usage=Usage(5, 7), model="echo", provider="fake"),
    )
    await store.close()


@pytest.mark.parametrize(("known", "again"), [((), ["pay", "mail"]), ((ToolOutcome("c1", "pay", "paid"),), ["mail"])])
async def test_tools_whose_outcome_is_known_do_not_act_again(
    tmp_path: Path, known: tuple[ToolOutcome, ...], again: list[str]
) -> None:
    await interrupted(tmp_path, known)
    functions = {"pay": lambda _: "paid", "mail": lambda _: "sent"}
    async with house(tmp_path, FakeClient(["All done."]), functions=functions) as here:
        assert await here.study.resume() == (1, 0)
        run = here.study.live_run(RunId("cut"))
        assert run is not None
        reply = await run.result()
        assert here.box.calls == again
        assert reply.text == "On it.\n\nAll done."
        assert [(record.name, record.result) for record in reply.actions] == [("pay", "paid"), ("mail", "sent")]
        outcomes = Message("tool", (ToolOutcome("c1", "pay", "paid"), ToolOutcome("c2", "mail", "sent")))
        assert await here.transcript() == [user("do it"), ASKED, outcomes, assistant("All done.")]
        assert await here.store.pending(RunId("cut")) is None


async def test_every_try_of_a_call_has_the_same_idempotency_key(tmp_path: Path) -> None:
    await interrupted(tmp_path, ())
    async with house(tmp_path, FakeClient(["ok"]), functions={"pay": str, "mail": str}) as here:
        await here.study.resume()
        run = here.study.live_run(RunId("cut"))
        assert run is not None
        await run.result()
        assert here.box.keys == ["cut:c1", "cut:c2"]


def stateless(text: str, run_id: str = "") -> Inbound:
    return inbound(text, key=SessionKey(f"agent:main:openai:{text}"), run_id=run_id, ephemeral=True, stateless=True)


async def test_a_stateless_call_whose_message_cannot_be_stored_shows_nothing(tmp_path: Path) -> None:
    async with house(tmp_path) as here:

        async def refuse(message: Inbound, now_ms: int, *, start: bool) -> Accepted:
            await asyncio.sleep(0.01)
            raise Unavailable("disk full")

        here.store.accept = refuse  # type: ignore[method-assign,assignment]
        with pytest.raises(Unavailable):
            await here.study.submit(stateless("x"))
        assert here.study.running() == here.study.queued() == 0


async def test_a_stateless_call_whose_model_fails_first_is_still_accepted_and_answered_with_the_error(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, FakeClient([ModelAuth("bad key")])) as here:
        reply = await (await here.study.submit(stateless("x", "r1"))).result()
        assert reply.error is not None
        assert reply.error["code"] == "MODEL_AUTH"
        row = await here.store.run(RunId("r1"))
        assert row is not None
        assert row.state == "error"


async def test_a_repeated_stateless_call_is_answered_once(tmp_path: Path) -> None:
    async with house(tmp_path, FakeClient(["one", "two"])) as here:
        await (await here.study.submit(stateless("x", "same"))).result()
    async with house(tmp_path, FakeClient(["three"])) as here:
        run = await here.study.submit(stateless("x", "same"))
        assert run.duplicate
        assert (await run.result()).text == "one"


def calls(*names: str, text: str = "") -> list[ModelEvent]:
    events: list[ModelEvent] = [TextDelta(text)] if text else []
    events += [ToolCallDelta(i, f"c{i}", name, '{"a":1}') for i, name in enumerate(names)]
    return [*events, ModelFinish("tool_calls")]


async def test_a_call_of_the_callers_own_tool_ends_the_run_and_stays_out_of_the_transcript(tmp_path: Path) -> None:
    theirs = ToolSpec("their_tool", "x", {"type": "object", "properties": {}})
    client = FakeClient([calls("their_tool", text="Let me see.")])
    async with house(tmp_path, client, functions={"ours": str}) as here:
        reply = await (await here.say("go", client_tools=(theirs,))).result()
        assert (reply.state, reply.finish_reason) == ("ok", "tool_calls")
        assert reply.client_calls == (ToolCall("c0", "their_tool", '{"a":1}'),)
        assert {tool.name for tool in client.requests[0].tools} == {"ours", "their_tool"}
        assert await here.transcript(KEY) == [user("go"), assistant("Let me see.")]
        assert here.box.calls == []


async def test_the_caller_is_given_its_own_calls_only_and_its_tools_win_over_ours(tmp_path: Path) -> None:
    theirs = tuple(ToolSpec(name, "theirs", {"type": "object", "properties": {}}) for name in ("mine", "shared"))
    client = FakeClient([calls("ours", "mine")])
    async with house(tmp_path, client, functions={"ours": str, "shared": str}) as here:
        reply = await (await here.say("go", client_tools=theirs)).result()
        assert [call.name for call in reply.client_calls] == ["mine"]
        assert [(tool.name, tool.description) for tool in client.requests[0].tools] == [
            ("ours", "ours"),
            ("mine", "theirs"),
            ("shared", "theirs"),
        ]
