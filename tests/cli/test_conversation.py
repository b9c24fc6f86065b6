"""The chat's rules, against a gateway and a keyboard made of queues."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest

from openclaw.base.errors import LaneBusy, OpenClawError
from openclaw.cli.conversation import PROMPT, Conversation
from openclaw.cli.turn import Turn
from openclaw.client.text import message_text
from openclaw.client.ws import Event

pytestmark = pytest.mark.anyio


class FakeLine:
    """A gateway that answers `chat.send` by a script of events."""

    def __init__(self, script: Callable[[str, str], list[Event]] = lambda run_id, message: []) -> None:
        self.calls: list[tuple[str, Mapping[str, Any]]] = []
        self.refuse: OpenClawError | None = None
        self.sent = asyncio.Event()
        self.queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._script = script

    async def call(self, method: str, params: dict[str, Any] | None = None) -> Any:
        params = params or {}
        self.calls.append((method, params))
        if self.refuse is not None:
            raise self.refuse
        if method in {"chat.send", "agent"}:
            self.sent.set()
            for event in self._script(params["idempotencyKey"], params["message"]):
                self.queue.put_nowait(event)
        if method == "chat.abort":
            run_id = next(given["idempotencyKey"] for name, given in reversed(self.calls) if name == "chat.send")
            self.queue.put_nowait(Event("chat", {"runId": run_id, "state": "aborted", "message": None}))
            return {"ok": True, "aborted": True, "runIds": [run_id]}
        if method == "chat.history":
            return {"sessionId": "s"} if self.sent.is_set() else {"messages": []}
        if method == "models.list":
            return {"models": [{"provider": "fake", "id": "one"}]}
        return {}

    async def events(self) -> AsyncIterator[Event]:
        while (event := await self.queue.get()) is not None:
            yield event

    def named(self, method: str) -> list[Mapping[str, Any]]:
        return [params for name, params in self.calls if name == method]


class FakeKeys:
    """A person whose lines are given; `during` is what they type while an answer streams."""

    def __init__(self, *lines: str, during: tuple[str, ...] = (), patient: bool = False) -> None:
        self._lines = list(lines)
        self._during = list(during)
        self._patient = patient
        self.prompts: list[str] = []
        self.waiting = asyncio.Event()

    async def ask(self, prompt: str) -> str | None:
        self.prompts.append(prompt)
        if self._lines:
            return self._lines.pop(0)
        if self._patient:
            self.waiting.set()
            await asyncio.Event().wait()
        return None

    async def listen(self) -> str | None:
        if self._during:
            return self._during.pop(0)
        await asyncio.Event().wait()
        return None

    def typed(self) -> str:
        return "half a wo"


def says(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": [{"type": "text", "text": text}]}


def answer(run_id: str, *texts: str) -> list[Event]:
    events: list[Event] = [
        Event("chat", {"runId": run_id, "state": "delta", "message": says("".join(texts[: at + 1]))})
        for at in range(len(texts))
    ]
    return [*events, Event("chat", {"runId": run_id, "state": "final", "message": says("".join(texts))})]


async def talk(line: FakeLine, keys: FakeKeys) -> tuple[int, str]:
    shown: list[str] = []
    code = await asyncio.wait_for(Conversation(line, keys, shown.append, session_key="main").run(), 5)
    return code, "".join(shown)


async def test_the_answer_is_shown_once_as_it_grows() -> None:
    line = FakeLine(lambda run_id, _: answer(run_id, "To", "ky", "o."))
    code, shown = await talk(line, FakeKeys("What is the capital of Japan?"))
    assert (code, shown) == (0, "Tokyo.\n")
    assert line.named("chat.send")[0]["message"] == "What is the capital of Japan?"


async def test_events_of_other_runs_and_repeated_text_are_not_shown() -> None:
    def script(run_id: str, _: str) -> list[Event]:
        return [
            Event("chat", {"runId": "another", "state": "delta", "message": says("not mine")}),
            Event("agent", {"runId": run_id, "stream": "assistant", "data": {"text": "Hi", "delta": "Hi"}}),
            Event("chat", {"runId": run_id, "state": "delta", "message": says("Hi")}),
            Event("tick", {"ts": 1}),
            *answer(run_id, "Hi", " there"),
        ]

    assert (await talk(FakeLine(script), FakeKeys("hello")))[1] == "Hi there\n"


async def test_tool_use_is_shown_on_lines_of_its_own() -> None:
    def script(run_id: str, _: str) -> list[Event]:
        def tool(**data: Any) -> Event:
            return Event("agent", {"runId": run_id, "stream": "tool", "data": {"name": "read_file", **data}})

        return [
            Event("chat", {"runId": run_id, "state": "delta", "message": says("Let me look.")}),
            tool(phase="start", args={"path": "notes.txt"}),
            tool(phase="result", result="hello\nworld", isError=False),
            *answer(run_id, "Let me look.", " It says hello."),
        ]

    shown = (await talk(FakeLine(script), FakeKeys("read it")))[1]
    assert shown.split("\n") == [
        "Let me look.",
        '  → read_file {"path":"notes.txt"}',
        "  ← read_file done: hello world",
        " It says hello.",
        "",
    ]


async def test_a_failed_run_and_a_refused_message_say_why_and_the_chat_goes_on() -> None:
    line = FakeLine(lambda run_id, _: [Event("chat", {"runId": run_id, "state": "error", "errorMessage": "no key"})])
    assert "The run failed: no key" in (await talk(line, FakeKeys("hello")))[1]
    refusing = FakeLine()
    refusing.refuse = LaneBusy("the lane is full")
    keys = FakeKeys("one", "two")
    code, shown = await talk(refusing, keys)
    assert code == 0
    assert shown.count("Error: the lane is full") == 2
    assert shown.count("LANE_BUSY") == 2
    assert keys.prompts == [PROMPT] * 3


@pytest.mark.parametrize(
    ("typed", "method", "expected"),
    [
        ("/reset", "sessions.reset", {"key": "main"}),
        ("/model fake/one", "sessions.patch", {"key": "main", "model": "fake/one"}),
        ("/model", "models.list", {}),
        ("/stop", "chat.abort", {"sessionKey": "main"}),
    ],
)
async def test_a_command_calls_its_method(typed: str, method: str, expected: Mapping[str, Any]) -> None:
    line = FakeLine(lambda run_id, _: answer(run_id, "x"))
    await talk(line, FakeKeys("first", typed))
    assert line.named(method) == [expected]


async def test_a_model_chosen_before_the_first_message_goes_with_it_and_stays() -> None:
    line = FakeLine(lambda run_id, _: answer(run_id, "x"))
    _, shown = await talk(line, FakeKeys("/reset", "/model fake/two", "first", "second"))
    assert [params["model"] for params in line.named("agent")] == ["fake/two"]
    assert line.named("sessions.patch") == [{"key": "main", "model": "fake/two"}]
    assert [params["message"] for params in line.named("chat.send")] == ["second"]
    assert shown.endswith("x\nx\n")


async def test_an_unknown_command_lists_the_known_ones_and_is_not_sent() -> None:
    line = FakeLine()
    _, shown = await talk(line, FakeKeys("/fly", "/help"))
    assert "no command /fly" in shown
    assert shown.count("/reset") == 2
    assert line.calls == []


async def test_stop_typed_during_an_answer_stops_it_and_other_lines_wait_for_its_end() -> None:
    line = FakeLine(lambda run_id, message: [] if message == "long" else answer(run_id, "done"))
    _, shown = await talk(line, FakeKeys("long", during=("next", "/stop")))
    assert [params["message"] for params in line.named("chat.send")] == ["long", "next"]
    assert shown == "  stopped.\ndone\n"


async def test_the_first_interrupt_in_a_turn_aborts_it_and_a_second_one_leaves() -> None:
    line = FakeLine()
    keys = FakeKeys("long", patient=True)
    shown: list[str] = []
    chat = Conversation(line, keys, shown.append, session_key="main")
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        running = group.create_task(chat.run())
        await line.sent.wait()
        chat.interrupt()
        await keys.waiting.wait()
        assert len(line.named("chat.abort")) == 1
        assert not running.done()
        chat.interrupt()
        chat.interrupt()
    assert running.result() == 0


async def test_at_the_prompt_an_interrupt_warns_and_keeps_what_was_typed() -> None:
    keys = FakeKeys(patient=True)
    shown: list[str] = []
    chat = Conversation(FakeLine(), keys, shown.append, session_key="main")
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        running = group.create_task(chat.run())
        await keys.waiting.wait()
        chat.interrupt()
        assert "Ctrl-C again" in shown[-1]
        assert shown[-1].endswith(f"{PROMPT}half a wo")
        assert not running.done()
        chat.interrupt()


async def test_a_lost_connection_ends_the_chat_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    line = FakeLine()
    line.queue.put_nowait(None)
    code, _ = await talk(line, FakeKeys(patient=True))
    assert code == 1
    assert "closed the connection" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (None, ""),
        ("plain", "plain"),
        ({"content": "plain"}, "plain"),
        ({"content": [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]}, "ab"),
        ({"content": [1, None]}, ""),
    ],
)
async def test_the_text_of_a_message_is_its_text_parts(message: object, text: str) -> None:
    assert message_text(message) == text


async def test_a_turn_takes_any_event_shape_without_failing() -> None:
    turn = Turn("r", lambda _: None)
    odd: list[Mapping[str, Any]] = [{}, {"runId": "r"}, {"runId": "r", "data": None, "stream": "tool"}]
    for payload in odd:
        for name in ("agent", "chat", "other"):
            turn.take(name, payload)
    assert not turn.ended.is_set()


async def test_a_budget_notice_stands_on_its_own_line_during_an_answer_and_at_the_prompt() -> None:
    notice = Event("usage.notice", {"scope": "total", "text": "Budget notice: 80 % is spent."})

    def script(run_id: str, _: str) -> list[Event]:
        first, *rest = answer(run_id, "To", "kyo.")
        return [first, notice, *rest]

    code, shown = await talk(FakeLine(script), FakeKeys("Where?"))
    assert (code, shown) == (0, "To\n  Budget notice: 80 % is spent.\nkyo.\n")

    line, keys = FakeLine(), FakeKeys(patient=True)
    told: list[str] = []
    chat = Conversation(line, keys, told.append, session_key="main")
    running = asyncio.ensure_future(chat.run())
    await keys.waiting.wait()
    line.queue.put_nowait(notice)
    line.queue.put_nowait(None)
    await asyncio.wait_for(running, 5)
    assert told[0] == f"\n  Budget notice: 80 % is spent.\n{PROMPT}half a wo"


async def test_think_goes_to_the_gateway_with_its_level() -> None:
    line = FakeLine(lambda run_id, _: answer(run_id, "Thinking: low."))
    await talk(line, FakeKeys("/think", "/think low"))
    assert [sent["message"] for sent in line.named("chat.send")] == ["/think", "/think low"]
