"""Changes to the configuration's text that leave everything else as the person wrote it.

1. A value that exists is replaced in its own span; nothing around it moves.
2. A new member goes after the last one (and its comment on the same line), in the style of its neighbours.
3. A removed member takes its comma, its line and the comment behind it along; comments above it stay.
4. Every result is parsed again and must hold exactly the change, else the edit is refused.
"""

from __future__ import annotations

import re
from typing import Any

from openclaw.base.errors import InternalError, InvalidRequest, NotFound
from openclaw.config.keypath import KeyPath, format_path, parse_path
from openclaw.config.reading.parse import parse
from openclaw.config.reading.scan import Item, Node, scan, skip_trivia, walk
from openclaw.config.reading.values import ABSENT, lookup
from openclaw.config.writing.render import Style, render, render_key

_LINE_END = re.compile(r"[\n\r]")
_SAME_LINE = re.compile(r"(?:[^\S\n\r]*(?://[^\n\r]*|/\*(?:(?!\*/)[^\n\r])*\*/))*")
_COMMENT = re.compile(r"//[^\n\r\u2028\u2029]*|/\*.*?\*/", re.DOTALL)
_BLANKS = re.compile(r"[^\S\n\r]*")


def get_value(text: str, dotted_path: str) -> Any:
    """Return what the text holds at a path.

    Raises: NOT_FOUND when the text does not set it; CONFIG_INVALID when it does not parse.
    """
    value = lookup(parse(text), parse_path(dotted_path))
    if value is ABSENT:
        raise NotFound(f"{dotted_path} is not set", hint="What is not set has its default; see docs/settings.md.")
    return value


def set_value(text: str, dotted_path: str, value: Any) -> str:
    """Return the text with the value at that path, missing parents created.

    Raises: INVALID_REQUEST when a parent is no object or list, or the value is not JSON; CONFIG_INVALID.
    """
    return set_at(text, parse_path(dotted_path), value)


def set_at(text: str, path: KeyPath, value: Any) -> str:
    """Do the same for a path in parts."""
    text = text if skip_trivia(text, 0) < len(text) else text.rstrip(" \t") + "{}\n"
    parse(text)
    root = scan(text)
    style = _style(text, root)
    node, depth = _deepest(root, path)
    if depth == len(path):
        inline = bool(node.items) and not _LINE_END.search(text, node.start, node.end)
        new = render(value, style, _indent_at(text, node.start), inline=inline)
        changed = _splice(text, node.start, node.end, new)
    else:
        changed = _insert(text, node, path[depth], _nest(path[depth + 1 :], value), style, path[: depth + 1])
    _check(changed, path, value)
    return changed


def unset_value(text: str, dotted_path: str) -> str:
    """Return the text without that member.

    Raises: NOT_FOUND when it is not there; CONFIG_INVALID.
    """
    return unset_at(text, parse_path(dotted_path))


def unset_at(text: str, path: KeyPath) -> str:
    """Do the same for a path in parts."""
    if lookup(parse(text), path) is ABSENT:
        raise NotFound(f"{format_path(path)} is not set, so there is nothing to remove")
    while True:
        root = scan(text)
        parent, depth = _deepest(root, path[:-1])
        item = parent.find(path[-1]) if depth == len(path) - 1 else None
        if item is None:
            return text
        text = _remove(text, parent, item)
        if parent.kind == "list":
            return text


def _deepest(node: Node, path: KeyPath) -> tuple[Node, int]:
    """Return the innermost node that exists along the path, and how many keys lead to it."""
    for depth, key in enumerate(path):
        item = node.find(key)
        if item is None:
            return node, depth
        node = item.value
    return node, len(path)


def _nest(path: KeyPath, value: Any) -> Any:
    for key in reversed(path):
        if isinstance(key, int) and key != 0:
            raise InvalidRequest(f"a new list starts at [0], not [{key}]")
        value = [value] if isinstance(key, int) else {key: value}
    return value


def _insert(text: str, parent: Node, key: str | int, value: Any, style: Style, path: KeyPath) -> str:
    if parent.kind == "list" and str(key).isdecimal():
        if int(key) != len(parent.items):
            raise InvalidRequest(f"{format_path(path)} would leave a gap: the list has {len(parent.items)} items")
    elif parent.kind != "object" or isinstance(key, int):
        kind = {"object": "an object", "list": "a list", "scalar": "a plain value"}[parent.kind]
        raise InvalidRequest(f"{format_path(path)} cannot be set: {format_path(path[:-1]) or 'the root'} is {kind}")
    label = f"{render_key(key, style)}: " if parent.kind == "object" else ""
    last = parent.items[-1] if parent.items else None
    if last and not _LINE_END.search(text, parent.start, parent.items[0].start):
        return _insert_inline(text, parent, last, label, value, style)
    outer = _indent_at(text, parent.start)
    indent = _indent_at(text, parent.items[0].start) if last else outer + style.indent
    member = f"{style.newline}{indent}{label}{render(value, style, indent)}"
    if last is None:
        at = _same_line_end(text, parent.start + 1)
        closing = "" if _LINE_END.search(text, at, parent.end) else style.newline + outer
        return _splice(text, at, at, member + closing)
    if last.comma >= 0:
        at = _same_line_end(text, last.comma + 1)
        return _splice(text, at, at, member + ",")
    at = _same_line_end(text, last.value.end)
    return _splice(_splice(text, at, at, member), last.value.end, last.value.end, ",")


def _insert_inline(text: str, parent: Node, last: Item, label: str, value: Any, style: Style) -> str:
    member = label + render(value, style, _indent_at(text, parent.start), inline=True)
    if last.comma >= 0:
        return _splice(text, last.comma + 1, last.comma + 1, f" {member},")
    return _splice(text, last.value.end, last.value.end, f", {member}")


def _remove(text: str, parent: Node, item: Item) -> str:
    index = next(at for at, member in enumerate(parent.items) if member is item)
    following = parent.items[index + 1] if index + 1 < len(parent.items) else None
    if following and not re.search(r"[\n\r]|//|/\*", text[item.value.end : following.start]):
        return _splice(text, item.start, following.start, "")
    previous = parent.items[index - 1] if index else None
    start = _after_comments(text, previous.comma + 1 if previous else parent.start + 1, item.start)
    end = item.value.end
    own_line = _LINE_END.search(text, start, item.start) is not None
    if item.comma >= 0:
        # What stands between a value and its comma can only be blanks and comments on the value.
        end = item.comma + 1
    rest = _same_line_end(text, end)
    if own_line and text[rest : rest + 1] in ("\n", "\r"):
        end = rest
    elif own_line and _ends_line_comment(text, start):
        # The line break ends that comment, and what follows must not become part of it.
        start = item.start
    if len(parent.items) == 1 and not (text[parent.start + 1 : start] + text[end : parent.end - 1]).strip():
        return _splice(text, parent.start + 1, parent.end - 1, "")
    text = _splice(text, start, end, "")
    if item.comma < 0 and previous:
        text = _splice(text, previous.comma, previous.comma + 1, "")
    return text


def _splice(text: str, start: int, end: int, new: str) -> str:
    return text[:start] + new + text[end:]


def _same_line_end(text: str, at: int) -> int:
    """Return the offset behind the comments that follow on the same line."""
    found = _SAME_LINE.match(text, at)
    return found.end() if found else at


def _after_comments(text: str, start: int, end: int) -> int:
    return max((found.end() for found in _COMMENT.finditer(text, start, end)), default=start)


def _ends_line_comment(text: str, at: int) -> bool:
    line_start = max(text.rfind("\n", 0, at), text.rfind("\r", 0, at)) + 1
    return "//" in text[line_start:at]


def _indent_at(text: str, offset: int) -> str:
    """Return the blanks that open the line of an offset."""
    line_start = max(text.rfind("\n", 0, offset), text.rfind("\r", 0, offset)) + 1
    found = _BLANKS.match(text, line_start)
    return found[0] if found else ""


def _style(text: str, root: Node) -> Style:
    newline = "\r\n" if "\r\n" in text else "\n"
    if not root.items:
        return Style(newline=newline)
    first = root.items[0]
    indent = _indent_at(text, first.start)
    key_quote = text[first.start] if text[first.start] in "\"'" else ""
    texts = (text[node.start] for _, node in walk(root) if text[node.start] in "\"'")
    return Style(indent=indent or "  ", quote=next(texts, key_quote or '"'), key_quote=key_quote, newline=newline)


def _check(text: str, path: KeyPath, value: Any) -> None:
    """Refuse a text that does not say what was asked for: the person's file is worth more than this edit."""
    held = lookup(parse(text), path)
    if repr(held) != repr(_as_json(value)):
        raise InternalError(f"the edit of {format_path(path)} went wrong and was not made")


def _as_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_json(item) for key, item in value.items()}
    return [_as_json(item) for item in value] if isinstance(value, list | tuple) else value
