from __future__ import annotations

import json

import pytest

from tests.listeners.fakes import http, raw_request, world

pytestmark = pytest.mark.anyio


async def test_liveness_needs_no_token_and_tells_no_detail() -> None:
    async with world() as here:
        for path in ("/health", "/healthz"):
            status, headers, body = await raw_request(here.port, http("GET", path, token=None))
            assert (status, json.loads(body)) == (200, {"ok": True, "status": "live"})
            assert headers["cache-control"] == "no-store"
            assert headers["content-type"] == "application/json; charset=utf-8"
        assert (await raw_request(here.port, http("GET", "/v1/health", token=None)))[2] == b'{"status":"ok"}'
        assert json.loads((await raw_request(here.port, http("GET", "/health", token="wrong")))[2])["status"] == "live"


async def test_liveness_with_the_token_says_more() -> None:
    async with world() as here:
        body = json.loads((await raw_request(here.port, http("GET", "/health")))[2])
        assert (body["ok"], body["status"], body["version"]) == (True, "ok", "1.2.3")
        assert body["uptimeMs"] >= 0


async def test_head_has_no_body() -> None:
    async with world() as here:
        data = http("HEAD", "/health", token=None) + http("GET", "/v1/health", token=None, Connection="close")
        status, headers, _ = await raw_request(here.port, data.replace(b"HEAD", b"HEAD", 1))
        assert (status, headers["content-length"]) == (200, "27")


async def test_readiness_follows_the_phase_and_the_checks() -> None:
    async with world() as here:
        status, _, body = await raw_request(here.port, http("GET", "/ready", token=None))
        assert (status, json.loads(body)["ready"]) == (200, True)
        here.health.add_check("store", lambda: "disk full")
        status, headers, body = await raw_request(here.port, http("GET", "/readyz", token=None))
        assert (status, json.loads(body)["failing"], headers["retry-after"]) == (503, ["store"], "1")
        here.health.phase = "starting"
        assert (await raw_request(here.port, http("GET", "/startupz", token=None)))[0] == 503
        here.health.phase = "draining"
        assert (await raw_request(here.port, http("GET", "/startupz", token=None)))[0] == 200
        assert json.loads((await raw_request(here.port, http("GET", "/ready")))[2])["failing"] == ["phase", "store"]


async def test_details_are_for_local_programs_or_the_token_only() -> None:
    async with world() as here:
        for path in ("/ready", "/metrics", "/startupz"):
            assert (await raw_request(here.port, http("GET", path, token=None)))[0] == 200
            assert (await raw_request(here.port, http("GET", path, token=None, Origin="http://evil.example")))[0] == 401
            assert (await raw_request(here.port, http("GET", path, Origin="http://evil.example")))[0] == 200


async def test_a_proxys_auth_request_is_answered() -> None:
    async with world() as here:
        assert (await raw_request(here.port, http("GET", "/api/auth/check")))[0] == 200
        assert (await raw_request(here.port, http("GET", "/api/auth/check", token=None)))[0] == 401
