"""How a conversation remembers that it holds a skill whose audit failed.

The mark is a kind of taint: it travels with the text, into summaries, copies and other sessions, and wins over every
other mark of theirs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_MARK: Final = "the confined skill "


def confining(name: str) -> str:
    """Return the mark of what a confined skill brings into a conversation."""
    return f"{_MARK}{name}"


def confined_by(source: str) -> str:
    """Return the skill that a mark confines by, "" for any other mark."""
    return source[len(_MARK) :] if source.startswith(_MARK) else ""


def strongest(sources: Iterable[str]) -> str:
    """Return the mark that counts: the first that confines, else the first."""
    first = ""
    for source in sources:
        if source.startswith(_MARK):
            return source
        first = first or source
    return first
