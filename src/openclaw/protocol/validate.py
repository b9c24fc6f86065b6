"""Parameters into types, and every problem of bad ones told at once.

The good path is one typed decode in C. Only when it fails is the value walked along the type's JSON schema, to name
*all* problems in the wording and order that clients of the protocol know: missing properties, then unexpected ones,
then each property in declared order.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, TypeVar, cast

import msgspec

from openclaw.base.errors import InvalidRequest

T = TypeVar("T")
Schema = Mapping[str, Any]

MAX_PROBLEMS = 16
"""Problems told per request: enough for any honest mistake, little enough for a close reason and a log line."""


class Params(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Base of every method's parameters: camelCase on the wire, unknown properties refused."""


class NoParams(Params, frozen=True):
    """For methods that take none."""


def convert(raw: Any, type_: type[T], what: str) -> T:
    """Return the parameters, undecoded (Raw) or decoded, as `type_`. None counts as an empty object.

    Raises: InvalidRequest `invalid {what} params: …` with all problems, joined by `; `.
    """
    try:
        if isinstance(raw, msgspec.Raw):
            return cast("T", _decoder(cast("Any", type_)).decode(raw))
        return msgspec.convert(raw if raw is not None else {}, type_)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass  # the slow path below names every problem, not only the first
    try:
        value = msgspec.json.decode(raw) if isinstance(raw, msgspec.Raw) else raw
        value = {} if value is None else value
        found = problems(value, type_)
        if not found:
            # The schema has no quarrel: a JSON integer written as 5.0.
            return msgspec.convert(_whole(value), type_)
    except msgspec.ValidationError as error:
        found = [f"at root: {error}"]
    except (msgspec.MsgspecError, UnicodeDecodeError):
        found = ["must be valid JSON"]
    except RecursionError:
        found = ["must not be nested this deeply"]
    raise InvalidRequest(f"invalid {what} params: {'; '.join(found)}")


def problems(value: Any, type_: Any) -> list[str]:
    """Return what is wrong with a decoded JSON value, `[]` when nothing is."""
    schema, definitions = _schema(type_)
    walk = _Walk(definitions)
    found: list[str] = []
    for problem in walk.check(value, schema, ""):
        if problem not in found:
            found.append(problem)
        if len(found) >= MAX_PROBLEMS:
            break
    return found


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return value


@cache
def _decoder(type_: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(type_)


@cache
def _schema(type_: Any) -> tuple[Schema, Mapping[str, Schema]]:
    (schema,), definitions = msgspec.json.schema_components((type_,))
    return schema, definitions


def _is_integer(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value) and value.is_integer()
    return isinstance(value, int) and not isinstance(value, bool)


_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list | tuple),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": _is_integer,
}

_NUMBER_BOUNDS: Mapping[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "maximum": ("<=", lambda value, bound: value <= bound),
    "minimum": (">=", lambda value, bound: value >= bound),
    "exclusiveMaximum": ("<", lambda value, bound: value < bound),
    "exclusiveMinimum": (">", lambda value, bound: value > bound),
}


class _Walk:
    """One check of a value against a schema. `path` is a JSON pointer; `""` is the root."""

    def __init__(self, definitions: Mapping[str, Schema]) -> None:
        self._definitions = definitions

    def check(self, value: Any, schema: Schema, path: str) -> Iterator[str]:
        if "$ref" in schema:
            schema = self._definitions[schema["$ref"].rsplit("/", 1)[-1]]
        if "anyOf" in schema:
            yield from self._any_of(value, schema["anyOf"], path)
            return
        kind = schema.get("type")
        if kind is not None and not _TYPES[kind](value):
            yield _at(path, f"must be {kind}")
            return
        if "enum" in schema and value not in schema["enum"]:
            yield _at(path, "must be equal to one of the allowed values")
        elif "const" in schema and value != schema["const"]:
            yield _at(path, "must be equal to constant")
        if kind == "object":
            yield from self._object(value, schema, path)
        elif kind == "array":
            yield from self._array(value, schema, path)
        elif kind == "string":
            yield from _string(value, schema, path)
        elif kind in ("integer", "number"):
            for name, (sign, holds) in _NUMBER_BOUNDS.items():
                if name in schema and not holds(value, schema[name]):
                    yield _at(path, f"must be {sign} {schema[name]}")

    def _any_of(self, value: Any, options: list[Schema], path: str) -> Iterator[str]:
        collected: list[str] = []
        for option in options:
            found = list(self.check(value, option, path))
            if not found:
                return
            collected += found
        yield from collected
        yield _at(path, "must match a schema in anyOf")

    def _object(self, value: dict[str, Any], schema: Schema, path: str) -> Iterator[str]:
        for name in schema.get("required", ()):
            if name not in value:
                problem = f"must have required property '{name}'"
                yield _at(path, problem) if path else problem
        properties: Mapping[str, Schema] = schema.get("properties", {})
        extra = schema.get("additionalProperties")
        if extra is False:
            for name in value:
                if name not in properties:
                    yield _at(path, f"unexpected property '{name[:64]}'")
        for name, inner in properties.items():
            if name in value:
                yield from self.check(value[name], inner, f"{path}/{_escape(name)}")
        if isinstance(extra, dict):
            for name, item in value.items():
                if name not in properties:
                    yield from self.check(item, extra, f"{path}/{_escape(name[:64])}")

    def _array(self, value: list[Any], schema: Schema, path: str) -> Iterator[str]:
        if "maxItems" in schema and len(value) > schema["maxItems"]:
            yield _at(path, f"must NOT have more than {schema['maxItems']} items")
        if "minItems" in schema and len(value) < schema["minItems"]:
            yield _at(path, f"must NOT have fewer than {schema['minItems']} items")
        items = schema.get("items")
        if isinstance(items, dict):
            for index, item in enumerate(value):
                yield from self.check(item, items, f"{path}/{index}")


def _string(value: str, schema: Schema, path: str) -> Iterator[str]:
    if "maxLength" in schema and len(value) > schema["maxLength"]:
        yield _at(path, f"must NOT have more than {schema['maxLength']} characters")
    if "minLength" in schema and len(value) < schema["minLength"]:
        yield _at(path, f"must NOT have fewer than {schema['minLength']} characters")
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield _at(path, f'must match pattern "{schema["pattern"]}"')


def _at(path: str, problem: str) -> str:
    return f"at {path or 'root'}: {problem}"


def _escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
