"""Jobs and heartbeats of a real gateway: kill -9 at random moments, and a configuration that changes meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from openclaw.automation.book import CLAIM, RUN
from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.store.sqlite import SqliteStore

from .process import GatewayProcess, free_port, gateway, write_config

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

KILLS = int(os.environ.get("OPENCLAW_TEST_CRON_KILLS", "8"))
JOBS = 3
SLOW_MODEL = "fake/fake-d40"
ACTION = '''
from pathlib import Path
from openclaw import Context, action


@action(writes=True)
def act(context: Context) -> str:
    """Act once for each key, as a payment service does."""
    with Path("{file}").open("a") as tries:
        tries.write(context.idempotency_key + " " + context.session_key + "\\n")
    return "acted"
'''


async def test_kills_at_random_moments_never_run_a_time_twice_and_lose_none_that_was_claimed(tmp_path: Path) -> None:
    port, tries = free_port(), tmp_path / "tries"
    (tmp_path / "acting.py").write_text(ACTION.format(file=tries))
    actions = [{"name": "act", "module": "acting", "class": "act", "path": "."}]
    write_config(tmp_path, port, SLOW_MODEL, actions=actions, cron={"maxConcurrentRuns": JOBS})
    moment = random.Random(20261120)
    for number in range(KILLS):
        running = await GatewayProcess.start(tmp_path, port)
        try:
            await running.ready()
            if number == 0:
                await make_jobs(running)
            await asyncio.sleep(moment.uniform(0.2, 2.2))
        finally:
            await running.kill()
    running = await GatewayProcess.start(tmp_path, port)
    try:
        await running.ready()
        await switch_off_and_settle(running)
    finally:
        assert await running.stop() == 0
    await check_archive(tmp_path)
    done = {tuple(line.split()) for line in tries.read_text().splitlines()}
    assert len(done) == len({session for _, session in done}), "each run has one key for its call, whatever was killed"


async def make_jobs(running: GatewayProcess) -> None:
    async with await running.connect() as client:
        for number in range(JOBS):
            payload = {"kind": "agentTurn", "message": "/tool act {}\n/then\n/tool session_status {}"}
            schedule = {"kind": "every", "everyMs": 1_000}
            wish = {"name": f"job {number}", "schedule": schedule, "sessionTarget": "isolated", "payload": payload}
            await client.call("cron.add", wish)


async def switch_off_and_settle(running: GatewayProcess) -> None:
    async with await running.connect() as client:
        for job in (await client.call("cron.list", {"includeDisabled": True}))["jobs"]:
            await client.call("cron.update", {"id": job["id"], "patch": {"enabled": False}})
        async with asyncio.timeout(20):
            while True:
                jobs = (await client.call("cron.list", {"includeDisabled": True}))["jobs"]
                if not any("runningAtMs" in job["state"] for job in jobs):
                    return
                await asyncio.sleep(0.1)


async def check_archive(folder: Path) -> None:
    store = await SqliteStore.open(folder / "openclaw.db", clock=SYSTEM_CLOCK)
    try:
        claims = await store.shelf.list(CLAIM, limit=10_000)
        assert len(claims) >= JOBS
        assert [claim.id for claim in claims if b'"open"' in claim.body] == []
        log = [json.loads(record.body) for record in await store.shelf.list(RUN, limit=10_000)]
        run_ids = [line["runId"] for line in log]
        assert len(run_ids) == len(set(run_ids)) >= JOBS
        assert {json.loads(claim.body)["run_id"] for claim in claims} <= set(run_ids)
        for run_id in run_ids:
            _, job_id, at_ms = run_id.split(":")
            session = await store.session(_key(job_id, at_ms))
            if session is not None:
                kinds = [step.kind for step in await store.steps(session.id)]
                assert kinds.count("inbound") == 1, kinds
        assert await store.open_runs() == []
    finally:
        await store.close()


def _key(job_id: str, at_ms: str) -> Any:
    return f"agent:main:cron:{job_id}:run:{at_ms}"


async def test_heartbeats_come_and_go_with_the_configuration(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running, await running.connect() as client:
        workspace = tmp_path / "workspace"
        workspace.mkdir(exist_ok=True)
        (workspace / "HEARTBEAT.md").write_text("- look at the mail\n")
        assert (await client.call("health", {"probe": True}))["agents"][0]["heartbeat"]["enabled"] is False
        agents: dict[str, Any] = {"defaults": {"model": "fake/echo", "heartbeat": {"every": "1s"}}}
        write_config(tmp_path, running.port, agents=agents)
        await until(lambda: _beats(client), lambda beat: beat is not None and beat["status"] == "sent")
        shown = (await client.call("health", {"probe": True}))["agents"][0]["heartbeat"]
        assert (shown["enabled"], shown["everyMs"]) == (True, 1_000)
        totals = await client.call("usage.totals", {"by": "purpose", "days": 1})
        assert [row["key"] for row in totals["rows"]] == ["heartbeat"]
        write_config(tmp_path, running.port)

        async def shown_now() -> Any:
            return (await client.call("health", {"probe": True}))["agents"][0]["heartbeat"]["enabled"]

        await until(shown_now, lambda enabled: enabled is False)
        before = await _beats(client)
        payload = {"kind": "agentTurn", "message": "a job of the same pace"}
        schedule = {"kind": "every", "everyMs": 1_000}
        wish = {"name": "pace", "schedule": schedule, "sessionTarget": "isolated", "payload": payload}
        job = await client.call("cron.add", wish)

        async def ran() -> Any:
            return (await client.call("cron.runs", {"id": job["id"]}))["entries"]

        await until(ran, bool)
        assert await _beats(client) == before, "a second has passed, as the job shows"


async def _beats(client: Any) -> Any:
    return await client.call("last-heartbeat")


async def until(read: Any, good: Any) -> None:
    async with asyncio.timeout(10):
        while not good(await read()):  # noqa: ASYNC110  # another process
            await asyncio.sleep(0.05)
