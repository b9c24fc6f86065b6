"""Egress of a real gateway: what the configuration names is let out and written down, the rest is not reached."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from openclaw.client.errors import RpcError
from openclaw.client.ws import GatewayClient
from openclaw.store.audit import Row, Wanted, in_file, query
from tests.gateway.process import gateway
from tests.net.test_egress import Canary
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
