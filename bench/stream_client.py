"""A small HTTP client that reads one stream after the other and notes when the first token came.

It is ours, not loadgen: the upstream's first event says nothing yet, so a time to the first byte would compare two
different things; and clients that all begin in the same instant measure a queue, not a relay.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from bench.gateway import COMPLETIONS
from bench.tools import BadRun

TOKEN_MARK = b'"content":"x'
END_MARK = b"0\r\n\r\n"


PATIENCE_S = 30.0


class Seen(NamedTuple):
    """One stream. Shape: milliseconds since the question."""

    first_ms: float
    whole_ms: float


def message(port: int, body: dict[str, Any], headers: tuple[str, ...]) -> bytes:
    """Return the bytes of a chat completion's request."""
    data = json.dumps(body).encode()
    lines = [f"POST {COMPLETIONS} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Content-Type: application/json", *headers]
    return "\r\n".join((*lines, f"Content-Length: {len(data)}", "", "")).encode() + data


class Line:
    """One connection. Use: `async with Line(port) as line: await line.ask(message)`."""

    def __init__(self, port: int, on_tokens: Callable[[int], None] = lambda count: None) -> None:
        """`on_tokens` is told of each read how many tokens it brought."""
        self._port = port
        self._on_tokens = on_tokens

    async def __aenter__(self) -> Line:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._writer.transport.abort()

    async def ask(self, request: bytes) -> Seen:
        """Read a stream to its end. Raises: BadRun when it has no token or no end."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self._ask(request)
        except TimeoutError:
            raise BadRun(f"port {self._port} did not end a stream within {PATIENCE_S:.0f} s") from None

    async def _ask(self, request: bytes) -> Seen:
        clock = time.perf_counter  # the loop's own clock counts whole milliseconds
        began, seen, first_ms = clock(), b"", 0.0
        self._writer.write(request)
        while not seen.endswith(END_MARK):
            piece = await self._reader.read(65_536)
            if not piece:
                raise BadRun(f"port {self._port} closed a stream: {seen[-200:]!r}")
            seen += piece
            self._on_tokens(piece.count(TOKEN_MARK))
            if not first_ms and TOKEN_MARK in seen:
                first_ms = (clock() - began) * 1000
        if not first_ms:
            raise BadRun(f"port {self._port} streamed no token: {seen[-300:]!r}")
        return Seen(first_ms, (clock() - began) * 1000)
