"""Path text as a model writes it → the components that the workspace walks. Pure.

1. Only relative paths; `.` (or `./`) is the workspace itself.
2. `..`, `~` and `~name` at the start, backslashes, control characters and text that is not UTF-8 are refused, never
   repaired. So is what means one of them to another reader: percent-encoded, in signs that look or normalize like dots
   and slashes, with signs between that do not show, with blanks or a parameter (`..;`) behind; an address, a drive, a
   variable that stands for a folder.
3. Empty components and `.` are dropped. A component has at most 255 bytes, a path at most 4096 bytes and 64 components.
4. A glob without `/` matches a file's name; with `/` it matches the whole path, where `**` spans any number of folders.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from fnmatch import translate
from typing import Final
from urllib.parse import unquote_to_bytes

from openclaw.base.errors import ToolError

MAX_COMPONENT_BYTES = 255
MAX_PATH_BYTES = 4096
MAX_COMPONENTS = 64

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_HOME: Final = re.compile(r"~(?:[+-]?|[A-Za-z_][A-Za-z0-9_-]*)|\$(?:\{.*|[A-Z_][A-Z0-9_]*)|%[A-Z_]+%")
"""First names that a shell takes for a folder elsewhere; `~$draft.docx` and `$id.tsx` are names like any other."""
_ELSEWHERE: Final = re.compile(r"[A-Za-z]:(?:/|$)|[A-Za-z][A-Za-z0-9+.-]+://|file:/")
_OVERLONG: Final = ((b"\xc0\xae", b"."), (b"\xe0\x80\xae", b"."), (b"\xc0\xaf", b"/"), (b"\xe0\x80\xaf", b"/"))
_SLASHES: Final = str.maketrans(dict.fromkeys("\\\u2044\u2215\u29f8\u2571\u27cb\ufe68", "/"))
_ESCAPED: Final = re.compile(r"%u([0-9A-Fa-f]{4})")
_DECODINGS: Final = 5


def components(path: str) -> tuple[str, ...]:
    """Return the names to walk from the workspace's root; () is the root. Raises: ToolError."""
    if not path or path.isspace():
        raise ToolError("The path is empty. Give a path relative to the workspace; `.` is the workspace itself.")
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        raise ToolError("The path has characters that are not valid Unicode text (lone surrogates).") from None
    if size > MAX_PATH_BYTES:
        raise ToolError(f"The path has {size} bytes; the limit is {MAX_PATH_BYTES}.")
    if _CONTROL.search(path):
        raise ToolError("The path has a control character (NUL, newline, tab …). Use a plain file name.")
    if "\\" in path:
        raise ToolError(f"The path {path!r} has a backslash. Separate folders by `/`.")
    if path.startswith("/"):
        raise ToolError(
            f"The path {path!r} is absolute. Only paths relative to the workspace are accepted, e.g. `notes.txt`."
        )
    parts = tuple(part for part in path.split("/") if part not in {"", "."})
    _check(path, parts)
    if ".." in path or "%" in path or not path.isascii():
        _check_readings(path)
    return parts


def _check(path: str, parts: tuple[str, ...]) -> None:
    if ".." in parts:
        raise ToolError(f"The path {path!r} goes up by `..`. Nothing outside the workspace can be reached.")
    if parts and _HOME.fullmatch(parts[0]):
        raise ToolError(f"The path {path!r} means a home folder. Give a path relative to the workspace.")
    if _ELSEWHERE.match(path):
        raise ToolError(f"The path {path!r} is an address or names a drive. Give a path relative to the workspace.")
    if len(parts) > MAX_COMPONENTS:
        raise ToolError(f"The path has {len(parts)} components; the limit is {MAX_COMPONENTS}.")
    for part in parts:
        if len(part.encode()) > MAX_COMPONENT_BYTES:
            raise ToolError(f"A name in the path is longer than {MAX_COMPONENT_BYTES} bytes: {part[:40]!r}…")


def _check_readings(path: str) -> None:
    """Refuse a path that goes up for a reader who decodes or normalizes it: somebody may, after it was judged."""
    read = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), path)
    for _ in range(_DECODINGS):
        plain = unicodedata.normalize("NFKC", "".join(c for c in read if unicodedata.category(c) != "Cf"))
        names = (name.partition(";")[0].strip() for name in plain.translate(_SLASHES).split("/"))
        if ".." in names or _CONTROL.search(plain):
            raise ToolError(f"The path {ascii(path)[:200]} goes up by `..` in another notation. Use a plain file name.")
        raw = unquote_to_bytes(read)
        for long, short in _OVERLONG:
            raw = raw.replace(long, short)
        if (decoded := raw.decode("utf-8", "replace")) == read:
            return
        read = decoded


def file_components(path: str) -> tuple[str, ...]:
    """Return the names for a path that must be a file's. Raises: ToolError."""
    parts = components(path)
    if not parts or path.endswith(("/", "/.")):
        raise ToolError(f"The path {path!r} names a folder. Give a file's path, e.g. `notes.txt`.")
    return parts


def glob(pattern: str) -> Callable[[Sequence[str]], bool]:
    """Compile a glob to a test on a path's components.

    The cost is bounded by the lengths multiplied: fnmatch's expressions do not backtrack across a `*`.
    """
    if len(pattern) > MAX_PATH_BYTES:
        raise ToolError(f"The glob has {len(pattern)} characters; the limit is {MAX_PATH_BYTES}.")
    names = [part for part in pattern.split("/") if part not in {"", "."}]
    if "/" not in pattern.removeprefix("./"):
        match = re.compile(translate(names[0] if names else "*")).match
        return lambda parts: bool(parts) and match(parts[-1]) is not None
    rules = [None if name == "**" else re.compile(translate(name)).match for name in names]

    def reach(states: set[int]) -> set[int]:
        for at, rule in enumerate(rules):
            if rule is None and at in states:
                states.add(at + 1)
        return states

    def matches(parts: Sequence[str]) -> bool:
        # A state is the number of rules already used; `**` may also be used by nothing, or stay in use.
        states = reach({0})
        for part in parts:
            following = set()
            for at in states:
                rule = rules[at] if at < len(rules) else _never
                if rule is None:
                    following.add(at)
                elif rule(part):
                    following.add(at + 1)
            states = reach(following)
        return len(rules) in states

    return matches


def _never(_: str) -> None:
    return None
