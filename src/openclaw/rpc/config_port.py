"""The configuration file as handlers see it; gateway/config_desk.py does the work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

import msgspec

from openclaw.base.principal import Principal
from openclaw.config.load import Loaded

TakenUp = Literal["none", "applied", "restart-required", "off"]
"""What became of a change: nothing changed, in force, in force after a restart (some of it), reload is off."""


class ConfigChange(msgspec.Struct, frozen=True, kw_only=True):
    """A change to make. `rewrite` gets the file as it is and returns its new text; it runs in a thread.

    Shape: `base` is the client's base hash, "" when it sent none (refused then), None for a change of whatever is
    there; `about` names what is changed, for that refusal; `note` is the client's own words for the record.
    """

    method: str
    rewrite: Callable[[Loaded], str]
    base: str | None = None
    about: str = ""
    note: str = ""


class ConfigWritten(msgspec.Struct, frozen=True):
    """The file after a change, and what the running gateway made of it. `waiting` names what needs a restart.

    `overriding` are the changed settings that an included file sets too, each with that file.
    """

    loaded: Loaded
    revision: str
    changed: tuple[str, ...]
    status: TakenUp
    applied: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    overriding: tuple[tuple[str, str], ...] = ()


class ConfigPort(Protocol):
    """Reads and changes the configuration file."""

    async def read(self) -> Loaded:
        """Return what the file says now, whether the gateway uses it or not.

        A file that cannot be read, with nothing to fall back on, is what runs, and an issue.
        """
        ...

    def revision(self, content_hash: str) -> str:
        """Return the name of the content with that sha256 (`Loaded.hash`); it tells nothing about the content."""
        ...

    async def write(self, change: ConfigChange, by: Principal) -> ConfigWritten:
        """Raises: InvalidRequest, ConfigError when the change was put back, Unavailable."""
        ...
