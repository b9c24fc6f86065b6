"""Values as JSON5 text in the handwriting of the file they go into."""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec

from openclaw.base.errors import InvalidRequest

MAX_DEPTH = 24
SHORT_LIST_CHARS = 60
_BARE_KEY = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_RESERVED = frozenset({"null", "true", "false", "NaN", "Infinity"})


class Style(msgspec.Struct, frozen=True):
    """How a file writes: indent of one level, quote of texts, quote of keys ("" = none where possible), line end."""

    indent: str = "  "
    quote: str = '"'
    key_quote: str = ""
    newline: str = "\n"


def render(value: Any, style: Style, indent: str, *, inline: bool = False, depth: int = 0) -> str:
    """Return the value as text, on one line if `inline`, else with later lines that start at `indent`.

    Raises: INVALID_REQUEST for what JSON5 cannot hold.
    """
    if depth > MAX_DEPTH:
        raise InvalidRequest(f"the value is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict | list | tuple):
        return _container(value, style, indent, inline=inline, depth=depth + 1)
    return _scalar(value, style)


def _container(value: Any, style: Style, indent: str, *, inline: bool, depth: int) -> str:
    inner = indent + style.indent
    if isinstance(value, dict):
        opening, closing, blank = "{", "}", " "
        pairs = value.items()
        parts = [f"{render_key(k, style)}: {render(v, style, inner, inline=inline, depth=depth)}" for k, v in pairs]
    else:
        opening, closing, blank = "[", "]", ""
        parts = [render(item, style, inner, inline=inline, depth=depth) for item in value]
        plain = not any(isinstance(item, dict | list | tuple) for item in value)
        inline = inline or (plain and sum(map(len, parts)) <= SHORT_LIST_CHARS)
    if not parts:
        return opening + closing
    if inline:
        return f"{opening}{blank}{', '.join(parts)}{blank}{closing}"
    lines = f",{style.newline}".join(inner + part for part in parts)
    return f"{opening}{style.newline}{lines}{style.newline}{indent}{closing}"


def _scalar(value: Any, style: Style) -> str:
    if isinstance(value, str):
        return quoted(value, style.quote)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, int | float):
        return repr(value)
    raise InvalidRequest(f"a value of type {type(value).__name__} cannot be written to the configuration")


def render_key(key: Any, style: Style) -> str:
    """Return a key as the file would write it."""
    if not isinstance(key, str):
        raise InvalidRequest("keys must be text")
    if not style.key_quote and _BARE_KEY.fullmatch(key) and key not in _RESERVED:
        return key
    return quoted(key, style.key_quote or style.quote)


def quoted(text: str, quote: str) -> str:
    """Return the text as a JSON5 string."""
    try:
        double = msgspec.json.encode(text).decode()
    except (UnicodeEncodeError, ValueError):
        raise InvalidRequest("the text holds half a character (a lone surrogate)") from None
    # JSON5 allows both raw, but they break lines in many editors.
    double = double.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    if quote == '"':
        return double
    return "'" + double[1:-1].replace('\\"', '"').replace("'", "\\'") + "'"
