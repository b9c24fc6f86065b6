"""Sees which settings the program's code reads, and which values it finds there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MemberDescriptorType
from typing import Any

import openclaw
from openclaw.base.secret import Secret
from openclaw.config.schema import Config, Section
from openclaw.config.schema.shape import Shape, fields

_SOURCE = str(Path(openclaw.__file__).parent)
_OWN = str(Path(openclaw.__file__).parent / "config")
_ACTING = str(Path(_OWN) / "paths.py")
"""The one file of that room that works for others with what is set."""
Place = tuple[type[Section], str]
"""A section's class and one of its attributes."""


class Readers:
    """What was read, by section, attribute and value; what the room `config` itself reads does not count."""

    def __init__(self) -> None:
        self.seen: dict[Place, dict[str, str]] = {}

    def note(self, place: Place, value: Any, reader: str) -> None:
        """Keep who read a value first."""
        self.seen.setdefault(place, {}).setdefault(_text(value), reader)

    def reader_of(self, place: Place, value: Any) -> str:
        """Return the file that read this value there, or ""."""
        return self.seen.get(place, {}).get(_text(value), "")


class _Watched:
    """Stands in for one attribute of a section."""

    def __init__(self, place: Place, real: MemberDescriptorType, readers: Readers) -> None:
        self._place, self._real, self._readers = place, real, readers

    def __get__(self, section: Any, owner: Any = None) -> Any:
        if section is None:
            return self._real
        value = self._real.__get__(section, owner)
        reader = sys._getframe(1).f_code.co_filename
        if reader.startswith(_SOURCE) and (reader == _ACTING or not reader.startswith(_OWN)):
            self._readers.note(self._place, value, reader)
        return value


@contextmanager
def watched() -> Iterator[Readers]:
    """Watch every section's attributes for the length of the block."""
    readers = Readers()
    real: list[tuple[type[Section], str, MemberDescriptorType]] = []
    for section in Section.__subclasses__():
        for field in fields(section).values():
            real.append((section, field.name, section.__dict__[field.name]))
    try:
        for section, name, descriptor in real:
            setattr(section, name, _Watched((section, name), descriptor, readers))
        yield readers
    finally:
        for section, name, descriptor in real:
            setattr(section, name, descriptor)


def values(config: Config) -> Iterator[tuple[str, Place, Any]]:
    """Yield every leaf that a configuration holds: its path as in the catalogue, its place and its value."""
    yield from _of_section(config, "")


def _of_section(section: Section, path: str) -> Iterator[tuple[str, Place, Any]]:
    for key, field in fields(type(section)).items():
        here = f"{path}.{key}" if path else key
        value = getattr(section, field.name)
        nested = list(_nested(field.shape, value, here))
        for inner, at in nested:
            yield from _of_section(inner, at)
        if not nested or (field.shape.optional and field.shape.meta):
            yield here, (type(section), field.name), value


def _nested(shape: Shape, value: Any, path: str) -> Iterator[tuple[Section, str]]:
    if isinstance(value, Section):
        yield value, path
    elif shape.holds_sections:
        many = value.values() if isinstance(value, dict) else value
        for each in many:
            yield from ((each, path + (".*" if isinstance(value, dict) else "[]")),)


def _text(value: Any) -> str:
    return value.reveal() if isinstance(value, Secret) else repr(value)
