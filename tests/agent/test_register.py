"""The register over a real archive: everything is one's own, and what runs is stopped before it is taken back."""

from __future__ import annotations

from pathlib import Path

import pytest

from openclaw.base.errors import NotFound
from openclaw.base.ids import OwnerId, SessionKey
from openclaw.base.principal import LOCAL_OPERATOR, Principal
from openclaw.store.api import SessionFilter, SessionRow
from tests.agent.house import KEY, House, house, until
from tests.fakes.agent_service import FakeAgentService

pytestmark = pytest.mark.anyio

OTHER = SessionKey("agent:main:other")
STRANGER = Principal(owner=OwnerId("stranger"), scopes=frozenset(("operator.write",)))


class Seen:
    """An observer that keeps what became of sessions."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, str]] = []

    def on_run_accepted(self, run: object, session: object) -> None: ...

    def on_run_events(self, run: object, events: object) -> None: ...

    def on_session_changed(self, session: SessionRow, reason: str) -> None:
        self.changes.append((session.key, reason))


async def talked(here: House, *texts: str) -> None:
    for text in texts:
        await (await here.say(text)).result()


async def test_a_stranger_finds_changes_and_copies_nothing(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        register = here.study.register
        await talked(here, "buy oranges")
        assert len(await register.search(LOCAL_OPERATOR, "ORANGES")) >= 1
        assert await register.search(STRANGER, "oranges") == []
        assert await register.search(STRANGER, "oranges", keys=[KEY]) == []
        assert await register.find(STRANGER, SessionFilter()) == ([], 0)
        row = await here.study.session(KEY, LOCAL_OPERATOR)
        assert row is not None
        assert await register.step(KEY, STRANGER, row.id, 1) is None
        for wrong in (
            register.create(KEY, row.agent_id, STRANGER),
            register.mark(KEY, STRANGER, marks={"color": "red"}),
            register.fork(KEY, OTHER, STRANGER, 9),
            register.rewind(KEY, STRANGER, 1),
        ):
            with pytest.raises(NotFound):
                await wrong
        assert await here.study.session(KEY, LOCAL_OPERATOR) == row


async def test_what_is_found_says_where_it_stands(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        register = here.study.register
        await talked(here, "x" * 500 + " needle " + "y" * 500, "role: assistant")
        found = (await register.search(LOCAL_OPERATOR, "NEEDLE"))[-1]
        assert (found.row.key, found.step.seq, found.index) == (KEY, 1, 0)
        assert "needle" in found.snippet
        assert len(found.snippet) <= 240
        assert await register.search(LOCAL_OPERATOR, "inbound") == []  # a word of the form, not of a text
        await register.mark(KEY, LOCAL_OPERATOR, marks={"archived_at_ms": 1})
        assert await register.search(LOCAL_OPERATOR, "needle") == []
        assert len(await register.search(LOCAL_OPERATOR, "needle", keys=[KEY], limit=1)) == 1


async def test_a_rewind_stops_the_run_and_the_next_message_goes_on_from_there(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        seen = Seen()
        here.study.observe(seen)
        register = here.study.register
        await talked(here, "one", "two")
        run = await here.say("three", model="fake/fake-n1000-d20")
        await until(lambda: register.runs(KEY) == [run.id])
        await register.rewind(KEY, LOCAL_OPERATOR, before_seq=3)
        assert (await run.result()).state == "aborted"
        assert (await here.texts())[0] == "one"
        assert len(await here.texts()) == 2
        await talked(here, "four")
        assert (await here.texts())[2] == "four"
        assert (KEY, "rewind") in seen.changes
        assert register.runs(KEY) == []


def test_the_fake_has_every_method_of_the_register() -> None:
    from openclaw.agent.register import Register

    public = {name for name in vars(Register) if not name.startswith("_")}
    assert public <= {name for name in dir(FakeAgentService().register) if not name.startswith("_")}
