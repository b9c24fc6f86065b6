"""Which paths an archive may hold: those that mean one file on every system, and never one outside the directory.

Making a backup and reading one go by the same rules, so what was made can be read.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Final

MAX_PATH_BYTES: Final = 1_024
MAX_NAME_BYTES: Final = 255
MAX_DEPTH: Final = 32
_UNSEEN: Final = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
"""Unicode categories of what has no look of its own: controls, marks that turn the writing round, lone surrogates."""


def unfit(path: str) -> str:
    """Return why a relative path cannot be in an archive, or "" when it can."""
    if not path:
        return "it is empty"
    if any(unicodedata.category(char) in _UNSEEN for char in path):
        return "it holds characters that cannot be seen"
    if len(path.encode()) > MAX_PATH_BYTES:
        return f"it is longer than {MAX_PATH_BYTES} bytes"
    names = path.split("/")
    if len(names) > MAX_DEPTH:
        return f"it is deeper than {MAX_DEPTH} folders"
    for name in names:
        if name in ("", ".", ".."):
            return "it is absolute or leads out of its folder"
        if "\\" in name or ":" in name:
            return "it holds a backslash or a colon, which other systems take for a path"
        if len(name.encode()) > MAX_NAME_BYTES:
            return f"it holds a name longer than {MAX_NAME_BYTES} bytes"
        if name != name.strip() or name.endswith("."):
            return "a name begins or ends with a space, or ends with a dot"
    return ""


def folded(path: str) -> str:
    """Return what two paths have in common when some system could take one for the other."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", path).casefold())


class Occupied:
    """The paths seen so far, and the folders they need: says when one more cannot stand beside them."""

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._folders: dict[str, str] = {}

    def clash(self, path: str) -> str:
        """Take a path in and return "", or return why it cannot be: the same file twice, or a file that is a folder."""
        folders = list(_parents(path))
        for folder in folders:
            if folded(folder) in self._files:
                return "another file stands where it needs a folder"
            if self._folders.get(folded(folder), folder) != folder:
                return "it differs from another path in upper and lower case, or in form, only"
        whole = folded(path)
        if whole in self._files:
            return "another path is the same, or differs in upper and lower case, or in form, only"
        if whole in self._folders:
            return "a folder stands where it needs a file"
        self._files.add(whole)
        self._folders.update((folded(folder), folder) for folder in folders)
        return ""


def _parents(path: str) -> Iterable[str]:
    at = path.find("/")
    while at >= 0:
        yield path[:at]
        at = path.find("/", at + 1)
