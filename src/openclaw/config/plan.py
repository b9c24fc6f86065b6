"""What differs between two configurations, leaf by leaf, and what each change needs to take effect."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from openclaw.config.keypath import KeyPath, format_path, parse_path
from openclaw.config.reading.override import replace_at
from openclaw.config.schema import Config, ReloadClass, Section
from openclaw.config.schema.shape import Shape, fields

_STRENGTH: dict[ReloadClass, int] = {"live": 0, "room": 1, "process": 2}


class Change(msgspec.Struct, frozen=True):
    """One leaf, or a whole entry that came (`old` None) or went (`new` None). Secrets stay Secrets."""

    path: str
    old: Any
    new: Any
    reload: ReloadClass


def plan(old: Config, new: Config) -> tuple[Change, ...]:
    """Return the changes from `old` to `new` in the schema's order; equal configurations give none."""
    changes: list[Change] = []
    _section(old, new, (), changes)
    return tuple(changes)


def held(old: Config, new: Config) -> Config:
    """Return `new` with every leaf of class `process` as `old` has it: what a running gateway goes by."""
    for change in plan(old, new):
        if change.reload == "process":
            new = replace_at(new, tuple(map(str, parse_path(change.path))), change.old)
    return new


def strongest(changes: Iterable[Change]) -> ReloadClass | None:
    """Return the reload class that covers all changes, or None when there are none."""
    return max((change.reload for change in changes), key=_STRENGTH.__getitem__, default=None)


def _section(old: Section, new: Section, path: KeyPath, changes: list[Change]) -> None:
    for field in fields(type(old)).values():
        before, after = getattr(old, field.name), getattr(new, field.name)
        if before != after:
            _value(field.shape, before, after, (*path, field.key), changes)


def _value(shape: Shape, old: Any, new: Any, path: KeyPath, changes: list[Change]) -> None:
    if isinstance(old, Section) and type(old) is type(new):
        _section(old, new, path, changes)
    elif shape.kind == "map" and shape.item:
        for key in {**old, **new}:
            _entry(shape.item, old.get(key), new.get(key), (*path, key), changes)
    elif shape.holds_sections and shape.item:
        _named_entries(shape.item, old, new, path, changes)
    else:
        changes.append(Change(format_path(path), old, new, _reload(shape)))


def _named_entries(item: Shape, old: Any, new: Any, path: KeyPath, changes: list[Change]) -> None:
    """Entries of a list are the same when they have the same id, wherever they stand."""
    before = {_identity(entry): (index, entry) for index, entry in enumerate(old)}
    after = {_identity(entry): (index, entry) for index, entry in enumerate(new)}
    for name in {**before, **after}:
        old_index, old_entry = before.get(name, (0, None))
        index, new_entry = after.get(name, (old_index, None))
        _entry(item, old_entry, new_entry, (*path, index), changes)
    if list(before) != list(after) and set(before) == set(after):
        changes.append(Change(format_path(path), tuple(before), tuple(after), _reload(item)))


def _identity(entry: Any) -> str:
    return str(getattr(entry, "id", None) or getattr(entry, "name", ""))


def _entry(item: Shape, old: Any, new: Any, path: KeyPath, changes: list[Change]) -> None:
    if old == new:
        return
    if old is None or new is None:
        changes.append(Change(format_path(path), old, new, _reload(item)))
    else:
        _value(item, old, new, path, changes)


def _reload(shape: Shape) -> ReloadClass:
    if shape.section is None:
        return shape.reload
    inner = [_reload(field.shape) for field in fields(shape.section).values()]
    return max([shape.reload, *inner], key=_STRENGTH.__getitem__)
