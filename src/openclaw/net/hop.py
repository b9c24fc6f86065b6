"""From one hop of a redirect to the next: where it leads, and what may go along."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urljoin

from openclaw.net.egress import Place, place
from openclaw.net.error import NetError

MAX_REDIRECTS: Final = 5
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_WANTED: Final = "accept accept-charset accept-encoding accept-language cache-control pragma range user-agent"
_MAY_TRAVEL: Final = frozenset((*_WANTED.split(), "content-type", "content-language"))
"""To another origin goes only what says what is wanted, never who asks: any other header may hold a secret."""
MAX_HEADERS: Final = 50
_FRAMING: Final = frozenset(
    ("host", "content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "te", "trailer", "expect")
)
"""Headers that say where a message goes and where it ends: the client's affair alone."""
_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_VALUE: Final = re.compile(r"[\t\x20-\x7e]{0,8000}")


def next_place(here: Place, location: str) -> Place:
    """Return where a redirect leads. Raises: NetError `refused-url`."""
    if any(ch < " " or ch == "\x7f" for ch in location):  # urljoin drops some of them in silence
        raise NetError("refused-url", here.origin, "the server's redirect holds control characters")
    try:
        return place(urljoin(here.url, location))
    except ValueError:
        raise NetError("refused-url", here.origin, "the server's redirect names no valid address") from None


def travelling(headers: Mapping[str, str], here: Place, there: Place) -> dict[str, str]:
    """Return the headers that go along to the next hop: all within an origin (scheme, host, port)."""
    if there.origin == here.origin:
        return dict(headers)
    return {name: value for name, value in headers.items() if name.lower() in _MAY_TRAVEL}


def header_problem(headers: Mapping[str, str]) -> str:
    """Say why no request is sent with these headers; "" when it may be."""
    if len(headers) > MAX_HEADERS:
        return f"there are more than {MAX_HEADERS} headers"
    for name, value in headers.items():
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            return f"the header {name[:60]!r} has a name or a value that HTTP does not allow"
        if name.lower() in _FRAMING:
            return f"the header {name!r} is set by the gateway: leave it out"
    return ""
