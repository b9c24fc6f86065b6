"""What of a head two readers could understand differently: then nobody knows what was declared."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from openclaw.base.errors import ConfigError
from openclaw.config.reading.parse import parse

_YAML: Final = re.compile(
    r"^[ \t]*(?:- +)?[\w-]+:[ \t]+(?:[&*][A-Za-z0-9_]|![!A-Za-z<])|^[ \t]*<<[ \t]*:|^%[A-Z]|^\.\.\.[ \t]*$"
)
_TOKEN: Final = re.compile(
    r'"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'|//[^\n]*|/\*.*?\*/|[{}\[\],:]|[^\s{}\[\],:"\']+', re.S
)
MAX_DEPTH: Final = 32


def doubts(lines: str, metadata: str) -> Iterator[str]:
    """Say what is doubtful: `lines` is the text of a head, `metadata` its value of that name."""
    for number, line in enumerate(lines.split("\n")):
        if _YAML.match(line):
            yield f"line {number + 2} of the head uses anchors, tags, merges or a second document"
            break
    if metadata.lstrip().startswith("{"):
        try:
            parse(metadata.strip())
        except ConfigError:
            yield "its metadata cannot be read"
        else:
            if name := _twice(metadata):
                yield f"its metadata says {name} more than once"


def _twice(text: str) -> str:
    """Return a key that one object of a JSON5 text holds twice, or ""."""
    above: list[set[str] | None] = []
    last = ""
    for found in _TOKEN.finditer(text):
        word = found.group()
        if word in "{[":
            above.append(set() if word == "{" else None)
            if len(above) > MAX_DEPTH:
                return "too much inside each other"
        elif word in "}]":
            above = above[:-1]
        elif word == ":" and above and above[-1] is not None:
            if last in above[-1]:
                return last[:40]
            above[-1].add(last)
        elif not word.startswith(("//", "/*")):
            last = word.strip("\"'")
    return ""
