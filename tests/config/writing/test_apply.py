"""Changes in every form that a file may have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw.base.errors import ConfigError, InvalidRequest, NotFound, NotSupported
from openclaw.config.env import Environment
from openclaw.config.load import load_text
from openclaw.config.paths import resolve_paths
from openclaw.config.reading.values import lookup, same
from openclaw.config.redaction.redact import PLACEHOLDER, redacted
from openclaw.config.writing.apply import overriding, set_in, unset_in
from openclaw.config.writing.commit import write_file
from openclaw.config.writing.rewrite import patched, whole
from tests.config.make import Home

SHORT = """server: { host: 0.0.0.0, port: 8080 } # where
agent:
  name: Default
  memory_size: 10
llm:
  provider: anthropic
  model: claude-x # the model
  api_key: k
"""


def yaml_home(home: Home, text: str) -> None:
    home.variables["OPENCLAW_CONFIG_PATH"] = str(home.state / "config.yaml")
    home.write(text)


def files(home: Home, main: str, **parts: str) -> None:
    for name, text in parts.items():
        home.state.joinpath(f"{name}.json5").write_text(text)
        home.state.joinpath(f"{name}.json5").chmod(0o600)
    home.write(main)


@pytest.mark.parametrize(
    ("path", "value", "old", "new"),
    [
        ("gateway.port", 9000, "port: 8080", "port: 9000"),
        ("gateway.bind", "loopback", "host: 0.0.0.0", "host: loopback"),
        ("agents.defaults.memory.size", 5, "memory_size: 10", "memory_size: 5"),
        ("agents.defaults.model", "anthropic/claude-x", "", ""),
        ("models.providers.anthropic.apiKey", "${K}", "api_key: k", 'api_key: "${K}"'),
        ("agents.list[0].systemPrompt", "Hi", "memory_size: 10\n", "memory_size: 10\n  systemPrompt: Hi\n"),
        ("logging.level", "debug", "api_key: k\n", "api_key: k\nlogging:\n  level: debug\n"),
    ],
)
def test_the_short_form_is_changed_where_it_says_so(home: Home, path: str, value: Any, old: str, new: str) -> None:
    yaml_home(home, SHORT)
    changed = set_in(home.load(), path, value)
    assert changed == SHORT.replace(old, new)
    assert lookup(home.load(changed).parsed, tuple(_keys(path))) == value


def _keys(path: str) -> list[str | int]:
    from openclaw.config.keypath import parse_path

    return list(parse_path(path))


@pytest.mark.parametrize(
    ("path", "value", "written"),
    [
        ("agents.defaults.model", "openai/gpt", "llm.model"),
        ("agents.list[0].id", "other", "agent"),
        ("agents.list[1]", {"id": "b"}, "agent"),
    ],
)
def test_what_the_short_form_cannot_say_is_refused_with_the_next_step(
    home: Home, path: str, value: Any, written: str
) -> None:
    yaml_home(home, SHORT)
    with pytest.raises(InvalidRequest) as caught:
        set_in(home.load(), path, value)
    assert written in caught.value.message
    assert "Replace" in caught.value.hint


def test_a_yaml_file_is_written_and_never_with_a_placeholder(home: Home) -> None:
    yaml_home(home, "a: 1\n")
    path = home.paths().config_path
    write_file(path, b"a: 2\n", home.load().file_hash, home.env(), main=path)
    assert path.read_text() == "a: 2\n"
    with pytest.raises(InvalidRequest, match=PLACEHOLDER):
        write_file(path, f"a: {PLACEHOLDER}\n".encode(), None, home.env(), main=path)


def test_an_included_value_is_overridden_beside_its_include(home: Home) -> None:
    files(home, "{ gateway: { $include: 'g.json5' } }", g="{ port: 1, auth: { token: 't' } }")
    before = home.load()
    assert set_in(before, "gateway.port", 2) == "{ gateway: { $include: 'g.json5', port: 2 } }"
    assert overriding(before, ["gateway.port", "logging.level"]) == (("gateway.port", "g.json5"),)
    with pytest.raises(InvalidRequest, match=r"gateway.port is set in the included file g.json5") as caught:
        unset_in(before, "gateway.port")
    assert caught.value.hint.startswith("Edit g.json5")
    with pytest.raises(NotFound):
        unset_in(before, "gateway.bind")


def test_a_value_that_both_set_cannot_be_taken_away_by_half(home: Home) -> None:
    files(home, "{ gateway: { $include: 'g.json5', port: 2 } }", g="{ port: 1 }")
    with pytest.raises(InvalidRequest):
        unset_in(home.load(), "gateway.port")


def test_an_entry_of_an_included_list_moves_the_whole_list_into_the_file(home: Home) -> None:
    files(home, "{ agents: { $include: 'a.json5' } }", a="{ list: [{ id: 'a' }, { id: 'b' }] }")
    changed = home.load(set_in(home.load(), "agents.list[1].name", "B"))
    assert [(agent.id, agent.name) for agent in changed.config.agents.list] == [("a", ""), ("b", "B")]


def test_nothing_is_written_in_read_only_mode(home: Home) -> None:
    home.write("{}")
    path = home.paths().config_path
    for value in ("1", "true", "yes"):
        home.variables["OPENCLAW_CONFIG_READONLY"] = value
        with pytest.raises(NotSupported) as caught:
            write_file(path, b"{a: 1}", None, home.env(), main=path)
        assert "unset OPENCLAW_CONFIG_READONLY" in caught.value.hint
    home.variables["OPENCLAW_CONFIG_READONLY"] = "0"
    write_file(path, b"{a: 1}", None, home.env(), main=path)


def test_a_file_that_cannot_be_read_is_not_patched_in_the_dark(home: Home) -> None:
    yaml_home(home, "gateway: { port: 1 }\n")
    home.paths().last_good.parent.mkdir()
    home.paths().last_good.write_text("gateway: { port: 1 }\n")
    with pytest.raises(ConfigError):
        set_in(home.load("gateway: {\n"), "gateway.port", 2)


_PATHS = st.sampled_from(
    ["gateway.port", "gateway.auth.token", "identity.name", "logging.level", "models.providers.p.apiKey", "tools.deny"]
)
_VALUES = st.one_of(
    st.text(max_size=12), st.integers(1, 9999), st.booleans(), st.lists(st.text(max_size=5), max_size=3)
)
JSON5 = """{
  // one
  gateway: { port: 1, /* two */ auth: { token: 'sekret-a' } }, // three
  models: { providers: { p: { apiKey: 'sekret-b', /* four */ baseUrl: 'http://u:sekret-c@h' } } },
  // five
}
"""
YAML = """# one
gateway:
  port: 1 # two
  auth: { token: sekret-a } # three
models:
  providers:
    # four
    p:
      apiKey: sekret-b
      baseUrl: http://u:sekret-c@h # five
"""


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(st.sampled_from(["c.json5", "c.yaml"]), st.lists(st.tuples(_PATHS, _VALUES), min_size=1, max_size=5))
def test_get_edit_set_never_writes_a_placeholder_and_never_loses_a_comment(
    name: str, edits: list[tuple[str, Any]]
) -> None:
    env = Environment((("process", {"HOME": "/nowhere"}),))
    paths = resolve_paths(env, Path("/nowhere") / name)
    text = YAML if name.endswith("yaml") else JSON5
    for path, value in edits:
        before = load_text(text, paths, env)
        shown = redacted(before.parsed)  # what a client reads, changes and sends back
        assert "sekret" not in str(shown)
        wanted = _with(shown, path.split("."), value)
        text = patched(msgspec.json.encode(wanted).decode(), before)
        after = load_text(text, paths, env)
        assert PLACEHOLDER not in text
        assert lookup(after.parsed, tuple(path.split("."))) == value
        assert [word for word in ("one", "two", "three", "four", "five") if word not in text] == []
    changed = {path for path, _ in edits}
    held = load_text(text, paths, env).parsed
    if "gateway.auth.token" not in changed:
        assert same(held["gateway"]["auth"]["token"], "sekret-a")
    if "models.providers.p.apiKey" not in changed:
        assert same(held["models"]["providers"]["p"]["apiKey"], "sekret-b")
    assert held["models"]["providers"]["p"]["baseUrl"] == "http://u:sekret-c@h"


def _with(values: Any, keys: list[str], value: Any) -> Any:
    if not keys:
        return value
    return {**values, keys[0]: _with(values.get(keys[0], {}), keys[1:], value)}


def test_a_whole_text_with_includes_keeps_the_files_comments_and_the_other_files_values(home: Home) -> None:
    files(home, "{ // ours\n  gateway: { $include: 'g.json5' },\n}\n", g="{ port: 1 }")
    form = '{"gateway": {"port": 1}, "identity": {"name": "x"}}'
    text = "{ // ours\n  gateway: { $include: 'g.json5' },\n  identity: {\n    name: 'x'\n  },\n}\n"
    assert whole(form, home.load()) == text
    raw = '{"gateway": {"$include": "g.json5"}, "identity": {"name": "x"}}'
    assert whole(raw, home.load()) == text
    with pytest.raises(InvalidRequest, match="cannot be set here"):
        patched("{tools: {$include: 'g.json5'}}", home.load())
