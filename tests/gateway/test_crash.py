"""kill -9 at random moments of streamed turns: nothing accepted is lost, no transcript is broken, no lock is left."""

from __future__ import annotations

import asyncio
import os
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

KILLS = int(os.environ.get("OPENCLAW_TEST_KILLS", "100"))
SESSIONS = ("agent:main:a", "agent:main:b", "agent:main:c")
MODEL = "fake/fake-d4"
PADDING = "word " * 30
TOOL_MESSAGE = "please\n/tool act {}\n/then\n/tool session_status {}"
ACTION = '''
from pathlib import Path
from openclaw import Context, action


@action(writes=True)
def act(context: Context) -> str:
    """Act once for each key, as a payment service does."""
    place = Path("{folder}") / context.idempotency_key.replace(":", "~")
    with (Path("{folder}") / "tries").open("a") as tries:
        tries.write(context.idempotency_key + "\\n")
    place.touch()
    return "acted"
'''


async def test_kills_during_streamed_turns_lose_nothing_and_do_nothing_twice(tmp_path: Path) -> None:
    port = free_port()
    effects = tmp_path / "effects"
    effects.mkdir()
    (tmp_path / "acting.py").write_text(ACTION.format(folder=effects))
    write_config(tmp_path, port, MODEL, actions=[{"name": "act", "module": "acting", "class": "act", "path": "."}])
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
    check_effects(effects)


def check_effects(effects: Path) -> None:
    """No message made its effect twice: every try of a call came with the same key."""
    done = [path.name.partition("~")[0] for path in effects.iterdir() if "~" in path.name]
    assert len(done) == len(set(done))
    assert len((effects / "tries").read_text().splitlines()) >= len(done) > 0


async def speak_until_killed(running: GatewayProcess, accepted: list[str], after_s: float, number: int) -> None:
    async def speak() -> None:
        client = await running.connect()
        async with client:
            for turn in range(100):
                key = f"k{number}-{turn}-{new_id()[:8]}"
                text = TOOL_MESSAGE if turn % 3 == 2 else f"message {key} {PADDING}"
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
