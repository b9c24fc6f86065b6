"""One look at another machine, step by step: name, address, TCP, TLS, HTTP. For people who ask why it does not work."""

from __future__ import annotations

import hashlib
import http.client
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

import msgspec

from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.client.errors import GatewayDown
from openclaw.client.tls import require_pinned

TIMEOUT_S: Final = 5.0
MAX_BODY: Final = 100_000
MAX_ADDRESSES: Final = 8


class Answered(msgspec.Struct, frozen=True):
    """An HTTP answer; header names in lower case. `body` is cut to MAX_BODY."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def addresses_of(host: str, port: int) -> list[str]:
    """Return a name's addresses. Raises: OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))[:MAX_ADDRESSES]


def tcp_ms(address: str, port: int, timeout_s: float = TIMEOUT_S) -> float:
    """Open a TCP connection, close it, and return how long it took. Raises: OSError."""
    began = time.perf_counter()
    with socket.create_connection((address, port), timeout_s):
        return (time.perf_counter() - began) * 1000


def certificate(host: str, port: int, timeout_s: float = TIMEOUT_S) -> tuple[str, str]:
    """Return the SHA-256 (hex) of a server's certificate, and why the system's authorities do not trust it, or "".

    Raises: OSError (ssl.SSLError for what is no TLS).
    """
    why = ""
    try:
        with (
            socket.create_connection((host, port), timeout_s) as plain,
            ssl.create_default_context().wrap_socket(plain, server_hostname=host) as line,
        ):
            return _fingerprint(line), ""
    except ssl.SSLCertVerificationError as error:
        why = error.verify_message
    blind = ssl.create_default_context()
    blind.check_hostname, blind.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((host, port), timeout_s) as plain,
        blind.wrap_socket(plain, server_hostname=host) as line,
    ):
        return _fingerprint(line), why


def _fingerprint(line: ssl.SSLSocket) -> str:
    return hashlib.sha256(line.getpeercert(binary_form=True) or b"").hexdigest()


def request(
    method: str,
    url: str,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    *,
    timeout_s: float = TIMEOUT_S,
    verify: bool = True,
    fingerprint: str = "",
) -> Answered:
    """Make one HTTP request. With `fingerprint` that certificate is believed, and no other: else nothing is sent.

    Raises: OSError, also for an answer that is no HTTP.
    """
    with _http(url, timeout_s, verify=verify, fingerprint=fingerprint) as line:
        line.request(method, _target(url), body, {"Accept": "application/json", **(headers or {})})
        answer = line.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return Answered(answer.status, found, answer.read(MAX_BODY))


def arrivals_s(url: str, headers: Mapping[str, str], *, timeout_s: float, verify: bool = True) -> list[float]:
    """Return when each server-sent event of a stream arrived, in seconds after the request. Raises: as `request`."""
    with _http(url, timeout_s, verify=verify) as line:
        began = time.perf_counter()
        line.request("GET", _target(url), None, {"Accept": "text/event-stream", **headers})
        answer = line.getresponse()
        if answer.status != 200:
            return []
        found: list[float] = []
        while text := answer.readline(MAX_BODY):
            if text.startswith(b"data:"):
                found.append(time.perf_counter() - began)
        return found


def clock_skew_s(url: str, timeout_s: float = TIMEOUT_S) -> float | None:
    """Return how many seconds this machine's clock is ahead of a server's `Date`; None when it gives none."""
    with suppress(OSError, ValueError):
        date = request("HEAD", url, timeout_s=timeout_s).headers.get("date")
        if date:
            return SYSTEM_CLOCK.now_ms() / 1000 - parsedate_to_datetime(date).timestamp()
    return None


class Canary:
    """A port on this machine that nobody has business with: `touched` says whether somebody connected."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self.port: int = line.getsockname()[1]

    def touched(self) -> bool:
        """Say whether there was a connection since the last time that this was asked."""
        seen = False
        with suppress(BlockingIOError):
            while True:
                self._line.accept()[0].close()
                seen = True
        return seen


@contextmanager
def canary() -> Iterator[Canary]:
    """Listen on a port of 127.0.0.1 for the block."""
    with socket.create_server(("127.0.0.1", 0)) as line:
        line.setblocking(False)
        yield Canary(line)


def _target(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"


@contextmanager
def _http(url: str, timeout_s: float, *, verify: bool, fingerprint: str = "") -> Iterator[http.client.HTTPConnection]:
    """Open a connection for the block; an answer that is no HTTP is a broken connection."""
    with closing(_connection(url, timeout_s, verify=verify and not fingerprint)) as line:
        try:
            if fingerprint:
                line.connect()
                _require(url, fingerprint, line.sock)
            yield line
        except http.client.HTTPException as error:
            raise ConnectionError(f"no HTTP answer ({type(error).__name__})") from error


def _require(url: str, fingerprint: str, line: object) -> None:
    try:
        require_pinned(url, fingerprint, line)
    except GatewayDown as error:
        raise ssl.SSLCertVerificationError(error.message) from None


def _connection(url: str, timeout_s: float, *, verify: bool) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    if parts.scheme != "https":
        return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)
    made = ssl.create_default_context()
    if not verify:
        made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=timeout_s, context=made)
