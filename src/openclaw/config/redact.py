"""A configuration as people and clients may see it: every secret is a placeholder, references stay readable."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from openclaw.base.secret import Secret
from openclaw.config.keypath import KeyPath
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
_LEXEME = re.compile(
    r"""\"(?:[^"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|(?P<comment>//[^\n\r\u2028\u2029]*|/\*.*?\*/)""", re.DOTALL
)
_SETTING = re.compile(
    r"""(?P<head>["']?(?P<key>[A-Za-z_$][\w$-]*)["']?\s*[:=]\s*)"""
    r"""(?P<value>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|[^\s,{}\[\]"']+)"""
)


def redacted(value: Any) -> Any:
    """Return a JSON-ready copy of a Config, Loaded.parsed or any part of one, without a single secret."""
    return _redact(value, hidden=False)


def redacted_text(text: str) -> str:
    """Return a configuration text that parses, with placeholders for secrets; comments are kept.

    A setting that is commented out keeps its secret to itself too.

    Raises: CONFIG_INVALID if the text is not JSON5.
    """
    edits = [(span, hidden) for span, comment in comments(text) if (hidden := redacted_comment(comment)) != comment]
    for path, node in walk(scan(text)):
        token = text[node.start : node.end]
        is_text = node.kind == "scalar" and token[0] in "\"'"
        if is_text and _redact(token[1:-1], hidden=_hides(path)) != token[1:-1]:
            edits.append(((node.start + 1, node.end - 1), PLACEHOLDER))
    return spliced(text, edits)


def spliced(text: str, edits: list[tuple[tuple[int, int], str]]) -> str:
    """Return the text with each span replaced; spans do not overlap."""
    for (start, end), new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def comments(text: str) -> Iterator[tuple[tuple[int, int], str]]:
    """Yield span and text of every comment of a text that parses."""
    for found in _LEXEME.finditer(text):
        if found["comment"]:
            yield found.span(), found[0]


def redacted_comment(comment: str) -> str:
    """Return a comment without the secrets of settings that are commented out in it."""
    out: list[str] = []
    at = 0
    while found := _SETTING.search(comment, at):
        value = found["value"]
        quote = value[0] if value[0] in "\"'" else ""
        bare = value.strip(quote) if quote else value
        out.append(comment[at : found.start("value")])
        # What follows a key that is no secret's may be the next key: it is looked at again.
        at = found.start("value")
        if is_secret_key(found["key"]) and bare and not REFERENCE.fullmatch(bare):
            out.append(quote + PLACEHOLDER + quote)
            at = found.end()
    return _USERINFO.sub(f"{PLACEHOLDER}@", "".join(out) + comment[at:])


def placeholders(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Yield the path of every text and key in parsed values that holds the placeholder."""
    if isinstance(value, str):
        if PLACEHOLDER in value:
            yield path
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if PLACEHOLDER in key:
                yield (*path, key)
            yield from placeholders(item, (*path, key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from placeholders(item, (*path, index))


def _hides(path: tuple[str | int, ...]) -> bool:
    keys = [key for key in path if isinstance(key, str)]
    return any(is_secret_key(key) for key in keys) or "env" in keys[:-1]


def is_secret_key(key: str) -> bool:
    """Whether a value under this key is a secret by its name."""
    return _SECRET_KEY.search(key) is not None


def hidden_value(value: Any, *, hidden: bool) -> Any:
    """Return what is shown of a value; `hidden` says that a key above it names a secret."""
    return _redact(value, hidden=hidden)


def _redact(value: Any, *, hidden: bool) -> Any:
    if isinstance(value, Secret):
        return PLACEHOLDER if value else ""
    if isinstance(value, str):
        if hidden:
            return value if not value or REFERENCE.fullmatch(value) else PLACEHOLDER
        return _USERINFO.sub(f"{PLACEHOLDER}@", value) if "://" in value else value
    if isinstance(value, msgspec.Struct):
        return {
            info.encode_name: _redact(getattr(value, info.name), hidden=hidden or is_hiding_key(info.encode_name))
            for info in msgspec.structs.fields(value)
        }
    if isinstance(value, Mapping):
        return {key: _redact(item, hidden=hidden or is_hiding_key(str(key))) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redact(item, hidden=hidden) for item in value]
    return value


def is_hiding_key(key: str) -> bool:
    """Whether everything below a key is hidden."""
    return key == "env" or is_secret_key(key)
