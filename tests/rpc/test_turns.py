"""Large answers take turns, and what only its asker wants to know ends with the asker."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from openclaw.rpc.turns import Turns
from tests.rpc.support import Bench, FakePeer

pytestmark = pytest.mark.anyio


async def spin() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_connection_has_one_turn_at_a_time_and_all_together_a_few() -> None:
    turns, go, held = Turns(2), asyncio.Event(), list[str]()

    async def hold(conn_id: str) -> None:
        async with turns.turn(conn_id):
            held.append(conn_id)
            await go.wait()

    tasks = [asyncio.create_task(hold(conn_id)) for conn_id in ("greedy",) * 50 + ("second", "third")]
    await spin()
    assert held == ["greedy", "second"]
    tasks[0].cancel()
    await spin()
    assert held == ["greedy", "second", "third"]
    go.set()
    await asyncio.wait(tasks)
    assert len(held) == 52
    assert not turns._lines


async def test_whoever_waited_for_something_and_left_keeps_nothing_busy(tmp_path: Path) -> None:
    bench, peer = Bench(tmp_path, "fine"), FakePeer()
    bench.hub.join(peer)
    calls = [("agent.wait", {"runId": "nobody"})] * 3 + [("chat.history", {"sessionKey": "main"})] * 3
    begun = [bench.begin(peer, method, params, str(number)) for number, (method, params) in enumerate(calls)]
    tasks = [asyncio.ensure_future(one) for one in begun if not isinstance(one, bytes)]
    await asyncio.sleep(0)
    assert len(tasks) == len(calls)
    bench.hub.leave(peer)
    await asyncio.wait(tasks, timeout=2)
    assert all(task.done() for task in tasks)
    assert all(task.cancelled() for task in tasks[:3])
    assert not bench.counter._passing
    assert not bench.counter._turns._lines
    await bench.close()
