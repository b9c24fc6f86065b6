"""Every secret that a configuration holds, so that none of them is ever written to a log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from openclaw.base.secret import Secret
from openclaw.config.schema import Section


def secrets_of(value: Any) -> Iterator[Secret]:
    """Yield the secrets in a section, at any depth."""
    if isinstance(value, Secret):
        yield value
    elif isinstance(value, Section):
        for name in value.__struct_fields__:
            yield from secrets_of(getattr(value, name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from secrets_of(item)
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from secrets_of(item)
