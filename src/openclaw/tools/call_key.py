"""A short name for one act of one call."""

from __future__ import annotations

from hashlib import sha256

from openclaw.base.ids import new_id


def call_key(key: str, *act: str) -> str:
    """Return 32 hex digits: the same for each try of the same act; fresh ones when the call has no key.

    The act counts too, because some models number their calls from 1 again in each answer of a run.
    """
    text = "\0".join((key or new_id(), *act))
    return sha256(text.encode("utf-8", "replace")).hexdigest()[:32]
