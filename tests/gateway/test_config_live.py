"""A configuration that is changed over RPC while the gateway runs."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from openclaw.client.errors import RpcError
from openclaw.client.ws import GatewayClient
from openclaw.gateway.run import EXIT_RESTART
from tests.gateway.process import TOKEN, GatewayProcess, free_port, write_config

pytestmark = pytest.mark.anyio


async def _model_of_a_turn(client: GatewayClient, agent: str, key: str) -> str:
    params = {"message": "x", "agentId": agent, "idempotencyKey": key}
    await client.call("agent", params)
    done = await client.call("agent.wait", {"runId": key, "timeoutMs": 10_000})
    assert done["status"] == "ok", done
    history = await client.call("chat.history", {"sessionKey": f"agent:{agent}:main"})
    return str(history["messages"][-1]["model"])


async def _refusal(client: GatewayClient, method: str, params: dict[str, Any]) -> str:
    with pytest.raises(RpcError) as caught:
        await client.call(method, params)
    return str(caught.value)


async def test_a_change_is_in_force_when_it_is_answered(tmp_path: Path) -> None:
    port = free_port()
    path = write_config(tmp_path, port)
    running = await GatewayProcess.start(tmp_path, port, env={"OPENCLAW_SUPERVISED": "1"})
    try:
        await running.ready()
        async with await running.connect() as client:
            shown = await client.call("config.get")
            patch = {"raw": '{agents: {defaults: {model: "fake/fake-n3"}}}', "baseHash": shown["hash"]}
            done = await client.call("config.patch", patch)
            assert done["reload"]["status"] == "applied"
            assert await _model_of_a_turn(client, "main", "k1") == "fake-n3"
            assert "config changed since" in await _refusal(client, "config.patch", patch)
            exposed = {"raw": "{gateway: {bind: 'lan', auth: {mode: 'none'}}}", "baseHash": done["hash"]}
            assert "would listen beyond this machine" in await _refusal(client, "config.patch", exposed)

            created = await client.call("agents.create", {"name": "Bob", "model": "fake/echo"})
            assert created["workspace"] == str(tmp_path / "workspace-bob")
            assert await _model_of_a_turn(client, "bob", "k2") == "echo"
            await client.call("agents.delete", {"agentId": "bob"})
            assert "bob" in await _refusal(client, "agent", {"message": "x", "agentId": "bob", "idempotencyKey": "k3"})

            (tmp_path / ".env").write_text("ANTHROPIC_API_KEY=sk-ant-0123456789\n")
            assert await client.call("secrets.reload") == {"ok": True, "warningCount": 0}
            status = await client.call("models.authStatus")
            assert {row["provider"]: row.get("apiKey") for row in status["providers"]} == {
                "anthropic": {"source": "env"}
            }
            assert "sk-ant" not in json.dumps(status)

            assert (await client.call("gateway.restart.preflight"))["safe"] is True
            assert (await client.call("gateway.restart.request"))["status"] == "scheduled"
        async with asyncio.timeout(20):
            assert await running.process.wait() == EXIT_RESTART
    finally:
        await running.stop()
    assert json.loads(path.read_text())["gateway"]["auth"]["token"] == TOKEN
    assert TOKEN not in (tmp_path / "logs" / "openclaw.log").read_text()


async def test_a_gateway_that_nobody_would_start_again_does_not_stop(tmp_path: Path) -> None:
    port = free_port()
    write_config(tmp_path, port)
    running = await GatewayProcess.start(tmp_path, port)
    try:
        await running.ready()
        async with await running.connect() as client:
            assert "nobody would start this gateway again" in await _refusal(client, "gateway.restart.request", {})
            assert (await client.call("health"))["ok"] is True
    finally:
        await running.stop()
