"""Widenings and proposals on a gateway that is a process: obeyed at once, ended though it was killed in between."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from openclaw.base.clock import SYSTEM_CLOCK, ManualClock, boot_id
from openclaw.client.ws import GatewayClient
from openclaw.policy.ledger import Ledger
from openclaw.policy.widenings import Widenings
from openclaw.store.sqlite import SqliteStore
from tests.gateway.process import GatewayProcess, free_port, write_config

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

WIDEN = {"door": "egress", "ticket": "CHG-1", "why": "a test"}
HOUR_MS = 3_600_000


async def said(line: GatewayClient, message: str) -> str:
    """Return what a turn answers."""
    run = await line.call("agent", {"message": message, "idempotencyKey": message})
    await line.call("agent.wait", {"runId": run["runId"], "timeoutMs": 10_000}, 15)
    history = await line.call("chat.history", {"sessionKey": "main"})
    return str(history["messages"][-1])


async def test_a_widening_ends_on_time_though_the_gateway_was_killed(tmp_path: Path) -> None:
    port = free_port()
    write_config(tmp_path, port)
    running = await (await GatewayProcess.start(tmp_path, port)).ready()
    async with await running.connect() as line:
        assert "There is no tool" in await said(line, '/tool web_fetch {"url": "http://a.invalid.example/"}')
        long = await line.call("policy.widen", {**WIDEN, "value": "a.invalid.example", "forMs": HOUR_MS})
        short = await line.call("policy.widen", {**WIDEN, "value": "b.invalid.example", "forMs": 1000})
        assert "cannot be resolved" in await said(line, '/tool web_fetch {"url": "http://a.invalid.example/x"}')
        assert "egress.unlisted" in await said(line, '/tool web_fetch {"url": "http://c.invalid.example/"}')
    await running.kill()

    running = await (await GatewayProcess.start(tmp_path, port)).ready()
    try:
        async with await running.connect() as line, asyncio.timeout(10):
            while ("policy.time", "b.invalid.example") not in await policy_rows(line):  # noqa: ASYNC110  # another process
                await asyncio.sleep(0.05)
            assert SYSTEM_CLOCK.now_ms() >= short["widening"]["endsAtMs"]
            found = (await line.call("policy.widenings"))["widenings"]
            assert [each["id"] for each in found] == [long["widening"]["id"]]
    finally:
        await running.kill()

    ends_ms = long["widening"]["endsAtMs"]
    assert await open_at(tmp_path, ends_ms - 1, boot="another")
    assert not await open_at(tmp_path, ends_ms, boot="another")


async def policy_rows(line: GatewayClient) -> list[tuple[str, str]]:
    """Return rule and target of what the ledger says of the policy."""
    rows = (await line.call("audit.query", {"kinds": ["policy"]}))["rows"]
    return [(row["rule"], row.get("target", "")) for row in rows]


async def open_at(folder: Path, now_ms: int, boot: str) -> bool:
    """Say whether anything is open for a gateway that starts over this store at that time."""
    clock = ManualClock(now_ms)
    store = await SqliteStore.open(folder / "openclaw.db", clock=clock)
    desk = Widenings(store.shelf, Ledger(store.audit, clock), clock, folder, boot)
    await desk.open()
    try:
        return bool(desk.openings())
    finally:
        await desk.close()
        await store.close()


async def test_a_proposal_of_an_agent_outlives_a_kill_and_is_made_when_an_administrator_allows_it(
    tmp_path: Path,
) -> None:
    port = free_port()
    path = write_config(tmp_path, port)
    before = path.read_text()
    running = await (await GatewayProcess.start(tmp_path, port)).ready()
    async with await running.connect() as line:
        call = '/tool propose_config {"patch": {"identity": {"name": "Eve"}}, "why": "a nicer name"}'
        assert "waits for an administrator" in await said(line, call)
        (row,) = await line.call("plugin.approval.list", {})
    await running.kill()
    assert path.read_text() == before

    running = await (await GatewayProcess.start(tmp_path, port)).ready()
    try:
        async with await running.connect() as line:
            assert [each["id"] for each in await line.call("plugin.approval.list", {})] == [row["id"]]
            await line.call("plugin.approval.resolve", {"id": row["id"], "decision": "allow-once"})
            async with asyncio.timeout(10):
                async for event in line.events():
                    if event.name == "config.changed":
                        break
            name: Any = (await line.call("config.get"))["resolved"]["identity"]["name"]
            assert name == "Eve"
    finally:
        await running.stop()


def test_the_machine_names_its_start() -> None:
    assert boot_id() == boot_id() != ""
