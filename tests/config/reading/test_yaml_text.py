"""YAML texts: what is read, where an error is said to be, and that nothing in them can do harm."""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.errors import ConfigError
from openclaw.config.keypath import KeyPath
from openclaw.config.reading.scan import Positions
from openclaw.config.reading.yaml_text import MAX_DEPTH, MAX_VALUES, compose, expand
from tests.config.reading.yaml_texts import NOISE, OBJECTS

_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""Raw in JSON, but in YAML only as escapes."""


def parse(text: str) -> dict[str, Any]:
    return expand(text, compose(text))


def refused(text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return caught.value


def test_plain_words_mean_what_yaml_1_2_says() -> None:
    text = """
    a: [1, -2, +3, 0x1F, 0o17, 010, 1.5, .5, 1e3, .inf, true, False, null, ~, ]
    b: [yes, no, on, off, 12:30:45, 2026-11-20, 1_000, 0b1, "1", '', !!str 5, !!float 5]
    1: { on: x, null: y }
    c:
    d: |
      two
      lines
    """
    assert parse(text) == {
        "a": [1, -2, 3, 31, 15, 10, 1.5, 0.5, 1000.0, math.inf, True, False, None, None],
        "b": ["yes", "no", "on", "off", "12:30:45", "2026-11-20", "1_000", "0b1", "1", "", "5", 5.0],
        "1": {"on": "x", "null": "y"},
        "c": None,
        "d": "two\nlines\n",
    }


def test_anchors_and_merge_keys_are_read_and_the_own_key_wins() -> None:
    text = "base: &b {x: 1, y: [2]}\none: {<<: *b, x: 3}\ntwo: {<<: [{y: 9}, *b]}\nthree: *b\nfour: {'<<': 1}\n"
    found = parse(text)
    assert found["one"] == {"x": 3, "y": [2]}
    assert found["two"] == {"x": 1, "y": 9}
    assert found["three"] == found["base"]
    assert found["three"]["y"] is not found["base"]["y"]
    assert found["four"] == {"<<": 1}


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, 1, "'a' stands here a second time, first on line 1"),
        ("a:\n  b: {c: 1, c: 2}\n", 2, 13, "second time"),
        ("a: {<<: {b: 1}, <<: {c: 1}}", 1, 17, "second time"),
        ("a: {1: x, '1': y}", 1, 11, "second time"),
        ("a: [1\nb: 2\n", 2, 2, "expected"),
        ("a: 1\n\tb: 2\n", 2, 1, ""),
        ("a: b: c", 1, 5, "not allowed"),
        ("", 1, 1, "empty"),
        ("# only a comment\n", 1, 1, "empty"),
        ("---\n", 1, 1, "empty"),
        ("- a\n", 1, 1, "one object"),
        ("text", 1, 1, "one object"),
        ("a: 1\n---\nb: 2\n", 2, 1, "second document"),
        ("a: *nope\n", 1, 4, "names no anchor"),
        ("a: &x\n  - *x\n", 2, 5, "inside what it names"),
        ("a: &x {<<: *x}\n", 1, 12, "inside what it names"),
        ("a: {<<: 1}", 1, 5, "takes an object"),
        ("a: 1\n? [b]\n: 2\n", 2, 3, "key must be plain text"),
        ("a: !thing 1\n", 1, 4, "tags"),
        ("a: !!python/object/apply:os.system ['true']\n", 1, 4, "tags"),
        ("a: !!binary aGk=\n", 1, 4, "tags"),
        ("a: !!timestamp 2026-11-20\n", 1, 4, "tags"),
        ("a: !!int x\n", 1, 4, "no !!int"),
        ("a: !!int true\n", 1, 4, "no !!int"),
        ("!!set {a, b}\n", 1, 1, "tags"),
        ("a: 1\nb: \x00", 2, 4, "not allowed"),
        ("ä: 1\nb: \x07", 2, 4, "not allowed"),
        ("a: " + "9" * 5000, 1, 4, "too long"),
        ("a: 0x" + "f" * 5000, 1, 4, "too long"),
        ("a: " + "[" * (MAX_DEPTH + 9) + "]" * (MAX_DEPTH + 9), 1, 4 + MAX_DEPTH, "nested"),
        ("a: " + "[" * 100_000, 1, 4 + MAX_DEPTH, "nested"),
    ],
)
def test_an_error_names_line_and_column(text: str, line: int, column: int, words: str) -> None:
    error = refused(text)
    assert (error.details["line"], error.details["column"]) == (line, column), error.message
    assert words in error.message
    assert error.hint


def test_a_small_text_cannot_unfold_to_a_large_one() -> None:
    levels = ["l0: &l0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert f"more than {MAX_VALUES} values" in refused("\n".join(levels)).message
    long = "a: &a " + "x" * 100_000 + "\nb: [" + ", ".join(["*a"] * 100) + "]"
    assert "characters" in refused(long).message
    deep = ["d0: &d0 [x]", *(f"d{n}: &d{n} [[*d{n - 1}]]" for n in range(1, 40))]
    assert "too deeply" in refused("\n".join(deep)).message
    keys = ", ".join(f"k{n}: 1" for n in range(2000))
    merges = "\n".join(f"m{n}: {{<<: *base}}" for n in range(2000))
    assert "more than" in refused(f"base: &base {{{keys}}}\n{merges}").message


def _paths(value: Any, path: KeyPath = ()) -> set[KeyPath]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {path} | {inner for key, item in pairs for inner in _paths(item, (*path, key))}


def test_every_place_is_that_of_its_key() -> None:
    text = "# head\nserver:\n  port: 80 # here\nlist:\n- a\n-  b: 1\nuse: &u\n  deep: 1\nagain: *u\n"
    at = Positions(text, compose(text)).at
    assert at(("server", "port")) == (3, 3)
    assert at(("server", "absent")) == (2, 1)
    assert at(("list", 1)) == (6, 4)
    assert at(("list", 1, "b")) == (6, 4)
    assert at(("again",)) == (9, 1)
    assert at(("again", "deep")) == (8, 3)


@given(NOISE | NOISE.map(lambda text: "a:\n  b: " + text) | st.text())
def test_any_text_is_read_or_is_a_config_error(text: str) -> None:
    try:
        root = compose(text)
        value = expand(text, root)
    except ConfigError:
        return
    positions = Positions(text, root)
    for path in _paths(value):
        assert positions.at(path) >= (1, 1)


@given(OBJECTS)
def test_what_json_says_yaml_says_too(value: dict[str, Any]) -> None:
    text = msgspec.json.encode(value).decode()
    assert parse(_NOT_IN_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", text)) == value


@given(OBJECTS)
def test_what_another_program_writes_is_read_the_same(value: dict[str, Any]) -> None:
    # Quoted, as plain words of YAML 1.1 may be numbers in 1.2: 1e5.
    assert parse(yaml.safe_dump(value, default_style='"')) == value
