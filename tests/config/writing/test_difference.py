"""The fewest edits from one set of values to another, and merge patches."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.errors import InvalidRequest, TooLarge
from openclaw.config.reading.parse import parse
from openclaw.config.reading.values import same
from openclaw.config.writing.difference import MAX_EDITS, changed_paths, difference, edited, merged
from tests.config.json5 import KEYS, VALUES, texts

TEXT = """{
  agents: { list: [
    { id: 'a', name: 'A' }, // first
    { id: 'b' }, // second
    // before the third
    { id: 'c', tools: { allow: ['x'] } },
  ] },
  args: ['one', 'two'], // two
}
"""


@pytest.mark.parametrize(
    ("old", "patch", "new"),
    [
        ({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"c": None}}, {"a": 1, "b": {"d": 3}}),
        ({"a": 1}, {"e": {"f": None, "g": 1}}, {"a": 1, "e": {"g": 1}}),
        ({"l": [1, 2]}, {"l": [3]}, {"l": [3]}),
        ({"a": {"b": 1}}, {"a": 5}, {"a": 5}),
        ({"a": 5}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({}, {"gone": None}, {}),
    ],
)  # fmt: skip
def test_a_merge_patch_merges_objects_replaces_the_rest_and_removes_by_null(old: Any, patch: Any, new: Any) -> None:
    assert merged(old, patch) == new


def _list_of(parsed: dict[str, Any]) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = parsed["agents"]["list"]
    return entries


def test_an_entry_is_edited_removed_and_added_where_it_stands() -> None:
    wanted = parse(TEXT)
    entries = _list_of(wanted)
    entries[0]["name"] = "Z"
    del entries[1]
    entries[1]["tools"]["allow"] = ["x", "y"]
    entries.append({"id": "d"})
    changed = edited(TEXT, difference(parse(TEXT), wanted), wanted)
    assert changed == TEXT.replace("'A'", "'Z'").replace("\n    { id: 'b' }, // second", "").replace(
        "['x'] } },", "['x', 'y'] } },\n    {\n      id: 'd'\n    },"
    )


def test_entries_that_moved_about_are_written_anew() -> None:
    wanted = parse(TEXT)
    _list_of(wanted).reverse()
    assert parse(edited(TEXT, difference(parse(TEXT), wanted), wanted)) == wanted


def test_what_is_the_same_needs_no_edit() -> None:
    assert difference(parse(TEXT), parse(TEXT)) == ()
    assert difference({"a": 1, "b": 2}, {"b": 2, "a": 1}) == ()
    assert changed_paths({"a": 1}, {"a": 1.0}) == ("a",)
    assert changed_paths({"a": [{"id": "x", "n": 1}]}, {"a": [{"id": "x", "n": True}], "b": None}) == ("a[0].n", "b")
    assert not same({"a": 1}, {"a": True})


def test_a_change_of_very_many_places_is_refused() -> None:
    old = {str(number): 0 for number in range(MAX_EDITS + 1)}
    with pytest.raises(TooLarge, match="too many places"):
        difference(old, dict.fromkeys(old, 1))


@given(texts(), st.dictionaries(KEYS, VALUES, max_size=4))
def test_any_text_becomes_any_values(text: str, wanted: dict[str, Any]) -> None:
    assert same(parse(edited(text, difference(parse(text), wanted), wanted)), wanted)


@given(texts(), st.dictionaries(KEYS, VALUES, max_size=3))
def test_any_patch_of_any_text_does_what_it_says(text: str, patch: dict[str, Any]) -> None:
    wanted = merged(parse(text), patch)
    assert same(parse(edited(text, difference(parse(text), wanted), wanted)), wanted)


def test_a_patch_of_a_client_loses_no_entry_of_a_list_by_accident() -> None:
    old: dict[str, Any] = {
        "agents": {"list": [{"id": "a", "skills": ["x", "y"]}, {"id": "b", "name": "B"}]},
        "allow": ["p", "q"],
    }
    one = {"agents": {"list": [{"id": "b", "name": "New"}, {"id": "c"}]}}
    assert merged(old, one, ())["agents"]["list"] == [old["agents"]["list"][0], {"id": "b", "name": "New"}, {"id": "c"}]
    assert merged(old, one, {"agents.list"})["agents"]["list"] == one["agents"]["list"]
    assert merged(old, {"allow": ["q", "p", "r"]}, ())["allow"] == ["q", "p", "r"]
    fewer = {"agents": {"list": [{"id": "a", "skills": ["x"]}]}}
    assert merged(old, fewer, {"agents.list[].skills"})["agents"]["list"][0]["skills"] == ["x"]
    for patch, path in (
        ({"allow": ["p"]}, "allow"),
        ({"allow": []}, "allow"),
        ({"agents": {"list": []}}, "agents.list"),
        ({"agents": {"list": [{"name": "no id"}]}}, "agents.list"),
        (fewer, r"agents.list\[\].skills"),
    ):
        with pytest.raises(InvalidRequest, match=f"^{path} would lose") as caught:
            merged(old, patch, {"agents", "other"} if path == "allow" else ())
        assert "replacePaths" in caught.value.hint
    assert merged(old, {"allow": None, "agents": None}, ()) == {}
