"""A configuration as people and clients may see it: every secret is a placeholder, references stay readable."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

import msgspec
import pyjson5

from openclaw.base.secret import Secret
from openclaw.config.keypath import KeyPath
from openclaw.config.reading.parse import parse
from openclaw.config.reading.scan import scan, walk
from openclaw.config.reference import is_reference

PLACEHOLDER = "__OPENCLAW_REDACTED__"

_SECRET_KEY = re.compile(
    r"""token$|passw(or)?d|^pass$|^pwd$|passphrase|secret|api_?-?key|private_?-?key|access_?-?key|signing_?-?key|encryption_?-?key
    |credential|authorization|cookie|webhook_?url|connection_?string|dsn$|bearer""",
    re.IGNORECASE | re.VERBOSE,
)
REFERENCE = re.compile(r"\$\{[A-Z_][A-Z0-9_]*\}|\{\{\s*secrets\[[^\]]*\]\s*\}\}")
"""A text that only names a secret."""
_USERINFO = re.compile(r"(?<=://)[^/@\s?#]+@")
_IN_QUERY = re.compile(r"(?<=[?&])(?P<key>[\w.-]+)=(?P<value>[^&#\s\"']+)")
_QUERY_KEYS = frozenset(("key", "sig", "signature", "auth"))
_FLAG = re.compile(r"--?(?P<key>[A-Za-z][\w-]*)")
_ARGUMENT = re.compile(r"(?P<head>-{0,2}(?P<key>[A-Za-z][\w-]*)\s*[=:]\s*)(?P<value>\S.*)", re.DOTALL)
_KNOWN_SHAPE = re.compile(
    r"(?<![\w-])(?:(?:sk-|xox[a-z]-|gh[a-z]_|glpat-|AKIA|AIza|eyJ)[\w.-]{8,}"
    r"|(?<!/)(?=\w*\d)(?=\w*[A-Za-z])[A-Za-z0-9]{24,}+(?![\w./-]))"
)
"""What keys of well-known issuers, and long random texts, look like where no name tells."""

_NEEDS_ESCAPE = re.compile(r"[\"'\\]")

_LEXEME = re.compile(
    r"""\"(?:[^"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|(?P<comment>//[^\n\r\u2028\u2029]*|/\*.*?\*/)""", re.DOTALL
)
_SETTING = re.compile(
    r"""(?P<head>["']?(?P<key>[A-Za-z_$][\w$-]*)["']?\s*(?:[:=]|\b(?:is|was)\b)\s*)"""
    r"""(?P<value>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|\[[^\]]{0,1024}\]?|\{[^}]{0,1024}\}?|[^\s,{}\[\]"']+)"""
)


def redacted(value: Any) -> Any:
    """Return a JSON-ready copy of a Config or of Loaded.parsed, without a single secret; references stay."""
    if isinstance(value, msgspec.Struct):
        value = {info.encode_name: getattr(value, info.name) for info in msgspec.structs.fields(value)}
    if not isinstance(value, Mapping):
        return _redact(value, hidden=False)
    # The part named `secrets` only says where secrets are kept.
    return {key: _redact(item, hidden=key != "secrets" and is_hiding_key(str(key))) for key, item in value.items()}


def redacted_text(text: str) -> str:
    """Return a configuration text that parses, with placeholders for secrets; comments are kept.

    A setting that is commented out keeps its secret to itself too.

    Raises: CONFIG_INVALID if the text is not JSON5.
    """
    edits = [(span, told) for span, comment in comments(text) if (told := redacted_comment(comment)) != comment]
    references = frozenset(_reference_paths(parse(text)))
    flags: dict[KeyPath, bool] = {}
    """Whether the last entry of a list names a secret that the next one is."""
    for path, node in walk(scan(text)):
        listed = isinstance(path[-1], int)
        hidden = hides(path) or (listed and flags.pop(path[:-1], False))
        if node.kind != "scalar" or path[:-1] in references:
            continue
        token = text[node.start : node.end]
        quote = token[0] if token[0] in "\"'" else ""
        value = pyjson5.decode(token) if "\\" in token or not quote else token[1:-1]
        flags[path[:-1]] = listed and _is_flag(value)
        shown = (_redact_item if listed else _redact)(value, hidden=hidden)
        if shown != value:
            # Of entries of a list the name is left standing: by it each gets its own secret back.
            put = shown if listed and shown.isprintable() and not _NEEDS_ESCAPE.search(shown) else PLACEHOLDER
            quote = quote or '"'
            edits.append(((node.start, node.end), quote + put + quote))
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
    return _KNOWN_SHAPE.sub(PLACEHOLDER, _in_url("".join(out) + comment[at:]))


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


def _reference_paths(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    if is_reference(value):
        yield path
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _reference_paths(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _reference_paths(item, (*path, index))


def hides(path: tuple[str | int, ...]) -> bool:
    """Whether what stands at a key path is hidden by a name on the way to it."""
    keys = [key for key in path[path[:1] == ("secrets",) :] if isinstance(key, str)]
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
        return _in_url(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return PLACEHOLDER if hidden else value
    if isinstance(value, msgspec.Struct):
        return {
            info.encode_name: _redact(getattr(value, info.name), hidden=hidden or is_hiding_key(info.encode_name))
            for info in msgspec.structs.fields(value)
        }
    if isinstance(value, Mapping):
        if is_reference(value):
            return dict(value)
        return {key: _redact(item, hidden=hidden or is_hiding_key(str(key))) for key, item in value.items()}
    if isinstance(value, list | tuple):
        after_flag = [False, *map(_is_flag, value)]
        return [_redact_item(item, hidden=hidden or flag) for item, flag in zip(value, after_flag, strict=False)]
    return value


def _redact_item(value: Any, *, hidden: bool) -> Any:
    """Redact an entry of a list: arguments of programs and headers hold secrets as `--name=…` and `Name: …`."""
    if not hidden and isinstance(value, str) and (found := _ARGUMENT.fullmatch(value)) and is_secret_key(found["key"]):
        return value if REFERENCE.fullmatch(found["value"]) else found["head"] + PLACEHOLDER
    return _redact(value, hidden=hidden)


def _is_flag(value: Any) -> bool:
    """Say whether an entry of a list is an option whose secret stands in the next entry."""
    found = _FLAG.fullmatch(value) if isinstance(value, str) else None
    return found is not None and is_secret_key(found["key"])


def _in_url(text: str) -> str:
    """Return a text without what its URLs hold to sign in."""
    if "://" not in text:
        return text
    return _IN_QUERY.sub(_query_field, _USERINFO.sub(f"{PLACEHOLDER}@", text))


def _query_field(found: re.Match[str]) -> str:
    hidden = _is_query_secret(found) and not REFERENCE.fullmatch(found["value"])
    return f"{found['key']}={PLACEHOLDER}" if hidden else found[0]


def _is_query_secret(found: re.Match[str]) -> bool:
    return is_secret_key(found["key"]) or found["key"].lower() in _QUERY_KEYS


def secrets_in_url(text: str) -> Iterator[str]:
    """Yield what the URLs in a text hold to sign in: passwords, as they stand and as they are meant, and queries'."""
    if "://" not in text:
        return
    for found in _USERINFO.finditer(text):
        password = found[0][:-1].partition(":")[2]
        if password and not REFERENCE.fullmatch(password):
            yield password
            yield unquote(password)
    for found in _IN_QUERY.finditer(text):
        if _is_query_secret(found) and not REFERENCE.fullmatch(found["value"]):
            yield found["value"]
            yield unquote(found["value"])


def secret_arguments(arguments: list[str]) -> Iterator[str]:
    """Yield the secrets among the arguments of a program: behind their option, or in one with it."""
    for before, text in zip(["", *arguments], arguments, strict=False):
        if _is_flag(before) and not REFERENCE.fullmatch(text):
            yield text
        elif (found := _ARGUMENT.fullmatch(text)) and is_secret_key(found["key"]):
            yield found["value"]


def is_hiding_key(key: str) -> bool:
    """Whether everything below a key is hidden."""
    return key == "env" or is_secret_key(key)
