"""TLS of the gateway's own: who is slow or wrong holds nobody up, and another certificate needs no restart."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.base.errors import ConfigError
from openclaw.listeners import server
from openclaw.listeners.server import GatewayServer
from openclaw.listeners.tls import TlsDoor
from openclaw.net.certificate import Pair
from tests.listeners.fakes import http, read_answer, world
from tests.net.certificates import pair_in

pytestmark = pytest.mark.anyio
SILENT = 200


def anybody() -> ssl.SSLContext:
    made = ssl.create_default_context()
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    return made


class Secured:
    """A server with TLS, and its door."""

    def __init__(self, door: TlsDoor, port: int) -> None:
        self.door, self.port = door, port

    async def open(self, name: str = "localhost") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=anybody(), server_hostname=name)

    async def ask(self, data: bytes) -> tuple[int, str]:
        """Send a request over a connection of its own; return the status and the certificate's fingerprint."""
        reader, writer = await self.open()
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.write(data)
        status = (await asyncio.wait_for(read_answer(reader), 5))[0]
        writer.close()
        return status, hashlib.sha256(shown).hexdigest()


@asynccontextmanager
async def secured(pair: Pair) -> AsyncIterator[Secured]:
    door = TlsDoor(lambda: pair, SYSTEM_CLOCK)
    async with world() as here:
        opened = GatewayServer(here.app, ("127.0.0.1",), 0, tls=await door.open())
        await opened.start()
        try:
            yield Secured(door, opened.port)
        finally:
            await opened.stop(1)


async def test_requests_and_sockets_work_and_know_that_they_are_encrypted(tmp_path: Path) -> None:
    async with secured(pair_in(tmp_path)) as here:
        reader, writer = await here.open()
        writer.write(http("GET", "/api/mirror"))
        assert b'"https":true' in (await read_answer(reader))[2]
        writer.close()
        assert (await here.ask(http("GET", "/health", x="y" * 40_000)))[0] == 431
        url = f"wss://localhost:{here.port}/"
        async with connect(url, ssl=anybody(), host="127.0.0.1", proxy=None) as line:
            assert "connect.challenge" in str(await line.recv())


async def test_a_renewed_pair_is_served_from_the_next_handshake_on_and_open_connections_stay(tmp_path: Path) -> None:
    pair = pair_in(tmp_path)
    async with secured(pair) as here:
        first = here.door.fingerprint
        reader, writer = await here.open()
        pair_in(tmp_path)
        assert (await here.ask(http("GET", "/health"))) == (200, first)
        await here.door.look()
        assert here.door.fingerprint != first
        assert (await here.ask(http("GET", "/health"))) == (200, here.door.fingerprint)
        writer.write(http("GET", "/health"))
        assert (await read_answer(reader))[0] == 200
        writer.close()


async def test_files_that_are_no_good_pair_change_nothing_and_are_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pair, other = pair_in(tmp_path / "own"), pair_in(tmp_path / "other")
    async with secured(pair) as here:
        first = here.door.fingerprint
        pair.key.write_bytes(other.key.read_bytes())  # half of a renewal
        await here.door.look()
        await here.door.look()
        assert caplog.messages.count("tls_certificate_not_renewed") == 1
        assert (await here.ask(http("GET", "/health"))) == (200, first)
        pair.certificate.write_bytes(other.certificate.read_bytes())
        await here.door.look()
        assert (await here.ask(http("GET", "/health")))[1] != first
        pair.certificate.unlink()
        await here.door.look()
        assert caplog.messages.count("tls_certificate_not_renewed") == 2
        with pytest.raises(ConfigError):
            await here.door.prepare(Pair(tmp_path / "nowhere", pair.key))


async def test_silent_and_slow_peers_hold_nobody_up_and_are_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(server._TLS_TIMES, "ssl_handshake_timeout", 0.3)
    async with secured(pair_in(tmp_path)) as here:
        silent = [await asyncio.open_connection("127.0.0.1", here.port) for _ in range(SILENT)]
        silent[0][1].write(b"\x16\x03\x01")
        assert (await here.ask(http("GET", "/health")))[0] == 200
        async with asyncio.timeout(5):
            for reader, writer in silent:
                assert await reader.read() == b""
                writer.close()


@pytest.mark.parametrize(
    "sent", [b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", bytes(70_000), b"\x16\x03\x01\xff\xff" * 20]
)
async def test_what_is_no_tls_is_closed_without_a_word_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    async with secured(pair_in(tmp_path)) as here:
        reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
        writer.write(sent)
        with contextlib.suppress(ConnectionError):
            assert len(await asyncio.wait_for(reader.read(), 5)) < 20, "an alert at most"
        writer.close()
        assert (await here.ask(http("GET", "/health")))[0] == 200
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


async def test_a_long_name_is_no_trouble(tmp_path: Path) -> None:
    async with secured(pair_in(tmp_path)) as here:
        _, writer = await here.open(".".join(("a" * 60,) * 4))
        writer.close()
