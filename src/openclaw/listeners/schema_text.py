"""A JSON Schema in a few words, for the docs page and docs/http.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

Schema = Mapping[str, Any]


class Property(NamedTuple):
    """One property of an object. `kind` is its type in words; schemas in it are named in `[[ ]]`."""

    name: str
    kind: str
    required: bool


def properties(schema: Schema) -> Iterator[Property]:
    """Yield the properties of an object's schema in their order."""
    required = schema.get("required", ())
    for name, inner in schema.get("properties", {}).items():
        yield Property(name, kind(inner), name in required)


def kind(schema: Schema) -> str:
    """Return a schema's type in words: `string or null`, `list of [[Item]]`."""
    if "$ref" in schema:
        return f"[[{schema['$ref'].rpartition('/')[2]}]]"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(kind(inner) for inner in schema["anyOf"]))
    if "enum" in schema:
        return " or ".join(msgspec.json.encode(value).decode() for value in schema["enum"])
    if "const" in schema:
        return msgspec.json.encode(schema["const"]).decode()
    name = schema.get("type", "anything")
    if name == "array":
        items = schema.get("items")
        return f"list of {_grouped(kind(items))}" if isinstance(items, Mapping) else "list"
    if name == "object":
        values = schema.get("additionalProperties")
        return f"object of {_grouped(kind(values))}" if isinstance(values, Mapping) and values else "object"
    return str(name)


def _grouped(text: str) -> str:
    return f"({text})" if " or " in text else text
