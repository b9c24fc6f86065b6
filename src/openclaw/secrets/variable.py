"""Secrets in environment variables, by the documented order of sources."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from openclaw.base.secret import Secret
from openclaw.config.schema import SecretProviderConfig
from openclaw.secrets.outcome import Found, Means, Unresolved, secret_of

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


async def read_variables(provider: SecretProviderConfig, ids: Sequence[str], means: Means) -> Found:
    """Return the variables of those names."""
    return {name: _read(name, means) for name in ids}


def _read(name: str, means: Means) -> Secret | Unresolved:
    if not _NAME.fullmatch(name):
        return Unresolved("its id is not the name of a variable")
    value = means.env.get(name)
    try:
        return secret_of(value) if value else Unresolved(f"the variable {name} is not set")
    except Unresolved as error:
        return error
