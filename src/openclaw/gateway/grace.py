"""Ends on time what was let through for a while: the credentials that `openclaw gateway token rotate --grace` replaced.

Nothing waits while there is none: one task sleeps until the next end, and only while something is to end.
"""

from __future__ import annotations

import logging
from pathlib import Path

from openclaw.base.clock import Clock
from openclaw.base.tasks import TaskSet
from openclaw.identity.authenticate import RENEWED, Authenticator
from openclaw.identity.grace import Former, load, save
from openclaw.rpc.hub import Hub

_log = logging.getLogger("openclaw.gateway")


class Grace:
    """Keeps the authenticator's former credentials as the file says."""

    def __init__(self, path: Path, authenticator: Authenticator, hub: Hub, clock: Clock) -> None:
        self._path = path
        self._authenticator = authenticator
        self._hub = hub
        self._clock = clock
        self._tasks = TaskSet("grace")
        self._armed_ms = 0
        authenticator.former = self.read()

    def read(self) -> tuple[Former, ...]:
        """Return what the file grants now."""
        return load(self._path, self._clock.now_ms())

    def take_up(self) -> None:
        """Go by the file from now on, and close the clients that it no longer covers."""
        self._authenticator.allow(self.read())
        self._hub.cut(lambda principal: not self._authenticator.stands(principal), RENEWED)
        self.arm()

    def arm(self) -> None:
        """Wake up when the next one ends."""
        ends = [one.until_ms for one in self._authenticator.former]
        if ends and min(ends) != self._armed_ms:
            self._armed_ms = min(ends)
            self._tasks.spawn(self._wait(self._armed_ms), "end")

    async def _wait(self, end_ms: int) -> None:
        while (left_ms := end_ms - self._clock.now_ms()) > 0:
            await self._clock.sleep(left_ms / 1000)
        self._armed_ms = 0
        self.take_up()
        if not self.read():
            save(self._path, ())
        _log.info("token_grace_ended", extra={"fields": {"left": len(self._authenticator.former)}})

    async def close(self) -> None:
        """Stop waiting; the file stays for the next start."""
        await self._tasks.close()
