"""A protocol-3 and a protocol-4 client on one session: the same conversation, each in its own shapes."""

from __future__ import annotations

import asyncio
import itertools
import time
from pathlib import Path
from typing import Any

import pytest

from .process import gateway
from .wire import Wire, wire

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ONLY_4 = {"session.message", "session.tool", "session.operation", "sessions.changed", "usage.notice"}
KEYS_3 = {
    "agent": {"runId", "stream", "data", "sessionKey", "seq", "ts"},
    "chat": {"runId", "sessionKey", "seq", "state", "message", "stopReason", "errorMessage"},
}
TOOL = "/tool session_status {}"


def conversation(client: Wire) -> list[tuple[str, str, Any]]:
    """How each run ended, in order, and with which words."""
    ends = [row for row in client.told("chat") if row["state"] in ("final", "aborted", "error")]
    return [(row["runId"], row["state"], row.get("message", {}).get("content")) for row in ends]


def text_of(row: dict[str, Any]) -> str:
    content = row["content"]
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


async def history(client: Wire) -> list[tuple[str, str]]:
    payload = await client.get("chat.history", sessionKey="main")
    return [(row["role"], text_of(row)) for row in payload["messages"]]


async def test_two_clients_of_two_protocols_see_the_same_conversation(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running, wire(running.port, 3) as old, wire(running.port, 4) as new:
        await new.get("sessions.subscribe")

        async def both(run_id: str, sender: Wire, message: str) -> None:
            await sender.get("chat.send", sessionKey="main", message=message, idempotencyKey=run_id)
            await asyncio.gather(old.end_of(run_id), new.end_of(run_id))

        await both("r1", old, "one two three")
        await both("r2", new, f"look\n{TOOL}")
        await both("m1", new, "/model fake/fake-n400-d20")
        await old.get("chat.send", sessionKey="main", message="talk", idempotencyKey="r3")
        await old.until(lambda: [row for row in old.told("chat", "r3") if row["state"] == "delta"])
        stopped = await new.get("chat.abort", sessionKey="main", runId="r3")
        assert stopped == {"ok": True, "aborted": True, "runIds": ["r3"]}
        await asyncio.gather(old.end_of("r3"), new.end_of("r3"))
        await both("m2", old, "/model fake/fake-err400")
        await both("r4", new, "fail")
        noted = await new.get("chat.inject", sessionKey="main", message="a note")
        injected = f"inject-{noted['messageId']}"
        await asyncio.gather(old.end_of(injected), new.end_of(injected))
        assert await history(old) == await history(new)
        assert len(await history(old)) > 4
        await both("x1", old, "/reset")
        assert await history(old) == await history(new) == []

        assert conversation(old) == conversation(new)
        assert [(run_id, state) for run_id, state, _ in conversation(new)] == [
            ("r1", "final"),
            ("r2", "final"),
            ("m1", "final"),
            ("r3", "aborted"),
            ("m2", "final"),
            ("r4", "error"),
            (injected, "final"),
            ("x1", "final"),
        ]
        await new.until(lambda: [row for row in new.told("sessions.changed") if row.get("reason") == "reset"])
        for client in (old, new):
            client.assert_no_gaps()
            assert_deltas_add_up(client)
            tools = [row["data"]["phase"] for row in client.told("agent", "r2") if row["stream"] == "tool"]
            assert tools == ["start", "result"]
        assert_shapes_of_3(old)
        assert_shapes_of_4(new)


def assert_deltas_add_up(client: Wire) -> None:
    """What was streamed is what was said in the end, in the agent's stream and in the chat's."""
    for run_id in ("r1", "r3"):
        said = text_of(client.told("chat", run_id)[-1]["message"])
        pieces = [row["data"] for row in client.told("agent", run_id) if row["stream"] == "assistant"]
        assert "".join(piece["delta"] for piece in pieces) == pieces[-1]["text"] == said


def assert_shapes_of_3(old: Wire) -> None:
    assert not ONLY_4 & {frame["event"] for frame in old.events}
    for name, keys in KEYS_3.items():
        for payload in old.told(name):
            assert set(payload) <= keys, payload
    assert all(row["state"] != "status" for row in old.told("chat"))
    assert {row["stream"] for row in old.told("agent")} <= {"lifecycle", "assistant", "tool", "thinking", "compaction"}
    grown = [text_of(row["message"]) for row in old.told("chat", "r3") if row["state"] == "delta"]
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(grown))
    times = [row["message"]["timestamp"] for row in old.told("chat", "r3") if row["state"] == "delta"]
    assert all(later - earlier >= 149 for earlier, later in itertools.pairwise(times))


def assert_shapes_of_4(new: Wire) -> None:
    deltas = [row for row in new.told("chat", "r3") if row["state"] == "delta"]
    assert "".join(row["deltaText"] for row in deltas) == text_of(new.told("chat", "r3")[-1]["message"])
    assert [row["phase"] for row in new.told("chat", "r1") if row["state"] == "status"][-1] == "starting_model"
    assert new.told("chat", "r4")[-1]["errorMessage"]
    assert [row["data"]["phase"] for row in new.told("session.tool")] == ["start", "result"]
    rows = [(row["message"]["role"], text_of(row["message"])) for row in new.told("session.message")]
    assert rows[:2] == [("user", "one two three"), ("assistant", "fake: one two three")]
    assert rows[-1] == ("assistant", "a note")
    phases = [row["phase"] for row in new.told("sessions.changed", "r1")]
    assert phases == ["start", "end"]
    assert new.told("sessions.changed", "r3")[-1]["phase"] == "error"


async def test_stop_in_a_chat_ends_the_run_within_a_second_also_from_the_other_protocol(tmp_path: Path) -> None:
    async with (
        gateway(tmp_path, "fake/fake-n2000-d10") as running,
        wire(running.port, 3) as old,
        wire(running.port, 4) as new,
    ):
        await old.get("chat.send", sessionKey="main", message="go", idempotencyKey="r1")
        await new.until(lambda: [row for row in new.told("chat", "r1") if row["state"] == "delta"])
        began = time.monotonic()
        answer = await new.get("chat.send", sessionKey="main", message="/stop", idempotencyKey="s1")
        assert (await old.end_of("r1"))["state"] == "aborted"
        assert time.monotonic() - began < 1
        assert answer == {"ok": True, "aborted": True, "runIds": ["r1"]}
        again = await new.get("chat.send", sessionKey="main", message="/stop", idempotencyKey="s1")
        assert again == answer


async def test_an_agent_answers_twice_and_can_be_waited_for_from_the_other_protocol(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running, wire(running.port, 3) as old, wire(running.port, 4) as new:
        final = await old.ask("agent", 2, message="hi", sessionKey="main", idempotencyKey="a1")
        assert (final["payload"]["status"], final["payload"]["summary"]) == ("ok", "completed")
        assert set(final["payload"]) == {"runId", "status", "summary", "result"}
        waited = await new.get("agent.wait", runId="a1", timeoutMs=5000)
        assert (waited["status"], waited["stopReason"]) == ("ok", "stop")
        assert "stopReason" not in await old.get("agent.wait", runId="a1", timeoutMs=5000)
        for client in (old, new):
            unknown = await client.get("agent.wait", runId="nobody", timeoutMs=50)
            assert unknown == {"runId": "nobody", "status": "timeout"}


async def test_a_client_without_the_scope_hears_ticks_and_the_end_only(tmp_path: Path) -> None:
    async with (
        gateway(tmp_path) as running,
        wire(running.port, 4, scopes=("operator.pairing",)) as blind,
        wire(running.port, 4) as new,
    ):
        await new.get("chat.send", sessionKey="main", message="hi", idempotencyKey="r1")
        await new.end_of("r1")
        await running.stop()
        await blind.until(lambda: blind.told("shutdown"))
        await blind.socket.wait_closed()
        assert {frame["event"] for frame in blind.events} <= {"tick", "shutdown"}
        assert (blind.socket.close_code, blind.socket.close_reason) == (1012, "service restart")
