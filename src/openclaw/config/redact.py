"""A configuration as people and clients may see it: every secret is a placeholder, references stay readable."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from openclaw.base.secret import Secret
from openclaw.config.scan import scan, walk

PLACEHOLDER = "__OPENCLAW_REDACTED__"

_SECRET_KEY = re.compile(
    r"""token$|passw(or)?d|passphrase|secret|api_?-?key|private_?-?key|access_?-?key|signing_?-?key|encryption_?-?key
    |credential|authorization|cookie|webhook_?url|connection_?string|dsn$|bearer""",
    re.IGNORECASE | re.VERBOSE,
)
REFERENCE = re.compile(r"\$\{[A-Z_][A-Z0-9_]*\}|\{\{\s*secrets\[[^\]]*\]\s*\}\}")
"""A text that only names a secret."""
_USERINFO = re.compile(r"(?<=://)[^/@\s?#]+@")


def redacted(value: Any) -> Any:
    """Return a JSON-ready copy of a Config, Loaded.parsed or any part of one, without a single secret."""
    return _redact(value, hidden=False)


def redacted_text(text: str) -> str:
    """Return a configuration text that parses, with placeholders for secrets; comments are kept.

    Raises: CONFIG_INVALID if the text is not JSON5.
    """
    edits: list[tuple[int, int]] = []
    for path, node in walk(scan(text)):
        token = text[node.start : node.end]
        is_text = node.kind == "scalar" and token[0] in "\"'"
        if is_text and _redact(token[1:-1], hidden=_hides(path)) != token[1:-1]:
            edits.append((node.start + 1, node.end - 1))
    for start, end in reversed(edits):
        text = text[:start] + PLACEHOLDER + text[end:]
    return text


def _hides(path: tuple[str | int, ...]) -> bool:
    keys = [key for key in path if isinstance(key, str)]
    return any(is_secret_key(key) for key in keys) or "env" in keys[:-1]


def is_secret_key(key: str) -> bool:
    """Whether a value under this key is a secret by its name."""
    return _SECRET_KEY.search(key) is not None


def _redact(value: Any, *, hidden: bool) -> Any:
    if isinstance(value, Secret):
        return PLACEHOLDER if value else ""
    if isinstance(value, str):
        if hidden:
            return value if not value or REFERENCE.fullmatch(value) else PLACEHOLDER
        return _USERINFO.sub(f"{PLACEHOLDER}@", value) if "://" in value else value
    if isinstance(value, msgspec.Struct):
        return {
            info.encode_name: _redact(getattr(value, info.name), hidden=hidden or _is_hiding(info.encode_name))
            for info in msgspec.structs.fields(value)
        }
    if isinstance(value, Mapping):
        return {key: _redact(item, hidden=hidden or _is_hiding(str(key))) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redact(item, hidden=hidden) for item in value]
    return value


def _is_hiding(key: str) -> bool:
    return key == "env" or is_secret_key(key)
