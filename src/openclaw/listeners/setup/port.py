"""What the set-up asks of the gateway; gateway/setup_desk.py does it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Literal, Protocol

import msgspec

from openclaw.base.secret import Secret
from openclaw.ops.backup.create import Made
from openclaw.ops.backup.restore import RestoreOutcome

Kind = Literal["embedded", "anthropic", "openai", "ollama", "custom"]
"""`custom` is any server that speaks OpenAI's Chat Completions API."""

_Text = Annotated[str, msgspec.Meta(max_length=2048)]


class Choice(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A provider to use. `key` "" leaves the one that is there; `model` "" is the provider's default."""

    provider: Kind
    key: Annotated[str, msgspec.Meta(max_length=8192)] = ""
    base_url: _Text = ""
    model: _Text = ""

    def __repr__(self) -> str:
        return f"Choice({self.provider!r}, {self.model!r})"


class Chosen(msgspec.Struct, frozen=True, rename="camel"):
    """A provider that has answered and was written down. `status` says when it is in force."""

    model: str
    answer: str
    duration_ms: int
    status: str


class Fetching(msgspec.Struct, frozen=True):
    """A local model that is on its way, in bytes. The total is an estimate until the end."""

    done: int
    total: int


class Waiting(msgspec.Struct, frozen=True, rename="camel"):
    """A browser or program that waits to be let in."""

    request_id: str
    device_id: str
    name: str
    address: str


class Staged(msgspec.Struct, frozen=True, rename="camel"):
    """A backup that was read to its end and waits for the gateway to begin again. `notes` are for people."""

    created_at_ms: int
    host: str
    version: str
    files: int
    notes: list[str]


class SetupPort(Protocol):
    """The gateway behind the set-up page."""

    def model(self) -> str:
        """Return the model that agents use unless they have their own."""
        ...

    def token(self) -> Secret | None:
        """Return the gateway's token, None when it is not what lets people in."""
        ...

    def waiting(self) -> list[Waiting]:
        """Return the devices that wait for approval, the latest first."""
        ...

    async def approve(self, request_id: str) -> None:
        """Let a device in. Raises: InvalidRequest, Forbidden."""
        ...

    async def choose(self, choice: Choice) -> Chosen:
        """Call the provider once; when it answers, write it down and take it up. A local model is fetched first.

        Raises: ModelError (nothing was written), InvalidRequest, ConfigError, Conflict, Unavailable.
        """
        ...

    def fetching(self) -> Fetching | None:
        """Return how far the local model is that `choose` fetches, None when none is on its way."""
        ...

    def backup(self, passphrase: Secret | None) -> AbstractAsyncContextManager[Made]:
        """Offer a backup, gone after the block. Raises: Conflict while another is made, and as `Backups.make`."""
        ...

    def upload_limit(self) -> int:
        """Return how many bytes a backup may have that comes in."""
        ...

    async def stage(self, pieces: AsyncIterator[bytes], announced: int, passphrase: Secret | None) -> Staged:
        """Take a backup in, check all of it, and leave it to the next start. `announced` bytes come, 0 = unknown.

        Raises: Conflict (another comes in; it moves the gateway away), InvalidRequest (the archive), ConfigError,
        NotSupported (read-only), Unavailable (disk).
        """
        ...

    def begin_again(self) -> None:
        """Start the gateway anew, in place."""
        ...

    async def last_restore(self) -> RestoreOutcome | None:
        """Return what became of the last restore that waited for a start."""
        ...
