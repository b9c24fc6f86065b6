"""Every secret that a configuration holds, so that none of them is ever written to a log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from openclaw.base.secret import Secret
from openclaw.config.redaction.redact import REFERENCE, is_secret_key
from openclaw.config.reference import is_reference


def secrets_of(value: Any, *, named: bool = False) -> Iterator[Secret]:
    """Yield the secrets in a Config, a section or parsed text, at any depth.

    Free-form parts (channels, arguments of actions) hold plain text: there the name of the key tells, and `named`
    says that a key further out has told already.
    """
    if isinstance(value, Secret):
        yield value
    elif isinstance(value, str):
        if named and value and not REFERENCE.fullmatch(value):
            yield Secret(value)
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from secrets_of(getattr(value, name), named=named)
    elif is_reference(value):
        return
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from secrets_of(item, named=named or is_secret_key(str(key)))
    elif isinstance(value, tuple | list):
        for item in value:
            yield from secrets_of(item, named=named)
