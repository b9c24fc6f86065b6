"""kill -9 at random moments of streamed turns: nothing accepted is lost, no transcript is broken, no lock is left."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.base.errors import OpenClawError
from openclaw.base.ids import RunId, new_id
from openclaw.base.message import Message, ToolOutcome
from openclaw.store.sqlite import SqliteStore

from .process import GatewayProcess, free_port, write_config

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

KILLS = 50
SESSIONS = ("agent:main:a", "agent:main:b", "agent:main:c")
MODEL = "fake/fake-n40-d4"
TOOL_MESSAGE = "please\n/tool session_status {}"


async def test_fifty_kills_during_streamed_turns_lose_nothing(tmp_path: Path) -> None:
    port = free_port()
    write_config(tmp_path, port, MODEL)
    random_moment = random.Random(20261120)
    accepted: list[str] = []
    for number in range(KILLS):
        running = await GatewayProcess.start(tmp_path, port)
        try:
            await running.ready()
            await speak_until_killed(running, accepted, random_moment.uniform(0.0, 0.45), number)
        finally:
            await running.kill()
    running = await GatewayProcess.start(tmp_path, port)
    try:
        await running.ready()
        await everything_is_answered(running, accepted)
    finally:
        assert await running.stop() == 0
    await check_archive(tmp_path, accepted)


async def speak_until_killed(running: GatewayProcess, accepted: list[str], after_s: float, number: int) -> None:
    async def speak() -> None:
        client = await running.connect()
        async with client:
            for turn in range(100):
                key = f"k{number}-{turn}-{new_id()[:8]}"
                text = TOOL_MESSAGE if turn % 3 == 2 else f"message {key}"
                params = {"sessionKey": SESSIONS[turn % 3], "message": text, "idempotencyKey": key}
                answer = await client.call("chat.send", params)
                if answer["status"] == "started":
                    accepted.append(key)

    speaking = asyncio.ensure_future(speak())
    await asyncio.wait([speaking], timeout=after_s)
    await running.kill()
    speaking.cancel()
    with pytest.raises((OpenClawError, OSError, asyncio.CancelledError)):
        await speaking


async def everything_is_answered(running: GatewayProcess, accepted: list[str]) -> None:
    client = await running.connect()
    async with client, asyncio.timeout(120):
        for key in accepted:
            answer = {"status": "timeout"}
            while answer["status"] == "timeout":
                answer = await client.call("agent.wait", {"runId": key, "timeoutMs": 10_000})
            assert answer["status"] in {"ok", "error"}, (key, answer)


async def check_archive(folder: Path, accepted: list[str]) -> None:
    store = await SqliteStore.open(folder / "openclaw.db", clock=SYSTEM_CLOCK)
    try:
        assert await store.open_runs() == []
        states: dict[str, int] = {}
        for key in accepted:
            row = await store.run(RunId(key))
            assert row is not None, f"{key} was acknowledged and is gone"
            assert row.reply is not None
            states[row.reply.state] = states.get(row.reply.state, 0) + 1
        assert states.get("ok", 0) > 0
        sessions, _ = await store.sessions(limit=100)
        for session in sessions:
            steps = await store.steps(session.id, limit=100_000)
            assert [step.seq for step in steps] == sorted({step.seq for step in steps})
            assert_paired([message for step in steps for message in step.messages])
    finally:
        await store.close()


def assert_paired(messages: list[Message]) -> None:
    waiting: set[str] = set()
    for message in messages:
        given: Any = {part.call_id for part in message.parts if isinstance(part, ToolOutcome)}
        assert given == waiting
        waiting = {call.id for call in message.tool_calls}
    assert not waiting
