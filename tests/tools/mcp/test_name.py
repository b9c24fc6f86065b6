"""Names that every provider takes, and texts that hide nothing."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.tools.mcp.name import clean, clean_schema, tool_name

ALLOWED = re.compile(r"mcp__[A-Za-z0-9_-]{1,59}")
WILD = st.text(max_size=90)
TRICKY = st.text(alphabet="ab_.-", max_size=6)


@given(WILD, WILD)
def test_every_name_is_one_that_providers_take(server: str, tool: str) -> None:
    assert ALLOWED.fullmatch(tool_name(server, tool))


@given(TRICKY, TRICKY, TRICKY, TRICKY)
def test_two_tools_never_share_a_name(server: str, tool: str, other_server: str, other_tool: str) -> None:
    same = tool_name(server, tool) == tool_name(other_server, other_tool)
    assert same == ((server, tool) == (other_server, other_tool))


@pytest.mark.parametrize(
    ("server", "tool", "name"),
    [
        ("github", "create_issue", "mcp__github__create_issue"),
        ("a-b", "_c", "mcp__a-b___c"),
        ("files", "read.file", "mcp__files__read_file_"),
        ("a__b", "c", "mcp__a__b__c_"),
        ("a", "x" * 70, f"mcp__a__{'x' * 47}_"),
        ("a", "", "mcp__a___"),
    ],
)
def test_a_plain_name_stays_readable(server: str, tool: str, name: str) -> None:
    made = tool_name(server, tool)
    assert made.startswith(name)
    assert len(made) == len(name) + (8 if name.endswith("_") else 0)


@given(WILD, st.integers(1, 100))
def test_clean_text_has_nothing_hidden_and_keeps_to_its_limit(text: str, limit: int) -> None:
    cleaned = clean(text, limit)
    assert len(cleaned) <= limit
    assert all(char in "\n\t" or unicodedata.category(char) not in {"Cc", "Cf", "Cs"} for char in cleaned)


def test_ordinary_text_is_left_alone() -> None:
    text = "Größe in “Metern”,\n\tzum Beispiel 7 ½ – 日本 🙂"
    assert clean(text, 100) == text


def test_a_schemas_prose_is_cleaned_and_its_values_are_not() -> None:
    schema = {
        "properties": {"a": {"description": "x\u202ey", "enum": ["p\u202eq"], "title": ["not", "prose"]}},
        "anyOf": [{"title": "t\x00"}],
    }
    assert clean_schema(schema, 100) == {
        "properties": {"a": {"description": "xy", "enum": ["p\u202eq"], "title": ["not", "prose"]}},
        "anyOf": [{"title": "t"}],
    }


def test_a_schema_that_is_too_deep_is_refused() -> None:
    schema: dict[str, object] = {}
    for _ in range(40):
        schema = {"properties": schema}
    with pytest.raises(ValueError, match="deeper"):
        clean_schema(schema, 100)
