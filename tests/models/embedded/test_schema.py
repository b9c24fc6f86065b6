"""Schemas for the grammar and signatures for the reader, from whatever schema a tool brings."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.models.embedded.schema import MAX_DEPTH, plain_schema, signature


class Point(msgspec.Struct):
    """A place."""

    x: int
    y: int = 0


class Arguments(msgspec.Struct):
    """What a tool takes."""

    at: Point


SCHEMAS = st.recursive(
    st.sampled_from(
        [{"type": "string"}, {"type": "integer", "minimum": 1}, {"enum": ["a", 1]}, {}, {"$ref": "#/$defs/X"}, True]
    ),
    lambda inner: (
        st.builds(lambda items: {"type": "array", "items": items}, inner)
        | st.builds(lambda sub: {"type": "object", "properties": sub}, st.dictionaries(st.text(), inner, max_size=3))
        | st.builds(lambda options: {"anyOf": options}, st.lists(inner, min_size=1, max_size=3))
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), SCHEMAS, max_size=4), SCHEMAS)
def test_any_schema_becomes_an_object_schema_and_a_signature(properties: dict[str, Any], shared: Any) -> None:
    schema = {"type": "object", "properties": properties, "$defs": {"X": shared}}
    plain = plain_schema(schema)
    assert plain["type"] == "object"
    assert set(plain["properties"]) == set(properties)
    assert isinstance(signature(schema), str)


def test_a_signature_reads_like_code() -> None:
    schema = {
        "type": "object",
        "properties": {
            "text": {"type": "string", "description": "What to translate."},
            "target_lang": {"enum": ["de", "fr"]},
            "limit": {"type": "integer"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "box": {"type": "object", "properties": {"w": {"type": "number"}}, "required": ["w"]},
            "when": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
        "required": ["text", "target_lang"],
    }
    assert signature(schema) == (
        'text: string, target_lang: "de" | "fr", limit?: integer, tags?: list of string, '
        "box?: {w: number}, when?: string | null"
    )


def test_references_are_resolved_and_patterns_left_out() -> None:
    _, components = msgspec.json.schema_components([Arguments], ref_template="#/$defs/{name}")
    found = components["Arguments"] | {"$defs": components}
    assert plain_schema(found)["properties"]["at"] == {
        "type": "object",
        "properties": {"x": {"type": "integer"}, "y": {"type": "integer"}},
        "required": ["x"],
        "additionalProperties": False,
    }
    pattern = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^x", "format": "uri"}}}
    assert plain_schema(pattern)["properties"]["a"] == {"type": "string"}


def test_a_recursive_schema_ends_in_any_value() -> None:
    node: dict[str, Any] = {"type": "object", "properties": {"next": {"$ref": "#"}}}
    plain = plain_schema(node)
    for _ in range(MAX_DEPTH):
        plain = plain.get("properties", {}).get("next", {})
    assert plain == {}


@pytest.mark.parametrize("schema", [{}, {"properties": None}, {"type": "string"}, {"required": ["a"]}])
def test_a_schema_that_is_hardly_one_takes_no_arguments(schema: dict[str, Any]) -> None:
    assert plain_schema(schema)["properties"] == {}
    assert signature(schema) == ""
