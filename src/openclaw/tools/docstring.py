"""Docstring → what the model reads: the first paragraph, and Google style `Args:` lines."""

from __future__ import annotations

import inspect
import re

_SECTION = re.compile(r"^(Args|Arguments|Parameters|Returns|Raises|Yields|Examples?|Notes?|Attributes):\s*$")
_ARGUMENT = re.compile(r"^\*{0,2}(\w+)(?:\s*\([^)]*\))?:\s*(.*)$")


def summary(doc: str) -> str:
    """Return the first paragraph as one line; "" when there is none."""
    lines = []
    for line in inspect.cleandoc(doc).splitlines():
        if not line.strip() or _SECTION.match(line):
            break
        lines.append(line.strip())
    return " ".join(lines)


def parameter_docs(doc: str) -> dict[str, str]:
    """Return the descriptions of the `Args:` section by parameter; continuation lines are joined."""
    found: dict[str, list[str]] = {}
    margin: int | None = None
    current: list[str] | None = None
    inside = False
    for line in inspect.cleandoc(doc).splitlines():
        section = _SECTION.match(line)
        if section:
            inside = section[1] in {"Args", "Arguments", "Parameters"}
            margin = current = None
            continue
        if not inside or not line.strip():
            continue
        indent = len(line) - len(line.lstrip())
        if indent == 0:
            inside = False
            continue
        margin = indent if margin is None else margin
        named = _ARGUMENT.match(line.strip()) if indent <= margin else None
        if named:
            current = found.setdefault(named[1], [])
            current.append(named[2])
        elif current is not None:
            current.append(line.strip())
    return {name: " ".join(filter(None, lines)) for name, lines in found.items()}
