"""What became of the ids that a provider was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from openclaw.base.secret import Secret
from openclaw.config.env import Environment
from openclaw.net.http import HttpClient
from openclaw.processes.spawner import Spawner

MAX_SECRET_CHARS: Final = 65_536
"""Longest value: a certificate chain fits, a file named by mistake does not."""


class Unresolved(Exception):
    """A secret has no value; the text says why, and never holds any of it."""


Found: TypeAlias = Mapping[str, Secret | Unresolved]
"""Value or problem by id."""


class Written(msgspec.Struct, frozen=True):
    """A secret was replaced. `before` says where the source itself keeps the one before, "" when it does not."""

    where: str
    before: str = ""


class Means(msgspec.Struct, frozen=True):
    """What providers work with."""

    env: Environment
    state_dir: Path
    http: HttpClient
    spawner: Spawner


def secret_of(text: str) -> Secret:
    """Make a secret of what a provider gave. Raises: Unresolved for nothing, and for far too much."""
    if not text.strip():
        raise Unresolved("it is empty")
    if len(text) > MAX_SECRET_CHARS:
        raise Unresolved(f"it is longer than {MAX_SECRET_CHARS} characters")
    return Secret(text)


def one_line(text: str) -> str:
    """Return a text without the line break that editors and programs put at its end."""
    return text.removesuffix("\n").removesuffix("\r")
