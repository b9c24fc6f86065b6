"""An answer that is read as it comes: one timer guards first byte, silence and total."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Literal, NamedTuple

from openclaw.net.error import NetError
from openclaw.net.onward import ProxyFailed
from openclaw.net.pinned import RefusedAddress
from openclaw.net.target import Target

if TYPE_CHECKING:
    import aiohttp

_Limit = Literal["", "timeout-first-byte", "timeout-idle", "timeout-total"]
_TICK_S = 0.01
_SAID = {
    "timeout-first-byte": "no first byte within {:g} s",
    "timeout-idle": "silent for {:g} s",
    "timeout-total": "not done within {:g} s",
}


class Response(NamedTuple):
    """A whole answer. Header names are case-insensitive."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class StreamResponse:
    """The head of an answer, and its body in network-sized pieces.

    Cancels: leaving it before its end drops the connection.
    """

    __slots__ = (
        "_content",
        "_expired",
        "_first_s",
        "_idle_s",
        "_last",
        "_loop",
        "_raw",
        "_started",
        "_timer",
        "_total_s",
        "_waiting",
        "_where",
    )
    _expired: _Limit

    def __init__(
        self,
        raw: aiohttp.ClientResponse,
        where: Target,
        first_byte_s: float,
        idle_s: float,
        total_s: float,
        started: float,
    ) -> None:
        self._raw = raw
        self._content = raw.content
        self._where = where
        self._loop = asyncio.get_running_loop()
        self._first_s = first_byte_s
        self._idle_s = idle_s
        self._total_s = total_s
        self._started = started
        self._last = 0.0
        self._expired = ""
        self._waiting = False
        self._timer: asyncio.TimerHandle | None = None
        self._tick()

    @property
    def status(self) -> int:
        """HTTP status."""
        return self._raw.status

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers; names are case-insensitive."""
        return self._raw.headers

    @property
    def content_type(self) -> str:
        """The media type in lower case without parameters, "" when there is none."""
        return self._raw.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    @property
    def ended(self) -> bool:
        """True when all of the body has been read; the connection is then back in the pool."""
        return self._content.at_eof()

    async def read(self) -> bytes:
        """Return all bytes that are there, or wait for some; b"" at the end. Raises: NetError."""
        if self._last:
            self._last = self._loop.time()
        self._waiting = True
        try:
            data = await self._content.readany()
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001  # the seam: every error of the library becomes ours
            raise self._failure(error) from None
        finally:
            self._waiting = False
        if not data:
            self._stop_timer()
        elif not self._last:
            self._first_read()
        return data

    async def read_all(self, limit_bytes: int) -> bytes:
        """Return the whole body. Raises: NetError `too-large`, or another."""
        pieces: list[bytes] = []
        size = 0
        while piece := await self.read():
            size += len(piece)
            if size > limit_bytes:
                self.close()
                raise NetError("too-large", self._where.origin, f"the answer is over {limit_bytes} bytes")
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """Let go: an unfinished answer's connection is dropped at once. Safe to call twice."""
        self._stop_timer()
        self._raw.close()

    async def __aenter__(self) -> StreamResponse:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _first_read(self) -> None:
        """From the first bytes on silence is timed, which may be due sooner than the first byte was."""
        self._last = self._loop.time()
        if self._timer is not None:
            self._timer.cancel()
            self._tick()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        """Look whether a limit is reached; else sleep until the next one could be. Reads never touch the timer.

        Silence counts while someone waits for bytes: a slow reader is not the server's fault.
        """
        self._timer = None
        if self._raw.closed:
            return
        now = self._loop.time()
        total_due = self._started + self._total_s
        quiet_due = self._last + self._idle_s if self._last else self._started + self._first_s
        if now >= total_due:
            self._expire("timeout-total")
        elif now < quiet_due or (self._last and not self._waiting):
            self._timer = self._loop.call_at(min(total_due, max(quiet_due, now + _TICK_S)), self._tick)
        else:
            self._expire("timeout-idle" if self._last else "timeout-first-byte")

    def _expire(self, limit: _Limit) -> None:
        self._expired = limit
        self._raw.close()

    def _failure(self, error: Exception) -> NetError:
        limit = self._expired
        self.close()
        if limit:
            seconds = {
                "timeout-first-byte": self._first_s,
                "timeout-idle": self._idle_s,
                "timeout-total": self._total_s,
            }[limit]
            return NetError(limit, self._where.origin, _SAID[limit].format(seconds))
        return as_net_error(error, self._where)


def as_net_error(error: Exception, where: Target) -> NetError:
    """Map the library's errors. The text is ours: theirs may quote addresses, headers or bodies."""
    import aiohttp

    origin = where.origin
    if isinstance(error, NetError):
        return error
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, RefusedAddress):
        return NetError("refused-target", origin, error.os_error.reason)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return NetError("dns", origin, "the host name cannot be resolved")
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return NetError("tls", origin, f"TLS failed ({type(error).__name__})")
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, ProxyFailed):
        return NetError("connect", origin, error.os_error.reason)
    if isinstance(error, aiohttp.ClientConnectorError):
        return NetError("connect", origin, f"cannot connect ({error.os_error.strerror or 'no route'})")
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError | OSError):
        return NetError("reset", origin, "the connection broke")
    if isinstance(error, aiohttp.ClientPayloadError):
        return NetError("reset", origin, "the answer broke off")
    if isinstance(error, aiohttp.ClientConnectionError):
        return NetError("reset", origin, "the connection was closed")
    if isinstance(error, aiohttp.InvalidURL):
        return NetError("refused-url", origin, "the address is malformed")
    return NetError("protocol", origin, f"the answer is not valid HTTP ({type(error).__name__})")


def refused_address(error: Exception) -> str:
    """Return the address that was refused, when this is why a request failed; else ""."""
    inner = getattr(error, "os_error", None)
    return inner.address if isinstance(inner, RefusedAddress) else ""
