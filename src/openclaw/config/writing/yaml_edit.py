"""Changes to a YAML text that leave everything else as the person wrote it: comments, order, indent, quotes.

1. The text is patched at the places that the parser names; nothing is written anew. A library that writes whole
   documents would settle indents and quotes in its own way, and be one more package.
2. A value goes where the old one stood; a new key goes after the last one of its object, a new item after the last.
3. Whatever the formatting makes unsafe (aliases, merged keys, rare layouts) is refused: every result is read again and
   must hold exactly the change.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final

import msgspec

from openclaw.base.errors import ConfigError, InvalidRequest, NotFound
from openclaw.config.keypath import KeyPath, format_path
from openclaw.config.reading.scan import Item, Node
from openclaw.config.reading.values import ABSENT, lookup, put, same, without
from openclaw.config.reading.yaml_text import Scalar, compose, expand, plain_value

_BARE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_NOT_PRINTABLE: Final = re.compile("[\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")
_STEP: Final = "  "


def set_at(text: str, path: KeyPath, value: Any) -> str:
    """Return the text with the value at that path, missing parents created.

    Raises: INVALID_REQUEST when it cannot be said there; CONFIG_INVALID when the text does not parse.
    """
    newline = _newline(text)
    if _is_blank(text):
        head = text if not text or text.endswith(("\n", "\r")) else text + newline
        return head + newline.join(_block(put({}, path, value), "")) + newline
    root = compose(text)
    old = expand(text, root)
    wanted = put(old, path, value)
    parent, node, depth = _deepest(text, root, path)
    if depth == len(path):
        changed = _replace(text, parent, node, value, path)
    elif isinstance(node, Scalar):  # a key with nothing behind it: `gateway:`
        changed = _replace(text, parent, node, put(node.value, path[depth:], value), path[:depth])
    else:
        changed = _insert(text, node, path[depth], put(ABSENT, path[depth + 1 :], value), path)
    return _checked(changed, wanted, path)


def unset_at(text: str, path: KeyPath) -> str:
    """Return the text without that member.

    Raises: NOT_FOUND when it is not there; INVALID_REQUEST when it cannot be taken out; CONFIG_INVALID.
    """
    root = compose(text)
    old = expand(text, root)
    if lookup(old, path) is ABSENT:
        raise NotFound(f"{format_path(path)} is not set, so there is nothing to remove")
    _, parent, depth = _deepest(text, root, path[:-1])
    item = parent.find(path[-1]) if depth == len(path) - 1 else None
    if item is None or not _stands_in(item, parent):
        raise _refusal(path, "it comes from an alias or from <<")
    changed = _remove(text, parent, item) if _is_flow(text, parent) else _cut(text, parent, item)
    return _checked(changed, without(old, path), path)


def scalar_text(value: Any) -> str:
    """Return a plain value on one line. Raises: INVALID_REQUEST for what YAML cannot hold."""
    if isinstance(value, str):
        bare = _BARE.fullmatch(value) is not None and isinstance(plain_value(value), str)
        return value if bare else _quoted(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else (".inf" if value > 0 else "-.inf")
    if isinstance(value, int | float):
        return repr(value)
    raise InvalidRequest(f"a value of type {type(value).__name__} cannot be written to the configuration")


def _quoted(text: str) -> str:
    try:
        double = msgspec.json.encode(text).decode()
    except (UnicodeEncodeError, ValueError):
        raise InvalidRequest("the text holds half a character (a lone surrogate)") from None
    double = double.replace("\x85", "\\N").replace("\u2028", "\\L").replace("\u2029", "\\P")
    return _NOT_PRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", double)


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(key)}: {_flow(item)}" for key, item in value.items()) + " }" if value else "{}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return scalar_text(value)


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise InvalidRequest("keys must be text")
    return scalar_text(key)


def _block(value: Any, indent: str) -> list[str]:
    """Return an object or list as lines; an empty one, or a plain value, is one line."""
    if isinstance(value, dict) and value:
        return [line for key, item in value.items() for line in _labelled(f"{indent}{_key(key)}:", item, indent)]
    if isinstance(value, list | tuple) and value:
        return [line for item in value for line in _labelled(f"{indent}-", item, indent)]
    return [indent + _flow(value)]


def _labelled(label: str, value: Any, indent: str) -> list[str]:
    short = not isinstance(value, dict | list | tuple) or not value
    if short or (isinstance(value, list | tuple) and not any(isinstance(item, dict | list | tuple) for item in value)):
        return [f"{label} {_flow(value)}"]
    inner = _block(value, indent + _STEP)
    if label.endswith("-"):  # the first line of an entry stands beside its dash
        return [f"{label} {inner[0].lstrip()}", *inner[1:]]
    return [label, *inner]


def _replace(text: str, parent: Node | None, node: Node, value: Any, path: KeyPath) -> str:
    item = parent.find(path[-1]) if parent else None
    if parent is None or (item and not _stands_in(item, parent)):
        raise _refusal(path, "it is the whole text, or comes from an alias or from <<")
    start, end = node.start, _end(text, node)
    rest = text[end - 1] if end > start and text[end - 1] in "\n\r" else ""
    if _is_flow(text, parent) or not isinstance(value, dict | list | tuple) or not value:
        new = _flow(value)
        glue = " " if start and text[start - 1] in ":-" else ""
        return text[:start] + glue + new + rest + text[end:]
    if isinstance(value, list | tuple) and not any(isinstance(each, dict | list | tuple) for each in value):
        glue = " " if text[start - 1] in ":-" else ""
        return text[:start] + glue + _flow(value) + rest + text[end:]
    newline = _newline(text)
    lines = _block(value, _column(text, item.start if item else start) + _STEP)
    if parent.kind == "list":
        lines[0] = lines[0].lstrip()
        return text[:start] + newline.join(lines) + rest + text[end:]
    before = text[:start].rstrip(" ") if text[:start].rstrip(" \t")[-1:] == ":" else text[:start].rstrip()
    comment = _comment_after(text, end) if not rest else end
    return f"{before}{text[end:comment]}{newline}{newline.join(lines)}{rest}{text[comment:]}"


def _insert(text: str, parent: Node, key: str | int, value: Any, path: KeyPath) -> str:
    label = f"{_key(key)}: " if parent.kind == "object" else ""
    items = [item for item in parent.items if _stands_in(item, parent, whole=False)]
    if _is_flow(text, parent):
        member = label + _flow(value)
        if not parent.items:
            blank = " " if parent.kind == "object" else ""
            return f"{text[: parent.start + 1]}{blank}{member}{blank}{text[parent.end - 1 :]}"
        if len(items) != len(parent.items):
            raise _refusal(path, "its neighbours come from an alias or from <<")
        last = _end(text, items[-1].value)
        comma = re.match(r"\s*,", text[last:])
        at = last + comma.end() if comma else last
        return f"{text[:at]}{' ' if comma else ', '}{member}{',' if comma else ''}{text[at:]}"
    if not items:
        raise _refusal(path, "its neighbours come from an alias or from <<")
    newline = _newline(text)
    indent = _column(text, items[0].start if parent.kind == "object" else _dash(text, items[0], path))
    lines = _labelled(f"{indent}{_key(key)}:" if label else f"{indent}-", value, indent)
    at = max(_end(text, item.value) for item in items)
    if at and text[at - 1] not in "\n\r":
        at = _line_end(text, at)
    if at and text[at - 1] not in "\n\r":
        return f"{text[:at]}{newline}{newline.join(lines)}{text[at:]}"
    return f"{text[:at]}{newline.join(lines)}{newline}{text[at:]}"


def _remove(text: str, parent: Node, item: Item) -> str:
    """Take a member out of braces or brackets, with the comma that parts it from a neighbour."""
    index = next(at for at, member in enumerate(parent.items) if member is item)
    end = _end(text, item.value)
    if index + 1 < len(parent.items):
        following = parent.items[index + 1].start
        if "#" not in text[end:following]:
            return text[: item.start] + text[following:]
        comma = text.index(",", end)
        return text[: item.start] + text[end:comma] + text[comma + 1 :]
    if index:
        previous = _end(text, parent.items[index - 1].value)
        gap = text[previous : item.start]
        comma = gap.index(",")
        kept = gap[:comma] + gap[comma + 1 :] if "#" in gap else ""
        return text[:previous] + kept + text[end:]
    trailing = re.match(r"\s*,", text[end:])
    tail = end + trailing.end() if trailing else end
    inner = text[parent.start + 1 : item.start] + text[tail : parent.end - 1]
    return text[: parent.start + 1] + (inner if inner.strip() else "") + text[parent.end - 1 :]


def _cut(text: str, parent: Node, item: Item) -> str:
    """Take a member of a block out, with its line and the comment behind it."""
    start = item.start if parent.kind == "object" else _dash(text, item, (item.key,))
    end = _end(text, item.value)
    stop = end if end and text[end - 1] in "\n\r" else _line_end(text, end)
    own_line = not text[_line_start(text, start) : start].strip()
    if len(parent.items) == 1:
        empty = "{}" if parent.kind == "object" else "[]"
        broken = text[end - 1] if end > start and text[end - 1] in "\n\r" else ""  # a text in lines ends with a break
        return text[:start] + empty + broken + text[end:]
    if own_line:
        return text[: _line_start(text, start)] + text[_after_break(text, stop) :]
    following = next((each for each in parent.items if each.start > item.start), None)
    if following is None or parent.kind == "list":
        raise _refusal((item.key,), "it shares its line with something else")
    gap = text[end : following.start]
    return text[:start] + (gap.lstrip(" ") if gap.strip() else "") + text[following.start :]


def _deepest(text: str, root: Node, path: KeyPath) -> tuple[Node | None, Node, int]:
    """Return the innermost node along the path, what holds it, and how many keys lead to it."""
    parent: Node | None = None
    node = root
    for depth, key in enumerate(path):
        item = node.find(key)
        if item is None or (depth < len(path) - 1 and not _stands_in(item, node)):
            if item is not None:
                raise _refusal(path, "it comes from an alias or from <<")
            return parent, node, depth
        if not _stands_in(item, node, whole=False) and depth == len(path) - 1:
            return parent, node, depth  # merged by <<: a key of its own comes before it
        parent, node = node, item.value
    return parent, node, len(path)


def _stands_in(item: Item, parent: Node, *, whole: bool = True) -> bool:
    """Whether a member is written in its parent, and (`whole`) its value there too: not merged, not an alias."""
    inside = parent.start <= item.start <= parent.end
    return inside and (not whole or item.start <= item.value.start <= parent.end)


def _end(text: str, node: Node) -> int:
    """Return where a value ends: blocks end with their last value, not at the next token."""
    if node.kind == "scalar" or _is_flow(text, node):
        return node.end
    inner = [_end(text, item.value) for item in node.items if _stands_in(item, node)]
    alias = [_line_end(text, item.start) for item in node.items if not _stands_in(item, node)]
    return max([node.start, *inner, *(at for at in alias if at <= node.end)])


def _is_flow(text: str, node: Node) -> bool:
    return node.kind != "scalar" and text[node.end - 1 : node.end] in ("}", "]") and _opens(text, node)


def _opens(text: str, node: Node) -> bool:
    at = node.start
    while text[at : at + 1] in ("&", "!"):  # an anchor or tag stands before the brace
        at = min((text.find(blank, at) for blank in " \n" if text.find(blank, at) >= 0), default=len(text))
        at += len(text[at:]) - len(text[at:].lstrip())
    return text[at : at + 1] in ("{", "[")


def _dash(text: str, item: Item, path: KeyPath) -> int:
    """Return where the dash of an entry stands."""
    at = len(text[: item.start].rstrip(" ")) - 1
    if at < 0 or text[at] != "-":
        raise _refusal(path, "its entries do not begin beside their dash")
    return at


def _column(text: str, at: int) -> str:
    return " " * (at - _line_start(text, at))


def _line_start(text: str, at: int) -> int:
    return max(text.rfind("\n", 0, at), text.rfind("\r", 0, at)) + 1


def _line_end(text: str, at: int) -> int:
    found = re.compile(r"[\n\r]").search(text, at)
    return found.start() if found else len(text)


def _after_break(text: str, at: int) -> int:
    return at + 2 if text[at : at + 2] == "\r\n" else min(at + 1, len(text)) if text[at : at + 1] in "\r\n" else at


def _comment_after(text: str, at: int) -> int:
    """Return where a comment on the same line ends, or `at` when there is none."""
    stop = _line_end(text, at)
    return stop if text[at:stop].lstrip().startswith("#") else at


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _is_blank(text: str) -> bool:
    return all(not line.strip() or line.lstrip().startswith("#") for line in text.splitlines())


def _checked(text: str, wanted: Any, path: KeyPath) -> str:
    """Refuse a text that does not say what was asked for: the person's file is worth more than this edit."""
    try:
        held = expand(text, compose(text))
    except ConfigError:
        raise _refusal(path, "of the way the file is laid out there") from None
    if not same(held, wanted):
        raise _refusal(path, "of the way the file is laid out there")
    return text


def _refusal(path: KeyPath, why: str) -> InvalidRequest:
    return InvalidRequest(
        f"{format_path(path)} cannot be changed without touching the rest of the file: {why}",
        hint="Change it in the file; a running gateway takes it up by itself.",
    )
