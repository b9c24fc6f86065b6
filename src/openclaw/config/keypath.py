"""Key paths: `models.providers.openai.models[0].id`, with `["…"]` for keys that hold a dot or bracket."""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec

from openclaw.base.errors import InvalidRequest

KeyPath = tuple[str | int, ...]

MAX_PATH_CHARS = 2_000
_PLAIN = re.compile(r"[^.\[\]\"'\s]+")
_INDEX = re.compile(r"\[(\d{1,6})\]")
_QUOTED = re.compile(r"""\[("(?:[^"\\]|\\.)*")\]""")


def parse_path(text: str) -> KeyPath:
    """Split a dotted path into keys and list indexes.

    Raises: INVALID_REQUEST, with the place where the path stops making sense.
    """
    if len(text) > MAX_PATH_CHARS:
        raise InvalidRequest(f"the key path is longer than {MAX_PATH_CHARS} characters")
    keys: list[str | int] = []
    at = 0
    while at < len(text):
        if text[at] == "[":
            at = _bracket(text, at, keys)
            continue
        if keys:
            if text[at] != ".":
                raise _bad(text, at)
            at += 1
        plain = _PLAIN.match(text, at)
        if not plain:
            raise _bad(text, at)
        keys.append(plain[0])
        at = plain.end()
    if not keys:
        raise InvalidRequest("the key path is empty", hint="Name a setting, for example gateway.port.")
    return tuple(keys)


def _bracket(text: str, at: int, keys: list[str | int]) -> int:
    if index := _INDEX.match(text, at):
        keys.append(int(index[1]))
        return index.end()
    quoted = _QUOTED.match(text, at)
    if not quoted:
        raise _bad(text, at)
    try:
        keys.append(msgspec.json.decode(quoted[1].encode("utf-8", "surrogatepass"), type=str))
    except (msgspec.DecodeError, UnicodeError):
        raise _bad(text, at) from None
    return quoted.end()


def _bad(text: str, at: int) -> InvalidRequest:
    return InvalidRequest(
        f"{text!r} is not a key path: unexpected text at character {at + 1}",
        hint='Write a.b[0].c, and a["key.with.dots"] for unusual keys.',
    )


def format_path(path: KeyPath) -> str:
    """Join keys and indexes into the text that `parse_path` reads."""
    return "".join(_piece(key, first=not at) for at, key in enumerate(path))


def child(parent: str, key: str | int) -> str:
    """Return the text of a path one step below `parent`."""
    return parent + _piece(key, first=not parent)


@lru_cache(maxsize=4096)
def _piece(key: str | int, *, first: bool) -> str:
    if isinstance(key, int):
        return f"[{key}]"
    if _PLAIN.fullmatch(key):
        return key if first else f".{key}"
    quoted = msgspec.json.encode(key.encode("utf-8", "replace").decode()).decode()
    return f"[{quoted}]"


_ENTRY_DEPTH = {"channels": 2, "actions": 2, "bindings": 2, "models": 3, "agents": 3}


def section_of(path: KeyPath) -> str:
    """Name the part of the configuration that stands or falls with this path."""
    if not path:
        return ""
    depth = _ENTRY_DEPTH.get(str(path[0]), 1)
    if path[:2] == ("agents", "defaults"):
        depth = 2
    return format_path(path[:depth])
