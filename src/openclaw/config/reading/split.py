"""Known keys from unknown ones: the unknown are quarantined, with the nearest valid path, and never stop anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from openclaw.config.issue import Issue
from openclaw.config.keypath import KeyPath, child, format_path, section_of
from openclaw.config.reading.scan import Positions
from openclaw.config.reading.wild import KNOWN_ELSEWHERE, SILENT
from openclaw.config.schema import Config, Section
from openclaw.config.schema.shape import Shape, fields


class Split:
    """The result of one walk: the settings that the file names, and an issue per key that nobody reads."""

    def __init__(self, raw: Mapping[str, Any], positions: Positions) -> None:
        self.named: list[str] = []
        self.issues: list[Issue] = []
        self._positions = positions
        self._section(Config, raw, (), "", "")

    def _section(self, section: type[Section], raw: Any, path: KeyPath, text: str, pattern: str) -> None:
        if not isinstance(raw, Mapping):
            return
        known = fields(section)
        for key, value in raw.items():
            field = known.get(key)
            if field is None:
                self._unknown((*path, key), pattern, known)
            else:
                dot = f"{pattern}.{key}" if pattern else key
                self._value(field.shape, value, (*path, key), child(text, key), dot)

    def _value(self, shape: Shape, value: Any, path: KeyPath, text: str, pattern: str) -> None:
        if shape.kind == "section" and shape.section and isinstance(value, Mapping):
            self._section(shape.section, value, path, text, pattern)
        elif shape.holds_sections and shape.item and isinstance(value, list):
            for index, item in enumerate(value):
                self._value(shape.item, item, (*path, index), child(text, index), pattern + "[]")
        elif shape.holds_sections and shape.item and isinstance(value, Mapping):
            for key, item in value.items():
                self._value(shape.item, item, (*path, key), child(text, key), pattern + ".*")
        else:
            self.named.append(text)

    def _unknown(self, path: KeyPath, parent: str, known: Mapping[str, Any]) -> None:
        key = str(path[-1])
        if not parent and key in SILENT:
            return
        line, column = self._positions.at(path)
        place, written = format_path(path), self._positions.written(path)
        section, file = section_of(path), self._positions.file(path)
        if key in KNOWN_ELSEWHERE.get(parent, ()):
            message = "this setting is not available in this version and has no effect" + written
            self.issues.append(
                Issue("not-available", place, message, line, column, "warning", section=section, file=file)
            )
            return
        near = _nearest(path, parent, known)
        hint = f"Did you mean {near}?" if near else "Remove it, or check the spelling in docs/settings.md."
        message = "unknown key, it has no effect" + written
        self.issues.append(Issue("unknown-key", place, message, line, column, "warning", hint, section, file))


def _nearest(path: KeyPath, parent: str, known: Mapping[str, Any]) -> str:
    from difflib import get_close_matches  # only needed when someone misspelt something

    key = str(path[-1])
    if siblings := get_close_matches(key, known, n=1, cutoff=0.7):
        return format_path((*path[:-1], siblings[0]))
    from openclaw.config.schema.describe import leaves

    by_name = {leaf.path.rsplit(".", 1)[-1]: leaf.path for leaf in reversed(leaves()) if not leaf.path.endswith("]")}
    if elsewhere := get_close_matches(key, by_name, n=1, cutoff=0.85):
        return by_name[elsewhere[0]]
    full = f"{parent}.{key}" if parent else key
    close = get_close_matches(full, [leaf.path for leaf in leaves()], n=1, cutoff=0.85)
    return close[0] if close else ""
