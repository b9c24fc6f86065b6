"""Configuration files as they are found in the field, from every year: each starts a gateway, whatever is in it."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.config.env import Environment
from openclaw.config.keypath import KeyPath, format_path
from openclaw.config.load import Loaded, load
from openclaw.config.paths import StatePaths, resolve_paths
from openclaw.config.reading.form import read_plain
from openclaw.config.refusal import refusals
from openclaw.config.schema import Config
from openclaw.config.schema.shape import fields
from openclaw.config.writing import edit, yaml_edit
from openclaw.gateway import state
from openclaw.gateway.rooms import open_rooms
from openclaw.store.lock import StateLock
from tests.gateway.process import TOKEN, GatewayProcess, free_port

pytestmark = pytest.mark.anyio

FILES = sorted(path for path in (Path(__file__).parent / "files").iterdir() if path.is_file())
EXTRA = "xQuiteUnheardOf"
NAMES = [path.name for path in FILES]


def place(folder: Path, name: str) -> StatePaths:
    """Put a file, and the parts that it may include, where a gateway looks for it."""
    folder.mkdir(mode=0o700, exist_ok=True)
    source = Path(__file__).parent / "files"
    target = folder / ("openclaw.yaml" if name.endswith(".yaml") else "openclaw.json")
    shutil.copyfile(source / name, target)
    (folder / "parts").mkdir(mode=0o700, exist_ok=True)
    for part in (source / "parts").iterdir():
        shutil.copyfile(part, folder / "parts" / part.name)
        (folder / "parts" / part.name).chmod(0o600)
    return resolve_paths(environment(folder), target)


def environment(folder: Path) -> Environment:
    given = {"HOME": str(folder), "OPENCLAW_STATE_DIR": str(folder), "TELEGRAM_BOT_TOKEN": "1:x", "DISCORD_TOKEN": "x"}
    return Environment((("process", given),))


def with_extra_key(text: str, name: str) -> tuple[str, str]:
    """Return the text with a key that nobody knows in one of its objects, and the path of that key."""
    yaml = name.endswith(".yaml")
    values = read_plain(text, yaml=yaml).parsed
    known = [key for key in values if key in fields(Config) and isinstance(values[key], dict) and key != "env"]
    chosen = random.Random(name).choice([(), *((key,) for key in known if key not in ("channels", "identity"))])
    path: KeyPath = (*chosen, EXTRA)
    return (yaml_edit if yaml else edit).set_at(text, path, {"a": [1, "x"]}), format_path(path)


async def boots(loaded: Loaded, paths: StatePaths) -> None:
    """Open every room with it, and close them again."""
    assert refusals(loaded) == []
    state.prepare(paths.state_dir)
    lock = StateLock(paths.state_dir)
    lock.acquire()
    try:
        rooms = await open_rooms(loaded, paths, SYSTEM_CLOCK, lock)
        await rooms.close()
    finally:
        lock.release()


def test_there_are_files_of_every_era() -> None:
    assert len(FILES) >= 30
    assert {name[:4] for name in NAMES} == {"2023", "2024", "2025", "2026"}


@pytest.mark.parametrize("name", NAMES)
async def test_a_file_of_the_field_boots(tmp_path: Path, name: str) -> None:
    paths = place(tmp_path / "state", name)
    loaded = load(paths, environment(paths.state_dir))
    assert [str(issue) for issue in loaded.issues if issue.severity == "error"] == []
    await boots(loaded, paths)


@pytest.mark.parametrize("name", NAMES)
async def test_it_boots_with_a_key_that_nobody_knows_too_and_that_key_is_named(tmp_path: Path, name: str) -> None:
    paths = place(tmp_path / "state", name)
    text, extra = with_extra_key(paths.config_path.read_text(), name)
    before = load(paths, environment(paths.state_dir))
    paths.config_path.write_text(text)
    loaded = load(paths, environment(paths.state_dir))
    new = [
        issue
        for issue in loaded.issues
        if issue.message not in {each.message for each in before.issues}
        or issue.path not in {each.path for each in before.issues}
    ]
    assert [(issue.path, issue.kind, issue.severity) for issue in new] == [(extra, "unknown-key", "warning")]
    assert loaded.config == before.config
    await boots(loaded, paths)


@pytest.mark.parametrize("name", NAMES)
def test_every_key_is_used_or_named(tmp_path: Path, name: str) -> None:
    """What is neither in force nor told would be a setting that somebody believes in."""
    paths = place(tmp_path / "state", name)
    loaded = load(paths, environment(paths.state_dir))
    told = {issue.path for issue in loaded.issues}
    silent = [
        path
        for path in _leaves(loaded.parsed)
        if path[0] not in ("$schema", "meta", "channels", "env")
        and not any(format_path(path[:end]) in told for end in range(1, len(path) + 1))
        and not any(format_path(path[:end]) in loaded.sources for end in range(1, len(path) + 1))
        and not format_path(path).startswith(
            ("agents.entries", "gateway.nodes")
        )  # read as agents.list, and as commands
    ]
    assert [format_path(path) for path in silent] == []


def _leaves(value: object, path: KeyPath = ()) -> list[KeyPath]:
    if isinstance(value, dict) and value:
        return [leaf for key, item in value.items() for leaf in _leaves(item, (*path, key))]
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return [leaf for index, item in enumerate(value) for leaf in _leaves(item, (*path, index))]
    return [path]


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("2023-bot.json5", "identity.name", "Molty"),
        ("2023-bot.json5", "agents.defaults.model", "openai/gpt-4"),
        ("2023-bot-and-identity.json5", "identity.name", "New name"),
        ("2024-agent.json5", "agents.defaults.timeout_seconds", 300),
        ("2024-agent-heartbeat.json5", "agents.defaults.max_concurrent", 3),
        ("2024-agent-heartbeat.json5", "agents.defaults.heartbeat.every", "30m"),
        ("2024-gateway-password.json5", "gateway.auth.mode", "password"),
    ],
)
def test_what_an_old_name_means_is_in_force(tmp_path: Path, name: str, path: str, value: object) -> None:
    paths = place(tmp_path / "state", name)
    held: object = load(paths, environment(paths.state_dir)).config
    for key in path.split("."):
        held = getattr(held, key)
    assert held == value


@pytest.mark.parametrize(
    ("name", "ids"),
    [("2024-routing-agents.json5", ["home", "work"]), ("2026-06-entries.json5", ["main", "research"])],
)
def test_agents_by_id_are_agents_of_the_list(tmp_path: Path, name: str, ids: list[str]) -> None:
    paths = place(tmp_path / "state", name)
    assert [agent.id for agent in load(paths, environment(paths.state_dir)).config.agents.list] == ids


def test_an_old_name_is_told_with_its_line_and_the_new_one(tmp_path: Path) -> None:
    paths = place(tmp_path / "state", "2024-agent-heartbeat.json5")
    (issue,) = [each for each in load(paths, environment(paths.state_dir)).issues if each.path == "agent.maxConcurrent"]
    assert (issue.kind, issue.severity, issue.line) == ("old-name", "warning", 5)
    assert "agents.defaults.maxConcurrent" in issue.message


@pytest.mark.parametrize("name", ["2023-bot.json5", "2026-06-entries.json5", "2026-10-include.json5"])
async def test_a_real_gateway_runs_on_it(tmp_path: Path, name: str) -> None:
    paths = place(tmp_path / "state", name)
    port = free_port()
    env = {"OPENCLAW_GATEWAY_TOKEN": TOKEN, "OPENCLAW_GATEWAY_PORT": str(port), "TELEGRAM_BOT_TOKEN": "1:x"}
    running = await GatewayProcess.start(paths.state_dir, port, env=env)
    try:
        async with await (await running.ready()).connect() as client:
            assert (await client.call("health"))["ok"] is True
    finally:
        assert await running.stop() == 0
