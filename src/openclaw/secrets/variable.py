"""Secrets in environment variables, by the documented order of sources."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from openclaw.base.secret import Secret
from openclaw.config.schema import SecretProviderConfig
from openclaw.secrets.outcome import Found, Means, Unresolved, Written, secret_of
from openclaw.secrets.store import put_variable

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


async def read_variables(provider: SecretProviderConfig, ids: Sequence[str], means: Means) -> Found:
    """Return the variables of those names."""
    return {name: _read(name, means) for name in ids}


def variable_target(name: str, means: Means) -> Path:
    """Return the file that a variable would be replaced in. Raises: Unresolved when its value comes from elsewhere."""
    ours = means.state_dir / ".env"
    source = means.env.source(name)
    if source is None:
        raise Unresolved(f"the variable {name} is not set")
    if source == "process":
        raise Unresolved(f"{name} comes with the environment of this process: change it where that is set")
    if source != str(ours):
        raise Unresolved(f"{name} comes from the {source}, which openclaw does not write: change it there")
    return ours


async def write_variable(name: str, secret: Secret, means: Means) -> Written:
    """Replace a variable of the state directory's `.env`. Raises: Unresolved, OSError."""
    path = variable_target(name, means)
    await asyncio.to_thread(put_variable, path, name, secret)
    return Written(f"{name} in {path}")


def _read(name: str, means: Means) -> Secret | Unresolved:
    if not _NAME.fullmatch(name):
        return Unresolved("its id is not the name of a variable")
    value = means.env.get(name)
    try:
        return secret_of(value) if value else Unresolved(f"the variable {name} is not set")
    except Unresolved as error:
        return error
