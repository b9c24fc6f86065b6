"""A small language for recorded conversations re-told: what is asked, what must come back, what it causes.

A shape is a type (`int`: a JSON number without a fraction, `float`: any number, `None`: null), a value that must be
equal, a dict of keys that must be there (others may), a list of one shape that every element has, or one of the classes
below. In parameters `$name` stands for what an earlier call was told to keep.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

MISSING: Final = object()


@dataclass(frozen=True)
class Text:
    """A string that matches a pattern somewhere."""

    pattern: str


@dataclass(frozen=True)
class Maybe:
    """A key that may be absent."""

    shape: Any


@dataclass(frozen=True)
class Either:
    """One of several shapes."""

    shapes: tuple[Any, ...]


@dataclass(frozen=True)
class Exactly:
    """A dict with these keys and no other."""

    keys: Mapping[str, Any]


@dataclass(frozen=True)
class Has:
    """A list with at least one such element."""

    shape: Any


@dataclass(frozen=True)
class Error:
    """A refusal: code, a pattern of its message, and what its details hold."""

    message: str
    code: Any = "INVALID_REQUEST"
    details: Any = None


@dataclass(frozen=True)
class Event:
    """Something that a call causes: the event's name and the shape of its payload."""

    name: str
    payload: Any = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """One call. `then` is the second answer to the same id; `keep` remembers parts of the answer under a name."""

    method: str
    params: Mapping[str, Any] = field(default_factory=dict)
    answer: Any = field(default_factory=dict)
    then: Any = None
    events: tuple[Event, ...] = ()
    keep: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    @property
    def id(self) -> str:
        """How pytest calls it."""
        return f"{self.method} {self.note}".strip().replace(" ", "-")


def mismatch(shape: Any, value: Any, path: str = "") -> str | None:
    """Say where a value differs from a shape; None when it does not."""
    if value is MISSING:
        return None if isinstance(shape, Maybe) else f"{path or 'it'} is not there"
    if isinstance(shape, Maybe):
        return mismatch(shape.shape, value, path)
    if isinstance(shape, Either):
        found = [mismatch(one, value, path) for one in shape.shapes]
        return None if None in found else " or ".join(filter(None, found))
    if isinstance(shape, Text):
        good = isinstance(value, str) and re.search(shape.pattern, value) is not None
        return None if good else f"{path} is {value!r}, not like {shape.pattern!r}"
    if isinstance(shape, Exactly):
        more = sorted(set(value) - set(shape.keys)) if isinstance(value, dict) else []
        return f"{path} has {more} too" if more else mismatch(shape.keys, value, path)
    if isinstance(shape, Has):
        good = isinstance(value, list) and any(mismatch(shape.shape, item) is None for item in value)
        return None if good else f"{path} has no such element: {value!r:.300}"
    if isinstance(shape, type):
        return None if _is(value, shape) else f"{path} is {value!r:.80}, not {shape.__name__}"
    if isinstance(shape, Mapping):
        return _mapping(shape, value, path)
    if isinstance(shape, list):
        if not isinstance(value, list):
            return f"{path} is {value!r:.80}, not a list"
        found = [mismatch(shape[0], item, f"{path}[{at}]") for at, item in enumerate(value)] if shape else []
        return next(filter(None, found), None)
    return None if value == shape and type(value) is type(shape) else f"{path} is {value!r:.200}, not {shape!r}"


def _mapping(shape: Mapping[str, Any], value: Any, path: str) -> str | None:
    if not isinstance(value, dict):
        return f"{path} is {value!r:.80}, not an object"
    found = (mismatch(inner, value.get(key, MISSING), f"{path}/{key}") for key, inner in shape.items())
    return next(filter(None, found), None)


def _is(value: Any, kind: type) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is kind


def refused_otherwise(error: Error, frame: Mapping[str, Any]) -> str | None:
    """Say how a refusal differs from the one expected; None when it does not."""
    if frame["ok"]:
        return f"it was answered: {frame.get('payload')!r:.200}"
    told = frame["error"]
    if mismatch(error.code, told["code"], "code"):
        return f"code {told['code']}, not {error.code} ({told['message']})"
    if not re.search(error.message, told["message"]):
        return f"message {told['message']!r}, not like {error.message!r}"
    return None if error.details is None else mismatch(error.details, told.get("details", MISSING), "details")


def filled(params: Any, memory: Mapping[str, Any]) -> Any:
    """Put what was kept in its place."""
    if isinstance(params, str) and params.startswith("$"):
        return memory.get(params[1:], f"nothing was kept as {params[1:]}")
    if isinstance(params, Mapping):
        return {key: filled(value, memory) for key, value in params.items()}
    return [filled(value, memory) for value in params] if isinstance(params, list) else params
