"""AWS' own library over our client: what botocore would send passes the egress door, like every request of the house.

1. botocore asks those who listen to `before-send` for an answer before it opens a connection. We always have one, so it
   opens none: its proxies, redirects and certificates of the environment never count.
2. botocore blocks, in a thread; HttpClient lives in a loop. `Wait` leads from one to the other.
3. Only what looks for a role of the machine (the metadata service) is left to botocore: its addresses are AWS' own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final

from openclaw.base.errors import PolicyDenied
from openclaw.net.error import NetError
from openclaw.net.http import HttpClient, Timeouts
from openclaw.net.pinned import Carrier
from openclaw.net.response import StreamResponse
from openclaw.net.target import Target
from openclaw.net.way import Door, Purpose, Way

Wait = Callable[[Coroutine[Any, Any, Any]], Any]
"""Runs a coroutine in the client's loop, and blocks until it has an outcome."""
_FRAMING: Final = frozenset({"content-length", "transfer-encoding", "expect", "connection"})
"""How a body is sent is the client's affair; a signature covers none of these."""


def waiting_on(loop: asyncio.AbstractEventLoop) -> Wait:
    """Return what waits for a loop that runs in another thread."""
    return lambda job: asyncio.run_coroutine_threadsafe(job, loop).result()


@contextmanager
def apart(door: Door | None, carrier: Carrier | None = None) -> Iterator[tuple[HttpClient, Wait]]:
    """Open a client with a loop of its own, for code that blocks: a caller's loop may be running above it."""
    runner, http = asyncio.Runner(), HttpClient(door=door, carrier=carrier)
    with ThreadPoolExecutor(1, "net-apart") as thread:

        def wait(job: Coroutine[Any, Any, Any]) -> Any:
            return thread.submit(runner.run, job).result()

        try:
            yield http, wait
        finally:
            wait(http.close())
            thread.submit(runner.close).result()


def across(door: Door, loop: asyncio.AbstractEventLoop) -> Door:
    """Return a door that may be asked from a loop of another thread."""

    async def asked(where: Target, purpose: Purpose) -> Way:
        return await door(where, purpose)

    async def ask(where: Target, purpose: Purpose) -> Way:
        way = await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(asked(where, purpose), loop))
        return _FarWay(way, loop)

    return ask


class _FarWay:
    def __init__(self, way: Way, loop: asyncio.AbstractEventLoop) -> None:
        self._way = way
        self._loop = loop

    def judge(self, address: str) -> str:
        """See Way."""
        return self._way.judge(address)

    async def refuse(self, address: str) -> None:
        """See Way."""
        refusing: Coroutine[Any, Any, None] = self._way.refuse(address)
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(refusing, self._loop))


def lead(session: Any, http: HttpClient, wait: Wait, purpose: Purpose, timeouts: Timeouts) -> None:
    """Have the clients that are made of a session of botocore's from now on send by this client.

    Their calls raise what the door raises; other failures are botocore's errors, which it may answer by a retry.
    """

    def send(request: Any, **_: Any) -> Any:
        return wait(_answer(request, http, wait, purpose, timeouts))

    session.register("before-send", send)


async def _answer(request: Any, http: HttpClient, wait: Wait, purpose: Purpose, timeouts: Timeouts) -> Any:
    headers = {name: _text(value) for name, value in request.headers.items() if name.lower() not in _FRAMING}
    body = request.body.read() if hasattr(request.body, "read") else request.body
    try:
        response = await http.stream(
            request.method,
            request.url,
            headers=headers,
            body=body.encode() if isinstance(body, str) else bytes(body) if body else None,
            timeouts=timeouts,
            purpose=purpose,
        )
    except NetError as error:
        raise _as_theirs(error) from None
    library: Any = import_module("botocore.awsrequest")
    return library.AWSResponse(request.url, response.status, response.headers, _Body(response, wait))


class _Body:
    """An answer's body as botocore reads it: a file, from the thread that it runs in."""

    def __init__(self, response: StreamResponse, wait: Wait) -> None:
        self._response = response
        self._wait = wait
        self._held = bytearray()

    def read(self, amount: int | None = None) -> bytes:
        """Return that many bytes, fewer at the end; all of them without a number."""
        while amount is None or len(self._held) < amount:
            try:
                piece = self._wait(self._response.read())
            except NetError as error:
                raise _as_theirs(error) from None
            if not piece:
                break
            self._held += piece
        taken = bytes(self._held[:amount])
        del self._held[: len(taken)]
        return taken

    def stream(self, amount: int = 65_536, **_: Any) -> Iterator[bytes]:
        """Yield the rest."""
        while piece := self.read(amount):
            yield piece

    def close(self) -> None:
        """Let go."""

        async def closing() -> None:
            self._response.close()

        self._wait(closing())


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _as_theirs(error: NetError) -> Exception:
    """Return what botocore would raise; what was refused is no failure that a second try might mend."""
    if error.kind.startswith("refused"):
        return PolicyDenied(f"{error.origin}: {error.reason}" if error.origin else error.reason)
    errors: Any = import_module("botocore.exceptions")
    kind = errors.ReadTimeoutError if error.kind.startswith("timeout") else errors.EndpointConnectionError
    theirs: Exception = kind(endpoint_url=error.origin, error=error.reason)
    return theirs
