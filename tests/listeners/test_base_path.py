"""Below a base path everything is where it is without one, whether the proxy cuts it off or passes it on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from openclaw.config.schema import ControlUiConfig, GatewayConfig, HttpConfig, SecurityHeadersConfig
from tests.listeners.fakes import http, raw_request, world

pytestmark = pytest.mark.anyio

BASE = GatewayConfig(control_ui=ControlUiConfig(base_path="/apps/claw"), trusted_proxies=("127.0.0.1",))


async def test_every_address_answers_with_and_without_it() -> None:
    async with world(BASE, ui=True) as here:
        for path in ("/v1/models", "/avatar/main", "/", "/app.js", "/docs", "/api/mirror"):
            alone = await raw_request(here.port, http("GET", path))
            below = await raw_request(here.port, http("GET", f"/apps/claw{path}"))
            assert (alone[0], alone[2]) == (below[0], below[2])
            assert below[0] == 200
        for path in ("/v1/models", "/v1/nothing", "/setup/nothing"):
            assert (await raw_request(here.port, http("GET", f"/apps/claw{path}", token=None, X_Real_IP="1.2.3.4")))[
                0
            ] == 401, path


async def test_a_browser_without_the_last_slash_is_sent_on_relative_to_where_it_is() -> None:
    async with world(BASE, ui=True) as here:
        status, headers, _ = await raw_request(here.port, http("GET", "/apps/claw?view=1", token=None))
        assert (status, headers["location"]) == (302, "claw/?view=1")
        assert (await raw_request(here.port, http("POST", "/apps/claw")))[0] == 404


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example",
        "//evil.example/apps/claw",
        "/apps/claw//evil.example",
        "/apps/claw/%2f/evil.example",
        "/apps/claw/..",
        "/apps/claw/../../health",
        "/apps/claw/%2e%2e/health",
        "/apps/claw%2fhealth",
        "/apps%2fclaw",
        "/apps/claw\\evil.example",
        "/apps/claw/\\evil.example",
        "/apps//claw",
        "/apps/claw;x/health",
        "/apps/clawhealth",
        "/apps/claw/apps/claw",
        "/APPS/CLAW",
    ],
)
async def test_nothing_that_resembles_it_is_sent_anywhere_or_taken_for_it(path: str) -> None:
    async with world(BASE) as here:
        status, headers, body = await raw_request(here.port, http("GET", path))
        assert status in (400, 404)
        assert "location" not in headers
        assert b"evil" not in body


async def test_both_sockets_are_below_it() -> None:
    async with world(BASE) as here:
        for path in ("", "/apps/claw", "/apps/claw/"):
            async with connect(f"ws://127.0.0.1:{here.port}{path}", proxy=None) as line:
                assert json.loads(await line.recv())["event"] == "connect.challenge"
        upgrade: dict[str, Any] = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13"}
        asked = http("GET", "/apps/claw/v1/agent", Sec_WebSocket_Key="A" * 24, **upgrade)
        assert (await raw_request(here.port, asked))[0] == 404, "the agent API's, which names an agent"


async def test_a_foreign_build_is_told_the_base_path_and_finds_its_files_at_any_depth(tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "a.js").write_text("1")
    (tmp_path / "index.html").write_text('<!doctype html><html lang="en"><script src="./assets/a.js"></script></html>')
    async with world(BASE, ui=True, ui_root=tmp_path) as here:
        _, headers, body = await raw_request(here.port, http("GET", "/apps/claw/chat/main", token=None))
        assert b'<html data-openclaw-control-ui-base-path="/apps/claw" lang="en">' in body
        assert (await raw_request(here.port, http("GET", "/apps/claw/chat/assets/a.js", token=None)))[2] == b"1"
        assert (await raw_request(here.port, http("GET", "/apps/claw/chat/assets/b.js", token=None)))[0] == 404
        settings = json.loads((await raw_request(here.port, http("GET", "/apps/claw/control-ui-config.json")))[2])
        assert settings["basePath"] == "/apps/claw"
    async with world(ui=True, ui_root=tmp_path) as plain:
        _, other, body = await raw_request(plain.port, http("GET", "/", token=None))
        assert b'<html lang="en">' in body
        assert other["etag"] != headers["etag"]


async def test_strict_transport_security_is_said_over_https_only_and_on_every_answer() -> None:
    value = "max-age=31536000; includeSubDomains"
    strict = HttpConfig(security_headers=SecurityHeadersConfig(strict_transport_security=value))
    async with world(GatewayConfig(trusted_proxies=("127.0.0.1",), http=strict)) as here:
        secure: dict[str, Any] = {"X_Forwarded_For": "203.0.113.9", "X_Forwarded_Proto": "https"}
        for path in ("/health", "/nothing", "/v1/models", "/api/mirror/stream?gapMs=1"):
            _, headers, _ = await raw_request(here.port, http("GET", path, **secure))
            assert headers["strict-transport-security"] == value, path
        assert "strict-transport-security" not in (await raw_request(here.port, http("GET", "/health")))[1]
