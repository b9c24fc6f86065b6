"""The one way out for tools: each hop passes the policy's door, and `net` connects to judged addresses only.

1. Every hop, a redirect's too, is checked as if it were the first; at most MAX_REDIRECTS are followed, by GET and HEAD.
2. To another origin (scheme, host, port) go only the headers that say what is wanted, never who asks.
3. An answer is read up to a limit, and unpacked up to the same limit.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from openclaw.base.errors import ToolError
from openclaw.net.egress import Place, place
from openclaw.net.error import NetError
from openclaw.net.hop import MAX_REDIRECTS, REDIRECTS, header_problem, next_place, travelling
from openclaw.net.http import HttpClient, Timeouts
from openclaw.net.way import Way
from openclaw.tools.api import Caller

TIMEOUT_S = 20.0
_TIMEOUTS = Timeouts(connect=10.0, first_byte=TIMEOUT_S, idle=TIMEOUT_S, total=TIMEOUT_S)
_OURS = re.compile("accept-encoding|proxy-.*")
"""Headers that the client itself sets, and those that speak to whatever stands between."""

Door = Callable[[Caller, str, Place], Awaitable[Way]]
"""(caller, action, place): the policy's egress door. Raises: PolicyDenied, Unavailable."""
Refuse = Callable[[Caller, str, str], Awaitable[None]]
"""(caller, action, why): has an address that is none written down. Raises: PolicyDenied, Unavailable."""


class Answer(NamedTuple):
    """What came back. `place` is where the last redirect led; `cut` says that the body was longer than the limit."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: bool
    place: Place

    @property
    def content_type(self) -> str:
        """The media type in lower case, without parameters."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()


class Egress:
    """Sends requests for tools. `door` is asked before each hop, `refuse` told of what has no place to ask about."""

    def __init__(self, http: HttpClient, door: Door, refuse: Refuse | None = None) -> None:
        self._http = http
        self._door = door
        self._refuse = refuse

    async def request(
        self,
        caller: Caller,
        action: str,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        limit_bytes: int,
    ) -> Answer:
        """Send a request, follow its redirects, read the answer. Raises: ToolError, PolicyDenied."""
        sent = _checked(headers or {})
        try:
            here = _web(place(url))
            for _ in range(MAX_REDIRECTS + 1):
                answer = await self._hop(caller, action, method, here, sent, body, limit_bytes)
                location = answer.headers.get("Location", "")
                if answer.status not in REDIRECTS or not location or method not in ("GET", "HEAD"):
                    return answer
                there = _web(next_place(here, location))
                sent, here = travelling(sent, here, there), there
        except NetError as error:
            if error.kind == "refused-url" and self._refuse is not None:
                await self._refuse(caller, action, error.reason)
            raise ToolError(_told(error)) from None
        raise ToolError(f"The server redirects more than {MAX_REDIRECTS} times.")

    async def _hop(
        self,
        caller: Caller,
        action: str,
        method: str,
        here: Place,
        headers: Mapping[str, str],
        body: bytes | None,
        limit_bytes: int,
    ) -> Answer:
        way = await self._door(caller, action, here)
        async with await self._http.stream(
            method, here.url, headers=headers, body=body, timeouts=_TIMEOUTS, purpose="tools", way=way
        ) as response:
            pieces: list[bytes] = []
            size = 0
            while size <= limit_bytes and (piece := await response.read()):
                pieces.append(piece)
                size += len(piece)
            raw, cut = b"".join(pieces), size > limit_bytes
            packing = response.headers.get("Content-Encoding", "").strip().lower()
            body, more = unpacked(raw[:limit_bytes], packing, limit_bytes)
            return Answer(response.status, response.headers, body, cut or more, here)


def unpacked(body: bytes, packing: str, limit_bytes: int) -> tuple[bytes, bool]:
    """Undo a content coding that a server used though none was asked for. Return (bytes, whether there were more)."""
    if packing in ("", "identity") or not body:
        return body, False
    if packing not in ("gzip", "x-gzip", "deflate"):
        raise ToolError(f"The server packed its answer as {packing[:40]!r}, which cannot be read here.")
    for window in (47, -15) if packing == "deflate" else (47,):  # deflate comes with and without its header
        try:
            unpacker = zlib.decompressobj(window)
            out = unpacker.decompress(body, limit_bytes + 1)
        except zlib.error:
            continue
        return out[:limit_bytes], len(out) > limit_bytes
    raise ToolError("The server's answer is packed and damaged.")


def _checked(headers: Mapping[str, str]) -> dict[str, str]:
    if why := header_problem(headers):
        raise ToolError(f"{why[0].upper()}{why[1:]}.")
    if ours := next((name for name in headers if _OURS.fullmatch(name.lower())), ""):
        raise ToolError(f"The header {ours!r} is set by the gateway: leave it out.")
    return dict(headers)


def _web(there: Place) -> Place:
    if there.scheme not in ("http", "https"):
        raise ToolError(f"{there.scheme}:// is not for this tool: the address must begin with http:// or https://.")
    return there


def _told(error: NetError) -> str:
    text = str(error) if error.origin else f"{error.reason[:1].upper()}{error.reason[1:]}"
    return text if text.endswith(".") else f"{text}."
