"""Values as JSON5 text in the handwriting of the file they go into."""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec

from openclaw.base.errors import InvalidRequest

MAX_DEPTH = 24
_BARE_KEY = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_RESERVED = frozenset({"null", "true", "false", "NaN", "Infinity"})


class Style(msgspec.Struct, frozen=True):
    """How a file writes: indent of one level, quote of texts, quote of keys ("" = none where possible), line end."""

    indent: str = "  "
    quote: str = '"'
    key_quote: str = ""
    newline: str = "\n"


def render(value: Any, style: Style, indent: str, depth: int = 0) -> str:
    """Return the value as text whose later lines start at `indent`.

    Raises: INVALID_REQUEST for what JSON5 cannot hold.
    """
    if depth > MAX_DEPTH:
        raise InvalidRequest(f"the value is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, str):
        return quoted(value, style.quote)
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if value is None or isinstance(value, bool | int | float):
        return {None: "null", True: "true", False: "false"}[value] if value in (None, True, False) else repr(value)
    inner = indent + style.indent
    if isinstance(value, dict):
        lines = [f"{render_key(key, style)}: {render(item, style, inner, depth + 1)}" for key, item in value.items()]
        return _wrapped("{", lines, "}", style, indent)
    if isinstance(value, list | tuple):
        return _wrapped("[", [render(item, style, inner, depth + 1) for item in value], "]", style, indent)
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


def _wrapped(opening: str, parts: list[str], closing: str, style: Style, indent: str) -> str:
    if not parts:
        return opening + closing
    lines = f",{style.newline}".join(indent + style.indent + part for part in parts)
    return f"{opening}{style.newline}{lines}{style.newline}{indent}{closing}"
