"""Edits keep the person's YAML."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from openclaw.base.errors import InvalidRequest, NotFound
from openclaw.config.keypath import KeyPath, parse_path
from openclaw.config.reading.scan import walk
from openclaw.config.reading.values import lookup, put, same, without
from openclaw.config.reading.yaml_text import compose, expand
from openclaw.config.writing.yaml_edit import set_at, unset_at
from tests.config.json5 import VALUES
from tests.config.reading.yaml_texts import SETTINGS, texts, written

TEXT = """# head
gateway:   # gw
  port: 1  # the port
  bind: lan
  auth: { mode: token, token: "x" }   # flow
empty:
agents:
  list:
    - id: a    # first
      name: A
    # about b
    - id: b
  more: [1, 2]
text: |
  one
  two
last: 'q'
# tail
"""


def values(text: str) -> dict[str, Any]:
    return expand(text, compose(text))


@pytest.mark.parametrize(
    ("path", "value", "old", "new"),
    [
        ("gateway.port", 5, "port: 1  # the port", "port: 5  # the port"),
        ("gateway.mode", "local", "# flow\n", "# flow\n  mode: local\n"),
        ("gateway.auth.token", "it's: #", '"x" }', '"it\'s: #" }'),
        ("gateway.auth.x", {"a": [1]}, '"x" }', '"x", x: { a: [1] } }'),
        ("empty.a.b", 1, "empty:\n", "empty:\n  a:\n    b: 1\n"),
        ("agents.list[1].name", "B", "- id: b\n", "- id: b\n      name: B\n"),
        ("agents.list[2]", {"id": "c", "m": {"x": 1}}, "id: b\n", "id: b\n    - id: c\n      m:\n        x: 1\n"),
        ("agents.more[2]", "on", "[1, 2]", "[1, 2, on]"),
        ("agents.more[0]", "12", "[1, 2]", '["12", 2]'),
        ("text", "a\nb", "|\n  one\n  two\n", '"a\\nb"\n'),
        ("last", {"x": {"y": True}}, "last: 'q'\n", "last:\n  x:\n    y: true\n"),
        ("new.deep", [{"a": None}], "last: 'q'\n", "last: 'q'\nnew:\n  deep:\n    - a: null\n"),
    ],
)
def test_a_change_is_written_beside_its_neighbours(path: str, value: Any, old: str, new: str) -> None:
    assert set_at(TEXT, parse_path(path), value) == TEXT.replace(old, new)


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("gateway.port", "  port: 1  # the port\n", ""),
        ("gateway.auth.mode", "{ mode: token, token", "{ token"),
        ("gateway.auth.token", ', token: "x" }', " }"),
        ("agents.list[0]", "    - id: a    # first\n      name: A\n", ""),
        ("agents.list[0].name", "      name: A\n", ""),
        ("agents.list[0].id", "- id: a    # first\n", "- # first\n"),
        ("agents.list[1]", "    - id: b\n", ""),
        ("agents.list[1].id", "- id: b", "- {}"),
        ("agents.more[0]", "[1, 2]", "[2]"),
        ("text", "text: |\n  one\n  two\n", ""),
        ("empty", "empty:\n", ""),
        ("last", "last: 'q'\n", ""),
    ],
)
def test_a_removed_member_takes_its_line_along_and_nothing_else(path: str, old: str, new: str) -> None:
    assert unset_at(TEXT, parse_path(path)) == TEXT.replace(old, new)


def test_an_empty_text_becomes_an_object() -> None:
    assert set_at("", ("a", "b"), 1) == "a:\n  b: 1\n"
    assert set_at("# only a comment", ("a",), "x") == "# only a comment\na: x\n"
    assert unset_at("a: 1 # x\n", ("a",)) == "{} # x\n"


def test_line_ends_are_kept() -> None:
    assert set_at("a: 1\r\nb:\r\n  c: 2\r\n", ("b", "d"), {"e": 1}) == "a: 1\r\nb:\r\n  c: 2\r\n  d:\r\n    e: 1\r\n"


@pytest.mark.parametrize(
    "text", ["no", "12", "1.5", "null", "~", "", "a: b", "- x", "#", "x #y", "é", "\x85", "\u2028", "a\x7fb", "<<"]
)
def test_any_text_comes_back_as_it_was(text: str) -> None:
    assert values(set_at("a: 1\n", ("b", text), text))["b"] == {text: text}


ALIASES = "a: &a { x: 1, y: { z: 2 } }\nb: *a\nc:\n  <<: *a\n  own: 1\n"


@pytest.mark.parametrize("path", ["b.x", "b", "c.y.z"])
def test_what_an_alias_gives_is_never_half_changed(path: str) -> None:
    with pytest.raises(InvalidRequest, match="alias"):
        set_at(ALIASES, parse_path(path), 5)


def test_what_a_merge_gives_is_overridden_by_a_key_of_its_own() -> None:
    assert set_at(ALIASES, ("c", "x"), 5) == ALIASES + "  x: 5\n"


def test_what_is_not_there_cannot_be_removed() -> None:
    with pytest.raises(NotFound):
        unset_at(TEXT, ("gateway", "nope"))


@settings(max_examples=150, deadline=None)
@given(st.data(), written(SETTINGS) | texts())
def test_a_random_edit_says_exactly_what_was_asked(data: st.DataObject, text: str) -> None:
    root = compose(text)
    before = values(text)
    places: list[KeyPath] = [path for path, _ in walk(root)] or [("fresh",)]
    path = data.draw(st.sampled_from(places))
    fresh = data.draw(st.booleans())
    node = lookup(before, path)
    if fresh and isinstance(node, dict):
        path = (*path, "fresh")
    elif fresh and isinstance(node, list):
        path = (*path, len(node))
    removes = bool(before) and not fresh and data.draw(st.booleans())
    value = data.draw(VALUES)
    try:
        changed = unset_at(text, path) if removes else set_at(text, path, value)
    except InvalidRequest as error:
        event(f"refused: {error.message.rpartition(': ')[2]}")
        return
    event("made")
    assert same(values(changed), without(before, path) if removes else put(before, path, value))
    if fresh and not isinstance(node, str):
        kept = [line for line in text.splitlines() if "#" in line]
        assert [note for note in map(_note, kept) if note not in changed] == []


def _note(line: str) -> str:
    found = re.search(r"#[^#]*$", line)
    return found[0] if found else ""
