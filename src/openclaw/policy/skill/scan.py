"""Searching long texts a piece at a time: an expression holds the interpreter while it searches, and others wait."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

PIECE: Final = 16 * 1024
OVERLAP: Final = 1024
"""More than any expression of ours reaches."""


def scan(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """Return what an expression finds in a text, in order; what lies where pieces meet may come twice."""
    for begin in range(0, len(text), PIECE):
        yield from pattern.finditer(text, max(0, begin - OVERLAP), begin + PIECE)


def first(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    """Return the first of them."""
    return next(scan(pattern, text), None)
