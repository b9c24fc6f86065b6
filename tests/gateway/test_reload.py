"""A configuration that changes under a running gateway: all of it is taken up, or nothing, and no turn is lost."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.base.errors import Unavailable
from openclaw.config.disk import write_atomically
from openclaw.config.load import Loaded, load
from openclaw.config.schema.describe import Leaf, leaves
from openclaw.config.writing.edit import set_value
from openclaw.gateway import state
from openclaw.gateway.outcome import Outcome
from openclaw.gateway.reload import reload
from openclaw.gateway.rooms import Rooms, open_rooms
from openclaw.store.lock import StateLock
from tests.config.make import Home
from tests.gateway.process import TOKEN, gateway

pytestmark = pytest.mark.anyio

TEXT = '{ agents: { defaults: { model: "fake/echo" } } }'
RELOADS = 100


class House:
    """Rooms over a file, and a reload of them."""

    def __init__(self, home: Home, rooms: Rooms) -> None:
        self.home, self.rooms = home, rooms

    async def take_up(self, text: str) -> Outcome:
        self.home.write(text)
        return await reload(self.rooms, self._load, verbose=False, quiet=True)

    async def _load(self) -> Loaded:
        return load(self.rooms.paths, self.home.env())


@pytest.fixture
async def house(tmp_path: Path, anyio_backend: object) -> AsyncIterator[House]:
    home = Home(tmp_path)
    home.write(TEXT)
    paths = home.paths()
    state.prepare(paths.state_dir)
    lock = StateLock(paths.state_dir)
    lock.acquire()
    rooms = await open_rooms(home.load(), paths, SYSTEM_CLOCK, lock)
    try:
        yield House(home, rooms)
    finally:
        await rooms.close()
        lock.release()


def _samples() -> list[tuple[Leaf, Any]]:
    """Return every leaf that stands alone, with a value that is not its default."""
    found = []
    for leaf in leaves():
        if "[]" in leaf.path or "*" in leaf.path or leaf.path in ("channels", "env.vars", "hooks.enabled"):
            continue
        value = _other(leaf)
        if value is not None:
            found.append((leaf, value))
    return found


def _other(leaf: Leaf) -> Any:
    if isinstance(leaf.default, bool):
        return not leaf.default
    if isinstance(leaf.default, int):
        return leaf.default + 1 if not leaf.path.endswith("Percent") else 50
    if isinstance(leaf.default, list):
        return ["x"] if leaf.type.startswith("a list of text") else None
    return "some-text-of-32-characters-or-more" if leaf.secret else None


def test_there_are_samples_of_both_classes() -> None:
    found = [leaf.reload for leaf, _ in _samples()]
    assert found.count("live") > 30
    assert found.count("process") > 5


async def test_the_declared_class_of_each_leaf_is_what_happens(house: House) -> None:
    for leaf, value in _samples():
        outcome = await house.take_up(set_value(TEXT, leaf.path, value))
        assert outcome.error == "", leaf.path
        told, other = (outcome.waiting, outcome.applied)[:: 1 if leaf.reload == "process" else -1]
        assert other == (), leaf.path
        assert len(told) == 1, leaf.path
        assert f"{leaf.path}.".startswith(f"{told[0]}."), leaf.path  # an optional section comes as a whole
        assert (await house.take_up(TEXT)).error == ""


async def test_a_live_leaf_is_in_force_at_once(house: House) -> None:
    await house.take_up(set_value(TEXT, "logging.level", "error"))
    assert logging.getLogger("openclaw").getEffectiveLevel() == logging.ERROR
    await house.take_up(TEXT)
    assert logging.getLogger("openclaw").getEffectiveLevel() == logging.INFO
    await house.take_up('{ agents: { defaults: { model: "fake/echo" }, list: [{ id: "fresh" }] } }')
    assert [agent.id for agent in house.rooms.config.agents.list] == ["fresh"]
    assert [spec.id for spec in house.rooms.study.directory().specs()] == ["fresh"]


async def test_an_unchanged_file_is_a_no_op(house: House) -> None:
    tools, config = house.rooms.tools, house.rooms.config
    assert await house.take_up(TEXT) == Outcome()
    assert await house.take_up(f"// only a comment\n{TEXT}") == Outcome()
    assert house.rooms.tools is tools
    assert house.rooms.config == config


@pytest.mark.parametrize("room", ["models", "mcp", "study"])
async def test_a_room_that_cannot_be_made_leaves_everything_as_it_was(
    house: House, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rooms = house.rooms
    before, tools, directory = rooms.loaded, rooms.tools, rooms.study.directory()
    owner: Any = getattr(rooms, room)
    real: Callable[..., Any] = owner.reload
    calls: list[object] = []

    def failing(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 1:
            raise Unavailable("the room is on fire")
        return real(*arguments)

    monkeypatch.setattr(owner, "reload", failing)
    changed = {
        "agents": {"defaults": {"model": "other/m"}},
        "models": {"providers": {"other": {"baseUrl": "http://127.0.0.1:9/v1", "models": [{"id": "m"}]}}},
        "mcp": {"servers": {"none": {"command": "true", "enabled": False}}},
        "logging": {"level": "debug"},
    }
    outcome = await house.take_up(json.dumps(changed))
    assert outcome.error == "the room is on fire"
    assert (rooms.loaded, rooms.tools, rooms.study.directory()) == (before, tools, directory)
    assert logging.getLogger("openclaw").getEffectiveLevel() != logging.DEBUG
    with pytest.raises(Exception, match="other"):
        rooms.models.resolve("other/m")
    rooms.models.resolve("fake/echo")
    monkeypatch.undo()
    assert (await house.take_up(json.dumps(changed))).error == ""
    rooms.models.resolve("other/m")


@pytest.mark.slow
async def test_a_hundred_reloads_under_load_lose_no_turn(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        path = tmp_path / "openclaw.json"
        config = msgspec.json.decode(path.read_bytes())
        done = asyncio.Event()
        answered: list[str] = []

        async def talk(agent: int) -> None:
            async with await running.connect() as client:
                turn = 0
                while not done.is_set():
                    turn += 1
                    key = f"k{agent}-{turn}"
                    await client.call("agent", {"message": key, "sessionKey": f"s{agent}", "idempotencyKey": key})
                    found = await client.call("agent.wait", {"runId": key, "timeoutMs": 10_000})
                    assert found["status"] == "ok", found
                    answered.append(key)
                history = await client.call("chat.history", {"sessionKey": f"s{agent}", "limit": 1000})
                told = json.dumps(history["messages"])
                assert [key for key in answered if key.startswith(f"k{agent}-") and f'"{key}"' not in told] == []

        async def change() -> None:
            async with await running.connect() as client:
                for number in range(RELOADS):
                    before = (await client.call("config.get"))["appliedConfigHash"]
                    config["agents"]["defaults"]["systemPrompt"] = f"version {number}"
                    config["identity"] = {"name": f"n{number}"}
                    write_atomically(path, json.dumps(config).encode())
                    running.process.send_signal(signal.SIGHUP)
                    async with asyncio.timeout(5):
                        while (await client.call("config.get"))["appliedConfigHash"] == before:
                            pass  # each look waits for the gateway's answer
            done.set()

        async with asyncio.timeout(60):
            await asyncio.gather(change(), *(talk(agent) for agent in range(3)))
        assert len(answered) >= RELOADS
        assert TOKEN in path.read_text()
