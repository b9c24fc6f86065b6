"""Sizes and times of the wire, each with the reason for its value."""

from __future__ import annotations

from typing import Final

PRE_AUTH_FRAME_BYTES: Final = 64 * 1024
"""A stranger may send one `connect`; the largest real one (device, caps, user agent) is under 8 KiB."""

MAX_PAYLOAD_BYTES: Final = 25 * 1024 * 1024
"""Largest frame after authentication; announced to clients as `policy.maxPayload`."""

MAX_BUFFERED_BYTES: Final = 50 * 1024 * 1024
"""Unsent bytes of one connection before it is closed as a slow consumer; announced as `policy.maxBufferedBytes`."""

TICK_INTERVAL_MS: Final = 30_000
"""Clients give up after two silent intervals, so `tick` is sent once in each."""

HANDSHAKE_TIMEOUT_MS: Final = 15_000
"""Silence before `connect` that closes the socket."""

CLOSE_REASON_BYTES: Final = 123
"""RFC 6455: a control frame carries 125 bytes, two of them the code."""

CUT: Final = 4001
"""Close code for a client whose credential is worth nothing any more."""


def close_reason(text: str) -> str:
    """Cut a text to what fits in a close frame, never inside a character."""
    raw = text.encode("utf-8", "replace")
    if len(raw) <= CLOSE_REASON_BYTES:
        return raw.decode("utf-8")
    return raw[:CLOSE_REASON_BYTES].decode("utf-8", "ignore")
