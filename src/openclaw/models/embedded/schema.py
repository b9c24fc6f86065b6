"""JSON Schemas cut down to what a sampling grammar can follow, and written out for a small model to read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MAX_DEPTH = 12
"""Deeper than that (or recursive) a schema is any JSON value."""

_KEPT = ("type", "enum", "const", "required", "minItems", "maxItems", "minLength", "maxLength", "minimum", "maximum")
"""Patterns and formats are left to the tool's own check: the grammar's dialect of them is another."""


def plain_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a tool's parameters with references resolved and only what the grammar knows; always an object schema."""
    out = _plain(schema, schema, 0)
    out["type"] = "object"
    out.setdefault("properties", {})
    return out


def _plain(schema: Any, root: Mapping[str, Any], depth: int) -> dict[str, Any]:
    if not isinstance(schema, Mapping) or depth > MAX_DEPTH:
        return {}
    if "$ref" in schema:
        return _plain(_resolve(schema["$ref"], root), root, depth + 1)
    out: dict[str, Any] = {key: schema[key] for key in _KEPT if key in schema}
    for key in ("oneOf", "anyOf"):
        if isinstance(schema.get(key), list):
            out[key] = [_plain(option, root, depth + 1) for option in schema[key]]
    if isinstance(schema.get("properties"), Mapping):
        out["properties"] = {name: _plain(sub, root, depth + 1) for name, sub in schema["properties"].items()}
        out["additionalProperties"] = False
    if isinstance(schema.get("additionalProperties"), Mapping):
        out["additionalProperties"] = _plain(schema["additionalProperties"], root, depth + 1)
    if isinstance(schema.get("items"), Mapping):
        out["items"] = _plain(schema["items"], root, depth + 1)
    return out


def _resolve(ref: Any, root: Mapping[str, Any]) -> Any:
    if not isinstance(ref, str) or not ref.startswith("#/"):
        return {}
    node: Any = root
    for step in ref[2:].split("/"):
        node = node.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(node, Mapping) else None
    return node


def signature(schema: Mapping[str, Any]) -> str:
    """Return parameters as `path: string, limit?: integer`."""
    plain = plain_schema(schema)
    required = plain.get("required", ())
    return ", ".join(
        f"{name}{'' if name in required else '?'}: {_kind(sub)}" for name, sub in plain["properties"].items()
    )


def _kind(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return " | ".join(_literal(value) for value in schema["enum"])
    if "const" in schema:
        return _literal(schema["const"])
    for key in ("oneOf", "anyOf"):
        if key in schema:
            return " | ".join(_kind(option) for option in schema[key])
    kind = schema.get("type", "any")
    if isinstance(kind, list):
        return " | ".join(str(one) for one in kind)
    if kind == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    if kind == "object" and schema.get("properties"):
        return "{" + signature(schema) + "}"
    return str(kind)


def _literal(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
