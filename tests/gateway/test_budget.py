"""Budgets in a real gateway: the cap holds, and a kill in the middle of a call costs what was set aside."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import openai
import pytest

from openclaw.client.errors import RpcError
from openclaw.client.ws import GatewayClient
from tests.gateway.process import TOKEN, GatewayProcess, free_port, gateway, write_config
from tests.stand_ins.openai import OpenAIStandIn
from tests.stand_ins.server import Raw, Request

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

COST = {"input": 0, "output": 100}
"""At most 0.10 USD for the 1000 tokens that an answer may have."""
MODELS = {
    "providers": {
        "fake": {
            "api": "fake",
            "models": [
                {"id": "echo", "maxTokens": 1000, "cost": COST},
                {"id": "fake-l60000", "maxTokens": 1000, "cost": COST},
            ],
        }
    },
    "budgets": [{"usd": 0.25}, {"usd": 100, "scope": "principal", "window": "month"}],
}
AGENTS = [{"id": "quick", "model": "fake/echo"}, {"id": "slow", "model": "fake/fake-l60000"}]


async def ask(line: GatewayClient, run_id: str, agent: str = "quick") -> dict[str, Any] | RpcError:
    """Return the answer of a turn, or how it failed."""
    try:
        answer: dict[str, Any] = await line.call(
            "agent", {"message": "hello", "agentId": agent, "idempotencyKey": run_id}, final=True
        )
    except RpcError as error:
        return error
    return answer


async def budget(line: GatewayClient) -> dict[str, Any]:
    """Return the day's budget, as `usage.status` tells it."""
    status = await line.call("usage.status", {})
    found: dict[str, Any] = status["budgets"][0]
    return found


async def until_held(line: GatewayClient, usd: float) -> None:
    """Wait until a call of the slow model is under way."""
    async with asyncio.timeout(10):
        while (await budget(line))["held"] != usd:  # noqa: ASYNC110  # another process's state has no event
            await asyncio.sleep(0.02)


async def by_purpose(line: GatewayClient) -> dict[str, float]:
    """Return what calls cost by purpose."""
    told = await line.call("usage.totals", {"by": "purpose"})
    return {row["key"]: row["totalCost"] for row in told["rows"]}


async def test_kill_9_in_the_middle_of_a_call_costs_what_was_set_aside_and_the_cap_holds(tmp_path: Path) -> None:
    port = free_port()
    write_config(tmp_path, port, models=MODELS, agents={"list": AGENTS, "defaults": {"model": "fake/echo"}})
    first = await (await GatewayProcess.start(tmp_path, port)).ready()
    try:
        async with await first.connect() as line:
            assert isinstance(await ask(line, "r1"), dict)
            paid = (await budget(line))["spent"]
            assert 0 < paid < 0.01
            await line.call("agent", {"message": "wait", "agentId": "slow", "idempotencyKey": "r2"})
            await until_held(line, 0.1)
    finally:
        await first.kill()

    second = await (await GatewayProcess.start(tmp_path, port)).ready()
    try:
        async with await second.connect() as line:
            await until_held(line, 0.1)  # the run goes on, with money of its own
            assert (await budget(line))["spent"] == pytest.approx(paid + 0.1)
            assert (await by_purpose(line))["reconciled"] == 0.1
            refused = await ask(line, "r3")
            assert isinstance(refused, RpcError)
            assert "the day's budget is used up: the cap of $0.25 for total" in str(refused)
            assert "$0.10 is held" in str(refused)
            await line.call("chat.abort", {"sessionKey": "agent:slow:main"})
            await until_held(line, 0)
            assert isinstance(await ask(line, "r4"), dict)
            assert sum((await by_purpose(line)).values()) == pytest.approx((await budget(line))["spent"])
    finally:
        assert await second.stop() == 0


async def test_a_hundred_turns_at_once_never_pass_a_cap_by_a_cent(tmp_path: Path) -> None:
    cent = {"id": "fake-n90-b4", "maxTokens": 100, "cost": COST}
    models = {"providers": {"fake": {"api": "fake", "models": [cent]}}, "budgets": [{"usd": 0.07}]}
    async with gateway(tmp_path, "fake/fake-n90-b4", models=models) as running, await running.connect() as line:

        async def turn(number: int) -> str:
            """Return how it was refused, or nothing."""
            params = {"message": "hi", "sessionKey": f"s{number}", "idempotencyKey": f"r{number}"}
            try:
                await line.call("agent", params, final=True)
            except RpcError as error:
                return str(error)
            return ""

        refusals = list(filter(None, await asyncio.gather(*(turn(number) for number in range(100)))))
        assert 0 < len(refusals) < 100
        assert all("the day's budget is used up" in refusal for refusal in refusals)
        async with asyncio.timeout(10):
            notice = await anext(event async for event in line.events() if event.name == "usage.notice")
        assert (notice.payload["scope"], notice.payload["subject"], notice.payload["window"]) == ("total", "", "day")
        assert notice.payload["text"].startswith("Budget notice: ")
        told = await budget(line)
        assert 0 < told["spent"] <= 0.07
        assert told["held"] == 0
        totals = (await line.call("usage.cost", {"days": 1}))["totals"]
        assert totals["totalCost"] == pytest.approx(told["spent"])
        assert totals["missingCostEntries"] == 0


def vectors(request: Request) -> Raw:
    rows = [{"index": i, "embedding": [1.0]} for i in range(len(request.json["input"]))]
    return Raw((msgspec.json.encode({"data": rows, "usage": {"prompt_tokens": 10_000}}),))


async def test_embeddings_are_paid_for_until_the_cap_and_stand_in_the_ledger(tmp_path: Path) -> None:
    async with OpenAIStandIn(vectors) as upstream:
        entry = {"id": "embed", "cost": {"input": 1}}
        local = {"api": "openai-completions", "baseUrl": upstream.base_url, "apiKey": "sk-x", "models": [entry]}
        models = {"providers": {"local": local}, "budgets": [{"usd": 0.015}]}
        async with gateway(tmp_path, "fake/echo", models=models) as running, await running.connect() as line:
            url = f"http://127.0.0.1:{running.port}/v1"
            async with openai.AsyncOpenAI(api_key=TOKEN, base_url=url, max_retries=0, timeout=10) as sdk:
                await sdk.embeddings.create(model="local/embed", input=["a"])
                await sdk.embeddings.create(model="local/embed", input=["b"])
                with pytest.raises(openai.RateLimitError, match="budget"):
                    await sdk.embeddings.create(model="local/embed", input=["c"])
            assert len(upstream.requests) == 2
            assert await by_purpose(line) == {"embedding": pytest.approx(0.02)}
            assert (await budget(line))["spent"] == pytest.approx(0.02)
