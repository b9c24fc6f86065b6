"""From one set of values to another in the fewest edits of a text, so that what did not change keeps its comments.

Merge patches follow RFC 7386: null removes a key, objects merge, everything else (lists too) takes the old one's place.
Those of clients lose no entry of a list by accident: see `merged`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

import msgspec

from openclaw.base.errors import InternalError, InvalidRequest, TooLarge
from openclaw.config.keypath import KeyPath, format_path
from openclaw.config.reading.parse import parse
from openclaw.config.reading.values import same
from openclaw.config.writing.edit import set_at, unset_at

GONE: Final = object()
MAX_EDITS: Final = 200
MAX_WORK_CHARS: Final = 20_000_000
"""Each edit reads the whole text again: a change larger than either is a new text."""
NAMING_KEYS: Final = ("id", "name", "key")
"""What tells the entries of a list apart, wherever they stand."""


class Edit(msgspec.Struct, frozen=True):
    """Put `value` at a path, or remove what is there when it is GONE."""

    path: KeyPath
    value: Any


def merged(old: Any, patch: Any, replace: Collection[str] | None = None, path: str = "") -> Any:
    """Return `old` with a merge patch applied; neither is changed.

    Shape: `replace` are paths (`agents.list`, `agents.list[].skills`) that become what the patch says as a whole. With
    it, lists whose entries have ids are merged entry by entry, new ones go to the end, and no other list loses any.
    Raises: InvalidRequest when entries of a list would go that `replace` does not name.
    """
    if replace is not None and path and path in replace:
        return patch
    if replace is not None and isinstance(old, list) and isinstance(patch, list):
        return _merged_list(old, patch, replace, path)
    if not isinstance(patch, Mapping):
        return patch
    out = dict(old) if isinstance(old, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = merged(out.get(key), value, replace, f"{path}.{key}" if path else key)
    return out


def _merged_list(old: list[Any], patch: list[Any], replace: Collection[str], path: str) -> list[Any]:
    by_id = {_id_of(entry): entry for entry in patch}
    if patch and None not in by_id and len(by_id) == len(patch) and all(_id_of(entry) is not None for entry in old):
        known = {_id_of(entry) for entry in old}
        kept = [
            merged(entry, by_id[name], replace, f"{path}[]") if (name := _id_of(entry)) in by_id else entry
            for entry in old
        ]
        return [*kept, *(entry for name, entry in by_id.items() if name not in known)]
    lost = sum(not any(same(entry, other) for other in patch) for entry in old)
    if lost:
        raise InvalidRequest(
            f"{path} would lose {lost} of its {len(old)} entries",
            hint=f'To replace the list send replacePaths: ["{path}"].',
            details={"path": path},
        )
    return patch


def _id_of(entry: Any) -> str | None:
    value = entry.get("id") if isinstance(entry, Mapping) else None
    return value if isinstance(value, str) and value else None


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Edit, ...]:
    """Return the edits that make `old` into `new` when they are made one after the other.

    Raises: TooLarge when there are very many.
    """
    edits: list[Edit] = []
    for edit in _object(old, new, ()):
        edits.append(edit)
        if len(edits) > MAX_EDITS:
            raise _too_large()
    return tuple(edits)


def _too_large() -> TooLarge:
    return TooLarge("the change touches too many places of the file", hint="Write the whole text with config.set.")


def changed_paths(old: Mapping[str, Any], new: Mapping[str, Any], limit: int = MAX_EDITS) -> tuple[str, ...]:
    """Return the key paths that differ, at most `limit` of them."""
    return tuple(map(format_path, changes_of(old, new, limit)))


def changes_of(old: Mapping[str, Any], new: Mapping[str, Any], limit: int) -> tuple[KeyPath, ...]:
    """Return the same as paths in parts."""
    return tuple(dict.fromkeys(edit.path for edit in islice(_object(old, new, ()), limit)))


def edited(text: str, edits: Sequence[Edit], wanted: Mapping[str, Any]) -> str:
    """Return the text with the edits made.

    Raises: TooLarge; InternalError when the text would then not say what is wanted.
    """
    if len(edits) * len(text) > MAX_WORK_CHARS:
        raise _too_large()
    for edit in edits:
        text = unset_at(text, edit.path) if edit.value is GONE else set_at(text, edit.path, edit.value)
    if edits and not same(parse(text), wanted):
        raise InternalError("the change of the configuration went wrong and was not made")
    return text


def name_of(item: Any) -> tuple[str, str] | None:
    """Return what names an entry of a list, or None for what has no name."""
    if isinstance(item, Mapping):
        for key in NAMING_KEYS:
            value = item.get(key)
            if isinstance(value, str) and value:
                return key, value
    return None


def _object(old: Mapping[str, Any], new: Mapping[str, Any], path: KeyPath) -> Iterator[Edit]:
    for key in old:
        if key not in new:
            yield Edit((*path, key), GONE)
    for key, value in new.items():
        if key in old:
            yield from _value(old[key], value, (*path, key))
        else:
            yield Edit((*path, key), value)


def _value(old: Any, new: Any, path: KeyPath) -> Iterator[Edit]:
    if isinstance(old, dict) and isinstance(new, dict):
        yield from _object(old, new, path)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _list(old, new, path)
    elif not same(old, new):
        yield Edit(path, new)


def _list(old: list[Any], new: list[Any], path: KeyPath) -> Iterator[Edit]:
    """Entries that went are removed, those that stayed are edited in place, new ones go to the end; else all anew."""
    kept = _kept(old, new)
    if kept is None or (old and not new):
        if not same(old, new):
            yield Edit(path, new)
        return
    for index in reversed(range(len(old))):
        if index not in kept:
            yield Edit((*path, index), GONE)
    for index, source in enumerate(kept):
        yield from _value(old[source], new[index], (*path, index))
    for index in range(len(kept), len(new)):
        yield Edit((*path, index), new[index])


def _kept(old: list[Any], new: list[Any]) -> list[int] | None:
    """Return which old entries the first of the new ones come from, in order, or None when they moved about."""
    kept: list[int] = []
    at = 0
    for item in new:
        source = next((index for index in range(at, len(old)) if _alike(old[index], item)), None)
        if source is None:
            break
        kept.append(source)
        at = source + 1
    if len(kept) == len(new) or len(kept) == len(old):
        return kept
    if len(old) == len(new) and not any(name_of(item) for item in (*old, *new)):
        return list(range(len(old)))
    rest = new[len(kept) :]
    return None if any(_alike(was, item) for item in rest for was in old) else kept


def _alike(old: Any, new: Any) -> bool:
    name = name_of(new)
    return name_of(old) == name if name else same(old, new)
