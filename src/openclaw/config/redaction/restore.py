"""Placeholders sent back: each becomes the secret that it stood for, and none is ever written.

1. A placeholder stands for what the same key path holds. Entries of a list are found by id or name, else by what else
   they hold, else by their place, as long as the list has not become shorter.
2. A placeholder where no secret is kept is refused: nobody can say what was meant.
3. Comments in which a secret was hidden get it back when they come back as they were shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from openclaw.base.errors import InvalidRequest
from openclaw.config.keypath import KeyPath, format_path
from openclaw.config.reading.parse import parse
from openclaw.config.reading.scan import scan, walk
from openclaw.config.reading.values import same
from openclaw.config.redaction.redact import (
    PLACEHOLDER,
    comments,
    hidden_value,
    is_hiding_key,
    placeholders,
    redacted_comment,
    spliced,
)
from openclaw.config.writing.difference import name_of
from openclaw.config.writing.render import quoted

_ABSENT: Final = object()


def restored(new: Any, old: Any) -> Any:
    """Return parsed values with every placeholder replaced by what `old` has there. Neither is changed.

    Raises: InvalidRequest naming the path of a placeholder that stands for nothing.
    """
    return _restore(new, old, (), hidden=False)


def restored_text(text: str, old_text: str, old: Mapping[str, Any]) -> str:
    """Return a configuration text with its placeholders replaced; `old_text` gives comments back their secrets.

    Raises: InvalidRequest as `restored`; CONFIG_INVALID when the text does not parse.
    """
    new = parse(text)
    edits = _comment_edits(text, old_text)
    if next(placeholders(new), None) is not None:
        whole = restored(new, old)
        for path, node in walk(scan(text)):
            if node.kind == "scalar":
                value = _at(whole, path)
                if value is not _ABSENT and not same(_at(new, path), value):
                    put = quoted(value, text[node.start]) if isinstance(value, str) else repr(value)
                    edits.append(((node.start, node.end), put))
    text = spliced(text, edits)
    if left := next(placeholders(parse(text)), None):
        raise _meaningless(left)
    return text


def _comment_edits(text: str, old_text: str) -> list[tuple[tuple[int, int], str]]:
    hidden = [(span, comment) for span, comment in comments(text) if PLACEHOLDER in comment]
    if not hidden:
        return []
    kept: dict[str, list[str]] = {}
    for _, comment in comments(old_text):
        if (shown := redacted_comment(comment)) != comment:
            kept.setdefault(shown, []).append(comment)
    # A comment that a person rewrote around the placeholder is only a comment: it stays as it was sent.
    return [(span, kept[shown].pop(0)) for span, shown in hidden if kept.get(shown)]


def _restore(new: Any, old: Any, path: KeyPath, *, hidden: bool) -> Any:
    if isinstance(new, str):
        return _text(new, old, path, hidden=hidden) if PLACEHOLDER in new else new
    if isinstance(new, Mapping):
        kept = old if isinstance(old, Mapping) else {}
        out: dict[str, Any] = {}
        for key, value in new.items():
            here = (*path, key)
            if PLACEHOLDER in key:
                raise _meaningless(here)
            out[key] = _restore(value, kept.get(key, _ABSENT), here, hidden=hidden or is_hiding_key(key))
        return out
    if isinstance(new, list):
        kept_items = old if isinstance(old, list) else []
        shown = hidden_value(kept_items, hidden=hidden)
        pairs = enumerate(zip(new, _counterparts(new, kept_items, shown), strict=True))
        return [_entry(item, (*path, at), place, kept_items, shown, hidden=hidden) for at, (item, place) in pairs]
    return new


def _entry(new: Any, path: KeyPath, place: int | None, old: list[Any], shown: list[Any], *, hidden: bool) -> Any:
    """Return an entry of a list; its neighbours may say that it is a secret, so that what was shown decides."""
    was = _ABSENT if place is None else old[place]
    if place is not None and isinstance(was, str) and shown[place] != was and new in (shown[place], PLACEHOLDER):
        return was
    return _restore(new, was, path, hidden=hidden)


def _text(new: str, old: Any, path: KeyPath, *, hidden: bool) -> Any:
    if isinstance(old, int | float) and not isinstance(old, bool) and hidden and new == PLACEHOLDER:
        return old
    if isinstance(old, str) and old and PLACEHOLDER not in old:
        shown = hidden_value(old, hidden=hidden)
        if new == shown or (new == PLACEHOLDER and (hidden or shown != old)):
            return old
    raise _meaningless(path)


def _counterparts(new: list[Any], old: list[Any], shown: list[Any]) -> list[int | None]:
    """Return for each new entry the place of the old one that it was shown as, or None."""
    names = {name: index for index, item in enumerate(old) if (name := name_of(item))}
    taken = {name_of(item) for item in new}
    looks: dict[str, list[int]] = {}
    for index, item in enumerate(shown):
        looks.setdefault(repr(item), []).append(index)
    found: list[int | None] = []
    for index, item in enumerate(new):
        name = name_of(item)
        beside = index if index < len(old) else None
        beside_name = None if beside is None else name_of(old[beside])
        if name:
            if name == beside_name or PLACEHOLDER in name[1]:
                source = beside
            elif name in names:
                source = names[name]
            else:  # renamed where it stands, or new
                source = None if beside_name in taken else beside
        else:
            alike = looks.get(repr(item), [])
            source = alike[0] if len(alike) == 1 else beside if len(new) >= len(old) else None
        found.append(source)
    return found


def _at(value: Any, path: KeyPath) -> Any:
    for key in path:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return _ABSENT
    return value


def _meaningless(path: KeyPath) -> InvalidRequest:
    place = format_path(path)[:200]
    return InvalidRequest(
        f"{place} holds the placeholder {PLACEHOLDER}, but no secret is kept there",
        hint="Send the secret itself, or leave the setting out.",
        details={"issues": [{"path": place, "message": "placeholder without a secret behind it"}]},
    )
