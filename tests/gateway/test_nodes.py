"""Nodes on the whole program: a host with a device attaches over a socket, is approved, and does what it is asked."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from openclaw.client.errors import RpcError
from openclaw.client.ws import GatewayClient
from openclaw.protocol.device_auth import DeviceKey
from tests.stand_ins.node_host import NodeHost, answering, attach, echo, silent

from .process import TOKEN, GatewayProcess, free_port, write_config

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
COMMANDS = {"demo.echo": echo, "system.which": answering(payload={"bins": {}}), "demo.silent": silent}


async def started(folder: Path, port: int) -> GatewayProcess:
    allow = {"commands": {"allow": ["demo.echo", "demo.silent"]}}
    write_config(folder, port, gateway={"port": port, "auth": {"token": TOKEN}, "nodes": allow})
    return await (await GatewayProcess.start(folder, port)).ready()


async def approve(operator: GatewayClient, host: NodeHost) -> None:
    pending = (await operator.call("node.pair.list"))["pending"]
    (request,) = [row for row in pending if row["nodeId"] == host.node_id]
    await operator.call("node.pair.approve", {"requestId": request["requestId"]})


async def invoke(operator: GatewayClient, host: NodeHost, command: str, key: str, **more: Any) -> dict[str, Any]:
    params = {"nodeId": host.node_id, "command": command, "idempotencyKey": key, **more}
    return dict(await operator.call("node.invoke", params))


async def refused(operator: GatewayClient, host: NodeHost, command: str, key: str, **more: Any) -> str:
    with pytest.raises(RpcError) as caught:
        await invoke(operator, host, command, key, **more)
    return str(caught.value.details.get("code") or caught.value.details.get("reason"))


@pytest.mark.parametrize("protocol", [3, 4])
async def test_a_host_attaches_is_approved_and_carries_out_commands(tmp_path: Path, protocol: int) -> None:
    running = await started(tmp_path / "state", free_port())
    operator = await running.connect(min_protocol=protocol, max_protocol=protocol)
    async with operator, attach(running.ws_url, TOKEN, COMMANDS, protocol=protocol, key=DeviceKey.new()) as host:
        assert host.hello["auth"]["scopes"] == []
        assert (await host.call("health"))["error"]["message"] == "unauthorized role: node"
        await refused(operator, host, "demo.echo", "early")
        await approve(operator, host)
        assert (await host.told("node.pair.resolved"))["payload"]["decision"] == "approved"
        answer = await invoke(operator, host, "demo.echo", "k1", params={"a": [1]})
        assert answer["payload"] == {"a": [1]}
        assert (await invoke(operator, host, "demo.echo", "k1", params={"a": [1]})) == answer
        assert len(host.requests) == 1
        assert (await invoke(operator, host, "system.which", "k2"))["payload"] == {"bins": {}}
        assert await refused(operator, host, "demo.silent", "k3", timeoutMs=50) == "TIMEOUT"
        if protocol == 4:
            cancelled = (await host.told("node.invoke.cancel"))["payload"]
            assert cancelled == {"invokeId": host.requests[-1]["id"], "nodeId": host.node_id}
        waiting = asyncio.ensure_future(refused(operator, host, "demo.silent", "k4"))
        while len(host.requests) < 4:  # noqa: ASYNC110  # a request on its way through another process
            await asyncio.sleep(0.01)
        await host.close()
        assert await waiting == "DISCONNECTED"
        assert await refused(operator, host, "demo.echo", "k5") == "NOT_CONNECTED"
    assert await running.stop() == 0


async def test_a_caller_that_goes_calls_its_command_off(tmp_path: Path) -> None:
    running = await started(tmp_path / "state", free_port())
    async with attach(running.ws_url, TOKEN, COMMANDS, key=DeviceKey.new()) as host:
        async with await running.connect() as operator:
            await approve(operator, host)
        caller = await running.connect()
        waiting = asyncio.ensure_future(refused(caller, host, "demo.silent", "k1"))
        await host.told("node.invoke.request")
        await caller.close()
        assert (await host.told("node.invoke.cancel"))["payload"]["invokeId"] == host.requests[0]["id"]
        await asyncio.gather(waiting, return_exceptions=True)
    assert await running.stop() == 0


async def test_a_restart_keeps_what_was_approved_and_removing_the_node_ends_it(tmp_path: Path) -> None:
    folder, port, key = tmp_path / "state", free_port(), DeviceKey.new()
    running = await started(folder, port)
    async with await running.connect() as operator, attach(running.ws_url, TOKEN, COMMANDS, key=key) as host:
        await approve(operator, host)
        token = host.hello["auth"]["deviceToken"]
    await running.kill()
    running = await started(folder, port)
    async with await running.connect() as operator:
        async with attach(running.ws_url, TOKEN, COMMANDS, key=key, auth={"deviceToken": token}) as host:
            assert (await invoke(operator, host, "demo.echo", "k1", params=1))["payload"] == 1
            removed = await operator.call("node.pair.remove", {"nodeId": host.node_id})
            assert removed == {"nodeId": host.node_id}
            assert await host.ended() == (4001, "node removed")
        async with attach(running.ws_url, TOKEN, COMMANDS, key=key, auth={"deviceToken": token}) as host:
            assert await refused(operator, host, "demo.echo", "k2") == "command not approved"
    assert await running.stop() == 0


async def test_a_device_that_was_removed_and_comes_again_must_be_approved_again(tmp_path: Path) -> None:
    running, key = await started(tmp_path / "state", free_port()), DeviceKey.new()
    async with await running.connect() as operator:
        async with attach(running.ws_url, TOKEN, COMMANDS, key=key) as host:
            await approve(operator, host)
            assert (await invoke(operator, host, "demo.echo", "k1", params=1))["payload"] == 1
            await operator.call("device.pair.remove", {"deviceId": host.node_id})
            assert (await host.ended())[0] == 4001
        async with attach(running.ws_url, TOKEN, COMMANDS, key=key) as host:
            assert await refused(operator, host, "demo.echo", "k2") == "command not approved"
            (row,) = (await operator.call("node.list"))["nodes"]
            assert row["approvalState"] == "pending-approval"
    assert await running.stop() == 0
