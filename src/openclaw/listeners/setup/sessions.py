"""Who has given the password: sessions in memory, kept as hashes, bounded, gone after half an hour or a restart."""

from __future__ import annotations

import hmac
import secrets
from hashlib import sha256
from typing import Final

import msgspec

from openclaw.base.bounded import BoundedMap
from openclaw.base.clock import Clock
from openclaw.base.secret import Secret

MAX_SESSIONS: Final = 64
SESSION_S: Final = 1800
_BYTES: Final = 32


class _Session(msgspec.Struct, frozen=True):
    ends_s: float
    password: Secret


class Sessions:
    """Issues and recognises session ids of 256 random bits. One ends early when the password is changed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: BoundedMap[str, _Session] = BoundedMap("setup.sessions", MAX_SESSIONS)

    def begin(self, password: Secret) -> str:
        """Return the id of a new session."""
        session_id = secrets.token_hex(_BYTES)
        self._kept.put(_hash(session_id), _Session(self._clock.monotonic_s() + SESSION_S, password))
        return session_id

    def holds(self, session_id: str, password: Secret) -> bool:
        """Say whether a session goes on."""
        kept = self._kept.get(_hash(session_id))
        if kept is None:
            return False
        if kept.ends_s <= self._clock.monotonic_s() or kept.password != password:
            self.end(session_id)
            return False
        return True

    def end(self, session_id: str) -> None:
        """Forget a session."""
        self._kept.pop(_hash(session_id))


def page_token(session_id: str) -> str:
    """Return what the page of a session sends with each change, so that no other page can make one."""
    return hmac.new(session_id.encode(), b"openclaw-setup-page", sha256).hexdigest()


def _hash(session_id: str) -> str:
    return sha256(session_id.encode()).hexdigest()
