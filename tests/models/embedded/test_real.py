"""The real models. SmolLM2 is fetched when it is missing; Qwen runs where someone pulled it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.base.errors import ModelContextOverflow, ModelUnavailable
from openclaw.base.message import Message, ToolCall, ToolOutcome, assistant, outcomes, user
from openclaw.base.model import ModelFinish, ModelRequest, TextDelta, ToolSpec
from openclaw.config.env import load_environment
from openclaw.config.paths import resolve_paths
from openclaw.models.assemble import collect
from openclaw.models.embedded.client import EmbeddedClient
from openclaw.models.embedded.server import COMMAND, SLOTS
from openclaw.models.local.pull import pull
from openclaw.models.local.shelf import model_path
from openclaw.net.http import HttpClient
from openclaw.processes.spawner import Spawner
from tests.models.clients import ask, events_of, joined
from tests.models.embedded.test_client import dies_with_its_parent
from tests.processes.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.model]

CACHE = resolve_paths(load_environment()).cache_dir
SMOL, QWEN = "smollm2", "qwen2.5-coder-1.5b"
TEXT = {"type": "string"}


@pytest.fixture
async def embedded(http: HttpClient) -> AsyncIterator[EmbeddedClient]:
    """A client of the cache folder, SmolLM2 in it."""
    spawner = Spawner(load_environment())
    try:
        await pull(SMOL, CACHE, spawner=spawner)
    except ModelUnavailable as error:
        await spawner.close()
        pytest.skip(f"SmolLM2 cannot be fetched: {error.message}")
    client = EmbeddedClient(partial(model_path, CACHE), http, spawner, SYSTEM_CLOCK)
    yield client
    await client.close()
    left = spawner.children()
    await spawner.close()
    assert left == 0


def spent_s() -> float:
    """CPU time of our children so far."""
    times = [child.cpu_times() for child in psutil.Process().children()]
    return float(sum(one.user + one.system for one in times))


@pytest.mark.parametrize("system", ["", "You are Assistant, a helpful assistant."])
async def test_smollm2_knows_the_capital_of_japan(embedded: EmbeddedClient, system: str) -> None:
    question = ModelRequest(model=SMOL, system=system, messages=(user("What is the capital of Japan?"),))
    for _ in range(3):
        events = await events_of(embedded, question)
        assert "Tokyo" in joined(events, TextDelta)
        assert sum(isinstance(event, TextDelta) for event in events) > 3
        end = events[-1]
        assert isinstance(end, ModelFinish)
        assert (end.reason, end.model) == ("stop", SMOL)
        assert end.usage.input_tokens > 0
        assert end.usage.output_tokens > 0
    assert "Tokyo" in (await embedded.generate(question)).message.text


async def test_more_questions_than_slots_are_all_answered(embedded: EmbeddedClient) -> None:
    questions = [ask("What is the capital of Japan?", model=SMOL)] * (2 * SLOTS)
    answers = await asyncio.gather(*(events_of(embedded, question) for question in questions))
    assert all("Tokyo" in joined(events, TextDelta) for events in answers)


async def test_an_abandoned_answer_stops_the_sampling(embedded: EmbeddedClient) -> None:
    story = ModelRequest(model=SMOL, messages=(user("Write a long story about a dragon."),), max_tokens=500)
    async with aclosing(embedded.stream(story)) as stream:
        async for _ in stream:
            break
    before = spent_s()

    def idle() -> bool:
        nonlocal before
        last, before = before, spent_s()
        return before - last < 0.001

    await asyncio.sleep(0.1)
    await until(idle, 2.0)
    assert "Tokyo" in joined(await events_of(embedded, ask("What is the capital of Japan?", model=SMOL)), TextDelta)


async def test_a_conversation_longer_than_the_context_says_so(embedded: EmbeddedClient) -> None:
    with pytest.raises(ModelContextOverflow):
        await events_of(embedded, ask("word " * 10_000, model=SMOL))


async def test_a_damaged_file_says_so(http: HttpClient, tmp_path: Path) -> None:
    damaged = tmp_path / "mine.gguf"
    damaged.write_bytes(b"GGUF" + b"\0" * 4096)
    spawner = Spawner()
    client = EmbeddedClient(lambda _: damaged, http, spawner, SYSTEM_CLOCK)
    with pytest.raises(ModelUnavailable) as caught:
        await client.warm("mine")
    assert "mine" in caught.value.message
    await client.close()
    await spawner.close()


async def test_the_real_process_dies_within_a_second_of_a_killed_gateway(embedded: EmbeddedClient) -> None:
    path = model_path(CACHE, SMOL)
    assert path is not None
    await dies_with_its_parent(path, COMMAND)


def tool(name: str, description: str, **properties: Any) -> ToolSpec:
    """Return a tool with these parameters, all required."""
    return ToolSpec(name, description, {"type": "object", "properties": properties, "required": list(properties)})


TOOLS = (
    tool("read_file", "Read a text file in the workspace.", path=TEXT),
    tool("list_files", "List the files of a folder in the workspace.", path=TEXT),
    tool("search_files", "Search the workspace's files for a text.", query=TEXT),
    tool("write_file", "Create a file in the workspace, or replace it.", path=TEXT, content=TEXT),
    tool("edit_file", "Replace one exact piece of text in a file.", path=TEXT, old=TEXT, new=TEXT),
    tool("session_status", "Tell the session's model, tokens and time."),
)


class Desk:
    """Runs tools on files in memory, and remembers the calls."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def run(self, call: ToolCall) -> ToolOutcome:
        """Do it."""
        arguments = json.loads(call.arguments)
        self.calls.append((call.name, arguments))
        if call.name == "write_file":
            self.files[arguments["path"]] = arguments["content"]
            return ToolOutcome(call.id, call.name, f"wrote {len(arguments['content'])} bytes to {arguments['path']}")
        if call.name == "read_file" and arguments["path"] not in self.files:
            return ToolOutcome(call.id, call.name, f"there is no file {arguments['path']}", is_error=True)
        return ToolOutcome(
            call.id, call.name, self.files[arguments["path"]] if call.name == "read_file" else "Guten Tag"
        )


async def work(
    embedded: EmbeddedClient, task: str, tools: tuple[ToolSpec, ...], temperature: float
) -> tuple[Desk, str]:
    """Let the model work on a task to its reply."""
    desk = Desk()
    messages: list[Message] = [user(task)]
    for _ in range(6):
        request = ModelRequest(
            model=QWEN,
            system="You are Assistant, a helpful assistant with a workspace folder.",
            messages=tuple(messages),
            tools=tools,
            temperature=temperature,
        )
        answer = await collect(embedded.stream(request))
        calls = answer.message.tool_calls
        assert answer.finish_reason == ("tool_calls" if calls else "stop")
        if not calls:
            return desk, answer.message.text
        messages += [assistant("", calls), outcomes([desk.run(call) for call in calls])]
    raise AssertionError(f"no reply after {desk.calls}")


needs_qwen = pytest.mark.skipif(
    model_path(CACHE, QWEN) is None, reason=f"`openclaw models pull {QWEN}` was not run (1.1 GB)"
)


@needs_qwen
@pytest.mark.slow
@pytest.mark.parametrize("temperature", [0.0, 0.5])
async def test_qwen_writes_a_file_then_reads_it_back(embedded: EmbeddedClient, temperature: float) -> None:
    task = "Create a file notes.txt that says hello, then read it back"
    desk, reply = await work(embedded, task, TOOLS, temperature)
    assert [name for name, _ in desk.calls] == ["write_file", "read_file"]
    assert list(desk.files) == ["notes.txt"]
    assert "hello" in desk.files["notes.txt"].lower()
    assert "hello" in reply.lower()


@needs_qwen
@pytest.mark.slow
async def test_qwen_calls_a_tool_of_ones_own_with_typed_arguments(embedded: EmbeddedClient) -> None:
    translate = tool("translate", "Translate a text.", text=TEXT, target_lang={"enum": ["de", "fr", "es"]})
    desk, reply = await work(embedded, "Translate 'good day' to German", (*TOOLS, translate), 0.0)
    assert desk.calls == [("translate", {"text": "good day", "target_lang": "de"})]
    assert "Guten Tag" in reply


@needs_qwen
@pytest.mark.slow
async def test_qwen_answers_without_a_tool_when_it_needs_none(embedded: EmbeddedClient) -> None:
    desk, reply = await work(embedded, "What is the capital of Japan?", TOOLS, 0.0)
    assert desk.calls == []
    assert "Tokyo" in reply


SCHEMAS: dict[str, dict[str, Any]] = {
    "nested": {"properties": {"box": {"type": "object", "properties": {"w": {"type": "number"}}}}},
    "pattern": {"properties": {"a": {"type": "string", "pattern": "(?<=x)\\d+"}}},
    "recursive": {"type": "object", "properties": {"next": {"$ref": "#"}}},
    "bounds": {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1, "maximum": 9}}},
    "empty": {},
}


@needs_qwen
@pytest.mark.slow
async def test_the_grammar_takes_whatever_schema_a_tool_has(embedded: EmbeddedClient) -> None:
    tools = tuple(ToolSpec(name, "Do it.", schema) for name, schema in SCHEMAS.items())
    answer = await collect(embedded.stream(ask("Hi!", model=QWEN, tools=tools)))
    assert answer.finish_reason in ("stop", "tool_calls")
