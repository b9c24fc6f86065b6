"""Redaction by exact value: every secret the process knows is cut out of every line before it is written."""

from __future__ import annotations

import json
import re

from openclaw.base.secret import Secret

PLACEHOLDER = "***"
_MIN_LENGTH = 6
"""Shorter values are not cut: they would blank out ordinary words, and are refused as secrets elsewhere."""


class Redactor:
    """Knows secret values and removes them from text, in plain and in JSON-escaped form."""

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def add(self, secret: Secret) -> None:
        """Remember a secret from now on."""
        value = secret.reveal()
        if len(value) < _MIN_LENGTH or value in self._values:
            return
        self._values.add(value)
        self._values.add(json.dumps(value)[1:-1])
        self._values.add(json.dumps(value, ensure_ascii=False)[1:-1])
        longest_first = sorted(self._values, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def clean(self, text: str) -> str:
        """Return the text without any known secret."""
        return self._pattern.sub(PLACEHOLDER, text) if self._pattern else text


REDACTOR = Redactor()
"""The process's one redactor: config adds what it resolves, log handlers apply it."""
