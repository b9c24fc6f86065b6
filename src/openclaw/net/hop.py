"""From one hop of a redirect to the next: where it leads, and what may go along."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urljoin

from openclaw.net.egress import Place, place
from openclaw.net.error import NetError

MAX_REDIRECTS: Final = 5
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MAY_TRAVEL: Final = frozenset({"accept", "accept-language", "user-agent"})
"""To another origin goes only what says what is wanted, never who asks: any other header may hold a secret."""


def next_place(here: Place, location: str) -> Place:
    """Return where a redirect leads. Raises: NetError `refused-url`."""
    try:
        return place(urljoin(here.url, location))
    except ValueError:
        raise NetError("refused-url", here.origin, "the server's redirect names no valid address") from None


def travelling(headers: Mapping[str, str], here: Place, there: Place) -> dict[str, str]:
    """Return the headers that go along to the next hop: all within an origin (scheme, host, port)."""
    if there.origin == here.origin:
        return dict(headers)
    return {name: value for name, value in headers.items() if name.lower() in _MAY_TRAVEL}
