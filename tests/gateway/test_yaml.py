"""A gateway on a YAML file: the short form is served, and a switched provider is taken up while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from openclaw.base.ids import new_id
from openclaw.client.ws import GatewayClient
from tests.gateway.process import TOKEN, GatewayProcess, free_port
from tests.gateway.test_run import until

pytestmark = pytest.mark.anyio

TEXT = f"""\
server: {{ host: 127.0.0.1, port: %d }}
agent: {{ name: Front Desk }}
gateway: {{ auth: {{ token: {TOKEN} }} }}
llm_provider: fake
"""


async def model_of_a_turn(client: GatewayClient) -> str:
    key = new_id()
    await client.call("chat.send", {"sessionKey": "s", "message": "x", "idempotencyKey": key})
    await client.call("agent.wait", {"runId": key, "timeoutMs": 5000})
    rows = (await client.call("chat.history", {"sessionKey": "s"}))["messages"]
    return str(rows[-1].get("model"))


async def test_the_short_form_is_served_and_a_switched_model_is_taken_up(tmp_path: Path) -> None:
    port, path = free_port(), tmp_path / "config.yaml"
    path.write_text(TEXT % port)
    running = await GatewayProcess.start(tmp_path, port, "--config", str(path))
    try:
        await running.ready()
        async with await running.connect() as client:
            agents: dict[str, Any] = await client.call("agents.list", {})
            assert [agent["id"] for agent in agents["agents"]] == ["front-desk"]
            assert await model_of_a_turn(client) == "echo"
            shown = await client.call("config.get", {})
            assert (shown["raw"], shown["valid"]) == ("", True)
            assert TOKEN not in str(shown)
            path.write_text((TEXT % port).replace("llm_provider: fake", "llm: { provider: fake, model: fake-n3 }"))

            async def changed() -> bool:
                return await model_of_a_turn(client) == "fake-n3"

            async def refused() -> bool:
                return "config_not_reloaded" in (tmp_path / "logs" / "openclaw.log").read_text()

            await until(changed)
            path.write_text("server: [")
            await until(refused)
            assert await changed()
            assert (tmp_path / "snapshots" / "last-good.yaml").exists()
    finally:
        await running.stop()
