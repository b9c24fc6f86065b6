"""A configuration that is changed over RPC while the gateway runs."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from openclaw.base.errors import OpenClawError
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


async def _until(running: GatewayProcess, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Ask for config.get, of whichever gateway answers, until it says what is wanted."""
    async with asyncio.timeout(20):
        while True:
            try:
                async with await running.connect() as client:
                    while True:
                        told: dict[str, Any] = await client.call("config.get")
                        if wanted(told):
                            return told
                        await asyncio.sleep(0.02)
            except OpenClawError:
                await asyncio.sleep(0.05)  # it is between two lives


async def test_what_needs_a_restart_is_named_everywhere_and_applied_by_one(tmp_path: Path) -> None:
    port, other = free_port(), free_port()
    path = write_config(tmp_path, port)
    running = await GatewayProcess.start(tmp_path, port)
    try:
        await running.ready()
        config = json.loads(path.read_text())
        config["gateway"] |= {"port": other, "reload": {"debounceMs": 50}}
        renamed = path.with_name("new.json")
        renamed.write_text(json.dumps(config))
        renamed.replace(path)
        told = await _until(running, lambda told: told["restartRequired"] == ["gateway.port"])
        assert (told["runtimeConfig"]["gateway"]["port"], told["resolved"]["gateway"]["port"]) == (port, other)
        assert told["runtimeConfig"]["gateway"]["reload"]["debounceMs"] == 50
        async with await running.connect() as client:
            reloading = (await client.call("status"))["configReload"]
            assert reloading == {"mode": "hybrid", "restartRequired": ["gateway.port"], "problem": ""}
        body = await _health(running)
        assert (body["restartRequired"], body.get("reloadProblem")) == (["gateway.port"], None)
        path.write_text("{ half")
        told = await _until(running, lambda told: told["reloadProblem"] != "")
        assert "not closed" in told["reloadProblem"]
        assert "not closed" in (await _health(running))["reloadProblem"]
        path.write_text(json.dumps(config))
        await _until(running, lambda told: told["reloadProblem"] == "")

        running.process.send_signal(signal.SIGUSR1)
        running.ws_url, running.http_url = f"ws://127.0.0.1:{other}", f"http://127.0.0.1:{other}"
        told = await _until(running, lambda told: bool(told["runtimeConfig"]["gateway"]["port"] == other))
        assert told["restartRequired"] == []
        assert running.process.returncode is None
    finally:
        await running.stop()


async def test_in_mode_restart_a_change_starts_the_gateway_again_and_off_waits_for_a_signal(tmp_path: Path) -> None:
    port = free_port()
    path = write_config(tmp_path, port)
    running = await GatewayProcess.start(tmp_path, port)

    def named(name: str) -> Callable[[dict[str, Any]], bool]:
        return lambda told: bool(told["runtimeConfig"]["identity"]["name"] == name)

    async def patch(client: GatewayClient, raw: str) -> dict[str, Any]:
        base = (await client.call("config.get"))["hash"]
        done: dict[str, Any] = await client.call("config.patch", {"raw": raw, "baseHash": base})
        reloading: dict[str, Any] = done["reload"]
        return reloading

    try:
        await running.ready()
        async with await running.connect() as client:
            assert (await patch(client, "{gateway: {reload: {mode: 'restart'}}}"))["status"] == "applied"
            done = await patch(client, "{identity: {name: 'Again'}, gateway: {reload: {mode: 'off'}}}")
            assert done == {
                "status": "restart-required",
                "applied": [],
                "restartRequired": ["identity.name", "gateway.reload.mode"],
            }
        await _until(running, named("Again"))
        assert running.output().count("gateway_ready") == 2
        async with await running.connect() as client:
            assert (await patch(client, "{identity: {name: 'Later'}}"))["status"] == "off"
            assert named("Again")(await client.call("config.get"))
        running.process.send_signal(signal.SIGHUP)
        await _until(running, named("Later"))
        path.unlink()
        running.process.send_signal(signal.SIGHUP)
        told = await _until(running, lambda told: told["reloadProblem"] != "")
        assert "is gone" in told["reloadProblem"]
        assert named("Later")(told)
    finally:
        await running.stop()


async def _health(running: GatewayProcess) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with aiohttp.ClientSession(headers=headers) as http, http.get(f"{running.http_url}/health") as answer:
        body: dict[str, Any] = await answer.json()
    return body
