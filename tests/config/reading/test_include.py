"""Configurations in several files."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from openclaw.base.clock import ManualClock
from openclaw.base.errors import ConfigError
from openclaw.config import lastgood
from openclaw.config.load import files_of
from openclaw.config.reading.include import MAX_DEPTH, MAX_FILES
from openclaw.config.watch import POLL_S, Watcher
from tests.config.make import Home, issue_at


def put(home: Home, **files: str) -> None:
    for name, text in files.items():
        home.state.joinpath(f"{name}.json5").write_text(text)
        home.state.joinpath(f"{name}.json5").chmod(0o600)


def refused(home: Home, text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        home.load(text)
    return caught.value


def test_files_merge_deeply_and_what_stands_beside_wins(home: Home) -> None:
    put(
        home,
        base="{ gateway: { port: 1111, auth: { mode: 'none' } }, tools: { deny: ['a'] } }",
        more="{ gateway: { port: 2222 }, tools: { deny: ['b'], allow: ['x'] } }",
    )
    loaded = home.load(
        "{ $include: ['./base.json5', 'more.json5'], gateway: { bind: 'loopback' }, tools: { allow: ['y'] } }"
    )
    gateway, tools = loaded.config.gateway, loaded.config.tools
    assert (gateway.port, gateway.auth.mode, gateway.bind) == (2222, "none", "loopback")
    assert (tools.deny, tools.allow) == (("a", "b"), ("y",))
    assert loaded.included == (home.state / "base.json5", home.state / "more.json5")
    assert "$include" not in loaded.parsed
    assert "$include" in loaded.own
    assert issue_at(loaded, "tools.allow").message.startswith("this list takes the place of the one in more.json5")


def test_a_part_may_come_from_a_file_that_includes_another_from_its_own_folder(home: Home) -> None:
    (home.state / "parts").mkdir(mode=0o700)
    put(home, **{"parts/agents": "{ defaults: { $include: 'defaults.json5' }, list: [{ id: 'a' }] }"})
    put(home, **{"parts/defaults": "{ model: 'fake/x', limits: { steps: 'many' } }"})
    loaded = home.load("{\n  agents: { $include: 'parts/agents.json5' },\n}")
    assert loaded.config.agents.defaults.model == "fake/x"
    assert [agent.id for agent in loaded.config.agents.list] == ["a"]
    issue = issue_at(loaded, "agents.defaults.limits.steps")
    assert (issue.file, issue.line) == ("parts/defaults.json5", 1)
    assert "parts/defaults.json5, line 1" in str(issue)


def test_an_entry_of_a_joined_list_is_named_in_its_own_file(home: Home) -> None:
    put(home, one="{ list: [{ id: 'a' }] }", two="{ list: [\n{ id: 'b' },\n{ id: 'c', wrong: 1 } ] }")
    loaded = home.load("{ agents: { $include: ['one.json5', 'two.json5'] } }")
    issue = issue_at(loaded, "agents.list[2].wrong")
    assert (issue.file, issue.line) == ("two.json5", 3)


def test_yaml_may_be_included_and_may_include(home: Home) -> None:
    (home.state / "more.yaml").write_text("port: 4444 # here\n")
    (home.state / "more.yaml").chmod(0o600)
    assert home.load("{ gateway: { $include: 'more.yaml' } }").config.gateway.port == 4444
    home.variables["OPENCLAW_CONFIG_PATH"] = str(home.state / "config.yaml")
    assert home.load("gateway: { $include: more.yaml }\n").config.gateway.port == 4444
    loaded = home.load("server: { host: loopback }\nlogging:\n  $include: [more.yaml]\n")
    assert (issue_at(loaded, "logging.port").file, issue_at(loaded, "logging.port").line) == ("more.yaml", 1)


def test_a_circle_is_reported_with_its_chain(home: Home) -> None:
    put(home, a="{ $include: 'b.json5' }", b="{\n$include: 'a.json5' }")
    error = refused(home, "{ $include: 'a.json5' }")
    assert "openclaw.json → a.json5 → b.json5 → a.json5" in error.message
    assert error.message.startswith("b.json5, line 2:")


def test_files_may_be_included_ten_deep(home: Home) -> None:
    for index in range(1, MAX_DEPTH + 1):
        put(home, **{f"f{index}": f"{{ $include: 'f{index + 1}.json5' }}"})
    put(home, **{f"f{MAX_DEPTH + 1}": "{ gateway: { port: 5 } }"})
    assert "more than 10 deep" in refused(home, "{ $include: 'f1.json5' }").message
    assert home.load("{ $include: 'f2.json5' }").config.gateway.port == 5


def test_inclusions_cannot_multiply_without_end(home: Home) -> None:
    for index in range(8):
        put(home, **{f"f{index}": "{ $include: [" + f"'f{index + 1}.json5'," * 4 + "] }"})
    put(home, f8="{}")
    assert f"more than {MAX_FILES} files" in refused(home, "{ $include: 'f0.json5' }").message


@pytest.mark.parametrize("value", ["5", "[]!", "[1]", "''", "{}", "null"])
def test_an_include_that_names_no_file_is_refused_with_its_line(home: Home, value: str) -> None:
    if value == "[]!":
        assert home.load("{ $include: [], gateway: { port: 7 } }").config.gateway.port == 7
        return
    error = refused(home, "{\n gateway: { $include: " + value + " } }")
    assert "openclaw.json, line 2: $include takes" in error.message
    assert (error.details["line"], error.details["path"]) == (2, "gateway.$include")


def test_what_cannot_be_read_refuses_the_whole_configuration(home: Home) -> None:
    assert "gone.json5 is not there" in refused(home, "{ $include: 'gone.json5' }").message
    put(home, broken="{\n a: }")
    error = refused(home, "{ $include: 'broken.json5' }")
    assert "broken.json5 cannot be parsed at line 2" in error.message
    assert error.details["file"] == str(home.state / "broken.json5")
    (home.state / "folder").mkdir()
    assert "is no file" in refused(home, "{ $include: 'folder' }").message


def test_an_include_stays_in_the_folder_unless_the_whole_path_is_written(home: Home) -> None:
    outside = home.folder / "shared"
    outside.mkdir(mode=0o700)
    (outside / "a.json5").write_text("{ $include: 'b.json5' }")
    (outside / "b.json5").write_text("{ gateway: { port: 9 } }")
    (outside / "c.json5").write_text("{ $include: '../state/x.json5' }")
    for file in outside.iterdir():
        file.chmod(0o600)
    assert "leads out of" in refused(home, "{ $include: '../shared/a.json5' }").message
    (home.state / "link.json5").symlink_to(outside / "a.json5")
    assert "leads out of" in refused(home, "{ $include: 'link.json5' }").message
    assert home.load(f"{{ $include: '{outside}/a.json5' }}").config.gateway.port == 9
    assert "leads out of" in refused(home, f"{{ $include: '{outside}/c.json5' }}").message


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_file_that_others_may_write_is_not_read(home: Home, mode: int) -> None:
    put(home, a="{}")
    (home.state / "a.json5").chmod(mode)
    error = refused(home, "{ $include: 'a.json5' }")
    assert "others may write" in error.message
    assert error.hint == f"chmod go-w {home.state / 'a.json5'}"


def test_a_folder_that_others_may_write_is_as_bad(home: Home) -> None:
    (home.state / "parts").mkdir()
    put(home, **{"parts/a": "{}"})
    (home.state / "parts").chmod(0o777)
    assert "others may write" in refused(home, "{ $include: 'parts/a.json5' }").message


def test_the_hash_covers_all_files(home: Home) -> None:
    put(home, a="{ gateway: { port: 1 } }")
    before = home.load("{ $include: 'a.json5' }")
    put(home, a="{ gateway: { port: 2 } }")
    after = home.load()
    assert before.hash != after.hash
    assert before.file_hash == after.file_hash


def test_the_last_good_text_stands_alone(home: Home) -> None:
    put(home, a="{ gateway: { port: 4321, auth: { token: '${X_TOKEN}' } } }")
    good = home.load("{ $include: 'a.json5' }", {"X_TOKEN": "t" * 40})
    lastgood.save(home.paths().last_good, good.standalone)
    put(home, a="{ broken")
    fallen = home.load()
    assert (fallen.source, fallen.config.gateway.port) == ("last-good", 4321)
    assert fallen.config.gateway.auth.token == good.config.gateway.auth.token
    assert "t" * 40 not in good.standalone
    assert "a.json5" in fallen.issues[0].message


def test_included_text_is_substituted_and_quarantined_like_the_files_own(home: Home) -> None:
    put(home, a="{ gateway: { port: '${A_PORT}', bogus: 1 } }")
    loaded = home.load("{ $include: 'a.json5' }", {"A_PORT": "1234"})
    assert loaded.config.gateway.port == 1234
    assert (issue_at(loaded, "gateway.bogus").kind, issue_at(loaded, "gateway.bogus").file) == (
        "unknown-key",
        "a.json5",
    )


@pytest.mark.anyio
async def test_the_watcher_notices_an_included_file_also_one_that_was_broken_or_missing(home: Home) -> None:
    home.write("{ $include: 'later.json5' }")
    path, clock = home.paths().config_path, ManualClock()
    assert files_of(path) == (path, home.state / "later.json5")
    changes = Watcher(path, clock, lambda: 100, files_of).changes()

    async def told() -> Path:
        waiting = asyncio.ensure_future(changes.__anext__())
        for _ in range(400):
            await asyncio.sleep(0.002)
            clock.advance(POLL_S)
            if waiting.done():
                break
        return waiting.result()

    waiting: Any = asyncio.ensure_future(told())
    await asyncio.sleep(0.05)
    put(home, later="{ broken")
    assert await waiting == path
    waiting = asyncio.ensure_future(told())
    await asyncio.sleep(0.05)
    put(home, later="{ gateway: { port: 1 } }")
    assert await waiting == path
