"""The two ways to write the configuration down, read into the same values: JSON5, and YAML in its short form or not."""

from __future__ import annotations

from typing import Any

import msgspec

from openclaw.base.errors import ConfigError
from openclaw.config.issue import Issue
from openclaw.config.reading.parse import parse
from openclaw.config.reading.scan import Node, Positions


class Document(msgspec.Struct, frozen=True):
    """What a text says in the schema's words, and where it says it."""

    parsed: dict[str, Any]
    positions: Positions
    issues: tuple[Issue, ...] = ()
    """What the short form cannot say, found before the schema is asked."""


def read(text: str, *, yaml: bool, placed: bool = True) -> Document:
    """Read a text. Without `placed` it is not the file on disk, and no line of it is told.

    Raises: CONFIG_INVALID with line and column; for YAML also when PyYAML is not installed.
    """
    if not yaml:
        return Document(parse(text), Positions(text if placed else ""))
    root, values = _yaml(text)
    from openclaw.config.reading.service import ServiceForm

    form = ServiceForm(values, text if placed else "", root)
    return Document(form.parsed, form.positions, form.issues())


def read_plain(text: str, *, yaml: bool, placed: bool = True) -> Document:
    """Read a text that is a part of a configuration: the short form is a main file's.

    Raises: CONFIG_INVALID as `read`.
    """
    if not yaml:
        return Document(parse(text), Positions(text if placed else ""))
    root, values = _yaml(text)
    return Document(values, Positions(text if placed else "", root))


def _yaml(text: str) -> tuple[Node, dict[str, Any]]:
    try:
        from openclaw.config.reading.yaml_text import compose, expand
    except ModuleNotFoundError as error:
        if error.name != "yaml":
            raise
        raise ConfigError(
            "the configuration is YAML, and PyYAML is not installed",
            hint="pip install 'openclaw-gateway[yaml]', or write the settings as JSON5 in openclaw.json.",
        ) from None
    root = compose(text)
    return root, expand(text, root)
