"""What can go wrong between us and a server, free of any HTTP library's names."""

from __future__ import annotations

from typing import Literal

NetFailure = Literal[
    "refused-url",
    "refused-target",
    "dns",
    "connect",
    "tls",
    "timeout-connect",
    "timeout-first-byte",
    "timeout-idle",
    "timeout-total",
    "reset",
    "protocol",
    "too-large",
]


class NetError(Exception):
    """A request that got no usable answer.

    Shape: the message names scheme, host and port only, for paths and queries may hold keys;
    `kind` tells what failed; `origin` is e.g. `https://api.example.com:443`.
    """

    def __init__(self, kind: NetFailure, origin: str, reason: str) -> None:
        super().__init__(f"{origin}: {reason}" if origin else reason)
        self.kind: NetFailure = kind
        self.origin = origin
        self.reason = reason
