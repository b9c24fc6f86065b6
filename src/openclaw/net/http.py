"""The one HTTP client: pooled, with a clock for each way of being slow, and a door before every request.

Rules
1. Only http and https; no credentials in addresses; redirects are never followed (a 3xx is handed to the caller).
2. `door` is asked before every request, a kept connection or not; what it raises reaches the caller unchanged. It
   returns the way out, which judges every address before it is connected to (`net.pinned`).
3. Connect, first byte, silence and the whole answer have a limit each; NetError says which one was reached.
4. Whoever leaves a response early (aclose, cancel, error) drops its connection at once, so that the server stops.
5. A server may close a kept connection just as we use it: what gets not one byte of an answer is sent once more.
6. Nothing of aiohttp leaves this folder: neither its types nor its errors.
7. For purpose "tools" no connection is kept and nothing is sent twice; whoever asks for a tool brings the way along.
"""

from __future__ import annotations

import asyncio
import importlib
import io
import ssl
from collections.abc import Awaitable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from openclaw.net.egress import place
from openclaw.net.error import NetError
from openclaw.net.pinned import Carrier, Resolve, aimed, judged_session, system_resolve
from openclaw.net.response import Response, StreamResponse, as_net_error, refused_address
from openclaw.net.target import Target, target
from openclaw.net.way import Door, Purpose, Way, undirected

if TYPE_CHECKING:
    import aiohttp

BODY_LIMIT_BYTES = 64 * 1024 * 1024
_PLAIN_BODY_BYTES = 512 * 1024


class Timeouts(NamedTuple):
    """Seconds. `first_byte` runs from the start of the call, connecting included, to the first byte of the body."""

    connect: float = 10.0
    first_byte: float = 60.0
    idle: float = 60.0
    total: float = 600.0


DEFAULT_TIMEOUTS = Timeouts()


class HttpClient:
    """Makes every request of the house. Costs nothing until the first one: the library is loaded then, off the loop."""

    def __init__(
        self,
        *,
        door: Door | None = None,
        user_agent: str = "openclaw",
        resolve: Resolve = system_resolve,
        carrier: Carrier | None = None,
    ) -> None:
        self._door = door
        self.carrier = carrier
        """The operator's proxy, None without one."""
        self._user_agent = user_agent
        self._resolve = resolve
        self._session: aiohttp.ClientSession | None = None
        self._fleeting: aiohttp.ClientSession | None = None
        self._tls: ssl.SSLContext | None = None
        self._making = asyncio.Lock()
        self._urls: dict[str, Any] = {}
        self._closed = False

    async def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        purpose: Purpose = "inference",
        way: Way | None = None,
    ) -> StreamResponse:
        """Send any request and return once the head of the answer is there; close it, or read it to its end.

        `way` is the leave of a door that was asked already. Raises: NetError; whatever `door` raises.
        """
        return await self._send(method, url, headers, body, timeouts, purpose, way)

    async def post_stream(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        purpose: Purpose = "inference",
    ) -> StreamResponse:
        """Send a POST and return once the head of the answer is there. The caller closes it, or reads it to its end.

        Raises: NetError; whatever `door` raises.
        """
        return await self._send("POST", url, headers, body, timeouts, purpose)

    async def post_json(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        purpose: Purpose = "inference",
        limit_bytes: int = BODY_LIMIT_BYTES,
    ) -> Response:
        """Send a POST and return the whole answer, whatever its status. Raises: NetError."""
        async with await self._send("POST", url, headers, body, timeouts, purpose) as response:
            return Response(response.status, response.headers, await response.read_all(limit_bytes))

    async def get_json(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        purpose: Purpose = "inference",
        limit_bytes: int = BODY_LIMIT_BYTES,
    ) -> Response:
        """Send a GET and return the whole answer, whatever its status. Raises: NetError."""
        async with await self._send("GET", url, headers or {}, None, timeouts, purpose) as response:
            return Response(response.status, response.headers, await response.read_all(limit_bytes))

    async def close(self) -> None:
        """Close all connections; later requests fail."""
        self._closed = True
        sessions, self._session, self._fleeting = (self._session, self._fleeting), None, None
        for session in sessions:
            if session is not None:
                await session.close()

    async def __aenter__(self) -> HttpClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        timeouts: Timeouts,
        purpose: Purpose,
        way: Way | None = None,
    ) -> StreamResponse:
        kept = purpose != "tools"
        if not kept:
            url = place(url).url
        where = target(url)
        way = way or await self._leave(where, purpose)
        session = (self._session if kept else self._fleeting) or await self._open(kept)
        tls = self._tls
        if where.scheme == "https" and tls is None:
            tls = self._tls = await asyncio.to_thread(ssl.create_default_context)
        started = asyncio.get_running_loop().time()

        def request() -> Awaitable[aiohttp.ClientResponse]:
            return session.request(
                method,
                self._url(url) if kept else url,
                data=_payload(body),
                headers=headers,
                allow_redirects=False,
                timeout=_client_timeout(timeouts.connect),
                ssl=tls or True,
            )

        try:
            with aimed(way.judge):
                async with asyncio.timeout(min(timeouts.first_byte, timeouts.total)):
                    try:
                        raw = await request()
                    except _stale_error():
                        if not kept:
                            raise
                        raw = await request()
        except TimeoutError as error:
            raise _timeout_error(error, where, timeouts) from None
        except (OSError, ValueError, _library_error()) as error:
            if address := refused_address(error):
                await way.refuse(address)
            raise as_net_error(error, where) from None
        return StreamResponse(raw, where, timeouts.first_byte, timeouts.idle, timeouts.total, started)

    async def _leave(self, where: Target, purpose: Purpose) -> Way:
        if self._door is None or purpose == "local":
            return undirected(where, purpose)
        return await self._door(where, purpose)

    def _url(self, url: str) -> Any:
        """Parse an address once: few endpoints are called over and over."""
        parsed = self._urls.get(url)
        if parsed is None:
            import yarl

            if len(self._urls) >= 256:
                self._urls.clear()
            # What is escaped already goes out as it is: a signature may cover the very bytes.
            parsed = self._urls[url] = yarl.URL(url, encoded="%" in url and url.isascii())
        return parsed

    async def _open(self, kept: bool) -> aiohttp.ClientSession:
        async with self._making:
            library = await asyncio.to_thread(importlib.import_module, "aiohttp")
            if self._closed:
                raise NetError("connect", "", "the HTTP client is closed")
            session = self._session if kept else self._fleeting
            session = session or judged_session(
                library, self._user_agent, self._resolve, kept=kept, carrier=self.carrier
            )
            if kept:
                self._session = session
            else:
                self._fleeting = session
            return session


def _payload(body: bytes | None) -> bytes | io.BytesIO | None:
    """Large bodies go as a file, in pieces, so that one write does not hold the loop."""
    return io.BytesIO(body) if body is not None and len(body) > _PLAIN_BODY_BYTES else body


_timeouts: dict[float, Any] = {}


def _client_timeout(connect_s: float) -> Any:
    """Only connecting is timed by the library; silence and totals are timed by StreamResponse, one timer for both."""
    found = _timeouts.get(connect_s)
    if found is None:
        import aiohttp

        found = _timeouts[connect_s] = aiohttp.ClientTimeout(
            total=None, connect=connect_s, sock_connect=connect_s, sock_read=None
        )
    return found


def _library_error() -> type[Exception]:
    import aiohttp

    return aiohttp.ClientError


def _stale_error() -> type[Exception]:
    import aiohttp

    return aiohttp.ServerDisconnectedError


def _timeout_error(error: TimeoutError, where: Target, timeouts: Timeouts) -> NetError:
    import aiohttp

    if isinstance(error, aiohttp.ServerTimeoutError):
        return NetError("timeout-connect", where.origin, f"no connection within {timeouts.connect:g} s")
    if timeouts.total <= timeouts.first_byte:
        return NetError("timeout-total", where.origin, f"no answer within {timeouts.total:g} s")
    return NetError("timeout-first-byte", where.origin, f"no answer within {timeouts.first_byte:g} s")
