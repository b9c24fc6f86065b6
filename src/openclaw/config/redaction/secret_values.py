"""Every secret that a configuration holds or names, so that none of them is ever written to a log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from openclaw.base.secret import Secret
from openclaw.config.redaction.redact import REFERENCE, is_secret_key, secret_arguments, secrets_in_url
from openclaw.config.reference import is_reference

if TYPE_CHECKING:
    from openclaw.config.load import Loaded

MIN_VARIABLE: Final = 12
"""Shorter values of a program's variables (`production`) are words that a log must be able to say."""


def known_secrets(loaded: Loaded) -> Iterator[Secret]:
    """Yield all that must not be written: what is in force, what parts hold that have no effect, and variables."""
    yield from secrets_of(loaded.config)
    # The part named `secrets` only says where secrets are kept.
    yield from secrets_of({key: value for key, value in loaded.parsed.items() if key != "secrets"})
    for name in loaded.env.names():
        value = loaded.env.get(name) or ""
        if is_secret_key(name) and not value.startswith(("/", "~")):
            yield Secret(value)
        yield from map(Secret, secrets_in_url(value))


def secrets_of(value: Any, *, named: bool = False) -> Iterator[Secret]:
    """Yield the secrets in a Config, a section or parsed text, at any depth.

    Free-form parts (channels, arguments of actions) hold plain text: there the name of the key tells, and `named`
    says that a key further out has told already. So do options of programs, and what URLs hold to sign in.
    """
    if isinstance(value, Secret):
        yield value
    elif isinstance(value, str):
        if named and value and not REFERENCE.fullmatch(value):
            yield Secret(value)
        yield from map(Secret, secrets_in_url(value))
    elif isinstance(value, msgspec.Struct):
        for info in msgspec.structs.fields(value):
            yield from _below(info.encode_name, getattr(value, info.name), named=named)
    elif is_reference(value):
        return
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _below(str(key), item, named=named)
    elif isinstance(value, tuple | list):
        yield from _listed(value, named=named)


def _below(key: str, value: Any, *, named: bool) -> Iterator[Secret]:
    named = named or (is_secret_key(key) and not isinstance(value, Secret | msgspec.Struct))
    yield from secrets_of(value, named=named)
    if key == "env" and isinstance(value, Mapping):
        texts = (text for text in value.values() if isinstance(text, str) and not REFERENCE.search(text))
        yield from (Secret(text) for text in texts if len(text) >= MIN_VARIABLE and "/" not in text)


def _listed(value: Sequence[Any], *, named: bool) -> Iterator[Secret]:
    for item in value:
        yield from secrets_of(item, named=named)
    yield from map(Secret, secret_arguments([item for item in value if isinstance(item, str)]))
