"""The field's client library as a node host: it attaches, is approved, and carries out what it is asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from tests.gateway.process import TOKEN, GatewayProcess, free_port, write_config
from tests.npm.client import Driver, Refused
from tests.npm.test_devices import admin

pytestmark = pytest.mark.anyio

NODE = {
    "role": "node",
    "mode": "node",
    "clientName": "node-host",
    "scopes": [],
    "caps": ["system"],
    "commands": ["demo.echo"],
    "platform": "linux",
    "deviceFamily": "Linux",
}


@pytest.fixture(scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory, anyio_backend: object) -> AsyncIterator[GatewayProcess]:
    """A gateway that lets nodes carry out one command."""
    folder, port = tmp_path_factory.mktemp("nodes") / "state", free_port()
    nodes = {"commands": {"allow": ["demo.echo"]}}
    write_config(folder, port, gateway={"port": port, "auth": {"token": TOKEN}, "nodes": nodes})
    running = await (await GatewayProcess.start(folder, port)).ready()
    yield running
    assert await running.stop() == 0


async def test_a_node_host_is_approved_and_does_what_it_is_asked(driver: Driver, served: GatewayProcess) -> None:
    desk = await admin(driver, served)
    node_id = (await driver.do("device", name="node"))["deviceId"]
    node = await driver.open(served.ws_url, device="node", token=TOKEN, **NODE)
    hello = await node.hello()
    assert (hello["protocol"], hello["auth"]["role"]) == (4, "node")
    with pytest.raises(Refused, match="unauthorized role: node"):
        await node.request("health")
    pending = (await desk.request("node.pair.list"))["pending"]
    (request_id,) = [row["requestId"] for row in pending if row["nodeId"] == node_id]
    await desk.request("node.pair.approve", {"requestId": request_id})
    (row,) = [row for row in (await desk.request("node.list"))["nodes"] if row["nodeId"] == node_id]
    assert (row["connected"], row["commands"]) == (True, ["demo.echo"])
    ask = {"nodeId": node_id, "command": "demo.echo", "params": {"a": [1]}, "idempotencyKey": "now"}
    asked = asyncio.ensure_future(desk.request("node.invoke", ask))
    wanted = await node.event("node.invoke.request", command="demo.echo")
    assert json.loads(wanted["paramsJSON"]) == {"a": [1]}
    result = {"id": wanted["id"], "nodeId": node_id, "ok": True, "payloadJSON": wanted["paramsJSON"]}
    await node.request("node.invoke.result", result)
    assert (await asked)["payload"] == {"a": [1]}
    await node.stop()
    with pytest.raises(Refused, match="node not connected"):
        await desk.request("node.invoke", {**ask, "idempotencyKey": "late"})
    await desk.stop()
