"""Settings under the name that older versions gave them. They still work; the newer name is the documented one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from openclaw.config.keypath import KeyPath, format_path
from openclaw.config.reading.old_names import OldNames
from openclaw.config.reading.parse import parse
from openclaw.config.reading.scan import Positions
from openclaw.config.reading.values import lookup
from openclaw.config.writing.edit import set_at, unset_at

RENAMED: Final = (
    (("gateway", "nodes", "allowCommands"), ("gateway", "nodes", "commands", "allow")),
    (("gateway", "nodes", "denyCommands"), ("gateway", "nodes", "commands", "deny")),
)
_TOKEN: Final = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/""", re.DOTALL)
"""Texts in quotes, which may look like comments, and comments."""


def at(parsed: Any, path: tuple[str, ...]) -> Any:
    """Return what a parsed text holds at a path, or None."""
    for key in path:
        parsed = parsed.get(key) if isinstance(parsed, dict) else None
    return parsed


def old_spellings(parsed: Any) -> list[tuple[str, str]]:
    """Return (old, new) key paths that a configuration uses, of those that the configuration itself does not report."""
    return [(".".join(old), ".".join(new)) for old, new in RENAMED if at(parsed, old) is not None]


def movable(own: Mapping[str, Any]) -> list[tuple[KeyPath, KeyPath]]:
    """Return (old, new) of the settings that the file itself has under an old name and no other."""
    return OldNames(dict(own), Positions("")).moves


def movable_names(own: Mapping[str, Any]) -> frozenset[str]:
    """Return their old key paths."""
    return frozenset(format_path(old) for old, _ in movable(own))


def moved(text: str) -> str:
    """Return the text with those settings under their names of today; one whose comments would be lost stays.

    Raises: InvalidRequest where a place cannot be written.
    """
    while True:  # what stays may be movable once its neighbours are gone
        own = parse(text)
        edits = (_renamed(text, own, old, new) for old, new in movable(own))
        edited = next((each for each in edits if _comments(each) == _comments(text)), None)
        if edited is None:
            return text
        text = edited


def _renamed(text: str, own: Mapping[str, Any], old: KeyPath, new: KeyPath) -> str:
    text = unset_at(set_at(text, new, lookup(own, old)), old)
    for end in range(len(old) - 1, 0, -1):
        if lookup(parse(text), old[:end]) == {}:
            text = unset_at(text, old[:end])
    return text


def _comments(text: str) -> Counter[str]:
    return Counter(token for token in _TOKEN.findall(text) if token[0] == "/")
