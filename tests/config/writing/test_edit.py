"""Edits keep the person's text."""

from __future__ import annotations

import math
import re
import stat
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.errors import Conflict, InvalidRequest, NotFound
from openclaw.config.env import Environment
from openclaw.config.keypath import format_path
from openclaw.config.reading.parse import parse
from openclaw.config.reading.scan import scan, walk
from openclaw.config.writing.commit import write_file
from openclaw.config.writing.edit import get_value, set_value, unset_value
from tests.config.json5 import KEYS, VALUES, texts

FREE = Environment(())
TEXT = """{
  // top
  gateway: { port: 1, bind: 'lan' }, // behind gateway
  agents: {
    defaults: {
      model: 'a/b' // the model
      // tail
    },
  },
  list: [1, 2],
  empty: {},
}
"""


@pytest.mark.parametrize(
    ("path", "value", "old", "new"),
    [
        ("gateway.port", 5, "port: 1", "port: 5"),
        ("gateway.mode", "local", "bind: 'lan'", "bind: 'lan', mode: 'local'"),
        ("gateway.auth.token", "x", "bind: 'lan'", "bind: 'lan', auth: { token: 'x' }"),
        ("agents.defaults.workspace", "w", "'a/b' // the model", "'a/b', // the model\n      workspace: 'w'"),
        ("list[2]", "it's", "[1, 2]", "[1, 2, 'it\\'s']"),
        ("list[0]", None, "[1, 2]", "[null, 2]"),
        ("empty.a", True, "{}", "{\n    a: true\n  }"),
        ('m["a.b"].n', [1], "empty: {},\n", "empty: {},\n  m: {\n    'a.b': {\n      n: [1]\n    }\n  },\n"),
    ],
)
def test_a_change_is_written_in_the_style_of_its_neighbours(path: str, value: Any, old: str, new: str) -> None:
    assert set_value(TEXT, path, value) == TEXT.replace(old, new)


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("gateway", "\n  gateway: { port: 1, bind: 'lan' }, // behind gateway", ""),
        ("gateway.port", "{ port: 1, bind", "{ bind"),
        ("gateway.bind", ", bind: 'lan'", ""),
        ("list[0]", "[1, 2]", "[2]"),
        ("list[1]", "[1, 2]", "[1]"),
        ("empty", "\n  empty: {},", ""),
        ("agents.defaults.model", "\n      model: 'a/b' // the model", ""),
    ],
)
def test_a_removed_member_takes_its_line_along_and_nothing_else(path: str, old: str, new: str) -> None:
    assert unset_value(TEXT, path) == TEXT.replace(old, new)


def test_an_empty_text_becomes_an_object() -> None:
    assert set_value("", "a.b", 1) == "{\n  a: {\n    b: 1\n  }\n}\n"
    assert set_value("// only a comment\n", "a", 1) == "// only a comment\n{\n  a: 1\n}\n"


def test_quoted_keys_and_line_ends_are_kept() -> None:
    assert set_value('{\r\n\t"a": 1\r\n}', "b", {"c": "d"}) == '{\r\n\t"a": 1,\r\n\t"b": {\r\n\t\t"c": "d"\r\n\t}\r\n}'


def test_what_is_not_set_cannot_be_read_or_removed() -> None:
    with pytest.raises(NotFound):
        get_value(TEXT, "gateway.nope")
    with pytest.raises(NotFound):
        unset_value(TEXT, "list[9]")


@pytest.mark.parametrize(
    ("path", "value"),
    [("gateway.port.deeper", 1), ("list.name", 1), ("list[5]", 1), ("gateway[0]", 1), ("new[3]", 1), ("a", object()),
     ("a", {1: 2}), ("a", "\ud800"), ("a..b", 1), ("", 1)],
)  # fmt: skip
def test_an_impossible_edit_is_refused(path: str, value: Any) -> None:
    with pytest.raises(InvalidRequest):
        set_value(TEXT, path, value)


def _same(left: Any, right: Any) -> bool:
    return repr(left) == repr(right)


def _comments(text: str) -> list[str]:
    found, at, root = [], 0, scan(text)
    tokens = [(node.start, node.end) for _, node in walk(root) if node.kind == "scalar"]
    for start, end in [*sorted(tokens), (len(text), len(text))]:
        outside = re.sub(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'', "", text[at:start], flags=re.DOTALL)
        found += re.findall(r"//[^\n\r]*|/\*.*?\*/", outside, re.DOTALL)
        at = end
    return found


paths = st.lists(KEYS, min_size=1, max_size=3).map(lambda keys: format_path(tuple(keys)))


@given(texts(), paths, VALUES)
def test_what_was_set_can_be_read_and_no_comment_is_lost(text: str, path: str, value: Any) -> None:
    before = parse(text)
    try:
        changed = set_value(text, path, value)
    except InvalidRequest:
        return
    assert _same(get_value(changed, path), value)
    kept, replaced = _comments(changed), _comments(text)
    try:
        get_value(text, path)
    except NotFound:
        assert kept == replaced
        again = parse(unset_value(changed, path))
        assert all(_same(again[key], before[key]) for key in before if not path.startswith(format_path((key,))))
    after = parse(changed)
    assert all(_same(after[key], before[key]) for key in before if not path.startswith(format_path((key,))))


@given(texts(), st.text(alphabet="xyz", min_size=1, max_size=3), VALUES)
def test_unset_after_set_restores_every_byte(text: str, key: str, value: Any) -> None:
    holders = [path for path, node in walk(scan(text)) if node.kind == "object" and node.items]
    for holder in [(), *holders] if parse(text) else holders:
        path = format_path((*holder, key))
        assert unset_value(set_value(text, path, value), path) == text


@given(texts())
def test_every_member_can_be_removed_and_the_rest_stays(text: str) -> None:
    for path, _ in list(walk(scan(text))):
        changed = parse(unset_value(text, format_path(path)))
        expected = parse(text)
        inner: Any = expected
        for key in path[:-1]:
            inner = inner[key]
        del inner[path[-1]]
        assert _same(changed, expected)


def test_numbers_that_json_lacks_can_be_written() -> None:
    assert math.isnan(get_value(set_value("{}", "a", math.nan), "a"))
    assert get_value(set_value("{}", "a", -math.inf), "a") == -math.inf


def test_a_write_is_private_and_keeps_the_mode(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "openclaw.json"
    write_file(path, b"{a: 1}", None, FREE, main=path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    write_file(path, b"{a: 2}", sha256(b"{a: 1}").hexdigest(), FREE, main=path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert path.read_bytes() == b"{a: 2}"
    assert [entry.name for entry in path.parent.iterdir()] == ["openclaw.json"]


def test_a_stale_base_is_a_conflict_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "openclaw.json"
    write_file(path, b"{a: 1}", sha256(b"").hexdigest(), FREE, main=path)
    path.write_text("{a: 'edited by hand'}")
    with pytest.raises(Conflict):
        write_file(path, b"{a: 2}", sha256(b"{a: 1}").hexdigest(), FREE, main=path)
    assert path.read_text() == "{a: 'edited by hand'}"


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    target = tmp_path / "real" / "config.json"
    target.parent.mkdir()
    target.write_text("{}")
    link = tmp_path / "openclaw.json"
    link.symlink_to(target)
    write_file(link, b"{a: 1}", None, FREE, main=link)
    assert link.is_symlink()
    assert target.read_text() == "{a: 1}"
