"""A caller is shown how its request arrived, and nothing that it did not send itself."""

from __future__ import annotations

import json

import pytest

from openclaw.config.schema import GatewayConfig
from tests.listeners.fakes import TOKEN, http, raw_request, world

pytestmark = pytest.mark.anyio


async def test_it_says_who_called_and_which_forwarding_headers_came() -> None:
    async with world(GatewayConfig(trusted_proxies=("127.0.0.1",))) as here:
        _, _, plain = await raw_request(here.port, http("GET", "/api/mirror"))
        told = json.loads(plain)
        assert (told["client"], told["direct"], told["forwarded"]) == ("127.0.0.1", True, [])
        through = http("GET", "/api/mirror", X_Forwarded_For="203.0.113.9", X_Real_IP="203.0.113.9")
        _, _, body = await raw_request(here.port, through)
        told = json.loads(body)
        assert (told["client"], told["direct"]) == ("203.0.113.9", False)
        assert told["forwarded"] == ["x-forwarded-for", "x-real-ip"]
        assert TOKEN.encode() not in body


async def test_it_counts_a_body_of_any_kind() -> None:
    async with world() as here:
        status, _, body = await raw_request(here.port, http("POST", "/api/mirror", b"\0" * 70_000))
        assert (status, json.loads(body)["bytes"]) == (200, 70_000)


@pytest.mark.parametrize("gap", ["", "?gapMs=10", "?gapMs=-1", "?gapMs=abc", "?gapMs=%C2%B2"])
async def test_its_stream_ends_after_four_events(gap: str) -> None:
    async with world() as here:
        status, headers, body = await raw_request(here.port, http("GET", f"/api/mirror/stream{gap}"))
        assert status == 200
        assert headers["content-type"].startswith("text/event-stream")
        assert body.count(b"data: ") == 4
