"""`${NAME}` in any text becomes the variable's value; `$${NAME}` stays as the text `${NAME}`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from openclaw.config.keypath import KeyPath

_REFERENCE = re.compile(r"\$?\$\{([A-Z_][A-Z0-9_]*)\}")


class Substitution:
    """Replaces references in a tree of values, and notes which paths changed or lack a variable."""

    def __init__(self, get: Callable[[str], str | None]) -> None:
        self._get = get
        self.missing: dict[KeyPath, str] = {}
        """Variable that a path needs and nobody set; the text there is left as written."""
        self.replaced: dict[KeyPath, str] = {}
        """Variable (the last one) that a path got its text from."""

    def apply(self, value: Any, path: KeyPath = ()) -> Any:
        """Return a copy of the value with every reference replaced."""
        if isinstance(value, str):
            return self._text(value, path) if "${" in value else value
        if isinstance(value, dict):
            return {key: self.apply(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.apply(item, (*path, index)) for index, item in enumerate(value)]
        return value

    def _text(self, text: str, path: KeyPath) -> str:
        def replace(found: re.Match[str]) -> str:
            whole, name = found[0], found[1]
            if whole.startswith("$$"):
                return whole[1:]
            value = self._get(name)
            if not value:
                self.missing[path] = name
                return whole
            self.replaced[path] = name
            return value

        return _REFERENCE.sub(replace, text)
