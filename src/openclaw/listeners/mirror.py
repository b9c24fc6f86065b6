"""Shows a caller how its request arrived, so that `openclaw doctor proxy` can judge what is in between.

Of a request only the names of headers are given back, and what the gateway concluded; and only to holders of the token.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from openclaw.base.clock import Clock
from openclaw.identity.locality import FORWARDING_HEADERS
from openclaw.listeners.http import Request
from openclaw.listeners.operation import EVENTS_MEDIA, Operation
from openclaw.listeners.router import Route
from openclaw.protocol.limits import MAX_PAYLOAD_BYTES

EVENTS: Final = 4
GAP_S: Final = 0.25
MAX_GAP_MS: Final = 90_000


class Seen(msgspec.Struct, frozen=True, rename="camel"):
    """How a request arrived. `forwarded` has the names of its forwarding headers; `client` is whose it is taken for.

    `https`: it came by TLS. `base_path` is the configured one.
    """

    client: str
    direct: bool
    forwarded: list[str]
    host: str
    bytes: int
    https: bool
    base_path: str


_SEEN = Operation("Says how a request arrived: from whom, by which name, with which forwarding headers.", Seen)
_MEASURED = Operation(
    "Takes any body, also none, and says how a request arrived, and of which size.", Seen, Any, needs_body=False
)
_STREAM = Operation("Sends four events, a quarter of a second (or `gapMs`) apart.", media=EVENTS_MEDIA)


class Mirror:
    """The handlers."""

    def __init__(self, clock: Clock, base_path: str = "") -> None:
        self._clock = clock
        self._base_path = base_path

    def routes(self) -> tuple[Route, ...]:
        """Return the routes."""
        return (
            Route(("GET", "HEAD"), "/api/mirror", "probes", self.seen, doc=_SEEN),
            Route(("POST",), "/api/mirror", "probes", self.seen, max_body=MAX_PAYLOAD_BYTES, doc=_MEASURED),
            Route(("GET",), "/api/mirror/stream", "probes", self.stream, doc=_STREAM),
        )

    async def seen(self, request: Request) -> None:
        """Say how this request arrived."""
        size = len(await request.body()) if request.method == "POST" else 0
        names = sorted(name.decode() for name in FORWARDING_HEADERS & request.headers.keys())
        source = request.source
        host = request.header(b"host")
        await request.json(200, Seen(source.key, source.direct, names, host, size, source.https, self._base_path))

    async def stream(self, request: Request) -> None:
        """Send events with pauses: whatever collects them on the way shows."""
        text = request.query.get("gapMs", [""])[0]
        gap_s = min(int(text), MAX_GAP_MS) / 1000 if text.isascii() and text.isdigit() and len(text) < 8 else GAP_S
        gone: list[bool] = []
        request.on_gone(lambda: gone.append(True))
        await request.start_events()
        for number in range(EVENTS):
            left_s = gap_s if number else 0.0
            while left_s > 0 and not gone:  # nobody who has gone keeps the gateway from its end
                await self._clock.sleep(min(left_s, GAP_S))
                left_s -= GAP_S
            if gone:
                return
            await request.send_events(b"data: %d\n\n" % number)
        await request.end_events()
