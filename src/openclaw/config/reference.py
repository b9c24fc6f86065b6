"""What only names a secret in a configuration: `{ source, provider?, id }` or `{{ secrets['id'] }}`.

A reference may be shown, kept and written back as it is; only `openclaw.secrets` turns one into a value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Protocol, TypeGuard

import msgspec

from openclaw.base.secret import Secret

SOURCES: Final = ("env", "file", "exec", "aws", "ssm", "vault")
MAX_ID_CHARS: Final = 2_048
"""An Amazon resource name, the longest id in use, is at most this long."""
_KEYS: Final = frozenset(("source", "provider", "id"))
_TEXT: Final = re.compile(r"""\{\{\s*secrets\[\s*(?:'([^'"\]]+)'|"([^'"\]]+)")\s*\]\s*\}\}""")
_PROVIDER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Reference(msgspec.Struct, frozen=True):
    """One secret by name. `source` is "" in the text form, whose provider is the configuration's default."""

    source: str
    id: str
    provider: str = ""

    def __str__(self) -> str:
        return ":".join(part for part in (self.source or "secrets", self.provider, self.id) if part)


class NotAReference(ValueError):
    """A value means to be a reference and cannot be one; the text says why."""


class Placed(msgspec.Struct, frozen=True):
    """A reference and the key path it stands at; `problem` says why it has no value."""

    path: str
    reference: Reference
    problem: str = ""


class Answer(Protocol):
    """Looks up the value of a reference; `openclaw.secrets.room` fills it."""

    def value(self, reference: Reference) -> Secret | None:
        """Return the value, or None while there is none."""
        ...

    def problem(self, reference: Reference) -> str:
        """Say why there is no value, or why it may be out of date; "" when all is well."""
        ...


class NoAnswer:
    """Knows no secret: a configuration that is only looked at."""

    def value(self, reference: Reference) -> Secret | None:
        """Return None."""
        return None

    def problem(self, reference: Reference) -> str:
        """Say that nobody has asked."""
        return "it has not been resolved"


NO_ANSWER: Final = NoAnswer()


def parse_reference(value: Any) -> Reference | None:
    """Read a value as a reference; None for what does not mean to be one.

    Raises: NotAReference for an object with a source that is unknown, or an id or provider that cannot be one.
    """
    if isinstance(value, str):
        found = _TEXT.fullmatch(value.strip()) if value.lstrip().startswith("{{") else None
        name = (found[1] or found[2]) if found and len(value) <= MAX_ID_CHARS else ""
        return Reference("", name) if name and name.isprintable() else None
    if not _means_reference(value):
        return None
    if extra := sorted(str(key) for key in value.keys() - _KEYS):
        raise NotAReference(f"a reference has source, provider and id, but not {', '.join(extra)[:60]}")
    source, name, provider = value["source"], value.get("id"), value.get("provider", "")
    if source not in SOURCES:
        raise NotAReference(f"the source of a reference is one of {', '.join(SOURCES)}")
    if not isinstance(name, str) or not 0 < len(name) <= MAX_ID_CHARS or not name.isprintable():
        raise NotAReference("the id of a reference is a text that is not empty")
    if not isinstance(provider, str) or (provider and not _PROVIDER.fullmatch(provider)):
        raise NotAReference("the provider of a reference is a name of secrets.providers")
    return Reference(source, name, provider)


def is_reference(value: Any) -> bool:
    """Whether a value is a whole and valid reference, which holds nothing that must be hidden."""
    try:
        return parse_reference(value) is not None
    except NotAReference:
        return False


def _means_reference(value: Any) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(value, Mapping) and isinstance(value.get("source"), str) and "id" in value
