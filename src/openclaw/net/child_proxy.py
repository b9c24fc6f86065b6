"""The only way out of a sandbox: an HTTP proxy on a Unix socket that leads to the same door, judge and ledger.

1. CONNECT (for https and everything else) and requests with a whole address (for http) are understood; all else is 4xx.
2. The name goes by the door, is looked up once, every address is judged, and the connection goes to a judged one.
3. A connection serves one request: what follows goes to the same server, which is told to close.
4. Heads, connections, how often they come, and the time that each may take are bounded. The socket is its owner's alone
   (0600), stands in a folder that is the run's, and goes away with the block.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from openclaw.base.errors import OpenClawError, PolicyDenied
from openclaw.base.tasks import TaskSet
from openclaw.net.egress import Place, is_address, place
from openclaw.net.error import NetError
from openclaw.net.pinned import Carrier, RefusedAddress, Resolve, looked_up, system_resolve
from openclaw.net.way import ChildDoor, Way

HEAD_BYTES: Final = 16 * 1024
MAX_CONNECTIONS: Final = 32
HEAD_S: Final = 10.0
CONNECT_S: Final = 10.0
IDLE_S: Final = 120.0
BURST: Final = 200
STEP_S: Final = 0.05
"""Time between requests, once so many came at once: each leaves a row in the ledger, and a child may ask for ever."""
PIECE: Final = 64 * 1024
MAX_TOLD: Final = 2_000
_OURS: Final = frozenset({"connection", "proxy-connection", "keep-alive", "te", "trailer", "upgrade", "host", "expect"})
_METHOD: Final = re.compile(r"[A-Z]{1,20}")
_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}")
_VALUE: Final = re.compile(r"[\t\x20-\x7e]*")
_AUTHORITY: Final = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):[0-9]{1,5}")
_STATUS: Final = {
    400: "Bad Request",
    403: "Forbidden",
    408: "Request Timeout",
    431: "Request Header Fields Too Large",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


class _Head(NamedTuple):
    """A request's head: where it leads, and what is sent there first ("" for CONNECT)."""

    place: Place
    forward: bytes


class _Refused(Exception):
    """What the child is told in place of an answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@asynccontextmanager
async def open_child_proxy(
    path: Path,
    door: ChildDoor,
    *,
    resolve: Resolve = system_resolve,
    carrier: Carrier | None = None,
    idle_s: float = IDLE_S,
    head_s: float = HEAD_S,
) -> AsyncIterator[Path]:
    """Serve on a Unix socket at `path`, which must not exist, until the block ends; every connection ends with it.

    Raises: OSError.
    """
    proxy = _ChildProxy(door, resolve, carrier, idle_s, head_s)
    listener = _bound(path)
    try:
        server = await asyncio.start_unix_server(proxy.accept, sock=listener, limit=HEAD_BYTES)
    except BaseException:
        listener.close()
        _gone(path)
        raise
    try:
        yield path
    finally:
        server.close()
        _gone(path)
        await proxy.close()


def _gone(path: Path) -> None:
    path.unlink(missing_ok=True)


def _bound(path: Path) -> socket.socket:
    """Return a listening socket that nobody but its owner could open, not even for a moment."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(MAX_CONNECTIONS)
    except BaseException:
        listener.close()
        raise
    return listener


class _ChildProxy:
    def __init__(
        self, door: ChildDoor, resolve: Resolve, carrier: Carrier | None, idle_s: float, head_s: float
    ) -> None:
        self._door = door
        self._carrier = carrier
        self._resolve = resolve
        self._idle_s = idle_s
        self._head_s = head_s
        self._due_s = 0.0
        self._tasks = TaskSet("child-proxy", MAX_CONNECTIONS)
        self._senders = TaskSet("child-proxy-sending", MAX_CONNECTIONS)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a new connection, or drop it when there are too many."""
        if len(self._tasks) >= MAX_CONNECTIONS:
            writer.write(_answer(503, "There are too many connections."))
            writer.close()
            return
        self._tasks.spawn(self._serve(reader, writer), "connection")

    async def close(self) -> None:
        """Drop every connection."""
        await self._tasks.close(grace_s=1.0)
        await self._senders.close(grace_s=1.0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError):  # either side broke off, or nothing moved for too long
                try:
                    await self._request(reader, writer)
                except _Refused as refusal:
                    writer.write(_answer(refusal.status, str(refusal)))
                    async with asyncio.timeout(self._head_s):
                        await writer.drain()
        finally:
            writer.close()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raw = await self._read_head(reader)
        if not raw:
            return
        head = parsed_head(raw)
        await self._turn()
        server_reader, server_writer = await self._connected(head.place)
        try:
            if head.forward:
                server_writer.write(head.forward)
            else:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await self._relay(reader, writer, server_reader, server_writer)
        finally:
            server_writer.close()

    async def _turn(self) -> None:
        """Wait for this request's turn."""
        now_s = asyncio.get_running_loop().time()
        self._due_s = max(self._due_s, now_s - BURST * STEP_S) + STEP_S
        if self._due_s > now_s:
            await asyncio.sleep(self._due_s - now_s)

    async def _read_head(self, reader: asyncio.StreamReader) -> bytes:
        try:
            async with asyncio.timeout(self._head_s):
                return await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            raise _Refused(431, f"The head is longer than {HEAD_BYTES} bytes.") from None
        except asyncio.IncompleteReadError:
            return b""
        except TimeoutError:
            raise _Refused(408, f"The head did not come within {self._head_s:g} s.") from None

    async def _connected(self, there: Place) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to a judged address. Raises: _Refused."""
        try:
            way = await self._door(there)
            try:
                async with asyncio.timeout(CONNECT_S):
                    return await self._dial(there, way)
            except RefusedAddress as refused:
                await way.refuse(refused.address)
                raise _Refused(403, refused.reason) from None
        except PolicyDenied as denied:
            raise _Refused(403, denied.message) from None
        except OpenClawError as error:
            raise _Refused(503, error.message) from None
        except TimeoutError:
            raise _Refused(504, f"{there.host} was not reached within {CONNECT_S:g} s.") from None
        except OSError:
            raise _Refused(502, f"{there.host} port {there.port} cannot be reached.") from None

    async def _dial(self, there: Place, way: Way) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        carrier = self._carrier
        named = carrier is not None and carrier.names(there.host)
        resolve = _itself if named or is_address(there.host) else self._resolve
        judge = _unjudged if named else way.judge
        failure = OSError("no address")
        for address in await looked_up(there.host, there.port, judge, resolve):
            try:
                if carrier is not None and carrier.carries(there.host, address):
                    return await asyncio.open_connection(sock=await carrier.connected(address, there.port))
                return await asyncio.open_connection(address, there.port, flags=socket.AI_NUMERICHOST)
            except OSError as error:
                failure = error
        raise failure

    async def _relay(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        server_reader: asyncio.StreamReader,
        server_writer: asyncio.StreamWriter,
    ) -> None:
        """Carry bytes both ways until the server ends, either side breaks, or nothing moves for a while."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._idle_s) as limit:

            def moved() -> None:
                if not limit.expired():
                    limit.reschedule(loop.time() + self._idle_s)

            sending = self._senders.spawn(_carried(reader, server_writer, moved), "sending")
            try:
                await _carried(server_reader, writer, moved)
            finally:
                sending.cancel()


async def _carried(source: asyncio.StreamReader, target: asyncio.StreamWriter, moved: Callable[[], None]) -> None:
    """Carry what comes to where it goes, until the source ends; then say so to the target."""
    try:
        while piece := await source.read(PIECE):
            moved()
            target.write(piece)
            await target.drain()
            moved()
        if target.can_write_eof():
            target.write_eof()
    except OSError:
        target.close()


def _unjudged(name: str) -> str:
    """Judge a name that an operator's proxy looks up: the door has judged it already."""
    return ""


async def _itself(host: str, port: int) -> Sequence[str]:
    return (host,)


def parsed_head(raw: bytes) -> _Head:
    """Take a request's head apart. Raises: _Refused."""
    try:
        lines = raw.removesuffix(b"\r\n\r\n").decode("ascii").split("\r\n")
    except UnicodeDecodeError:
        raise _Refused(400, "The head is not ASCII.") from None
    words = lines[0].split(" ")
    if len(words) != 3 or not _METHOD.fullmatch(words[0]) or words[2] not in ("HTTP/1.1", "HTTP/1.0"):
        raise _Refused(400, "The first line is no request of HTTP/1.")
    method, url, _ = words
    fields = [_field(line) for line in lines[1:]]
    try:
        if method == "CONNECT":
            if not _AUTHORITY.fullmatch(url):
                raise _Refused(400, "CONNECT takes host:port.")
            return _Head(place(f"https://{url}"), b"")
        there = place(url)
    except NetError as error:
        raise _Refused(400, f"The address cannot be used: {error.reason}.") from None
    if there.scheme != "http":
        raise _Refused(400, "This is a proxy: ask for http://HOST/PATH as a whole address, or use CONNECT.")
    at = there.url.removeprefix("http://").partition("/")[0]
    nominated = {part.strip().lower() for name, value in fields if name == "connection" for part in value.split(",")}
    kept = [
        f"{name}: {value}"
        for name, value in fields
        if name not in _OURS and name not in nominated and not name.startswith("proxy-")
    ]
    first = f"{method} {there.url.removeprefix('http://' + at)} HTTP/1.1"
    text = "\r\n".join((first, f"Host: {at}", *kept, "Connection: close", "", ""))
    return _Head(there, text.encode())


def _field(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
        raise _Refused(400, "A header has a form that HTTP does not allow.")
    return name.lower(), value.strip()


def _answer(status: int, text: str) -> bytes:
    body = text[:MAX_TOLD].encode("utf-8", "replace") + b"\n"
    head = f"HTTP/1.1 {status} {_STATUS[status]}\r\nContent-Type: text/plain; charset=utf-8\r\n"
    return f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body
