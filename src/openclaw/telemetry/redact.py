"""Redaction by exact value: every secret the process knows is cut out of every line before it is written."""

from __future__ import annotations

import json
import re
import threading
from base64 import b64encode
from collections.abc import Iterator
from urllib.parse import quote

from openclaw.base.secret import Secret

PLACEHOLDER = "***"
_MIN_LENGTH = 6
"""Shorter values are not cut: they would blank out ordinary words, and are refused as secrets elsewhere."""


class Redactor:
    """Knows secret values and removes them from text, in plain, and as JSON, URLs and base64 write them."""

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self._lock = threading.Lock()

    def add(self, secret: Secret) -> None:
        """Remember a secret from now on."""
        value = secret.reveal()
        if len(value) < _MIN_LENGTH or value in self._values:
            return
        with self._lock:
            self._values |= set(_spellings(value))
            self._pattern = None

    def clean(self, text: str) -> str:
        """Return the text without any known secret."""
        if not self._values:
            return text
        return (self._pattern or self._compiled()).sub(PLACEHOLDER, text)

    def _compiled(self) -> re.Pattern[str]:
        """Compile once for many additions: a configuration brings all its secrets at the same time."""
        with self._lock:
            longest_first = sorted(self._values, key=len, reverse=True)
            self._pattern = pattern = re.compile("|".join(map(re.escape, longest_first)))
        return pattern


def _spellings(value: str) -> Iterator[str]:
    yield value
    once = {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    yield from once
    yield from (json.dumps(each)[1:-1] for each in once)
    yield quote(value, safe="", errors="surrogatepass")
    yield quote(value, errors="surrogatepass")
    raw = value.encode("utf-8", "surrogatepass")
    for before in range(3):
        # Of what is encoded behind other bytes, the first and the last characters depend on its neighbours.
        yield b64encode(b"\0" * before + raw)[(0, 2, 3)[before] :].rstrip(b"=")[:-1].decode()


REDACTOR = Redactor()
"""The process's one redactor: config adds what it resolves, log handlers apply it."""
