"""YAML to values, with the place of each. Imported only for a YAML file: JSON5 never pays for it.

1. PyYAML's safe parser gives events; values are made here, so that no tag can name a type and nothing is run.
2. Plain words mean what YAML 1.2 says: `off`, `no`, `12:30` and dates are text. Keys are always text.
3. A key that stands twice, a tag, a second document and an empty file are errors.
4. Anchors, aliases and `<<` are read; what they unfold to is counted, and too much of it is an error.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any, NoReturn

import yaml

from openclaw.base.errors import ConfigError
from openclaw.config.reading.parse import MAX_CONFIG_BYTES, line_column
from openclaw.config.reading.scan import Item, Node

MAX_DEPTH = 32
"""As deep as JSON5 may nest."""
MAX_VALUES = 200_000
"""Values, aliases unfolded; a configuration has some hundreds."""
MAX_NUMBER_CHARS = 300

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_INT = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}
_TYPES: dict[str, Any] = {"null": (type(None),), "bool": (bool,), "int": (int,), "float": (float, int)}


class Scalar(Node):
    """A plain value and what it means."""

    value: Any = None


def compose(text: str) -> Node:
    """Return the tree of a YAML text; an alias is the node of its anchor, so a node may stand in many places.

    Raises: CONFIG_INVALID with line and column.
    """
    try:
        return _Composer(text).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _error(text, mark.index if mark else 0, _explain(error)) from None
    except yaml.reader.ReaderError as error:
        offset = error.position
        if error.encoding != "unicode":  # libyaml, which counts bytes
            offset = len(text.encode("utf-8", "replace")[:offset].decode("utf-8", "ignore"))
        raise _error(text, offset, "this character is not allowed in YAML") from None
    except (yaml.YAMLError, ValueError) as error:
        raise _error(text, 0, f"not YAML ({type(error).__name__})") from None


def expand(text: str, root: Node) -> dict[str, Any]:
    """Return the values of a tree, every alias a copy of its own.

    Raises: CONFIG_INVALID when the root is no object, or the aliases unfold to too much.
    """
    if root.kind != "object":
        raise _error(text, root.start, "the configuration must be one object of settings, name: value")
    values: dict[str, Any] = _Expansion(text).value(root, 0)
    return values


class _Composer:
    def __init__(self, text: str) -> None:
        self._text = text
        self._events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)
        self._anchors: dict[str, Node | None] = {}
        self._count = 0

    def document(self) -> Node:
        next(self._events)  # the start of the stream
        if isinstance(next(self._events), yaml.StreamEndEvent):
            raise self._bad(0, "the file is empty")
        root = self._node(next(self._events), 0)
        next(self._events)  # the end of the document
        if not isinstance(after := next(self._events), yaml.StreamEndEvent):
            raise self._bad(after.start_mark.index, "a second document starts here; there can be one only")
        if isinstance(root, Scalar) and root.value is None:
            # Never "all defaults": an editor may be in the middle of writing the file.
            raise self._bad(0, "the file is empty")
        return root

    def _node(self, event: Any, depth: int) -> Node:
        start = event.start_mark.index
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event.anchor, start)
        self._budget(1, start)
        if depth > MAX_DEPTH:
            raise self._bad(start, "objects and lists are nested too deeply")
        if event.anchor:
            self._anchors[event.anchor] = None
        if isinstance(event, yaml.ScalarEvent):
            node: Node = self._scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._list(event, depth)
        else:
            node = self._object(event, depth)
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, anchor: str, at: int) -> Node:
        node = self._anchors.get(anchor)
        if node is None:
            why = "stands inside what it names" if anchor in self._anchors else "names no anchor above it"
            raise self._bad(at, f"the alias *{anchor[:60]} {why}")
        return node

    def _list(self, event: Any, depth: int) -> Node:
        self._standard(event, "seq")
        node = Node("list", event.start_mark.index, 0, [])
        while not isinstance(inner := next(self._events), yaml.SequenceEndEvent):
            node.items.append(Item(len(node.items), inner.start_mark.index, self._node(inner, depth + 1)))
        node.end = inner.end_mark.index
        return node

    def _object(self, event: Any, depth: int) -> Node:
        self._standard(event, "map")
        node = Node("object", event.start_mark.index, 0, [])
        own: dict[str, Item] = {}
        merged: dict[str, Item] | None = None
        while not isinstance(inner := next(self._events), yaml.MappingEndEvent):
            at = inner.start_mark.index
            if not isinstance(inner, yaml.ScalarEvent):
                raise self._bad(at, "a key must be plain text")
            self._standard(inner, "str", *_TYPES)
            if inner.anchor:
                self._anchors[inner.anchor] = Scalar("scalar", at, inner.end_mark.index, [], inner.value)
            value = self._node(next(self._events), depth + 1)
            key, merges = inner.value, inner.value == "<<" and _is_plain(inner)
            if key in own or (merges and merged is not None):
                raise self._twice(at, key, own)
            if merges:
                merged = self._merged(value, at)
            else:
                own[key] = Item(key, at, value)
        node.items = list({**(merged or {}), **own}.values())
        node.end = inner.end_mark.index
        return node

    def _merged(self, value: Node, at: int) -> dict[str, Item]:
        sources = [item.value for item in value.items] if value.kind == "list" else [value]
        found: dict[str, Item] = {}
        for source in sources:
            if source.kind != "object":
                raise self._bad(at, "<< takes an object, or a list of objects")
            self._budget(len(source.items), at)
            for item in source.items:
                found.setdefault(str(item.key), item)
        return found

    def _scalar(self, event: Any) -> Scalar:
        start, end, text = event.start_mark.index, event.end_mark.index, event.value
        if event.tag is None or event.tag == "!":
            value = self._plain(text, start) if _is_plain(event) else text
            return Scalar("scalar", start, end, [], value)
        name = self._standard(event, "str", *_TYPES)
        if name == "str":
            return Scalar("scalar", start, end, [], text)
        value = self._plain(text, start)
        if not isinstance(value, _TYPES[name]) or (name == "int" and isinstance(value, bool)):
            raise self._bad(start, f"this is no !!{name}")
        return Scalar("scalar", start, end, [], float(value) if name == "float" else value)

    def _plain(self, text: str, at: int) -> Any:
        try:
            return plain_value(text)
        except ValueError:
            raise self._bad(at, "this number is too long; put it in quotes if it is meant as text") from None

    def _standard(self, event: Any, *names: str) -> str:
        """Return the short name of a tag. Raises: CONFIG_INVALID for one that does not belong here."""
        if event.tag is None or event.tag == "!":
            return ""
        name: str = event.tag.removeprefix(_TAG)
        if not event.tag.startswith(_TAG) or name not in names:
            raise self._bad(event.start_mark.index, "tags (!name) are not read here; remove it")
        return name

    def _budget(self, count: int, at: int) -> None:
        self._count += count
        if self._count > MAX_VALUES:
            raise self._bad(at, f"more than {MAX_VALUES} values")

    def _twice(self, at: int, key: str, own: dict[str, Item]) -> ConfigError:
        first = f", first on line {line_column(self._text, own[key].start)[0]}" if key in own else ""
        shown = repr(key[:60]) if key.isprintable() else "a key"
        return self._bad(at, f"{shown} stands here a second time{first}")

    def _bad(self, at: int, what: str) -> ConfigError:
        return _error(self._text, at, what)


class _Expansion:
    def __init__(self, text: str) -> None:
        self._text = text
        self._values = 0
        self._chars = 0

    def value(self, node: Node, depth: int) -> Any:
        self._values += 1
        if depth > MAX_DEPTH:
            self._refuse(node, "aliases make objects and lists nest too deeply")
        if self._values > MAX_VALUES:
            self._refuse(node, f"aliases unfold to more than {MAX_VALUES} values")
        if isinstance(node, Scalar):
            return self._scalar(node)
        if node.kind == "list":
            return [self.value(item.value, depth + 1) for item in node.items]
        return {str(item.key): self.value(item.value, depth + 1) for item in node.items}

    def _scalar(self, node: Scalar) -> Any:
        if isinstance(node.value, str):
            self._chars += len(node.value)
            if self._chars > MAX_CONFIG_BYTES:
                self._refuse(node, f"aliases unfold to more than {MAX_CONFIG_BYTES} characters")
        return node.value

    def _refuse(self, node: Node, what: str) -> NoReturn:
        raise _error(self._text, node.start, what)


def plain_value(text: str) -> Any:
    """Return what a word without quotes means. Raises: ValueError for a number that is too long."""
    if text in _WORDS:
        return _WORDS[text]
    if not _FLOAT.fullmatch(text) and not _OCTAL.fullmatch(text) and not _HEX.fullmatch(text):
        return text
    if len(text) > MAX_NUMBER_CHARS:
        raise ValueError("too long")
    if _INT.fullmatch(text):
        return int(text)
    if text[:2] in ("0x", "0o"):
        return int(text, 0)
    return float(text)


def _is_plain(event: Any) -> bool:
    return bool(event.implicit[0]) and event.style in (None, "")


def _explain(error: Any) -> str:
    """Say what PyYAML found, in its words: they hold no value of the file."""
    context = f" ({error.context})" if error.context else ""
    return f"{error.problem or 'not YAML'}{context}"


def _error(text: str, offset: int, what: str) -> ConfigError:
    line, column = line_column(text, offset)
    return ConfigError(
        f"the configuration cannot be parsed at line {line}, column {column}: {what}",
        hint="Correct that place; in YAML it is often the indent, a missing space after a colon, or a missing quote.",
        details={"line": line, "column": column},
    )
