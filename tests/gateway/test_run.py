"""The whole program as a process: starts, answers at every door, reloads, refuses, drains."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from openclaw.base.ids import new_id
from openclaw.client.ws import GatewayClient

from .process import TOKEN, GatewayProcess, free_port, gateway, write_config

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


def files_under(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def until(condition: Callable[[], Awaitable[bool]], timeout_s: float = 10.0) -> None:
    """Poll a real process until the condition holds."""
    async with asyncio.timeout(timeout_s):
        while not await condition():  # noqa: ASYNC110  # another process's state has no event to wait for
            await asyncio.sleep(0.05)


async def final_text(client: GatewayClient, run_id: str) -> str:
    async with asyncio.timeout(10):
        async for event in client.events():
            payload = event.payload
            if event.name == "chat" and payload.get("runId") == run_id and payload.get("state") == "final":
                return str(payload["message"]["content"][0]["text"])
    raise AssertionError("the stream of events ended")


@pytest.mark.parametrize("protocol", [3, 4])
async def test_a_raw_client_of_either_protocol_gets_its_answer(tmp_path: Path, protocol: int) -> None:
    async with gateway(tmp_path) as running:
        client = await running.connect(min_protocol=protocol, max_protocol=protocol)
        async with client:
            assert client.hello["protocol"] == protocol
            answer = await client.call("chat.send", {"sessionKey": "main", "message": "hello", "idempotencyKey": "k1"})
            assert answer["runId"] == "k1"
            assert "hello" in await final_text(client, "k1")
            history = await client.call("chat.history", {"sessionKey": "main"})
            assert [row["role"] for row in history["messages"]] == ["user", "assistant"]


async def test_two_clients_on_one_session_run_strictly_one_at_a_time_in_order(tmp_path: Path) -> None:
    async with gateway(tmp_path, "fake/fake-n5-d5") as running:
        one, two = await running.connect(), await running.connect()
        async with one, two:
            keys = [f"r{number}" for number in range(8)]
            for number, key in enumerate(keys):
                client = (one, two)[number % 2]
                await client.call("chat.send", {"sessionKey": "main", "message": key, "idempotencyKey": key})
            waits = [await one.call("agent.wait", {"runId": key, "timeoutMs": 15_000}) for key in keys]
            assert [wait["status"] for wait in waits] == ["ok"] * 8
            for before, after in itertools.pairwise(waits):
                assert before["endedAt"] <= after["startedAt"]
            history = await one.call("chat.history", {"sessionKey": "main"})
            said = [row for row in history["messages"] if row["role"] == "user"]
            assert [
                row["content"][0]["text"] if isinstance(row["content"], list) else row["content"] for row in said
            ] == keys


async def test_an_abort_stops_the_stream_within_a_third_of_a_second(tmp_path: Path) -> None:
    async with gateway(tmp_path, "fake/fake-n2000-d10") as running:
        client = await running.connect()
        async with client:
            await client.call("chat.send", {"sessionKey": "main", "message": "go", "idempotencyKey": "slow"})
            async with asyncio.timeout(10):
                async for event in client.events():
                    if event.name == "chat" and event.payload.get("state") == "delta":
                        break
            answer = await client.call("chat.abort", {"sessionKey": "main"})
            assert answer["aborted"] is True
            async with asyncio.timeout(0.33):
                async for event in client.events():
                    if event.name == "chat" and event.payload.get("state") == "aborted":
                        break


async def test_sigterm_drains_and_leaves_no_lock(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        assert await running.stop() == 0
        again = await GatewayProcess.start(tmp_path, running.port)
        await again.ready()
        assert await again.stop() == 0


async def test_a_second_gateway_on_the_same_state_is_refused_with_the_reason(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        second = await GatewayProcess.start(tmp_path, running.port, "--port", str(free_port()))
        assert await second.process.wait() == 78
        assert str(running.process.pid) in running.output()


async def test_a_port_in_use_names_the_process_that_has_it(tmp_path: Path) -> None:
    async with gateway(tmp_path / "a") as running:
        write_config(tmp_path / "b", running.port)
        second = await GatewayProcess.start(tmp_path / "b", running.port)
        assert await second.process.wait() == 78
        assert str(running.process.pid) in second.output()


async def test_a_config_with_problems_comes_up_and_names_each_with_its_line(tmp_path: Path) -> None:
    port = free_port()
    text = f"""{{
  gateway: {{ port: {port}, auth: {{ token: "{TOKEN}" }}, bogusKey: 1 }},
  agents: {{ defaults: {{ model: "fake/echo" }} }},
  channels: {{ telegram: "yes", discord: {{}} }},
  models: {{ providers: {{ broken: {{ baseUrl: "http://x", apiKey: "${{NOT_SET_ANYWHERE}}" }} }} }},
}}"""
    (tmp_path / "openclaw.json").write_text(text)
    running = await GatewayProcess.start(tmp_path, port)
    try:
        await running.ready()
        lines = [json.loads(line) for line in (tmp_path / "logs" / "openclaw.log").read_text().splitlines()]
        issues = {line["path"]: line["line"] for line in lines if line["event"] == "config_issue"}
        assert issues["gateway.bogusKey"] == 2
        assert issues["channels.telegram"] == 4
        assert any(path.startswith("models.providers.broken") and line == 5 for path, line in issues.items())
        client = await running.connect()
        async with client:
            assert (await client.call("health"))["ok"] is True
            await client.call("chat.send", {"sessionKey": "main", "message": "still here", "idempotencyKey": "k"})
            assert "still here" in await final_text(client, "k")
    finally:
        await running.stop()


async def test_a_gateway_whose_file_is_broken_comes_up_on_the_last_good_one_and_says_so(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        port = running.port
    (tmp_path / "openclaw.json").write_text("{ not json")
    again = await GatewayProcess.start(tmp_path, port)
    try:
        await again.ready()
        lines = [json.loads(line) for line in (tmp_path / "logs" / "openclaw.log").read_text().splitlines()]
        (told,) = [line for line in lines if line["event"] == "config_last_good_used"]
        assert (told["level"], told["path"]) == ("error", str(tmp_path / "openclaw.json"))
    finally:
        await again.stop()


async def test_a_changed_model_is_taken_up_without_a_restart_and_a_broken_file_is_not(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        client = await running.connect()
        async with client:

            async def model() -> str:
                key = new_id()
                await client.call("chat.send", {"sessionKey": "s", "message": "x", "idempotencyKey": key})
                await client.call("agent.wait", {"runId": key, "timeoutMs": 5000})
                rows = (await client.call("chat.history", {"sessionKey": "s"}))["messages"]
                return str(rows[-1].get("model"))

            async def changed() -> bool:
                return await model() == "fake-n3"

            async def refused() -> bool:
                return "config_not_reloaded" in (tmp_path / "logs" / "openclaw.log").read_text()

            assert await model() == "echo"
            write_config(tmp_path, running.port, "fake/fake-n3")
            await until(changed)
            (tmp_path / "openclaw.json").write_text("{ not json")
            await until(refused)
            assert await changed()


async def test_no_secret_is_in_any_file_or_output(tmp_path: Path) -> None:
    canary = "canary-0123456789-canary-0123456789"
    providers = {
        "p": {
            "api": "openai-completions",
            "baseUrl": "http://127.0.0.1:9/v1",
            "apiKey": canary,
            "models": [{"id": "m"}],
        }
    }
    async with gateway(tmp_path, "p/m", models={"providers": providers}) as running:
        client = await running.connect()
        async with client:
            await client.call("chat.send", {"sessionKey": "main", "message": "x", "idempotencyKey": "k"})
            await client.call("agent.wait", {"runId": "k", "timeoutMs": 10_000})
            assert canary not in json.dumps(await client.call("config.get"))
    for path in files_under(tmp_path):
        if path.name != "openclaw.json" and "snapshots" not in path.parts:
            assert canary.encode() not in path.read_bytes(), path
            assert TOKEN.encode() not in path.read_bytes(), path
