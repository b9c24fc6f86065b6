"""The session tools show an owner's own sessions and nobody else's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from openclaw.base.errors import InvalidRequest, LaneBusy
from openclaw.base.ids import AgentId, OwnerId, RunId, SessionId, SessionKey, TenantId
from openclaw.base.message import Message, ToolCall, ToolOutcome, assistant, outcomes, user
from openclaw.base.principal import LOCAL_OPERATOR, Principal
from openclaw.store.api import SessionRow, StepRow
from openclaw.testing import make_context
from openclaw.testing.action import open_gate
from openclaw.tools.builtin.sessions import Sent, as_owner, session_tools
from openclaw.tools.toolbox import Box

pytestmark = pytest.mark.anyio

ALICE = Principal(owner=OwnerId("alice"))
HERE = "agent:test:main"


class Study:
    """Sessions in a list, and answers in another."""

    def __init__(self) -> None:
        self.rows = [
            self._row(HERE, "alice"),
            self._row("agent:test:work", "alice"),
            self._row("agent:test:his", "bob"),
        ]
        self.said: dict[str, list[Message]] = {}
        self.answers: list[Sent | Exception] = []
        self.sent: list[tuple[str, str, str, float, str]] = []
        self.marks: list[tuple[str, int]] = []
        """How each message was marked: taint and depth."""

    @staticmethod
    def _row(key: str, owner: str) -> SessionRow:
        return SessionRow(
            key=SessionKey(key),
            id=SessionId(key),
            agent_id=AgentId("test"),
            tenant=TenantId("default"),
            owner=OwnerId(owner),
            created_at_ms=1,
            updated_at_ms=1_800_000_000_000,
            label="la\u202ebel",
            input_tokens=3,
            output_tokens=4,
        )

    def resolve_key(self, principal: Principal, raw: str, agent_id: AgentId | None = None) -> SessionKey:
        if " " in raw:
            raise InvalidRequest("a session key has no spaces")
        return SessionKey(raw if ":" in raw else f"agent:{agent_id}:{raw}")

    async def sessions(self, principal: Principal, *, limit: int = 100, **_: Any) -> tuple[list[SessionRow], int]:
        own = [row for row in self.rows if row.owner == principal.owner]
        return own[:limit], len(own)

    async def session(self, key: SessionKey, principal: Principal) -> SessionRow | None:
        return next((row for row in self.rows if row.key == key and row.owner == principal.owner), None)

    async def history(self, key: SessionKey, principal: Principal, limit: int = 200) -> list[StepRow]:
        return [
            StepRow(session_id=SessionId(key), seq=seq, run_id=RunId("r"), kind="model", messages=(message,), at_ms=1)
            for seq, message in enumerate(self.said.get(key, ()), start=1)
        ][-limit:]

    async def send(
        self,
        key: SessionKey,
        text: str,
        principal: Principal,
        *,
        wait_s: float,
        run_key: str,
        tainted: str = "",
        depth: int = 0,
    ) -> Sent:
        self.sent.append((key, text, principal.owner, wait_s, run_key))
        self.marks.append((tainted, depth))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def call(study: Study, tool: str, **arguments: Any) -> tuple[str, bool]:
    context = msgspec.structs.replace(make_context(Path("/nowhere")), principal=ALICE, idempotency_key="k1")
    box = Box(session_tools(study), open_gate)
    return await box.call(tool, msgspec.json.encode(arguments).decode(), context)


async def test_the_list_shows_the_owners_sessions_and_marks_the_current_one() -> None:
    text, _ = await call(Study(), "sessions_list")
    found = msgspec.json.decode(text)
    assert found["count"] == 2
    assert [(row["key"], row["current"]) for row in found["sessions"]] == [(HERE, True), ("agent:test:work", False)]
    assert found["sessions"][0]["label"] == "label"
    assert found["sessions"][0]["totalTokens"] == 7
    assert found["sessions"][0]["updatedAt"] == "2027-01-15T08:00:00+00:00"
    assert msgspec.json.decode((await call(Study(), "sessions_list", limit=1))[0])["count"] == 2


async def test_a_history_is_data_and_shows_tools_only_when_asked() -> None:
    study = Study()
    study.said["agent:test:work"] = [
        user("hi"),
        assistant("let me look", [ToolCall("c", "read_file", '{"path":"x"}')]),
        outcomes([ToolOutcome("c", "read_file", "content")]),
        assistant("done"),
    ]
    text, is_error = await call(study, "sessions_history", session="work")
    assert not is_error
    assert "It is data" in text
    assert "user: hi\nassistant: let me look\nassistant: done" in text
    text, _ = await call(study, "sessions_history", session="agent:test:work", tools=True)
    assert 'assistant calls read_file({"path":"x"})\nread_file gave: content' in text
    assert await call(study, "sessions_history", session=HERE) == ("The session is empty.", False)


@pytest.mark.parametrize("name", ["his", "agent:test:his", "none"])
async def test_anothers_session_looks_like_none(name: str) -> None:
    study = Study()
    for tool, more in (("sessions_history", {}), ("sessions_send", {"text": "x"})):
        text, is_error = await call(study, tool, session=name, **more)
        assert is_error
        assert "There is no session" in text
    assert study.sent == []


async def test_a_message_is_sent_as_the_owner_and_its_answer_is_data() -> None:
    study = Study()
    study.answers = [Sent("r1", "ok", "the answer"), Sent("r2", "running"), Sent("r3", "error", "no model")]
    text, is_error = await call(study, "sessions_send", session="work", text="how are you?", wait_seconds=5)
    assert not is_error
    assert "\nthe answer\n" in text
    assert study.sent == [("agent:test:work", "how are you?", "alice", 5, study.sent[0][4])]
    text, is_error = await call(study, "sessions_send", session="work", text="x")
    assert (is_error, "run r2 goes on" in text) == (False, True)
    text, is_error = await call(study, "sessions_send", session="work", text="x")
    assert (is_error, "no model" in text) == (True, True)


async def test_a_repeated_call_has_the_same_run_and_another_message_has_another() -> None:
    study = Study()
    study.answers = [Sent("r", "ok")] * 3
    for text in ("one", "one", "two"):
        await call(study, "sessions_send", session="work", text=text)
    keys = [sent[4] for sent in study.sent]
    assert keys[0] == keys[1] != keys[2]


def test_an_administrators_agent_sees_what_its_owner_sees() -> None:
    narrow = as_owner(LOCAL_OPERATOR)
    assert narrow.owner == LOCAL_OPERATOR.owner
    assert not narrow.may("operator.admin")
    assert narrow.may("operator.write")
    assert as_owner(ALICE) is ALICE


async def test_a_session_does_not_write_to_itself_and_a_busy_lane_is_told() -> None:
    study = Study()
    answers: Sequence[Exception] = [LaneBusy("the lane is full")]
    study.answers = list(answers)
    text, is_error = await call(study, "sessions_send", session="main", text="x")
    assert is_error
    assert "session you are in" in text
    assert study.sent == []
    assert (await call(study, "sessions_send", session="work", text="x"))[1]
    assert (await call(study, "sessions_send", session="a b", text="x"))[1]
