"""Parsed values as plain data: looked up, put, taken out and compared. Nothing given is changed."""

from __future__ import annotations

from typing import Any, Final

from openclaw.base.errors import InvalidRequest
from openclaw.config.keypath import KeyPath, format_path

ABSENT: Final = object()


def lookup(value: Any, path: KeyPath) -> Any:
    """Return what stands at a path, or ABSENT."""
    for key in path:
        step = int(key) if isinstance(value, list) and str(key).isdecimal() else key
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return ABSENT
    return value


def put(value: Any, path: KeyPath, new: Any, at: KeyPath = ()) -> Any:
    """Return the values with `new` at a path, missing parents made; ABSENT and null make room for any.

    Raises: InvalidRequest when a parent is a plain value, or a list would get a gap.
    """
    if not path:
        return new
    key, rest, here = path[0], path[1:], (*at, path[0])
    if value is ABSENT or value is None:
        value = [] if isinstance(key, int) else {}
    if isinstance(value, dict) and isinstance(key, str):
        return {**value, key: put(value.get(key, ABSENT), rest, new, here)}
    if isinstance(value, list) and str(key).isdecimal():
        index = int(key)
        if index > len(value):
            raise InvalidRequest(f"{format_path(here)} would leave a gap: the list has {len(value)} items")
        entry = value[index] if index < len(value) else ABSENT
        return [*value[:index], put(entry, rest, new, here), *value[index + 1 :]]
    kind = "an object" if isinstance(value, dict) else "a list" if isinstance(value, list) else "a plain value"
    raise InvalidRequest(f"{format_path(here)} cannot be set: {format_path(at) or 'the root'} is {kind}")


def without(value: Any, path: KeyPath) -> Any:
    """Return the values without what stands at a path that is there."""
    key, rest = path[0], path[1:]
    if isinstance(value, list):
        index = int(key)
        inner = [without(value[index], rest)] if rest else []
        return [*value[:index], *inner, *value[index + 1 :]]
    if rest:
        return {**value, key: without(value[key], rest)}
    return {name: item for name, item in value.items() if name != key}


def same(one: Any, other: Any) -> bool:
    """Say whether two values are the same as JSON5 tells values apart: 1 is not 1.0, the order of keys is nothing."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and repr(one) == repr(other)
