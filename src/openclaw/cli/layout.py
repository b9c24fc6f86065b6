"""Rows as lines: columns that line up by what a terminal shows, and that fit into a narrow one."""

from __future__ import annotations

from collections.abc import Sequence
from unicodedata import category, combining, east_asian_width

GAP = 2
LEAST = 20
"""The last column is wrapped where it has so many columns at least; else each row becomes lines of its own."""


def plain(text: str) -> str:
    """Return a stranger's text for a terminal: what would move the cursor or turn the writing round is spelled out."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or category(char) == "Zs" else repr(char)[1:-1] for char in text)


def spelled_out(text: str) -> str:
    """Return a stranger's lines of text for a terminal: as `plain`, but lines stay lines."""
    return "\n".join("\t".join(map(plain, line.split("\t"))) for line in text.split("\n"))


def width(text: str) -> int:
    """Return how many columns a terminal needs for a text: two for wide characters, none for combining ones."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)


def padded(text: str, columns: int) -> str:
    """Return the text filled up with spaces."""
    return text + " " * (columns - width(text))


def wrapped(text: str, columns: int) -> list[str]:
    """Break a text at spaces; a word that is longer than a line stays whole, so that it can be copied."""
    lines = [""]
    for word in text.split(" "):
        joined = f"{lines[-1]} {word}" if lines[-1] else word
        if lines[-1] and width(joined) > columns:
            lines.append(word)
        else:
            lines[-1] = joined
    return lines


def laid_out(headers: Sequence[str], rows: Sequence[Sequence[str]], columns: int | None) -> tuple[list[str], list[str]]:
    """Return the lines of the head and those below it; the head is empty where rows stand one below the other.

    Shape: `columns` of the terminal, None when nothing needs to fit.
    """
    widths = [max([width(head), *(width(row[at]) for row in rows)]) for at, head in enumerate(headers)]
    whole = sum(widths) + GAP * (len(widths) - 1)
    if columns is None or whole <= columns:
        return [_line(headers, widths)], [_line(row, widths) for row in rows]
    room = columns - (whole - widths[-1])
    longest = max((width(word) for row in rows for word in row[-1].split(" ")), default=0)
    if room < max(LEAST, width(headers[-1]), longest):
        return [], _records(headers, rows, columns)
    indent = " " * (whole - widths[-1])
    lines: list[str] = []
    for row in rows:
        first, *more = wrapped(row[-1], room)
        lines += [_line([*row[:-1], first], widths), *(indent + rest for rest in more)]
    return [_line(headers, widths)], lines


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return (" " * GAP).join(padded(cell, at) for cell, at in zip(cells, widths, strict=True)).rstrip()


def _records(headers: Sequence[str], rows: Sequence[Sequence[str]], columns: int) -> list[str]:
    label = max(map(width, headers))
    indent = " " * (label + GAP)
    lines: list[str] = []
    for row in rows:
        if lines:
            lines.append("")
        for head, cell in zip(headers, row, strict=True):
            first, *more = wrapped(cell, max(columns - len(indent), 1))
            if cell:
                lines += [padded(head, label) + " " * GAP + first, *(indent + rest for rest in more)]
    return lines
