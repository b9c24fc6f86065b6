"""Egress of a real gateway: what the configuration names is let out and written down, the rest is not reached."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from openclaw.client.errors import RpcError
from openclaw.client.ws import GatewayClient
from openclaw.net.http import HttpClient
from openclaw.net.target import target
from openclaw.store.audit import Row, Wanted, in_file, query
from tests.gateway.process import TOKEN, GatewayProcess, free_port, gateway, write_config
from tests.net.test_egress import Canary
from tests.net.test_onward import Proxy
from tests.stand_ins.openai import OpenAIStandIn

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


def provider(url: str) -> dict[str, Any]:
    return {"api": "openai-completions", "baseUrl": url, "apiKey": "k", "models": [{"id": "m"}]}


async def ask(line: GatewayClient, agent: str, key: str) -> str:
    """Return the status of a turn, or what it failed with."""
    try:
        answer = await line.call("agent", {"message": "hi", "agentId": agent, "idempotencyKey": key}, final=True)
    except RpcError as error:
        return f"{error.code} {error}"
    return str(answer["status"])


def rows(folder: Path) -> list[Row]:
    """Return what the ledger holds of egress."""
    (db,) = folder.rglob("*.db")
    found: list[Row] = in_file(db, lambda it: query(it, Wanted(kinds=("egress",))))
    return found


async def test_a_models_host_is_written_down_once_and_a_class_list_closes_it_at_once(tmp_path: Path) -> None:
    async with OpenAIStandIn() as server, Canary() as canary:
        sections: dict[str, Any] = {
            "models": {
                "providers": {
                    "good": provider(server.base_url),
                    "meta": provider(f"http://metadata.localhost:{canary.port}/v1"),
                }
            },
            "agents": {"list": [{"id": "good", "model": "good/m"}, {"id": "meta", "model": "meta/m"}]},
        }
        async with gateway(tmp_path, **sections) as running, await running.connect() as line:
            path = tmp_path / "openclaw.json"
            assert await ask(line, "good", "1") == "ok"
            assert await ask(line, "good", "2") == "ok"
            named = [row.entry for row in rows(tmp_path) if row.entry.rule == "egress.configured"]
            assert [(one.agent, one.facts) for one in named] == [("good", {"class": "inference", "configured": True})]
            assert (named[0].owner, bool(named[0].session), bool(named[0].run)) == ("operator", True, True)
            config = json.loads(path.read_text())
            config["networkPolicy"] = {"classes": {"inference": {"allow": ["api.example.com"]}}}
            path.write_text(json.dumps(config))
            async with asyncio.timeout(10):
                number = 0
                while "egress.unlisted" not in await ask(line, "good", f"again {number}"):
                    number += 1
            seen = len(server.requests)
            said = await ask(line, "meta", "3")
            assert "networkPolicy.classes.inference.allow" in said
            assert len(server.requests) == seen
            assert canary.connections == 0


async def invoked(running: GatewayProcess, tool: str, **arguments: Any) -> tuple[int, dict[str, Any]]:
    """Return status and body of a call at /tools/invoke."""
    body = json.dumps({"tool": tool, "args": arguments}).encode()
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    async with (
        HttpClient() as http,
        await http.stream(
            "POST", f"{running.http_url}/tools/invoke", headers=headers, body=body, purpose="local"
        ) as answer,
    ):
        return answer.status, json.loads(await answer.read_all(100_000))


async def test_an_operators_proxy_is_used_those_of_the_environment_are_not_and_a_refused_host_is_told(
    tmp_path: Path,
) -> None:
    async with OpenAIStandIn() as server, Canary() as canary, Proxy(target(server.base_url).port) as proxy:
        trap = f"http://127.0.0.1:{canary.port}"
        names = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy")
        port = free_port()
        write_config(
            tmp_path,
            port,
            "out/m",
            proxy={"proxyUrl": f"http://127.0.0.1:{proxy.port}", "lookup": "proxy", "authorization": "Basic eDp5"},
            models={"providers": {"out": provider("http://models.example/v1")}},
            networkPolicy={"egressAllowlist": ["wiki.example"]},
        )
        running = await GatewayProcess.start(tmp_path, port, env=dict.fromkeys(names, trap))
        try:
            await running.ready()
            async with await running.connect() as line:
                assert await ask(line, "main", "1") == "ok"
            assert set(proxy.asked) == {"models.example:80"}
            assert "Proxy-Authorization: Basic eDp5" in proxy.heads[0]
            assert "eDp5" not in running.output()
            await invoked(running, "web_fetch", url="http://wiki.example/x")
            assert proxy.asked[-1] == "wiki.example:80"
            asked = len(proxy.asked)
            status, body = await invoked(running, "web_fetch", url="http://evil.example/")
            assert (status, body["error"]["code"], body["error"]["rule"]) == (403, "POLICY_DENIED", "egress.unlisted")
            line_to_add = 'openclaw config set networkPolicy.egressAllowlist \'["wiki.example", "evil.example"]\''
            assert line_to_add in body["error"]["message"]
            status, body = await invoked(running, "web_fetch", url=f"{trap}/")
            assert (status, body["error"]["rule"]) == (403, "egress.address")
            status, body = await invoked(running, "web_fetch", url="http://u:s3cret@wiki.example/")
            assert (status, body["error"]["rule"]) == (403, "egress.url")
            assert [row.entry.target for row in rows(tmp_path) if row.entry.rule == "egress.url"] == ["(no address)"]
            assert (len(proxy.asked), canary.connections) == (asked, 0)
        finally:
            await running.stop()
