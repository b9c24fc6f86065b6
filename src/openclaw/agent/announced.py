"""Lines that wait for a session's next message: part of it from when it is taken in, let go of once it is durable."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from openclaw.agent.live import LiveRun
from openclaw.agent.taint import EVENT
from openclaw.base.errors import OpenClawError
from openclaw.base.ids import SessionKey
from openclaw.base.message import Message, TextPart
from openclaw.base.run import Inbound

_log = logging.getLogger("openclaw.agent")


class Announcements(Protocol):
    """Where they wait (automation.system_event); what is taken is opaque here."""

    def take(self, key: SessionKey) -> Sequence[Any]:
        """Hand out what waits; nobody else gets it."""
        ...

    def text(self, taken: Sequence[Any]) -> str:
        """Return the lines as text, each ended by a line break."""
        ...

    async def told(self, taken: Sequence[Any]) -> None:
        """Let go of what is durable in a message."""
        ...

    def give_back(self, taken: Sequence[Any]) -> None:
        """Let it wait again: its message was not accepted."""
        ...


class Announced:
    """Puts them into messages. Without any there is nothing to do."""

    def __init__(self, announcements: Announcements | None) -> None:
        self._waiting = announcements

    def joined(self, inbound: Inbound) -> tuple[Inbound, Sequence[Any]]:
        """Return the message with the lines that waited for it, and those."""
        taken = self._waiting.take(inbound.session_key) if self._waiting is not None else ()
        if self._waiting is None or not taken:
            return inbound, ()
        message = inbound.message
        parts = (TextPart(self._waiting.text(taken) + "\n"), *message.parts)
        return msgspec.structs.replace(inbound, message=Message(message.role, parts, message.outside or EVENT)), taken

    def give_back(self, run: LiveRun) -> None:
        """Let them wait again: the run was not accepted."""
        if self._waiting is not None and run.announced:
            self._waiting.give_back(run.announced)
            run.announced = ()

    async def let_go(self, run: LiveRun) -> None:
        """Forget them: they are durable in the run's message."""
        if self._waiting is None or not run.announced:
            return
        try:
            await self._waiting.told(run.announced)
        except OpenClawError as error:  # told again after a restart, which is better than not at all
            _log.warning("announcements_kept", extra={"fields": {"run": run.id, "code": error.code}})
        run.announced = ()
