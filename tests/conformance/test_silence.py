"""Sockets that say nothing, or never to the end: closed when their time is up, and nothing of them is left."""

from __future__ import annotations

import asyncio

import psutil
import pytest

from openclaw.listeners import ws_connection, ws_socket
from openclaw.protocol.limits import HANDSHAKE_TIMEOUT_MS
from tests.conformance.wire import CLOSE, RawSocket, raw_frame
from tests.listeners.fakes import until, world

pytestmark = pytest.mark.anyio

SHORT_MS = 150


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifteen seconds of silence, in a fraction of one."""
    assert HANDSHAKE_TIMEOUT_MS == 15_000
    monkeypatch.setattr(ws_connection, "HANDSHAKE_TIMEOUT_MS", SHORT_MS)
    monkeypatch.setattr(ws_socket, "CLOSE_TIMEOUT_S", SHORT_MS / 1000)


async def test_two_hundred_silent_sockets_are_closed_and_leave_nothing() -> None:
    async with world() as here:
        process = psutil.Process()
        descriptors = process.num_fds()
        silent = [await RawSocket.open(here.port) for _ in range(200)]
        assert process.num_fds() >= descriptors + 200, "some of the gateway's own may have had their time already"
        assert [await socket.frame() for socket in silent] == [(CLOSE, b"\x03\xe8")] * 200
        for socket in silent:
            await socket.close()
        await until(lambda: process.num_fds() <= descriptors)
        assert not here.server._state.connections
        assert not here.hub.peers
        assert not len(here.app.tasks)


async def test_a_frame_that_never_becomes_whole_gains_no_time() -> None:
    async with world() as here:
        socket = await RawSocket.open(here.port)
        dribble = iter(raw_frame(b"x" * 60_000))
        reading = asyncio.ensure_future(socket.frame())
        async with asyncio.timeout(60):  # the frame alone would take ten minutes
            while not reading.done():
                await socket.send(bytes((next(dribble),)))
                await asyncio.wait([reading], timeout=0.01)
        assert await reading == (CLOSE, b"\x03\xe8")
        await socket.close()


async def test_a_stranger_that_ignores_the_close_is_cut_off() -> None:
    async with world() as here:
        socket = await RawSocket.open(here.port)
        await until(lambda: not here.server._state.connections)
        await socket.close()
