"""A link over a connection that the test owns: pauses, steadiness, and objects that stay the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from openclaw.base.clock import ManualClock
from openclaw.base.errors import ConfigError, ToolError
from openclaw.base.tasks import TaskSet
from openclaw.config.schema import McpServerConfig
from openclaw.net.http import HttpClient
from openclaw.processes.spawner import Spawner
from openclaw.testing import make_context
from openclaw.tools.mcp.api import Answer, Connect, RemoteTool, Signal, Surroundings
from openclaw.tools.mcp.link import LONGEST_PAUSE_S, STEADY_S, Link
from openclaw.tools.mcp.pipe import Lines
from tests.processes.waiting import until
from tests.tools.mcp.conftest import inside

pytestmark = pytest.mark.anyio


def _remote(name: str, description: str = "") -> RemoteTool:
    return RemoteTool(name, description, {"type": "object"}, "write")


class Server:
    """What stands in for a server: it counts how often it is connected to, and fails when told to."""

    server = "fake\u202e 1"
    protocol = "2025-11-25"

    def __init__(self) -> None:
        self.offered = [_remote("a"), _remote("b")]
        self.connected = 0
        self.refusal: Exception | None = None
        self.signal = Signal()
        self.answer = Answer("fine")

    @asynccontextmanager
    async def connect(
        self, name: str, config: McpServerConfig, around: Surroundings, signal: Signal
    ) -> AsyncIterator[Server]:
        """Connect, or fail."""
        self.connected += 1
        self.signal = signal
        if self.refusal is not None:
            raise self.refusal
        yield self

    async def tools(self) -> list[RemoteTool]:
        """Return what is offered now."""
        return self.offered

    async def call(self, tool: str, arguments: Mapping[str, Any], tell: Callable[[str], None] | None) -> Answer:
        """Answer."""
        return self.answer


class Bench:
    """A link on a clock of its own."""

    def __init__(self, folder: Path) -> None:
        self.server = Server()
        self.clock = ManualClock()
        self.changes = 0
        self.tasks = TaskSet("test")
        around = Surroundings(Spawner(), HttpClient(), self.clock, folder)
        self.link = Link("s", McpServerConfig(command="x"), around, self._load, self._changed)
        self.task = self.tasks.spawn(self.link.run(), "link")

    async def _load(self) -> Connect:
        return self.server.connect

    def _changed(self) -> None:
        self.changes += 1

    async def state(self, wanted: str) -> None:
        """Wait for a state."""
        await until(lambda: self.link.status().state == wanted)

    async def pause(self) -> float:
        """Return how many seconds pass before it connects again."""
        before, waited = self.server.connected, 0.0
        while self.server.connected == before:
            self.clock.advance(0.5)
            waited += 0.5
            for _ in range(5):
                await asyncio.sleep(0)
        return waited


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """Return a link that has been tried once."""
    made = Bench(tmp_path)
    await made.link.tried.wait()
    yield made
    await made.tasks.close()


async def test_pauses_double_up_to_a_minute_and_are_short_after_a_steady_time(bench: Bench) -> None:
    bench.server.refusal = OSError("no")
    bench.server.signal.gone("it left")
    await bench.state("down")
    assert bench.link.status().problem == "it left"
    pauses = [await bench.pause() for _ in range(10)]
    assert pauses[:8] == [0.5, 1, 2, 4, 8, 16, 32, 60]
    assert set(pauses[7:]) == {LONGEST_PAUSE_S}
    assert bench.link.status().problem == "OSError: no"
    bench.server.refusal = None
    await bench.pause()
    await bench.state("ready")
    assert bench.link.status().problem == ""
    bench.clock.advance(STEADY_S)
    bench.server.signal.gone()
    await bench.state("down")
    assert await bench.pause() == 0.5


async def test_a_reconnect_without_a_change_changes_nothing(bench: Bench) -> None:
    tools, changes = bench.link.tools(), bench.changes
    bench.server.offered = [_remote("b"), _remote("a")]
    bench.server.signal.gone()
    await bench.state("down")
    assert bench.link.tools() is tools
    await bench.pause()
    await bench.state("ready")
    assert bench.link.tools() == tools
    assert bench.changes == changes


async def test_a_changed_tool_is_a_new_one_and_the_others_stay(bench: Bench) -> None:
    old = {tool.remote.name: tool for tool in bench.link.tools()}
    bench.server.offered = [_remote("a", "now described"), _remote("b")]
    bench.server.signal.changed()
    await until(lambda: bench.changes == 2)
    new = {tool.remote.name: tool for tool in bench.link.tools()}
    assert new["b"] is old["b"]
    assert new["a"].spec.description == "[s] now described"


async def test_a_server_that_says_changed_without_end_is_asked_at_a_measured_pace(bench: Bench) -> None:
    asked = 0

    async def tools() -> list[RemoteTool]:
        nonlocal asked
        asked += 1
        bench.server.signal.changed()
        return [_remote(f"t{asked}")]

    bench.server.tools = tools  # type: ignore[method-assign]
    bench.server.signal.changed()
    for _ in range(100):
        await asyncio.sleep(0)
    assert asked == 1


async def test_a_link_that_never_can_work_is_off_and_not_tried_again(bench: Bench) -> None:
    bench.server.refusal = ConfigError("neither nor", hint="Set one.")
    bench.server.signal.gone()
    await bench.state("down")
    await bench.pause()
    await until(bench.task.done)
    assert bench.link.status().state == "off"
    assert bench.link.status().problem == "neither nor Set one."


async def test_answers_are_cleaned_and_errors_are_the_models_to_read(bench: Bench, tmp_path: Path) -> None:
    (tool, *_) = bench.link.tools()
    bench.server.answer = Answer("a\x1b[31m\u202eb")
    assert inside(await tool.call({}, make_context(tmp_path))) == "a[31mb"
    bench.server.answer = Answer("", is_error=True)
    with pytest.raises(ToolError, match="did not say why"):
        await tool.call({}, make_context(tmp_path))
    bench.server.answer = Answer("")
    assert await tool.call({}, make_context(tmp_path)) == "done (no result)"
    assert bench.link.status().server == "fake 1"


def test_lines_are_whole_however_they_come() -> None:
    whole = b'{"a":1}\n\n{"b":2}\r\n  \nrest'
    for size in range(1, len(whole) + 1):
        lines = Lines()
        found = [line for start in range(0, len(whole), size) for line in lines.feed(whole[start : start + size])]
        assert found == [b'{"a":1}', b'{"b":2}\r']


def test_a_line_over_the_limit_is_refused_before_it_has_ended() -> None:
    lines = Lines(limit=10)
    assert lines.feed(b"0123456789\n01234") == [b"0123456789"]
    with pytest.raises(ValueError, match="more than 10 bytes"):
        lines.feed(b"567890")


async def test_a_cancelled_link_ends_also_when_the_library_fails_instead(bench: Bench) -> None:
    @asynccontextmanager
    async def connect(*_: object) -> AsyncIterator[Server]:
        bench.server.connected += 1
        try:
            yield bench.server
        except asyncio.CancelledError:
            raise RuntimeError("cancel scopes were left in a wrong order") from None

    bench.server.connect = connect  # type: ignore[method-assign, assignment]
    bench.server.signal.gone()
    await bench.state("down")
    await bench.pause()
    await bench.state("ready")
    bench.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(bench.task, 5)
