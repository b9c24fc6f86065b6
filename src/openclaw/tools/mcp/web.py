"""MCP over HTTP: the library's own transport over our HTTP client, so that every byte passes the one gate out."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2

from openclaw.net.error import NetError
from openclaw.net.http import HttpClient, Timeouts
from openclaw.net.response import StreamResponse
from openclaw.tools.mcp.api import Signal

BODY_LIMIT_BYTES = 16 * 1024 * 1024
"""Longest answer that is not a stream, and longest event of one that is."""
DAY_S = 86_400.0
TIMEOUTS = Timeouts(connect=10.0, first_byte=DAY_S, idle=DAY_S, total=DAY_S)
"""A stream of notifications is silent for hours, a call as long as its tool works: calls have their own deadline."""

_NOT_FOUND, _SESSION = 404, "mcp-session-id"
_OURS = frozenset((b"host", b"user-agent", b"accept-encoding", b"connection", b"content-length", b"transfer-encoding"))
"""Headers that the HTTP client sets itself."""


class OurTransport(httpx2.AsyncBaseTransport):
    """Sends the library's requests through HttpClient. `last_status` tells what the server answered at last.

    Only `host` is spoken to: a setting has named it, and it alone. Where a server would lead us is another matter.

    A server that was restarted does not know our session any more and says so by 404: the link starts anew then.
    """

    def __init__(self, http: HttpClient, signal: Signal) -> None:
        self._http = http
        self._signal = signal
        self.last_status = 0
        self.host = ""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request. Raises: the library's own transport errors."""
        if request.url.host != self.host:
            raise httpx2.ConnectError("the server leads to another host, which no setting names", request=request)
        try:
            response = await self._http.stream(
                request.method,
                str(request.url),
                headers={
                    name.decode("latin-1"): value.decode("latin-1")
                    for name, value in request.headers.raw
                    if name.lower() not in _OURS
                },
                body=await request.aread() or None,
                timeouts=TIMEOUTS,
                purpose="mcp",
            )
        except NetError as error:
            raise httpx2.ConnectError(str(error), request=request) from None
        self.last_status = response.status
        if response.status == _NOT_FOUND and _SESSION in request.headers:
            self._signal.gone("the server has lost our session")
        return httpx2.Response(
            response.status,
            headers=list(response.headers.items()),
            stream=_Body(response, request),
            request=request,
        )


class _Body(httpx2.AsyncByteStream):
    def __init__(self, response: StreamResponse, request: httpx2.Request) -> None:
        self._response = response
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        endless = self._response.content_type == "text/event-stream"
        size = 0
        try:
            while data := await self._response.read():
                size += len(data)
                if size > BODY_LIMIT_BYTES and not endless:
                    raise httpx2.ReadError(f"the answer is over {BODY_LIMIT_BYTES} bytes", request=self._request)
                yield data
        except NetError as error:
            raise httpx2.ReadError(str(error), request=self._request) from None

    async def aclose(self) -> None:
        self._response.close()
