"""Values into the text of the file that is there: JSON5 or YAML, in the short form or not, alone or including others.

1. Only the file itself is written. What an included file sets is overridden beside its `$include`; taking it away is
   refused, with the name of the file to edit.
2. A setting that the short form holds is changed where it is written; what the short form cannot say is refused.
3. The new text is read as the gateway would read it, and must say exactly what was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from openclaw.base.errors import ConfigError, InternalError, InvalidRequest, NotFound
from openclaw.config.keypath import KeyPath, format_path, parse_path
from openclaw.config.load import Loaded
from openclaw.config.paths import is_yaml
from openclaw.config.reading.form import read
from openclaw.config.reading.include import assemble, includes
from openclaw.config.reading.values import ABSENT, lookup, put, same, without
from openclaw.config.writing import edit
from openclaw.config.writing.difference import GONE, Edit, changed_paths, difference, edited

TOLD_PATHS = 3


def set_in(before: Loaded, dotted_path: str, value: Any) -> str:
    """Return the file's text with the value at that path.

    Raises: INVALID_REQUEST when it cannot be said there; CONFIG_INVALID when the file does not parse.
    """
    path = parse_path(dotted_path)
    if _is_simple(before):
        return edit.set_at(before.raw, path, value)
    _require_parsed(before)
    return with_values(before, put(before.parsed, path, value))


def unset_in(before: Loaded, dotted_path: str) -> str:
    """Return the file's text without that setting. Raises: NOT_FOUND, and as `set_in`."""
    path = parse_path(dotted_path)
    if _is_simple(before):
        return edit.unset_at(before.raw, path)
    _require_parsed(before)
    if lookup(before.parsed, path) is ABSENT:
        raise NotFound(f"{dotted_path} is not set, so there is nothing to remove")
    return with_values(before, without(before.parsed, path))


def with_values(before: Loaded, wanted: Mapping[str, Any]) -> str:
    """Return the file's text, edited to say these values.

    Raises: InvalidRequest naming what cannot be said in this file; TooLarge.
    """
    edits = difference(before.parsed, wanted)
    if _is_simple(before):
        return edited(before.raw, edits, wanted)
    if includes(wanted):
        raise InvalidRequest(
            "$include cannot be set here: what is set would no longer be what the file says",
            hint=f"Write it into {before.path}, or send the whole text.",
        )
    hand = _Hand(before, wanted)
    text = before.raw
    for each in edits:
        text = hand.made(text, each)
    return hand.checked(text, edits)


def overriding(before: Loaded, paths: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return those settings that an included file sets, each with that file: a change of them only overrides it."""
    if not before.included:
        return ()
    found = ((path, before.positions.file(parse_path(path))) for path in paths)
    return tuple((path, file) for path, file in found if file)


def beaten(after: Loaded, paths: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return those settings whose value in the file does not count, each with the variable that does."""
    found: list[tuple[str, str]] = []
    for path in paths:
        source = after.sources.get(path, "file")
        named = f"${{{source.partition(' ')[0]}}}"
        if source.endswith(")") and lookup(after.parsed, parse_path(path)) not in (ABSENT, named):
            found.append((path, source))
    return tuple(found)


def _is_simple(before: Loaded) -> bool:
    return not is_yaml(before.path) and not before.included


def _require_parsed(before: Loaded) -> None:
    if before.source == "last-good":
        raise ConfigError(
            f"{before.path} cannot be read, so nothing in it can be changed",
            hint="Correct it first: openclaw config validate names the place.",
        )


class _Hand:
    def __init__(self, before: Loaded, wanted: Mapping[str, Any]) -> None:
        self._before = before
        self._wanted = wanted
        self._yaml = is_yaml(before.path)
        self._set: Callable[[str, KeyPath, Any], str] = edit.set_at
        self._unset: Callable[[str, KeyPath], str] = edit.unset_at
        if self._yaml:
            from openclaw.config.writing import yaml_edit

            self._set, self._unset = yaml_edit.set_at, yaml_edit.unset_at

    def made(self, text: str, change: Edit) -> str:
        path = self._own_list(change.path)
        source = self._before.positions.source(path) if self._before.source == "file" else None
        place = path if source is None else source
        try:
            if path != change.path:
                return self._set(text, place, lookup(self._wanted, path))
            if change.value is not GONE:
                return self._set(text, place, change.value)
            if file := self._before.positions.file(path):
                raise self._elsewhere(path, file)
            return self._unset(text, place)
        except NotFound:
            raise self._short_form(path, place) from None
        except InvalidRequest as error:
            if place == path:
                raise
            raise self._short_form(path, place) from error

    def checked(self, text: str, edits: Sequence[Edit]) -> str:
        document = read(text, yaml=self._yaml, placed=False)
        assembly = assemble(document, self._before.path, placed=False)
        held = assembly.parsed
        if same(held, self._wanted) or (self._yaml and same(_pruned(held), _pruned(self._wanted))):
            return text
        for place in changed_paths(held, self._wanted, TOLD_PATHS):
            path = parse_path(place)
            if file := self._before.positions.file(path) or assembly.positions.file(path):
                raise self._elsewhere(path, file)
        if edits and self._yaml:
            path = edits[0].path
            raise self._short_form(path, self._before.positions.source(path) or path)
        raise InternalError("the change of the configuration went wrong and was not made")

    def _own_list(self, path: KeyPath) -> KeyPath:
        """Return the path, cut at the first list that is not wholly written in the file itself."""
        if not self._before.included:
            return path
        for depth, key in enumerate(path):
            if isinstance(key, int):
                own, whole = lookup(self._before.own, path[:depth]), lookup(self._before.parsed, path[:depth])
                if not same(own, whole):
                    return path[:depth]
        return path

    def _elsewhere(self, path: KeyPath, file: str) -> InvalidRequest:
        return InvalidRequest(
            f"{format_path(path)} is set in the included file {file}, and only {self._before.path.name} is written",
            hint=f"Edit {file}, or set another value here: it wins over the included one.",
            details={"path": format_path(path), "file": file},
        )

    def _short_form(self, path: KeyPath, place: KeyPath) -> InvalidRequest:
        told, written = format_path(path), format_path(place)
        return InvalidRequest(
            f"{told} cannot be changed: the file says it in the short form, as {written}",
            hint=f"Replace {written} in {self._before.path} by {told}; docs/yaml.md has both forms side by side.",
            details={"path": told, "writtenAs": written},
        )


def _pruned(value: Any) -> Any:
    """Return the values without empty objects: the short form makes a section for the settings that it holds only."""
    if isinstance(value, list):
        return [_pruned(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    kept = {key: _pruned(item) for key, item in value.items()}
    return {key: item for key, item in kept.items() if item != {}}
