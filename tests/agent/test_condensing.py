"""Sessions made smaller on request: always smaller, alone in their lane, and honest about what was lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import pytest

from openclaw.agent.api import CompactedSession
from openclaw.agent.compaction import MARK
from openclaw.agent.condensing import DROPPED
from openclaw.agent.conversation import Conversation
from openclaw.base.errors import LaneBusy, ModelOverloaded, NotFound, RunAborted, Unavailable
from openclaw.base.ids import OwnerId, SessionKey
from openclaw.base.message import assistant, user
from openclaw.base.model import ModelEvent, ModelFinish, ModelRequest, TextDelta, Usage
from openclaw.base.principal import LOCAL_OPERATOR, Principal
from openclaw.models.fake.client import FakeClient

from .house import KEY, House, house, until

pytestmark = pytest.mark.anyio


class Talker(FakeClient):
    """Answers at length, and summarises as it is told to: a text, or an error; `hold` keeps summaries waiting."""

    def __init__(self, summary: str | Exception = "They like tea.") -> None:
        super().__init__()
        self.summary = summary
        self.hold: asyncio.Event | None = None
        self.summaries = 0

    def script_for(self, request: ModelRequest) -> list[ModelEvent]:
        if request.purpose != "summary":
            return [TextDelta(f"answer to {request.messages[-1].text[:20]} " + "word " * 60), ModelFinish("stop")]
        if isinstance(self.summary, Exception):
            raise self.summary
        return [TextDelta(self.summary), ModelFinish("stop", Usage(50, 5))]

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[ModelEvent], None]:
        if request.purpose == "summary":
            self.summaries += 1
            if self.hold is not None:
                await self.hold.wait()
        self._script.append(self.script_for(request))
        async for batch in super().stream(request):
            yield batch


class Hearing:
    """Keeps what observers are told of sessions."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def on_run_events(self, run: object, events: object) -> None:
        pass

    def on_run_accepted(self, run: object, session: object) -> None:
        pass

    def on_session_changed(self, session: object, reason: str) -> None:
        self.reasons.append(reason)


async def talk(here: House, turns: int) -> None:
    for number in range(turns):
        assert (await (await here.say(f"message {number} " + "pad " * 30)).result()).state == "ok"


async def begun(here: House, client: Talker) -> tuple[asyncio.Future[CompactedSession], asyncio.Event]:
    """Begin a compaction, wait until its summary was asked for, and return it with what lets the summary come."""
    client.hold, before = asyncio.Event(), client.summaries
    compacting = asyncio.ensure_future(here.study.compact_session(KEY, LOCAL_OPERATOR))
    await until(lambda: client.summaries > before)
    return compacting, client.hold


async def shown(here: House) -> list[str]:
    """What the model is shown from now on."""
    row = await here.study.session(KEY, LOCAL_OPERATOR)
    assert row is not None
    return [message.text for message in (await Conversation.load(here.store, row.id)).messages()]


async def test_everything_but_the_last_exchange_becomes_a_summary(tmp_path: Path) -> None:
    async with house(tmp_path, Talker()) as here:
        heard = Hearing()
        here.study.observe(heard)
        await talk(here, 4)
        done = await here.study.compact_session(KEY, LOCAL_OPERATOR)
        assert (done.compacted, done.messages, done.kept, done.reason) == (True, 6, 2, "")
        assert done.summary == MARK + "They like tea."
        assert done.tokens_after < done.tokens_before / 2
        texts = await shown(here)
        assert texts[0] == MARK + "They like tea."
        assert texts[1].startswith("message 3")
        assert len(texts) == 3
        assert heard.reasons == ["compact"]
        assert len(await here.transcript()) == 9, "the archive keeps every message"


async def test_the_next_turn_is_shown_the_summary(tmp_path: Path) -> None:
    client = Talker()
    async with house(tmp_path, client) as here:
        await talk(here, 3)
        await here.study.compact_session(KEY, LOCAL_OPERATOR)
        await (await here.say("and now?")).result()
        assert client.requests[-1].messages[0] == user(MARK + "They like tea.")
        assert client.requests[-1].messages[-1] == user("and now?")


async def test_what_a_summary_cost_is_in_the_ledger_under_its_purpose(tmp_path: Path) -> None:
    async with house(tmp_path, Talker()) as here:
        await talk(here, 3)
        await here.study.compact_session(KEY, LOCAL_OPERATOR)
        rows = [row for row in await here.store.usage_since(0) if row.purpose == "summary"]
        assert [(row.usage, row.owner) for row in rows] == [(Usage(50, 5), LOCAL_OPERATOR.owner)]


@pytest.mark.parametrize("failure", [ModelOverloaded("busy"), "   "])
async def test_without_a_summary_old_messages_are_dropped_and_that_is_said(
    tmp_path: Path, failure: str | Exception
) -> None:
    async with house(tmp_path, Talker(failure)) as here:
        await talk(here, 4)
        done = await here.study.compact_session(KEY, LOCAL_OPERATOR)
        assert done.compacted
        assert done.reason
        assert not done.summary
        assert done.tokens_after < done.tokens_before
        assert (await shown(here))[0] == DROPPED
        assert (await (await here.say("go on")).result()).state == "ok"


async def test_an_earlier_summary_outlives_a_model_that_fails(tmp_path: Path) -> None:
    client = Talker()
    async with house(tmp_path, client) as here:
        await talk(here, 3)
        await here.study.compact_session(KEY, LOCAL_OPERATOR)
        client.summary = ModelOverloaded("busy")
        for _ in range(2):
            await talk(here, 2)
            done = await here.study.compact_session(KEY, LOCAL_OPERATOR)
            assert done.tokens_after < done.tokens_before
            assert (await shown(here))[0] == f"{MARK}They like tea.\n{DROPPED}"


async def test_a_summary_longer_than_what_it_stands_for_is_cut(tmp_path: Path) -> None:
    async with house(tmp_path, Talker("blah " * 700)) as here:
        await talk(here, 3)
        done = await here.study.compact_session(KEY, LOCAL_OPERATOR)
        assert done.tokens_after < done.tokens_before


async def test_a_second_compaction_finds_nothing_and_asks_nobody(tmp_path: Path) -> None:
    client = Talker()
    async with house(tmp_path, client) as here:
        await talk(here, 3)
        await here.study.compact_session(KEY, LOCAL_OPERATOR)
        again = await here.study.compact_session(KEY, LOCAL_OPERATOR)
        assert (again.compacted, again.messages, client.summaries) == (False, 0, 1)
        assert again.reason
        await talk(here, 1)
        assert (await here.study.compact_session(KEY, LOCAL_OPERATOR)).compacted
        assert (await shown(here))[0].startswith(MARK)


async def test_a_last_exchange_larger_than_what_is_kept_goes_too(tmp_path: Path) -> None:
    async with house(tmp_path, Talker()) as here:
        await (await here.say("x " * 10_000)).result()
        done = await here.study.compact_session(KEY, LOCAL_OPERATOR)
        assert (done.compacted, done.kept) == (True, 0)
        assert await shown(here) == [MARK + "They like tea."]
        assert (await (await here.say("go on")).result()).state == "ok"


async def test_an_unknown_session_and_a_foreign_one_are_not_found(tmp_path: Path) -> None:
    async with house(tmp_path, Talker()) as here:
        await talk(here, 1)
        stranger = Principal(owner=OwnerId("bob"), scopes=frozenset({"operator.write"}))
        for key, who in ((SessionKey("agent:main:none"), LOCAL_OPERATOR), (KEY, stranger)):
            with pytest.raises(NotFound):
                await here.study.compact_session(key, who)
            with pytest.raises(NotFound):
                await here.study.inject(key, who, assistant("x"))


async def test_a_session_whose_run_is_going_is_busy(tmp_path: Path) -> None:
    client = Talker()
    async with house(tmp_path, client) as here:
        await talk(here, 3)
        first, summary = await begun(here, client)
        with pytest.raises(LaneBusy):
            await here.study.compact_session(KEY, LOCAL_OPERATOR)
        summary.set()
        assert (await first).compacted


@pytest.mark.parametrize("mode", ["followup", "steer", "collect"])
async def test_a_message_that_comes_meanwhile_waits_for_the_compaction(tmp_path: Path, mode: str) -> None:
    client = Talker()
    async with house(tmp_path, client) as here:
        await talk(here, 3)
        compacting, summary = await begun(here, client)
        run = await here.say("meanwhile", lane_mode=mode)
        await asyncio.sleep(0)
        assert run.state == "queued"
        summary.set()
        assert (await compacting).compacted
        assert (await run.result()).state == "ok"
        assert client.requests[-1].messages[0].text == MARK + "They like tea."
        assert here.study.queued() == 0


async def test_an_interrupting_message_and_a_reset_stop_the_compaction(tmp_path: Path) -> None:
    client = Talker()
    async with house(tmp_path, client) as here:
        await talk(here, 3)
        for stop in ("interrupt", "reset"):
            compacting, _ = await begun(here, client)
            if stop == "interrupt":
                run = await here.say("stop that", lane_mode="interrupt")
                assert (await run.result()).state == "ok"
            else:
                await here.study.reset_session(KEY, LOCAL_OPERATOR)
            with pytest.raises(RunAborted):
                await compacting
        assert await shown(here) == []
        assert here.study.queued() == 0


async def test_one_who_leaves_does_not_stop_the_compaction(tmp_path: Path) -> None:
    client = Talker()
    async with house(tmp_path, client) as here:
        await talk(here, 3)
        asking, summary = await begun(here, client)
        asking.cancel()
        summary.set()
        await (await here.say("next")).result()
        assert (await shown(here))[0] == MARK + "They like tea."


async def test_a_gateway_that_stops_says_so_and_changes_nothing(tmp_path: Path) -> None:
    client = Talker()
    async with house(tmp_path, client) as here:
        await talk(here, 3)
        asking, _ = await begun(here, client)
        await here.study.stop(0)
        with pytest.raises(Unavailable):
            await asking
        with pytest.raises(Unavailable):
            await here.study.compact_session(KEY, LOCAL_OPERATOR)
        assert len(await shown(here)) == 6


async def test_a_note_from_outside_is_in_the_transcript_and_the_models_view(tmp_path: Path) -> None:
    client = Talker()
    async with house(tmp_path, client) as here:
        heard = Hearing()
        here.study.observe(heard)
        await talk(here, 1)
        assert await here.study.inject(KEY, LOCAL_OPERATOR, assistant("a note")) == 3
        assert heard.reasons == ["inject"]
        await talk(here, 1)
        assert assistant("a note") in client.requests[-1].messages


def test_a_whole_conversation_must_be_stored_to_be_summarised() -> None:
    talk_ = Conversation([(1, (user("q"),)), (2, (assistant("a"),))])
    assert talk_.whole() == (2, [user("q"), assistant("a")])
    talk_.add((user("new"),))
    assert talk_.whole() is None
    assert Conversation().whole() is None
