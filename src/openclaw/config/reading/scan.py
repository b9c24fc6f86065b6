"""Where everything stands in a JSON5 text: spans of keys, values and commas, for messages and for edits.

Read only texts that `parse` has accepted: the scanner trusts the grammar and keeps no values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

import msgspec

from openclaw.base.errors import ConfigError
from openclaw.config.keypath import KeyPath
from openclaw.config.reading.parse import json5, line_column

_TRIVIA = re.compile(r"(?:[\s\ufeff]+|//[^\n\r\u2028\u2029]*|/\*.*?\*/)+", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'', re.DOTALL)
_WORD = re.compile(r"[^\s\ufeff,:{}\[\]\"'/]+")


class Node(msgspec.Struct):
    """A value in the text, `text[start:end]`. `items` hold the members of an object or list, in order."""

    kind: Literal["object", "list", "scalar"]
    start: int
    end: int
    items: list[Item]

    def find(self, key: str | int) -> Item | None:
        """Return the member that counts: the last of its name, or the one at that index."""
        if isinstance(key, int):
            return self.items[key] if self.kind == "list" and key < len(self.items) else None
        if self.kind == "list" and key.isdecimal():
            return self.find(int(key))
        return next((item for item in reversed(self.items) if item.key == key), None)


class Item(msgspec.Struct):
    """A member: its key (index in a list), where it starts, its value, and its comma (-1 = none)."""

    key: str | int
    start: int
    value: Node
    comma: int = -1


def skip_trivia(text: str, at: int) -> int:
    """Return the offset of the next token at or after `at`."""
    found = _TRIVIA.match(text, at)
    return found.end() if found else at


def scan(text: str) -> Node:
    """Return the tree of spans of a JSON5 text that parses.

    Raises: CONFIG_INVALID if the text is not JSON5 after all.
    """
    try:
        return _value(text, skip_trivia(text, 0))
    except (IndexError, TypeError, RecursionError):
        raise ConfigError("the configuration is not JSON5") from None


def _value(text: str, at: int) -> Node:
    first = text[at]
    if first == "{":
        return _container(text, at, "object", "}")
    if first == "[":
        return _container(text, at, "list", "]")
    return Node("scalar", at, _token_end(text, at), [])


def _container(text: str, start: int, kind: Literal["object", "list"], close: str) -> Node:
    node = Node(kind, start, start, [])
    at = skip_trivia(text, start + 1)
    while text[at] != close:
        key: str | int = len(node.items)
        item_start = at
        if kind == "object":
            end = _token_end(text, at)
            key = _key(text[at:end])
            at = skip_trivia(text, skip_trivia(text, end) + 1)
        value = _value(text, at)
        item = Item(key, item_start, value)
        node.items.append(item)
        at = skip_trivia(text, value.end)
        if text[at] == ",":
            item.comma = at
            at = skip_trivia(text, at + 1)
    node.end = at + 1
    return node


def _token_end(text: str, at: int) -> int:
    found = (_STRING if text[at] in "\"'" else _WORD).match(text, at)
    if found is None:
        raise IndexError(at)
    return found.end()


def _key(token: str) -> str:
    if token[0] in "\"'":
        if "\\" not in token:
            return token[1:-1]
        return str(json5(token))
    if "\\" in token:
        return str(next(iter(json5("{" + token + ":0}"))))
    return token


class Positions:
    """Line and column of any key path; a JSON5 text is scanned on the first question only.

    `root` is the tree of a text that is no JSON5.
    """

    def __init__(self, text: str, root: Node | None = None) -> None:
        self._text = text
        self._root = root

    def at(self, path: KeyPath) -> tuple[int, int]:
        """Return the place of the path, or of its nearest ancestor in the text; (0, 0) without a text."""
        if not self._text:
            return 0, 0
        if self._root is None:
            self._root = scan(self._text)
        node, offset = self._root, self._root.start
        for key in path:
            item = node.find(key)
            if item is None:
                break
            node, offset = item.value, item.start
        return line_column(self._text, offset)

    def file(self, path: KeyPath) -> str:
        """Return the included file that sets a path, "" for the main one; here there is no other."""
        return ""

    def source(self, path: KeyPath) -> KeyPath | None:
        """Return the key path in the file of a setting that is written elsewhere; here there is none."""
        return None

    def written(self, path: KeyPath) -> str:
        """Return words for a setting that the text writes under another key; here there is none."""
        return ""


def walk(node: Node, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Node]]:
    """Yield every member of the tree with its path, outer before inner."""
    for item in node.items:
        here = (*path, item.key)
        yield here, item.value
        yield from walk(item.value, here)
