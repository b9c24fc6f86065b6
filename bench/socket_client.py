"""A small WebSocket client of the Gateway protocol: it shakes hands and then leaves or waits."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from bench.tools import BadRun

SETTLE_S = 2.0
"""Long enough for the presence event that follows a change of clients."""
BATCH = 50
_MASK = b"\x01\x02\x03\x04"


def masked(text: str) -> bytes:
    """Return a text frame as a client sends it. Shape: under 64 KiB."""
    data = text.encode()
    head = bytes((0x81, 0x80 | len(data))) if len(data) < 126 else b"\x81\xfe" + len(data).to_bytes(2, "big")
    return head + _MASK + bytes(byte ^ _MASK[index & 3] for index, byte in enumerate(data))


def upgrade(port: int) -> bytes:
    """Return the HTTP request that opens a WebSocket."""
    return (
        f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


async def _shake_hands(port: int, hello: bytes, frame: bytes) -> asyncio.StreamWriter:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    writer.write(hello)
    await _read_past(reader, b'"connect.challenge"')
    writer.write(frame)
    await _read_past(reader, b'"hello-ok"')
    return writer


async def _read_past(reader: asyncio.StreamReader, mark: bytes) -> None:
    seen = b""
    while mark not in seen:
        piece = await reader.read(65_536)
        if not piece:
            raise BadRun(f"the gateway closed a handshake: {seen[-200:]!r}")
        seen += piece


async def handshakes(port: int, connect: str, *, clients: int, seconds: float) -> int:
    """Return how many handshakes were done in that time."""
    hello, frame, done = upgrade(port), masked(connect), 0
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds

    async def client() -> None:
        nonlocal done
        while loop.time() < until:
            writer = await _shake_hands(port, hello, frame)
            done += 1
            writer.transport.abort()

    await asyncio.gather(*(client() for _ in range(clients)))
    return done


async def hold(port: int, connects: Sequence[str], rss_mb: Callable[[], float]) -> float:
    """Return by how many MB the gateway grows while all but the first of these clients are connected and quiet.

    The first comes before the measurement: what the first client of all costs is no cost of a socket.
    """
    hello = upgrade(port)
    writers = [await _shake_hands(port, hello, masked(connects[0]))]
    await asyncio.sleep(SETTLE_S)
    before = rss_mb()
    try:
        for start in range(1, len(connects), BATCH):
            batch = connects[start : start + BATCH]
            writers += await asyncio.gather(*(_shake_hands(port, hello, masked(one)) for one in batch))
        await asyncio.sleep(SETTLE_S)
        return rss_mb() - before
    finally:
        for writer in writers:
            with contextlib.suppress(OSError):
                writer.transport.abort()
