"""Devices against a gateway in a process of its own: near and far, over a restart, by setup code."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from openclaw.client.errors import RpcError
from openclaw.client.ws import GatewayClient
from openclaw.protocol.device_auth import decode_base64url
from tests.gateway.process import TOKEN, GatewayProcess, free_port, gateway, write_config
from tests.listeners.device import attached, key

pytestmark = pytest.mark.anyio

FAR = "203.0.113.9"
PROXY = {"trustedProxies": ["127.0.0.1", "::1"]}


def body(protocol: int = 4, **changes: Any) -> dict[str, Any]:
    return {
        "minProtocol": protocol,
        "maxProtocol": protocol,
        "client": {"id": "cli", "version": "1", "platform": "linux", "mode": "cli", "displayName": "laptop"},
        "auth": {"token": TOKEN},
        "scopes": ["operator.read", "operator.write"],
        **changes,
    }


def configured(folder: Path, token: str = TOKEN, port: int = 0) -> int:
    port = port or free_port()
    write_config(folder, port, gateway={"port": port, "auth": {"token": token}, **PROXY})
    return port


async def events(line: GatewayClient, name: str) -> dict[str, Any]:
    async with asyncio.timeout(10):
        async for event in line.events():
            if event.name == name:
                return dict(event.payload)
    raise AssertionError(f"{name} never came")


@pytest.mark.parametrize("protocol", [3, 4])
async def test_a_far_device_asks_is_approved_connects_and_is_shut_out_again(tmp_path: Path, protocol: int) -> None:
    port = configured(tmp_path)
    running = await (await GatewayProcess.start(tmp_path, port)).ready()
    url, version = running.ws_url, "v3" if protocol > 3 else "v2"
    try:
        async with await running.connect(min_protocol=protocol, max_protocol=protocol) as owner:
            async with attached(url, body(protocol), address=FAR, version=version) as refused:  # type: ignore[arg-type]
                assert refused.error["code"] == "NOT_PAIRED"
                request_id = refused.error["details"]["requestId"]
                assert (await refused.closed())[0] == 1008
            told = await events(owner, "device.pair.requested")
            assert (told["requestId"], told["remoteIp"], told["displayName"]) == (request_id, FAR, "laptop")
            async with attached(url, body(protocol), address=FAR, version=version) as again:  # type: ignore[arg-type]
                assert again.error["details"]["requestId"] == request_id
            (waiting,) = (await owner.call("device.pair.list"))["pending"]
            assert waiting["requestId"] == request_id
            await owner.call("device.pair.approve", {"requestId": request_id})
            assert (await events(owner, "device.pair.resolved"))["decision"] == "approved"
            async with attached(url, body(protocol), address=FAR, version=version) as let_in:  # type: ignore[arg-type]
                token = let_in.auth["deviceToken"]
                assert let_in.auth["scopes"] == ["operator.read", "operator.write"]
            alone = body(protocol, auth={"token": token})
            async with attached(url, alone, address=FAR, version=version) as by_token:  # type: ignore[arg-type]
                assert by_token.auth["role"] == "operator"
                device_id = (await owner.call("device.pair.list"))["paired"][0]["deviceId"]
                await owner.call("device.token.revoke", {"deviceId": device_id, "role": "operator"})
                assert await by_token.closed() == (4001, "device token revoked")
            async with attached(url, alone, address=FAR, version=version) as shut_out:  # type: ignore[arg-type]
                assert shut_out.error["message"].startswith("unauthorized: ")
    finally:
        assert await running.stop() == 0


@pytest.mark.parametrize("method", ["device.token.revoke", "device.token.rotate", "device.pair.remove"])
async def test_a_device_that_is_shut_out_hears_no_more_of_an_answer_that_it_asked_for(
    tmp_path: Path, method: str
) -> None:
    async with gateway(tmp_path, "fake/fake-n400-d50") as running, await running.connect() as owner:
        async with attached(running.ws_url, body()) as near:
            bearer = {"Authorization": f"Bearer {near.auth['deviceToken']}"}
        device_id = (await owner.call("device.pair.list"))["paired"][0]["deviceId"]
        said = {"model": "openclaw", "stream": True, "messages": [{"role": "user", "content": "go"}]}
        async with aiohttp.ClientSession(running.http_url, headers=bearer) as http:
            async with http.post("/v1/chat/completions", json=said) as stream:
                assert (await stream.content.readline()).startswith(b"data: ")
                role = {} if method.startswith("device.pair") else {"role": "operator"}
                await owner.call(method, {"deviceId": device_id, **role})
                async with asyncio.timeout(1):
                    with pytest.raises(aiohttp.ClientError):
                        await stream.content.read()
            async with http.get("/v1/models") as after:
                assert after.status == 401


async def test_more_scopes_and_another_role_of_a_far_device_wait_too(tmp_path: Path) -> None:
    port = configured(tmp_path)
    running = await (await GatewayProcess.start(tmp_path, port)).ready()
    try:
        async with await running.connect() as owner:
            for wanted, reason in (
                (body(), "not-paired"),
                (body(scopes=["operator.admin"]), "scope-upgrade"),
                (body(role="node", scopes=[]), "role-upgrade"),
                ({**body(), "client": {**body()["client"], "platform": "darwin"}}, "metadata-upgrade"),
            ):
                async with attached(running.ws_url, wanted, address=FAR) as refused:
                    details = refused.error["details"]
                    assert (details["code"], details["reason"]) == ("PAIRING_REQUIRED", reason)
                    _, close = await refused.closed()
                    assert details["requestId"][:8] in close
                await owner.call("device.pair.approve", {"requestId": details["requestId"]})
                async with attached(running.ws_url, wanted, address=FAR) as let_in:
                    assert let_in.auth["role"] == wanted.get("role", "operator")
            async with await running.connect(scopes=("operator.pairing",)) as helper:
                async with attached(running.ws_url, body(scopes=["operator.admin"]), by=key("b"), address=FAR) as far:
                    request_id = far.error["details"]["requestId"]
                with pytest.raises(RpcError, match=r"missing scope: operator\.admin"):
                    await helper.call("device.pair.approve", {"requestId": request_id})
                await helper.call("device.pair.reject", {"requestId": request_id})
    finally:
        assert await running.stop() == 0


async def test_pairings_outlive_a_restart_and_a_kill(tmp_path: Path) -> None:
    port = configured(tmp_path)
    running = await (await GatewayProcess.start(tmp_path, port)).ready()
    async with attached(running.ws_url, body()) as near:
        assert near.auth["method"] == "token"
        token = near.auth["deviceToken"]
    await running.kill()
    running = await (await GatewayProcess.start(tmp_path, port)).ready()
    try:
        async with attached(running.ws_url, body(auth={"deviceToken": token}), address=FAR) as far:
            assert far.auth["method"] == "device-token"
            async with await running.connect() as owner:
                (device,) = (await owner.call("device.pair.list"))["paired"]
                assert (device["connected"], device["approvedVia"]) == (True, "silent")
                await owner.call("device.pair.remove", {"deviceId": device["deviceId"]})
                assert await far.closed() == (4001, "device removed")
        async with attached(running.ws_url, body(auth={"deviceToken": token}), address=FAR) as gone:
            assert gone.error["details"]["code"] == "AUTH_DEVICE_TOKEN_MISMATCH"
    finally:
        assert await running.stop() == 0


async def test_a_setup_code_lets_one_far_device_in_with_both_its_roles(tmp_path: Path) -> None:
    port = configured(tmp_path)
    running = await (await GatewayProcess.start(tmp_path, port)).ready()
    try:
        async with await running.connect() as owner:
            made = await owner.call("device.pair.setupCode", {"publicUrl": "wss://gw.example"})
            code = made["setupCode"]
            secret = json.loads(decode_base64url(code, len(code) * 3 // 4) or b"")["bootstrapToken"]
            phone = body(auth={"bootstrapToken": secret}, role="node", scopes=[])
            async with attached(running.ws_url, phone, address=FAR) as first:
                auth = first.auth
                assert (auth["method"], auth["role"], auth["scopes"]) == ("bootstrap-token", "node", [])
                assert {one["role"] for one in auth["deviceTokens"]} == {"node", "operator"}
            done = await events(owner, "device.pair.setup.completed")
            assert (done["setupId"], done["access"], done["deviceName"]) == (made["setupId"], "full", "laptop")
            async with attached(running.ws_url, phone, by=key("thief"), address=FAR) as second:
                assert second.error["details"]["code"] == "AUTH_BOOTSTRAP_TOKEN_INVALID"
            operator = next(one for one in auth["deviceTokens"] if one["role"] == "operator")
            later = body(auth={"deviceToken": operator["deviceToken"]}, scopes=["operator.admin"])
            async with attached(running.ws_url, later, address=FAR) as again:
                assert again.auth["scopes"] == ["operator.admin"]
    finally:
        assert await running.stop() == 0


async def test_another_shared_token_closes_who_came_by_the_old_and_leaves_devices_alone(tmp_path: Path) -> None:
    port = configured(tmp_path)
    running = await (await GatewayProcess.start(tmp_path, port)).ready()
    other = "another-token-another-token-another-token"
    try:
        async with attached(running.ws_url, body()) as shared:
            own = body(auth={"deviceToken": shared.auth["deviceToken"]})
            async with attached(running.ws_url, own, address=FAR) as device:
                assert device.auth["method"] == "device-token"
                configured(tmp_path, other, port)
                assert await shared.closed() == (4001, "gateway auth changed")
                await device.socket.send(json.dumps({"type": "req", "id": "h", "method": "health", "params": {}}))
                while (frame := json.loads(await device.socket.recv())).get("id") != "h":
                    pass
                assert frame["ok"]
        async with attached(running.ws_url, body()) as stale:
            assert stale.error["details"]["recommendedNextStep"] == "retry_with_device_token"
        async with await GatewayClient.connect(running.ws_url, token=other) as fresh:
            assert await fresh.call("health")
    finally:
        assert await running.stop() == 0


async def test_a_node_with_a_device_is_let_in_without_scopes(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        client = {**body()["client"], "id": "node-host", "mode": "node"}
        async with attached(running.ws_url, body(client=client, role="node", scopes=[], commands=["x"])) as node:
            assert (node.auth["role"], node.auth["scopes"]) == ("node", [])
            assert node.auth["deviceToken"]
