"""Text to values: JSON5 by pyjson5, and every failure as a ConfigError with line and column."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from openclaw.base.errors import ConfigError

MAX_CONFIG_BYTES = 5_000_000
_NEAR = re.compile(r"near (\d+)")
_LINE_END = re.compile(r"\r\n|\n|\r")
_NAMES = {
    "comma": "a comma",
    "colon": "a colon",
    "object": "object",
    "array": "list",
    "string": "text",
    "IdentifierStart": "a key",
    "NumericLiteral": "number",
    "escape sequence": "a known escape",
}


def parse(text: str) -> dict[str, Any]:
    """Return the object that the JSON5 text holds.

    Raises: CONFIG_INVALID whose details hold `line` and `column`.
    """
    try:
        value = msgspec.json.decode(text)  # most files are plain JSON: the other parser takes 1.5 MB
    except (msgspec.DecodeError, ValueError, RecursionError):
        value = json5(text)
    if not isinstance(value, dict):
        raise ConfigError(
            "the configuration must be one object, { … }",
            hint="Put every setting inside one pair of braces.",
            details={"line": 1, "column": 1},
        )
    return value


def json5(text: str) -> Any:
    """Return the value of any JSON5 text. Raises: CONFIG_INVALID, as `parse`."""
    import pyjson5

    try:
        return pyjson5.decode(text)
    except pyjson5.Json5Exception as error:
        raise _syntax_error(text, str(error.args[0]) if error.args else "not JSON5") from None
    except (ValueError, OverflowError, RecursionError) as error:
        raise ConfigError(
            f"the configuration cannot be parsed: {type(error).__name__}", details={"line": 1, "column": 1}
        ) from None


def line_column(text: str, offset: int) -> tuple[int, int]:
    """Turn a character offset into a line and column, both counted from 1."""
    line, start = 1, 0
    for end in _LINE_END.finditer(text, 0, min(offset, len(text))):
        line += 1
        start = end.end()
    return line, max(0, offset - start) + 1


def _syntax_error(text: str, cause: str) -> ConfigError:
    near = _NEAR.search(cause)
    offset = max(0, int(near[1]) - 1) if near else 0
    line, column = line_column(text, offset)
    return ConfigError(
        f"the configuration cannot be parsed at line {line}, column {column}: {_explain(cause)}",
        hint="Correct that place; often a comma, quote or brace is missing just before it.",
        details={"line": line, "column": column},
    )


def _explain(cause: str) -> str:
    if cause.startswith("No JSON data"):
        return "the file is empty"
    if cause.startswith("Maximum nesting"):
        return "objects and lists are nested too deeply"
    expected = re.search(r"Expected (.+?) near", cause)
    found = re.search(r"(?:found|data) U\+([0-9a-fA-F]{4,6})", cause)
    got = f"found {chr(int(found[1], 16))!r}" if found else "the text ends"
    if cause.startswith("Unclosed"):
        kind = re.search(r"b'(\w+)'", cause)
        return f"this {_NAMES.get(kind[1], kind[1]) if kind else 'value'} is not closed"
    if cause.startswith("Extra data"):
        return f"more text after the end, {got}"
    if not expected:
        return got
    wanted = re.sub(r"b'([\w ]+)'", lambda m: _NAMES.get(m[1], m[1]), expected[1])
    wanted = re.sub(r"U\+([0-9a-fA-F]{4,6})", lambda m: repr(chr(int(m[1], 16))), wanted)
    return f"expected {wanted}, {got}"
