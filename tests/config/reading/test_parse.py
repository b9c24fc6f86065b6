"""JSON5 texts: what is read, and where an error is said to be."""

from __future__ import annotations

import contextlib
from typing import Any

import pyjson5
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.errors import ConfigError, InvalidRequest
from openclaw.config.keypath import KeyPath, format_path, parse_path
from openclaw.config.reading.parse import line_column, parse
from openclaw.config.reading.scan import Positions, scan, walk
from tests.config.json5 import NOISE, texts


def test_comments_trailing_commas_and_bare_keys_are_read() -> None:
    assert parse("// hi\n{ a: 1, 'b': [.5, +1, 0x10,], /* c */ \"d\": {}, }") == {"a": 1, "b": [0.5, 1, 16], "d": {}}


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("{\n  a: 1\n  b: 2\n}", 3, 3, "comma"),
        ("{\n  a: [1, 2\n}", 3, 1, "found"),
        ("{a: 'x\n'}", 1, 5, "not closed"),
        ("{a: 1", 1, 1, "not closed"),
        ("", 1, 1, "empty"),
        ("{} x", 1, 3, "more text"),
        ("[]", 1, 1, "one object"),
        ("{a: " + "[" * 99 + "}", 1, 36, "nested"),
    ],
)
def test_a_syntax_error_names_line_and_column(text: str, line: int, column: int, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        parse(text)
    assert abs(caught.value.details["column"] - column) <= 1
    assert caught.value.details["line"] == line


def test_a_number_beyond_all_bounds_is_a_config_error_or_a_number() -> None:
    with contextlib.suppress(ConfigError):
        assert parse("{a: " + "9" * 6000 + "}")


@given(NOISE | NOISE.map(lambda text: "{a:" + text + "}") | st.text())
def test_any_text_parses_or_is_a_config_error(text: str) -> None:
    try:
        value = parse(text)
    except ConfigError:
        return
    assert isinstance(value, dict)
    assert [path for path, _ in walk(scan(text))] != [] or value == {}


def _paths(value: Any, path: KeyPath = ()) -> set[KeyPath]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found: set[KeyPath] = set()
    for key, item in pairs:
        found |= {(*path, key)} | _paths(item, (*path, key))
    return found


@given(texts())
def test_the_scanner_finds_exactly_what_the_parser_reads(text: str) -> None:
    value = parse(text)
    found = dict(walk(scan(text)))
    assert set(found) == _paths(value)
    for path, node in found.items():
        inner: Any = value
        for key in path:
            inner = inner[key]
        assert pyjson5.decode(text[node.start : node.end]) == inner


def test_positions_point_at_the_key_or_the_nearest_parent() -> None:
    at = Positions("{\n  a: {\r\n    b: [1,\n      {c: 2}],\r  d: 3 }}").at
    assert at(("a",)) == (2, 3)
    assert at(("a", "b", 1, "c")) == (4, 8)
    assert at(("a", "d")) == (5, 3)
    assert at(("a", "nope", "deeper")) == (2, 3)
    assert at(()) == (1, 1)


def test_the_last_of_two_equal_keys_is_the_one_that_counts() -> None:
    assert Positions("{\na: 1,\na: 2}").at(("a",)) == (3, 1)


def test_every_kind_of_line_end_counts_once() -> None:
    assert line_column("a\r\nb\rc\nd", 7) == (4, 1)


@given(st.lists(st.text(max_size=8) | st.integers(0, 999), min_size=1, max_size=5))
def test_a_key_path_survives_being_written_and_read(path: list[str | int]) -> None:
    assert parse_path(format_path(tuple(path))) == tuple(path)


@given(st.text(max_size=30))
def test_any_key_path_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidRequest):
        assert parse_path(text)
