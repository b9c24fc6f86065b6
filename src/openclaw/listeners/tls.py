"""What the sockets are encrypted with. The certificate can be changed while they serve: all of it, or nothing.

The server keeps one TLS context for as long as it listens; each handshake is handed on to the context of the moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from openclaw.base.clock import Clock
from openclaw.base.errors import ConfigError
from openclaw.net.certificate import Certified, Pair, make_pair, read_pair

LOOK_S: Final = 10.0
"""How often it is looked whether the files were replaced."""

_log = logging.getLogger("openclaw.listeners")


class Found(msgspec.Struct, frozen=True):
    """A good pair, and what its files looked like when they were read."""

    certified: Certified
    mark: object


class TlsDoor:
    """The certificate in use, none until it is opened. `pair` names the files of the moment."""

    def __init__(self, pair: Callable[[], Pair], clock: Clock) -> None:
        self._pair = pair
        self._clock = clock
        self._found: Found | None = None
        self._complaint = ""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate in use, hex; "" while TLS is off."""
        return self._found.certified.fingerprint if self._found else ""

    @property
    def ends_s(self) -> float:
        """Unix time at which the certificate in use expires; 0 while TLS is off."""
        return self._found.certified.ends_ms / 1000 if self._found else 0

    async def open(self, names: Sequence[str] = ()) -> ssl.SSLContext:
        """Return the context to listen with. With `names`, a pair of which nothing is there is made for them.

        Raises: ConfigError.
        """
        pair = self._pair()
        made = bool(names) and await asyncio.to_thread(make_pair, pair, names, self._clock.now_ms())
        if made:
            _log.warning("tls_certificate_made", extra={"fields": {"certificate": str(pair.certificate)}})
        found = await asyncio.to_thread(self._read, pair)
        self.take(found)
        found.certified.context.sni_callback = self._choose
        return found.certified.context

    async def prepare(self, pair: Pair) -> Found | None:
        """Return another pair, judged, for `take`; None for the one in use, and while TLS is off.

        Raises: ConfigError.
        """
        if self._found is None or self._found.certified.pair == pair:
            return None
        return await asyncio.to_thread(self._read, pair)

    def _read(self, pair: Pair) -> Found:
        mark: object = None
        with contextlib.suppress(OSError):
            mark = pair.mark()
        return Found(read_pair(pair, self._clock.now_ms()), mark)

    def take(self, found: Found | None) -> None:
        """Serve with this from the next handshake on."""
        if found is None:
            return
        before, self._found = self.fingerprint, found
        self._complaint = ""
        if before and before != self.fingerprint:
            _log.info("tls_certificate_renewed", extra={"fields": {"fingerprint": self.fingerprint}})
        if found.certified.starts_ms > self._clock.now_ms():
            _log.warning("tls_certificate_not_yet_valid", extra={"fields": {"fingerprint": self.fingerprint}})

    async def watch(self) -> None:
        """Take up files that were replaced. What is no good pair is told once and changes nothing."""
        while True:
            await self._clock.sleep(LOOK_S)
            await self.look()

    async def look(self) -> None:
        """Look once whether the files are still those that are served."""
        pair = self._pair()
        try:
            if self._found is None or await asyncio.to_thread(pair.mark) == self._found.mark:
                return
            self.take(await asyncio.to_thread(self._read, pair))
        except (ConfigError, OSError) as error:
            why = error.message if isinstance(error, ConfigError) else str(error)
            if why != self._complaint:
                self._complaint = why
                _log.error("tls_certificate_not_renewed", extra={"fields": {"why": why, "serving": self.fingerprint}})

    def _choose(self, line: ssl.SSLObject, _name: str | None, _first: ssl.SSLContext) -> None:
        if self._found is not None:
            line.context = self._found.certified.context
