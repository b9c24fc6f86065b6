"""The one HTTP client: pooled, with a clock for each way of being slow, and a hook that sees every target.

Rules
1. Only http and https; no credentials in addresses; redirects are never followed (a 3xx is handed to the caller).
2. `check(host, port, purpose)` runs before a connection is used; what it raises reaches the caller unchanged.
3. Connect, first byte, silence and the whole answer have a limit each; NetError says which one was reached.
4. Whoever leaves a response early (aclose, cancel, error) drops its connection at once, so that the server stops.
5. A server may close a kept connection just as we use it: what gets not one byte of an answer is sent once more.
6. Nothing of aiohttp leaves this folder: neither its types nor its errors.
7. Purpose "tools" goes by `net.pinned`: public addresses only, no kept connection, nothing sent twice.
"""

from __future__ import annotations

import asyncio
import importlib
import io
import ssl
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from openclaw.net.egress import place, refusal
from openclaw.net.error import NetError
from openclaw.net.pinned import Judge, Resolve, pinned_session, system_resolve
from openclaw.net.response import Response, StreamResponse, as_net_error
from openclaw.net.target import Target, target

if TYPE_CHECKING:
    import aiohttp

Purpose = Literal["inference", "tools", "download", "local", "mcp", "secrets"]
"""Why a request is made. `mcp` and `secrets` go to a server that the operator named, wherever it is."""
Check = Callable[[str, int, Purpose], None]

CONNECTIONS_PER_ORIGIN = 256
CONNECTIONS = 1024
KEEP_ALIVE_S = 30.0
DNS_CACHE_S = 10
READ_BUFFER_BYTES = 256 * 1024
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
        check: Check | None = None,
        user_agent: str = "openclaw",
        judge: Judge = refusal,
        resolve: Resolve = system_resolve,
    ) -> None:
        self._check = check
        self._user_agent = user_agent
        self.judge = judge
        self._resolve = resolve
        self._session: aiohttp.ClientSession | None = None
        self._pinned: aiohttp.ClientSession | None = None
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
    ) -> StreamResponse:
        """Send any request and return once the head of the answer is there; close it, or read it to its end.

        Raises: NetError; whatever `check` raises.
        """
        return await self._send(method, url, headers, body, timeouts, purpose)

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

        Raises: NetError; whatever `check` raises.
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
        sessions, self._session, self._pinned = (self._session, self._pinned), None, None
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
    ) -> StreamResponse:
        pinned = purpose == "tools"
        if pinned:
            url = place(url).url
        where = target(url)
        if self._check is not None:
            self._check(where.host, where.port, purpose)
        session = (self._pinned if pinned else self._session) or await self._open(pinned)
        tls = self._tls
        if where.scheme == "https" and tls is None:
            tls = self._tls = await asyncio.to_thread(ssl.create_default_context)
        started = asyncio.get_running_loop().time()

        def request() -> Awaitable[aiohttp.ClientResponse]:
            return session.request(
                method,
                url if pinned else self._url(url),
                data=_payload(body),
                headers=headers,
                allow_redirects=False,
                timeout=_client_timeout(timeouts.connect),
                ssl=tls or True,
            )

        try:
            async with asyncio.timeout(min(timeouts.first_byte, timeouts.total)):
                try:
                    raw = await request()
                except _stale_error():
                    if pinned:
                        raise
                    raw = await request()
        except TimeoutError as error:
            raise _timeout_error(error, where, timeouts) from None
        except (OSError, ValueError, _library_error()) as error:
            raise as_net_error(error, where) from None
        return StreamResponse(raw, where, timeouts.first_byte, timeouts.idle, timeouts.total, started)

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

    async def _open(self, pinned: bool) -> aiohttp.ClientSession:
        async with self._making:
            library = await asyncio.to_thread(importlib.import_module, "aiohttp")
            if self._closed:
                raise NetError("connect", "", "the HTTP client is closed")
            if pinned:
                self._pinned = self._pinned or pinned_session(library, self._user_agent, self.judge, self._resolve)
                return self._pinned
            self._session = self._session or _session(library, self._user_agent)
            return self._session


def _session(library: Any, user_agent: str) -> aiohttp.ClientSession:
    session: aiohttp.ClientSession = library.ClientSession(
        connector=library.TCPConnector(
            limit=CONNECTIONS,
            limit_per_host=CONNECTIONS_PER_ORIGIN,
            ttl_dns_cache=DNS_CACHE_S,
            keepalive_timeout=KEEP_ALIVE_S,
        ),
        cookie_jar=library.DummyCookieJar(),
        # A compressed stream is held back by the compressor and costs CPU on both sides.
        headers={"User-Agent": user_agent, "Accept-Encoding": "identity"},
        read_bufsize=READ_BUFFER_BYTES,
        trust_env=False,
    )
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
