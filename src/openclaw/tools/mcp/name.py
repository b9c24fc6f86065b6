"""What a stranger's server calls its things → what a model and a person may be shown. Pure.

1. A tool is named `mcp__<server>__<tool>`, with the characters and the length that every provider takes.
2. Two different tools never share a name: where the plain form would lose or blur something, a digest follows.
3. Texts lose control and formatting characters (what hides or reorders text) and are cut at a limit.
"""

from __future__ import annotations

import re
import unicodedata
from hashlib import sha256
from typing import Any

MAX_NAME = 64
MAX_SCHEMA_DEPTH = 32
PREFIX = "mcp__"
_DIGEST = 8
_FOREIGN = re.compile(r"[^A-Za-z0-9_-]")
_HIDDEN = frozenset(("Cc", "Cf", "Co", "Cs", "Zl", "Zp"))
_PROSE = frozenset(("description", "title", "$comment"))


def tool_name(server: str, tool: str) -> str:
    """Return the name under which a model sees a server's tool."""
    plain = f"{PREFIX}{server}__{tool}"
    blurred = not tool or "__" in server or server.endswith("_")  # where does the server's name end?
    if len(plain) <= MAX_NAME and not blurred and not _FOREIGN.search(plain):
        return plain
    digest = sha256(f"{server}\0{tool}".encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST]
    return f"{_FOREIGN.sub('_', plain)[: MAX_NAME - _DIGEST - 1]}_{digest}"


def clean(text: str, limit: int) -> str:
    """Return a text without what hides or reorders, at most `limit` characters long."""
    if not text.isascii() or not text.isprintable():
        text = "".join(char for char in text if char in "\n\t" or unicodedata.category(char) not in _HIDDEN)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def clean_schema(schema: Any, limit: int, depth: int = 0) -> Any:
    """Return a JSON schema whose prose is cleaned; everything else stays as it is. Raises: ValueError when too deep."""
    if depth > MAX_SCHEMA_DEPTH:
        raise ValueError(f"the schema is nested deeper than {MAX_SCHEMA_DEPTH}")
    if isinstance(schema, dict):
        return {
            key: clean(value, limit)
            if key in _PROSE and isinstance(value, str)
            else clean_schema(value, limit, depth + 1)
            for key, value in schema.items()
        }
    if isinstance(schema, list):
        return [clean_schema(each, limit, depth + 1) for each in schema]
    return schema
