"""Browser to local gateway (advisories, part 1)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

import openclaw.listeners.control_ui
from openclaw.base.errors import ToolError
from openclaw.base.secret import Secret
from openclaw.config.schema import ControlUiConfig, GatewayConfig, HooksConfig
from openclaw.net.http import HttpClient
from openclaw.testing.action import make_context
from openclaw.tools.builtin.egress import Egress
from tests.authorisation.matrix import ROUTES
from tests.listeners.device import KEY, sign
from tests.listeners.fakes import BEARER, TOKEN, World, world

pytestmark = pytest.mark.anyio

STATIC = Path(openclaw.listeners.control_ui.__file__).parent / "static"
HELLO: dict[str, Any] = {
    "minProtocol": 4,
    "maxProtocol": 4,
    "client": {"id": "cli", "version": "1", "platform": "linux", "mode": "cli"},
    "scopes": ["operator.admin"],
}


async def shake(socket: ClientConnection, here: World, **changes: Any) -> dict[str, Any]:
    """Send a connect request and return its answer."""
    challenge = json.loads(await socket.recv())["payload"]
    params = {**HELLO, **changes}
    if params.pop("device", False):
        params = sign(params, challenge["nonce"], challenge["ts"])
    await socket.send(json.dumps({"type": "req", "id": "c", "method": "connect", "params": params}))
    answer: dict[str, Any] = json.loads(await socket.recv())
    return answer


def test_cve_2026_25253_our_page_talks_to_where_it_came_from_whatever_its_address_says() -> None:
    scripts = {path.name: path.read_text() for path in STATIC.glob("*.js")}
    dialled = [line for text in scripts.values() for line in text.splitlines() if "new WebSocket(" in line]
    assert dialled == [line for line in scripts["gateway.js"].splitlines() if "new WebSocket(url)" in line]
    (target,) = re.findall(r"const url = (.*);", scripts["gateway.js"])
    assert target == 'new URL("./", location.href)'
    for name, text in scripts.items():
        assert "gatewayUrl" not in text, name
        assert not re.search(
            r"searchParams|location\.search(?!;)", text.replace("location.pathname + location.search", "")
        )


async def test_cve_2026_26322_no_tools_argument_names_a_peer_and_no_tool_dials_a_websocket(tmp_path: Path) -> None:
    async def no_door(*_: object) -> Any:
        raise AssertionError("it came as far as the door")

    async with HttpClient() as http:
        tools = Egress(http, no_door)
        for url in ("ws://127.0.0.1:18789/", "wss://evil.example/", "gopher://x/", "file:///etc/passwd"):
            with pytest.raises(ToolError):
                await tools.request(make_context(tmp_path), "tool web_fetch", "GET", url, limit_bytes=1)
    source = Path(openclaw.__file__).parent / "tools"
    said = "\n".join(path.read_text() for path in source.rglob("*.py"))
    assert not re.search(r"gateway_?url|ws_?url|remote_?gateway", said, re.IGNORECASE)


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://localhost:1", "file://", "chrome-extension://x"]
)
async def test_clawjacked_a_page_of_another_origin_gets_no_socket(origin: str) -> None:
    async with world() as here:
        for path in ("/", "/v1/agent/main", "/any/path"):
            with pytest.raises(InvalidStatus) as caught:
                await connect(here.ws_url + path, additional_headers={"Origin": origin, **BEARER}, proxy=None)
            assert caught.value.response.status_code == 403
            told = json.loads(caught.value.response.body or b"")["error"]
            assert told["message"].startswith("origin not allowed (")
            assert told["type"] == "CONTROL_UI_ORIGIN_NOT_ALLOWED"


async def test_clawjacked_a_rebound_name_gets_neither_page_nor_socket() -> None:
    async with world() as here, aiohttp.ClientSession() as http:
        host = f"rebound.example:{here.server.port}"
        for path in ("/health", "/v1/models", "/"):
            async with http.get(here.url + path, headers={**BEARER, "Host": host}) as answer:
                assert answer.status == 403
        with pytest.raises(InvalidStatus):
            await connect(here.ws_url, additional_headers={"Host": host, "Origin": f"http://{host}"}, proxy=None)


async def test_clawjacked_a_rebound_name_is_none_of_a_trusted_proxys_either() -> None:
    async with world(GatewayConfig(trusted_proxies=("127.0.0.1",))) as here, aiohttp.ClientSession() as http:
        host = {"Host": f"rebound.example:{here.server.port}"}
        forwarded = {**host, "X-Forwarded-For": "9.9.9.9"}
        for headers, status in ((host, 403), (forwarded, 200)):
            async with http.get(here.url + "/v1/models", headers={**BEARER, **headers}) as answer:
                assert answer.status == status


async def test_clawjacked_a_page_on_this_machine_is_locked_out_like_anybody_and_a_program_is_not() -> None:
    async with world(attempts=3) as here, aiohttp.ClientSession() as http:
        origin = {"Origin": here.url}
        for _ in range(3):
            async with connect(here.ws_url, additional_headers=origin, proxy=None) as socket:
                answer = await shake(socket, here, auth={"token": "guess"})
                assert answer["error"]["details"]["code"] == "AUTH_TOKEN_MISMATCH"
        async with connect(here.ws_url, additional_headers=origin, proxy=None) as socket:
            answer = await shake(socket, here, auth={"token": TOKEN})
            assert answer["error"]["details"]["code"] == "AUTH_RATE_LIMITED"
        async with http.get(here.url + "/v1/models", headers={**BEARER, **origin}) as refused:
            assert refused.status == 429
            assert int(refused.headers["Retry-After"]) > 0
        async with connect(here.ws_url, proxy=None) as socket:
            assert (await shake(socket, here, auth={"token": TOKEN}))["ok"]


async def test_clawjacked_only_our_own_page_is_paired_by_the_token_typed_into_it() -> None:
    dev = "http://localhost:5173"
    config = GatewayConfig(control_ui=ControlUiConfig(allowed_origins=(dev,)))
    async with world(config) as here:
        headers = {"Origin": dev}
        async with connect(here.ws_url, additional_headers=headers, proxy=None) as socket:
            answer = await shake(socket, here, auth={"token": TOKEN}, device=True)
            assert answer["error"]["details"]["code"] == "PAIRING_REQUIRED"
        assert here.devices.get(KEY.device_id) is None
        async with connect(here.ws_url, additional_headers=headers, proxy=None) as socket:
            assert (await shake(socket, here, auth={"token": TOKEN}))["payload"]["auth"]["scopes"] == []
        async with connect(here.ws_url, additional_headers={"Origin": here.url}, proxy=None) as socket:
            assert (await shake(socket, here, auth={"token": TOKEN}, device=True))["ok"]


async def test_issue_16059_the_absence_of_an_origin_opens_nothing() -> None:
    async with world() as here:
        for path in ("/", "/extension", "/v1/agent/main"):
            async with connect(here.ws_url + path, proxy=None) as socket:
                if path == "/v1/agent/main":
                    await socket.send('{"prompt":"hi"}')
                    assert json.loads(await socket.recv())["type"] == "error"
                else:
                    assert (await shake(socket, here))["error"]["code"] == "NOT_PAIRED"
        assert not here.hub.peers
        assert not here.agent.inbounds


@pytest.mark.parametrize("name", ["token", "access_token", "auth", "key", "password"])
async def test_issue_77097_no_route_is_opened_by_its_address(name: str) -> None:
    async with world(ui=True) as here, aiohttp.ClientSession() as http:
        for place_, (who, _) in ROUTES.items():
            if who != "caller":
                continue
            verb, path = place_.split(" ")
            url = here.url + re.sub(r"\{\w+\}", "x", path) + f"?{name}={TOKEN}"
            async with http.request(verb, url) as answer:
                assert answer.status in (401, 404), (place_, answer.status)
                if answer.status == 404:
                    assert path.startswith(("/tools", "/v1/embeddings"))
        async with connect(f"{here.ws_url}/?{name}={TOKEN}", proxy=None) as socket:
            assert (await shake(socket, here))["error"]["code"] == "NOT_PAIRED"


async def test_issue_5120_no_hook_is_opened_by_its_address() -> None:
    secret = "hook-secret-0123456789-0123456789"
    async with world(hooks=HooksConfig(enabled=True, token=Secret(secret))) as here, aiohttp.ClientSession() as http:
        for path in ("/hooks/agent", "/hooks/wake"):
            async with http.post(f"{here.url}{path}?token={secret}", json={"message": "x", "text": "x"}) as answer:
                assert answer.status in (400, 401)
        assert not here.agent.inbounds
