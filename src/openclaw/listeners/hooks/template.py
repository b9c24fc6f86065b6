"""`{{path}}` templates over what a webhook brought. Pure; the template is the operator's, the values are a stranger's.

1. A path is names and `[index]`es joined by dots: `pull_request.title`, `messages[0].from`. It begins at the payload;
   `payload.`, `headers.` and `query.` say where else. `now` is the time in ISO 8601, `path` the hook's own.
2. What is not there is empty; an object or a list becomes JSON. Nothing is ever evaluated.
3. Values are cut to MAX_VALUE_CHARS, the whole text to MAX_TEXT_CHARS.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

MAX_VALUE_CHARS: Final = 32_768
MAX_TEXT_CHARS: Final = 131_072
_FIELD: Final = re.compile(r"\{\{\s*([^{}\s]{1,256})\s*\}\}")
_PART: Final = re.compile(r"([^.\[\]]+)|\[(\d{1,6})\]")


class Delivery(msgspec.Struct, frozen=True):
    """What a webhook brought: its path below the hooks' own, its JSON, its headers and query, when."""

    path: str
    payload: Any
    headers: Mapping[str, str]
    query: Mapping[str, str]
    at_ms: int


def render(template: str, delivery: Delivery, mark: Callable[[str], str]) -> str:
    """Return the text; every value passes `mark` on its way in."""

    def put(found: re.Match[str]) -> str:
        value = _text(_value(found[1], delivery))
        return mark(value[:MAX_VALUE_CHARS]) if value else ""

    return _FIELD.sub(put, template)[:MAX_TEXT_CHARS]


def _value(path: str, delivery: Delivery) -> Any:
    if path == "now":
        return datetime.fromtimestamp(delivery.at_ms / 1000, UTC).isoformat()
    if path == "path":
        return delivery.path
    head, _, rest = path.partition(".")
    if head == "headers" and rest:
        return delivery.headers.get(rest.lower(), "")
    if head == "query" and rest:
        return delivery.query.get(rest, "")
    if head == "payload" and rest:
        path = rest
    return _walk(delivery.payload, path)


def _walk(value: Any, path: str) -> Any:
    for name, index in _PART.findall(path):
        if index:
            value = value[int(index)] if isinstance(value, list) and int(index) < len(value) else None
        else:
            value = value.get(name) if isinstance(value, dict) else None
        if value is None:
            return None
    return value


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
