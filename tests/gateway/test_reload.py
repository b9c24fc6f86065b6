"""A configuration that changes under a running gateway: all of it is taken up, or nothing, and no turn is lost."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import msgspec
import pytest

from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.base.errors import OpenClawError, Unavailable
from openclaw.config import lastgood
from openclaw.config.disk import write_atomically
from openclaw.config.load import Loaded, load
from openclaw.config.refusal import refusals
from openclaw.config.writing.edit import set_value
from openclaw.gateway import state
from openclaw.gateway.outcome import Outcome
from openclaw.gateway.reload import reload
from openclaw.gateway.rooms import Rooms, open_rooms
from openclaw.store.lock import StateLock
from tests.config.make import Home
from tests.gateway.process import TOKEN, GatewayProcess, gateway
from tests.gateway.whole_config import LEGACY

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
        loaded = load(self.rooms.paths, self.home.env())
        if stop := refusals(loaded):
            raise stop[0]
        return loaded


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


GOOD = {"identity": {"name": "Taken Up"}}
"""What stands beside everything that fails, and must not come through alone."""


def _on_fire(house: House, room: str, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the room fail once, and work when it is told to go back."""
    owner: Any = house.rooms
    for part in room.split("."):
        owner = getattr(owner, part)
    real: Callable[..., Any] = getattr(owner, method)
    calls: list[object] = []

    def failing(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 1:
            raise Unavailable("the room is on fire")
        return real(*arguments)

    monkeypatch.setattr(owner, method, failing)


def _no_log(house: House) -> None:
    folder = house.rooms.paths.logs_dir
    folder.mkdir(exist_ok=True)
    folder.rename(folder.with_name("elsewhere"))
    folder.write_text("")


Spoil = Callable[[House, pytest.MonkeyPatch], object]
FAILING: dict[str, tuple[dict[str, Any], str, Spoil]] = {
    "models": (
        {"models": {"providers": {"other": {"baseUrl": "http://127.0.0.1:9/v1", "models": [{"id": "m"}]}}}},
        "on fire",
        lambda house, monkeypatch: _on_fire(house, "models", "reload", monkeypatch),
    ),
    "agents": (
        {"agents": {"list": [{"id": "new"}]}},
        "on fire",
        lambda house, monkeypatch: _on_fire(house, "study", "reload", monkeypatch),
    ),
    "cron": (
        {"cron": {"enabled": False}},
        "on fire",
        lambda house, monkeypatch: _on_fire(house, "automation.jobs", "reloaded", monkeypatch),
    ),
    "mcp": ({"mcp": {"servers": {f"s{n}": {"command": "true"} for n in range(65)}}}, "the limit is 64", lambda *_: 0),
    "actions": ({"actions": [{"name": "a", "module": "no_such", "class": "X"}]}, "No module named", lambda *_: 0),
    "logging": ({"logging": {"level": "debug"}}, "File exists", lambda house, _: _no_log(house)),
    "secrets": ({"backup": {"passphrase": {"source": "env", "id": "NOT_THERE"}}}, "has no value", lambda *_: 0),
    "variable": ({"agents": {"defaults": {"systemPrompt": "${NOT_THERE}"}}}, "NOT_THERE is not set", lambda *_: 0),
    "hooks": ({"hooks": {"enabled": True}}, "needs hooks.token", lambda *_: 0),
    "value": ({"storage": {"minFreeBytes": "much"}}, "expected a whole number", lambda *_: 0),
    "doors": ({"gateway": {"bind": "lan", "auth": {"mode": "none"}}}, "would listen beyond", lambda *_: 0),
    "weaker": ({"gateway": {"auth": {"mode": "password"}}}, "needs a password", lambda *_: 0),
}


@pytest.mark.parametrize("room", FAILING)
async def test_a_change_that_fails_in_one_room_leaves_everything_as_it_was(
    house: House, room: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rooms, (change, why, spoil) = house.rooms, FAILING[room]
    await house.take_up(json.dumps({"mcp": {"servers": {"kept": {"command": "/nowhere"}}}}))
    spoil(house, monkeypatch)
    before = (rooms.loaded, rooms.tools, rooms.study.directory(), dict(rooms.mcp._links), rooms.authenticator.mode)
    tasks = asyncio.all_tasks()
    kept = json.loads(house.home.paths().config_path.read_text())
    outcome = await house.take_up(json.dumps({**kept, **GOOD, **change}))
    assert why in outcome.error
    now = (rooms.loaded, rooms.tools, rooms.study.directory(), dict(rooms.mcp._links), rooms.authenticator.mode)
    assert all(one is other or one == other for one, other in zip(now, before, strict=True))
    assert asyncio.all_tasks() == tasks
    assert logging.getLogger("openclaw").getEffectiveLevel() != logging.DEBUG
    with pytest.raises(OpenClawError):
        rooms.models.resolve("other/m")
    assert rooms.health.configuration.problem == outcome.error
    assert [record.message for record in caplog.records].count("config_not_reloaded") == 1
    if room == "logging":
        rooms.paths.logs_dir.unlink()
    good = await house.take_up(json.dumps({**kept, **GOOD}))
    assert (good.error, good.applied, rooms.health.configuration.problem) == ("", ("identity.name",), "")
    assert rooms.config.identity.name == "Taken Up"


@pytest.mark.parametrize("text", ["", "{", '{"identity": {"name": ', "{identity: {name: 'x'}} x"])
async def test_a_file_that_is_half_written_is_not_taken_up(house: House, text: str) -> None:
    before = house.rooms.loaded
    lastgood.save(house.rooms.paths.last_good, TEXT)
    assert (await house.take_up(text)).error
    assert house.rooms.loaded is before
    assert lastgood.load(house.rooms.paths.last_good) == TEXT


async def test_a_file_that_is_gone_or_cannot_be_read_changes_nothing(house: House) -> None:
    before, path = house.rooms.loaded, house.home.paths().config_path
    path.unlink()
    assert "is gone" in (await reload(house.rooms, house._load, verbose=False, quiet=True)).error
    path.mkdir()
    assert "cannot be read" in (await reload(house.rooms, house._load, verbose=False, quiet=True)).error
    path.rmdir()
    assert house.rooms.loaded is before
    assert (await house.take_up(TEXT)) == Outcome()
    assert house.rooms.health.configuration.problem == ""


async def test_a_full_disk_does_not_undo_what_is_in_force(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(lastgood, "save", full)
    assert (await house.take_up(json.dumps(GOOD))).error == ""
    assert house.rooms.config.identity.name == "Taken Up"


async def test_what_was_wrong_before_does_not_stop_another_change(house: House) -> None:
    wrong = {"storage": {"minFreeBytes": "much"}, "hooks": {"enabled": True}}
    house.rooms.present.loaded = house.home.load(json.dumps(wrong))
    assert (await house.take_up(json.dumps({**wrong, **GOOD}))).applied == ("identity.name",)


async def test_an_open_door_waits_for_the_bind_that_closes_it_first(house: House) -> None:
    token = "a-token-that-is-long-enough-for-everybody-0123"
    wide = {"gateway": {"bind": "lan", "auth": {"token": token}}}
    house.rooms.present.loaded = house.home.load(json.dumps(wide))
    outcome = await house.take_up('{ gateway: { bind: "loopback", auth: { mode: "none" } } }')
    assert "until gateway.bind takes effect by a restart" in outcome.error
    assert house.rooms.config.gateway.auth.mode == "token"


async def test_a_key_that_came_to_the_environment_is_used_though_the_file_is_as_it_was(house: House) -> None:
    assert "anthropic" not in {model.provider for model in house.rooms.models.models()}
    house.home.variables["ANTHROPIC_API_KEY"] = "sk-ant-0123456789"
    assert await house.take_up(TEXT) == Outcome()
    assert "anthropic" in {model.provider for model in house.rooms.models.models()}


async def test_what_waits_for_a_restart_is_not_forgotten_by_the_next_change(house: House) -> None:
    assert (await house.take_up("{ gateway: { port: 2000 } }")).waiting == ("gateway.port",)
    outcome = await house.take_up('{ gateway: { port: 2000 }, identity: { name: "x" } }')
    assert (outcome.applied, outcome.waiting) == (("identity.name",), ("gateway.port",))
    assert house.rooms.config.gateway.port == 18789
    assert house.rooms.health.configuration.waiting == ("gateway.port",)
    assert (await house.take_up('{ identity: { name: "x" } }')).waiting == ()
    assert not house.rooms.health.configuration.waiting


async def test_in_mode_restart_nothing_is_taken_up_in_place(house: House) -> None:
    await house.take_up('{ gateway: { reload: { mode: "restart" } } }')
    outcome = await house.take_up('{ gateway: { reload: { mode: "restart" } }, identity: { name: "x" } }')
    assert (outcome.applied, outcome.waiting) == ((), ("identity.name",))
    assert await house.take_up('// a word\n{ gateway: { reload: { mode: "restart" } } }') == Outcome()
    assert house.rooms.loaded.raw.startswith("// a word")
    assert house.rooms.config.identity.name == "Assistant"


DOZE = """
import asyncio

from openclaw import action


@action
async def doze(seconds: float) -> str:
    \"\"\"Sleep.\"\"\"
    await asyncio.sleep(seconds)
    return "well slept"
"""
TURNS = ("plain words", '/tool doze {"seconds": 0.03}', "words that come in pieces")
"""What three clients say all the time: one turn at once, one with a call of a tool, one streamed slowly."""
WARM_UP = 25
GROWTH_KB = 24_000
"""What 75 reloads and the turns meanwhile may add: histories grow, but a tenth of a megabyte each would be a leak."""


class Size(NamedTuple):
    """What the gateway's process holds."""

    files: int
    children: int
    tasks: int
    kilobytes: int


async def _size(running: GatewayProcess) -> Size:
    async with aiohttp.ClientSession() as http, http.get(f"{running.http_url}/metrics") as answer:
        lines = (line.split() for line in (await answer.text()).splitlines() if not line.startswith("#"))
        found = {name: float(value) for name, value in lines}
    files = len(os.listdir(f"/proc/{running.process.pid}/fd"))  # noqa: PTH208  # nothing waits for /proc
    memory = int(found["process_resident_memory_bytes"]) // 1024
    return Size(files, int(found["openclaw_children"]), int(found["openclaw_tasks"]), memory)


async def _settled(running: GatewayProcess) -> Size:
    """Return the size once the server of tools that a reload replaced has ended."""
    async with asyncio.timeout(20):
        while (size := await _size(running)).children != 1:
            pass  # each look waits for the gateway's answer
    return size


def _varied(config: dict[str, Any], number: int) -> None:
    """Change something of every room; every tenth time also the server of tools, which is a program."""
    config["agents"]["defaults"]["systemPrompt"] = f"version {number}"
    config["identity"] = {"name": f"n{number}"}
    config["models"]["providers"]["far"]["apiKey"] = f"key-number-{number}"
    config["logging"] = {"level": ("info", "debug")[number % 2]}
    config["cron"] = {"maxConcurrentRuns": number + 1}
    config["mcp"]["servers"]["tools"]["env"] = {"N": str(number // 10)}


@pytest.mark.slow
async def test_a_hundred_reloads_under_load_lose_no_turn_and_leave_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "dozing.py").write_text(DOZE)
    (tmp_path / "tools.json").write_text("[]")
    slow = {"id": "slow", "model": "fake/fake-n8-d4"}
    sections: dict[str, Any] = {
        "agents": {"defaults": {"model": "fake/echo"}, "list": [{"id": "main"}, slow]},
        "actions": [{"name": "doze", "module": "dozing", "class": "doze"}],
        "models": {"providers": {"far": {"baseUrl": "http://127.0.0.1:9/v1", "models": [{"id": "m"}]}}},
        "mcp": {"servers": {"tools": {"command": sys.executable, "args": [str(LEGACY), str(tmp_path)]}}},
    }
    async with gateway(tmp_path, **sections) as running:
        path = tmp_path / "openclaw.json"
        config = msgspec.json.decode(path.read_bytes())
        done = asyncio.Event()
        answered: list[str] = []
        sizes: list[Size] = []

        async def talk(number: int, says: str) -> None:
            async with await running.connect() as client:
                session, turn = f"agent:{('main', 'main', 'slow')[number]}:s{number}", 0
                while not done.is_set():
                    turn += 1
                    key = f"k{number}-{turn}"
                    asked = {"message": f"{key}\n{says}", "sessionKey": session, "idempotencyKey": key}
                    await client.call("chat.send", asked)
                    found = await client.call("agent.wait", {"runId": key, "timeoutMs": 10_000})
                    assert found["status"] == "ok", found
                    answered.append(key)
                history = await client.call("chat.history", {"sessionKey": session, "limit": 1000})
                told = json.dumps(history["messages"])
                assert [key for key in answered if key.startswith(f"k{number}-") and key not in told] == []
                assert "doze" not in says or "well slept" in told

        async def change() -> None:
            async with await running.connect() as client:
                before = (await client.call("config.get"))["appliedConfigHash"]
                for number in range(RELOADS):
                    _varied(config, number)
                    write_atomically(path, json.dumps(config).encode())
                    running.process.send_signal(signal.SIGHUP)
                    async with asyncio.timeout(10):
                        while (now := (await client.call("config.get"))["appliedConfigHash"]) == before:
                            pass  # each look waits for the gateway's answer
                    before = now
                    if number == WARM_UP:
                        sizes.append(await _settled(running))
                sizes.append(await _settled(running))
            done.set()

        async with asyncio.timeout(120):
            await asyncio.gather(change(), *(talk(number, says) for number, says in enumerate(TURNS)))
        first, last = sizes
        assert len(answered) >= RELOADS
        assert last.files <= first.files + 3
        assert last.tasks <= first.tasks + 6
        assert last.kilobytes <= first.kilobytes + GROWTH_KB, sizes
        assert TOKEN in path.read_text()
