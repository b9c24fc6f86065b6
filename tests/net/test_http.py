"""The one HTTP client against a raw server."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.net.error import NetError
from openclaw.net.http import HttpClient, Timeouts
from openclaw.net.target import Target, target
from openclaw.net.way import Purpose, Way, undirected
from tests.stand_ins.openai import OpenAIStandIn
from tests.stand_ins.server import Raw, Transport

pytestmark = pytest.mark.anyio


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    async with HttpClient(user_agent="openclaw/test") as client:
        yield client


async def kind_of(http: HttpClient, raw: Raw, timeouts: Timeouts | None = None) -> str:
    """Return the kind of failure that an answer leads to."""
    async with OpenAIStandIn([raw]) as server:
        with pytest.raises(NetError) as caught:
            await http.post_json(
                server.base_url + "/secret?key=s3cret", headers={}, body=b"{}", timeouts=timeouts or Timeouts()
            )
    assert "s3cret" not in str(caught.value)
    return caught.value.kind


async def test_a_request_names_itself_and_asks_for_no_compression(http: HttpClient) -> None:
    async with OpenAIStandIn() as server:
        answer = await http.get_json(server.base_url + "/models", headers={"X-Mine": "1"})
        sent = server.requests[0].headers
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert sent["user-agent"] == "openclaw/test"
    assert sent["accept-encoding"] == "identity"
    assert sent["x-mine"] == "1"


async def test_redirects_are_handed_back_not_followed(http: HttpClient) -> None:
    async with OpenAIStandIn([Raw((b"",), 302, headers={"Location": "/elsewhere"})]) as server:
        answer = await http.post_json(server.base_url, headers={}, body=b"")
        assert len(server.requests) == 1
    assert answer.status == 302


async def test_large_bodies_arrive_whole(http: HttpClient) -> None:
    body = bytes(range(256)) * 8192
    async with OpenAIStandIn([Raw((b"ok",))]) as server:
        await http.post_json(server.base_url, headers={}, body=body)
        assert server.requests[0].body == body


async def test_broken_connections_and_slow_servers_have_a_kind_each(http: HttpClient) -> None:
    body = (b"x" * 100,)
    assert await kind_of(http, Raw(body, transport=Transport(drop_after=50))) == "reset"
    assert await kind_of(http, Raw(body, transport=Transport(drop_after=0), stream=True)) == "reset"
    slow = Timeouts(first_byte=0.05, idle=0.05, total=0.3)
    assert await kind_of(http, Raw(body, transport=Transport(first_delay_s=9)), slow) == "timeout-first-byte"
    assert await kind_of(http, Raw(body, transport=Transport(hang_after=0)), slow) == "timeout-first-byte"
    assert await kind_of(http, Raw(body * 3, transport=Transport(hang_after=200)), slow) == "timeout-idle"
    dripping = Raw(body, transport=Transport(chunk_bytes=1, delay_s=0.02))
    assert await kind_of(http, dripping, slow) == "timeout-total"


async def test_an_idle_limit_may_be_longer_than_the_first_byte_limit(http: HttpClient) -> None:
    raw = Raw((b"a", b"b", b"c"), transport=Transport(delay_s=0.08), stream=True)
    async with OpenAIStandIn([raw]) as server:
        answer = await http.post_json(
            server.base_url, headers={}, body=b"", timeouts=Timeouts(first_byte=0.06, idle=5, total=5)
        )
    assert answer.body == b"abc"


async def test_a_slow_reader_is_not_the_servers_silence(http: HttpClient) -> None:
    raw = Raw((b"a", b"b"), transport=Transport(delay_s=0.15), stream=True)
    async with OpenAIStandIn([raw]) as server:
        response = await http.post_stream(
            server.base_url, headers={}, body=b"", timeouts=Timeouts(idle=0.2, first_byte=5, total=5)
        )
        async with response:
            assert await response.read() == b"a"
            await asyncio.sleep(0.45)
            assert await response.read() == b"b"
            assert await response.read() == b""


async def test_unreachable_servers_are_told_from_unknown_hosts(http: HttpClient) -> None:
    with pytest.raises(NetError) as caught:
        await http.get_json("http://127.0.0.1:1/")
    assert caught.value.kind == "connect"
    with pytest.raises(NetError) as caught:
        await http.get_json("http://no-such-host.invalid/")
    assert caught.value.kind == "dns"


async def test_plain_http_behind_https_is_a_tls_failure(http: HttpClient) -> None:
    async def answer_plainly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer_plainly, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(NetError) as caught:
            await http.get_json(f"https://127.0.0.1:{port}/")
    assert caught.value.kind == "tls"


async def test_an_answer_over_the_limit_is_refused(http: HttpClient) -> None:
    async with OpenAIStandIn([Raw((b"x" * 1000,))]) as server:
        with pytest.raises(NetError) as caught:
            await http.get_json(server.base_url, limit_bytes=999)
    assert caught.value.kind == "too-large"


async def test_headers_cannot_be_smuggled(http: HttpClient) -> None:
    async with OpenAIStandIn() as server:
        with pytest.raises(NetError):
            await http.get_json(server.base_url, headers={"X-A": "1\r\nX-B: 2"})


async def test_the_door_sees_every_request_and_its_refusal_passes_unchanged() -> None:
    seen: list[tuple[str, int, Purpose]] = []

    async def door(where: Target, purpose: Purpose) -> Way:
        seen.append((where.host, where.port, purpose))
        if where.port == 1:
            raise PermissionError("closed")
        return undirected(where, purpose)

    async with HttpClient(door=door) as http, OpenAIStandIn() as server:
        await http.get_json(server.base_url + "/models", purpose="download")
        await http.get_json(server.base_url + "/models", purpose="download")
        with pytest.raises(PermissionError, match="closed"):
            await http.get_json("http://127.0.0.1:1/")
        port = int(server.base_url.split(":")[2][:-3])
        assert seen == [("127.0.0.1", port, "download")] * 2 + [("127.0.0.1", 1, "inference")]
        assert server.connections == 1


async def test_cancelling_a_waiting_request_drops_its_connection(http: HttpClient) -> None:
    async with OpenAIStandIn([Raw((b"x",), transport=Transport(first_delay_s=9))]) as server:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await http.get_json(server.base_url)
        await server.until_dropped()


async def test_a_closed_client_refuses(http: HttpClient) -> None:
    await http.close()
    with pytest.raises(NetError):
        await http.get_json("http://127.0.0.1:1/")


async def test_making_a_client_loads_no_http_library() -> None:
    probe = "import sys, openclaw.net.http; sys.exit('aiohttp' in sys.modules)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", probe)
    assert await process.wait() == 0


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x.test/",
        "file:///etc/passwd",
        "//x.test/",
        "http://",
        "http://:80/",
        "http://a@x.test/",
        "http://a:b@x.test/",
        "http://x.test:99999/",
        "http://x.test/#frag",
        "http://x.test/a b",
        "http://x.test/\r\nHost: y",
        "http://[::1/",
        "",
    ],
)
def test_addresses_that_are_not_plain_http_are_refused(url: str) -> None:
    with pytest.raises(NetError) as caught:
        target(url)
    assert caught.value.kind == "refused-url"


def test_targets_know_their_ports() -> None:
    assert target("https://X.test/v1") == ("https", "x.test", 443)
    assert target("http://[::1]:8080/").origin == "http://[::1]:8080"


@given(st.text())
def test_no_address_raises_anything_else(url: str) -> None:
    for candidate in (url, f"http://{url}"):
        with contextlib.suppress(NetError):
            target(candidate)


async def test_a_kept_connection_that_the_server_closed_is_replaced_once() -> None:
    served: list[int] = []

    async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        served.append(1)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}")
        await writer.drain()
        if len(served) == 1:
            await reader.readuntil(b"\r\n\r\n")  # the next request on this connection: closed without a byte
        writer.close()

    server = await asyncio.start_server(answer_once, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, HttpClient() as client:
        for _ in range(2):
            assert (await client.post_json(url, headers={}, body=b"")).body == b"{}"
    assert len(served) == 2
