"""A replaced shared credential is a row of the audit ledger before it opens anything, wherever it was said.

Which one was in force last is kept by its fingerprint: a token that was rotated while no gateway ran is noticed, too.
"""

from __future__ import annotations

from typing import Final

import msgspec

from openclaw.base.audit import Entry, Fact
from openclaw.base.clock import Clock
from openclaw.config.schema import AuthConfig
from openclaw.store.shelf import Change, Shelf

KIND: Final = "credential-in-force"
_ID: Final = "shared"


class InForce(msgspec.Struct, frozen=True):
    """What opens the gateway: the mode, and the fingerprint of the secret, "" for none."""

    mode: str
    fingerprint: str


async def tell_credential(shelf: Shelf, auth: AuthConfig, clock: Clock) -> None:
    """Write that callers prove themselves otherwise from now on. Raises: Unavailable; then they must not."""
    secret = auth.password if auth.mode == "password" else auth.token
    now = InForce(auth.mode, secret.fingerprint() if secret and auth.mode != "none" else "")
    record = await shelf.get(KIND, _ID)
    body = msgspec.json.encode(now)
    if record is not None and record.body == body:
        return
    facts: dict[str, Fact] = {"mode": now.mode, "fingerprint": now.fingerprint}
    row = Entry(at_ms=clock.now_ms(), kind="identity", action="credential replaced", facts=facts)
    await shelf.apply([Change(KIND, _ID, body)], clock.now_ms(), [row] if record is not None else [])
