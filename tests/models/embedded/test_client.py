"""Local models' processes: started once, restarted after a death, bounded, and gone when they should be."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path

import psutil
import pytest

from openclaw.base.clock import ManualClock
from openclaw.base.errors import (
    ModelBadRequest,
    ModelError,
    ModelNotFound,
    ModelUnavailable,
    ModelUnreachable,
)
from openclaw.base.model import TextDelta
from openclaw.config.schema import ModelEntry
from openclaw.models.embedded.client import MAX_LOADED, EmbeddedClient
from openclaw.models.embedded.server import RETRY_S, SLOTS
from openclaw.net.http import HttpClient
from openclaw.processes.spawner import Spawner
from tests.models.clients import WEATHER, ask, events_of, joined
from tests.processes.waiting import alive, until

pytestmark = pytest.mark.anyio

COMMAND = (sys.executable, str(Path(__file__).with_name("fake_child.py")))


class Shelf:
    """Model files that say what the fake child does, and a client of them."""

    def __init__(self, folder: Path, http: HttpClient) -> None:
        self.folder = folder
        self.clock = ManualClock()
        self.spawner = Spawner()
        entry = ModelEntry(id="mine", name="Mine", context_window=4096, max_tokens=99, tools=False)
        self.client = EmbeddedClient(
            self.path_of,
            http,
            self.spawner,
            self.clock,
            names=lambda: [path.stem for path in folder.glob("*.gguf")],
            models=(entry,),
            command=COMMAND,
        )

    def put(self, name: str, mode: str = "answer") -> None:
        """Add a model."""
        (self.folder / f"{name}.gguf").write_text(mode)

    def path_of(self, name: str) -> Path | None:
        """Find a model."""
        path = self.folder / f"{name}.gguf"
        return path if path.exists() else None

    def starts(self, name: str) -> int:
        """How many times a model's process was started."""
        return len((self.folder / f"{name}.starts").read_text())

    def gone(self, name: str) -> bool:
        """Say whether an endless answer was abandoned."""
        return (self.folder / f"{name}.gone").exists()

    def pids(self) -> list[int]:
        """The processes that run."""
        return [child.pid for child in psutil.Process().children()]

    async def text(self, name: str, question: str = "Hi") -> str:
        """Ask and return the text."""
        return joined(await events_of(self.client, ask(question, model=name)), TextDelta)


@pytest.fixture
async def shelf(tmp_path: Path, http: HttpClient) -> AsyncIterator[Shelf]:
    one = Shelf(tmp_path, http)
    yield one
    await one.client.close()
    left = one.spawner.children(), one.pids()
    await one.spawner.close()
    assert left == (0, [])


async def test_the_first_question_starts_the_process_and_the_next_uses_it(shelf: Shelf) -> None:
    shelf.put("m")
    assert shelf.spawner.children() == 0
    assert await shelf.text("m", "One") == "One max=100"
    assert (await shelf.client.generate(ask("Two", model="m"))).message.text == "Two max=100"
    assert shelf.starts("m") == 1
    assert shelf.spawner.children() == 1


async def test_many_first_questions_share_one_start(shelf: Shelf) -> None:
    shelf.put("m")
    answers = await asyncio.gather(shelf.client.warm("m"), *(shelf.text("m", str(n)) for n in range(3 * SLOTS)))
    assert answers[1:] == [f"{n} max=100" for n in range(3 * SLOTS)]
    assert shelf.starts("m") == 1


async def test_giving_up_on_a_start_leaves_it_to_the_next(shelf: Shelf) -> None:
    shelf.put("m")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await shelf.client.warm("m")
    assert await shelf.text("m") == "Hi max=100"
    assert shelf.starts("m") == 1


async def test_a_death_in_mid_answer_is_told_and_the_next_question_starts_it_again(shelf: Shelf) -> None:
    shelf.put("m", "endless")

    async def read() -> None:
        async with aclosing(shelf.client.stream(ask(model="m"))) as stream:
            async for _ in stream:
                for pid in shelf.pids():
                    os.kill(pid, signal.SIGKILL)

    with pytest.raises(ModelUnreachable, match=r"ended \(status -9\)"):
        await read()
    shelf.put("m", "answer")
    assert await shelf.text("m") == "Hi max=100"
    assert shelf.starts("m") == 2


async def test_leaving_an_answer_early_stops_the_model(shelf: Shelf) -> None:
    shelf.put("m", "endless")
    async with aclosing(shelf.client.stream(ask(model="m"))) as stream:
        await anext(stream)
    await until(lambda: shelf.gone("m"))
    assert shelf.spawner.children() == 1


async def test_more_answers_than_slots_wait_and_may_be_cancelled(shelf: Shelf) -> None:
    shelf.put("m", "endless")
    streams = [shelf.client.stream(ask(model="m")) for _ in range(SLOTS)]
    for stream in streams:
        await anext(stream)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await shelf.text("m")
    waiting = asyncio.get_running_loop().create_task(anext(shelf.client.stream(ask(model="m"))))
    await streams.pop().aclose()
    assert await waiting
    for stream in streams:
        await stream.aclose()


@pytest.mark.parametrize(
    ("mode", "says", "hint"),
    [
        ("broken", "bad magic", "pull the model again"),
        ("missing", "xllamacpp", "openclaw-gateway[embedded]"),
        ("mute", "status 3", ""),
    ],
)
async def test_a_model_that_cannot_start_says_why_and_is_not_tried_at_once(
    shelf: Shelf, mode: str, says: str, hint: str
) -> None:
    shelf.put("m", mode)
    for _ in range(3):
        with pytest.raises(ModelUnavailable) as caught:
            await shelf.text("m")
        assert says in caught.value.message
        assert hint in caught.value.hint
    assert shelf.starts("m") == 1
    shelf.put("m", "answer")
    shelf.clock.advance(RETRY_S)
    assert await shelf.text("m") == "Hi max=100"


async def test_closing_during_a_start_is_an_error_for_who_waits_and_leaves_no_process(shelf: Shelf) -> None:
    shelf.put("m", "hang")
    waiting = asyncio.get_running_loop().create_task(shelf.text("m"))
    await until(lambda: shelf.spawner.children() == 1)
    await shelf.client.close()
    with pytest.raises(ModelUnavailable):
        await waiting
    assert shelf.spawner.children() == 0
    with pytest.raises(ModelUnavailable):
        await shelf.text("m")


async def test_closing_during_an_answer_ends_it_as_unreachable(shelf: Shelf) -> None:
    shelf.put("m", "endless")
    waiting = asyncio.get_running_loop().create_task(shelf.text("m"))
    await until(lambda: (shelf.folder / "m.starts").exists() and shelf.spawner.children() == 1)
    stream = shelf.client.stream(ask(model="m"))
    await anext(stream)
    await shelf.client.close()
    with pytest.raises(ModelError):
        await waiting
    await stream.aclose()
    assert shelf.spawner.children() == 0


async def test_a_third_model_replaces_the_one_used_longest_ago_after_its_answers(shelf: Shelf) -> None:
    shelf.put("old", "endless")
    old = shelf.client.stream(ask(model="old"))
    await anext(old)
    for name in ("second", "third"):
        shelf.put(name)
        assert await shelf.text(name) == "Hi max=100"
    assert await anext(old)
    assert shelf.spawner.children() == MAX_LOADED + 1
    await old.aclose()
    await until(lambda: shelf.spawner.children() == MAX_LOADED)
    assert await shelf.text("second") == "Hi max=100"
    assert shelf.starts("second") == 1


async def test_a_model_that_is_not_there_says_how_to_get_it(shelf: Shelf) -> None:
    with pytest.raises(ModelUnavailable) as caught:
        await shelf.text("smollm2")
    assert "openclaw models pull smollm2" in caught.value.hint
    with pytest.raises(ModelNotFound):
        await shelf.text("unheard-of")
    with pytest.raises(ModelNotFound):
        await shelf.client.get_metadata("unheard-of")


async def test_the_list_names_known_models_and_those_on_the_shelf(shelf: Shelf) -> None:
    shelf.put("smollm2")
    shelf.put("mine")
    listed = {info.ref: info for info in await shelf.client.list_models()}
    assert list(listed) == ["embedded/smollm2", "embedded/qwen2.5-coder-1.5b", "embedded/mine"]
    assert [info.available for info in listed.values()] == [True, False, True]
    assert [info.tools for info in listed.values()] == [False, True, False]
    assert (listed["embedded/mine"].context_tokens, listed["embedded/mine"].max_output_tokens) == (4096, 99)
    assert shelf.spawner.children() == 0


async def test_a_model_that_cannot_call_tools_refuses_them(shelf: Shelf) -> None:
    shelf.put("smollm2")
    with pytest.raises(ModelBadRequest):
        await events_of(shelf.client, ask(model="smollm2", tools=(WEATHER,)))


async def test_an_answer_never_exceeds_the_models_own_limit(shelf: Shelf) -> None:
    shelf.put("mine")
    assert await shelf.text("mine") == "Hi max=99"


async def test_the_count_includes_what_tool_use_adds(shelf: Shelf) -> None:
    plain = await shelf.client.count_tokens(ask())
    assert await shelf.client.count_tokens(ask(tools=(WEATHER,))) > plain + 200


PARENT = """
import asyncio, sys
from pathlib import Path
from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.models.embedded.client import EmbeddedClient
from openclaw.net.http import HttpClient
from openclaw.processes.spawner import Spawner

async def main():
    client = EmbeddedClient(lambda name: Path(sys.argv[1]), HttpClient(), Spawner(), SYSTEM_CLOCK, command=sys.argv[2:])
    await client.warm("m")
    print("xllamacpp" in sys.modules, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_the_process_dies_within_a_second_of_a_killed_gateway(shelf: Shelf) -> None:
    shelf.put("m")
    await dies_with_its_parent(shelf.folder / "m.gguf", COMMAND)


async def dies_with_its_parent(model: Path, command: tuple[str, ...]) -> None:
    """Start a gateway's worth of client in another process, kill that, and see its child end."""
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, str(model), *command, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    assert await parent.stdout.readline() == b"False\n"
    family = [one.pid for one in psutil.Process(parent.pid).children(recursive=True)]
    assert family
    parent.kill()
    await parent.wait()
    check: Callable[[], bool] = lambda: not any(alive(pid) for pid in family)  # noqa: E731
    await until(check, 1.0)
