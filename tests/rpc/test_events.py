"""A run's events, against tables of what clients of each protocol read."""

from __future__ import annotations

from typing import Any

import anyio.lowlevel
import pytest

from openclaw.base.model import ThinkingDelta
from openclaw.base.principal import LOCAL_OPERATOR
from openclaw.base.run import ToolFinished, ToolProgress, ToolStarted
from openclaw.rpc.events import FLUSH_S, OLD_CHAT_S, PROGRESS_S
from tests.fakes.agent_service import FakeRun
from tests.rpc.support import Bench, FakePeer

pytestmark = pytest.mark.anyio
SEND = {"sessionKey": "main", "message": "hello", "idempotencyKey": "run-1"}
TOOL = (ToolStarted("c1", "read_file", '{"path":"x"}'), ToolFinished("c1", "read_file", "text", False))


async def _begin(bench: Bench, *peers: FakePeer) -> FakeRun:
    for peer in peers:
        bench.hub.join(peer)
    answer = await bench.ask(peers[0], "chat.send", SEND)
    assert answer["payload"] == {"runId": "run-1", "status": "started"}
    run = next(iter(bench.agent.runs.values()))
    run.start()
    return run


async def _advance(bench: Bench, seconds: float) -> None:
    await _turns()
    bench.clock.advance(seconds)
    await _turns()


async def _turns() -> None:
    for _ in range(5):
        await anyio.lowlevel.checkpoint()


def _shape(frame: dict[str, Any]) -> tuple[str, ...]:
    payload = frame["payload"]
    if frame["event"] == "agent":
        return ("agent", payload["stream"], payload["data"].get("phase", payload["data"].get("delta", "")))
    return (frame["event"], payload["state"], payload.get("phase", payload.get("deltaText", "")))


async def test_protocol_4_hears_status_deltas_and_a_final(bench: Bench) -> None:
    peer = FakePeer(4)
    run = await _begin(bench, peer)
    run.say("Tok", "yo")
    run.end()
    runs = [frame for frame in peer.frames if frame.get("event") in ("agent", "chat")]
    assert [_shape(frame) for frame in runs] == [
        ("agent", "run_status", "preparing_context"),
        ("chat", "status", "preparing_context"),
        ("agent", "lifecycle", "start"),
        ("agent", "run_status", "starting_model"),
        ("chat", "status", "starting_model"),
        ("agent", "lifecycle", "model"),
        ("agent", "assistant", "Tokyo"),
        ("chat", "delta", "Tokyo"),
        ("agent", "usage", ""),
        ("agent", "lifecycle", "end"),
        ("chat", "final", ""),
    ]
    final = runs[-1]["payload"]
    assert final["stopReason"] == "stop"
    assert final["agentId"] == "main"
    assert final["message"]["content"] == [{"type": "text", "text": "Tokyo"}]
    said = runs[6]["payload"]
    assert said["data"]["itemId"]
    assert said["isHeartbeat"] is False
    assert said["sessionId"] == run.session.id


async def test_protocol_3_hears_cumulative_text_and_nothing_it_does_not_know(bench: Bench) -> None:
    peer = FakePeer(3)
    run = await _begin(bench, peer)
    run.say("Tok")
    await _advance(bench, OLD_CHAT_S)
    run.say("yo")
    run.end()
    runs = [frame for frame in peer.frames if frame.get("event") in ("agent", "chat")]
    assert [_shape(frame) for frame in runs] == [
        ("agent", "lifecycle", "start"),
        ("agent", "assistant", "Tok"),
        ("chat", "delta", ""),
        ("agent", "assistant", "yo"),
        ("chat", "delta", ""),
        ("agent", "lifecycle", "end"),
        ("chat", "final", ""),
    ]
    assert set(runs[1]["payload"]) == {"runId", "stream", "data", "sessionKey", "seq", "ts"}
    assert runs[3]["payload"]["data"] == {"text": "Tokyo", "delta": "yo"}
    assert set(runs[2]["payload"]) == set(runs[6]["payload"]) == {"runId", "sessionKey", "seq", "state", "message"}
    assert set(runs[5]["payload"]["data"]) == {"phase", "endedAt"}
    assert not peer.events("sessions.changed")


async def test_protocol_3_gets_chat_deltas_only_every_150_ms(bench: Bench) -> None:
    old, new = FakePeer(3), FakePeer(4)
    run = await _begin(bench, old, new)
    for _ in range(10):
        run.say("x")
        await _advance(bench, FLUSH_S)
    run.end()
    deltas = [payload for payload in old.events("chat") if payload["state"] == "delta"]
    assert len(deltas) == 3
    assert len([payload for payload in new.events("chat") if payload["state"] == "delta"]) == 10
    assert old.events("chat")[-1]["message"]["content"][0]["text"] == "x" * 10


async def test_text_that_comes_fast_is_told_together_and_loses_nothing(bench: Bench) -> None:
    peer = FakePeer(4)
    run = await _begin(bench, peer)
    for index in range(100):
        run.say(f"{index} ")
    await _advance(bench, FLUSH_S)
    deltas = [payload["deltaText"] for payload in peer.events("chat") if payload["state"] == "delta"]
    assert deltas[0] == "0 "
    assert len(deltas) == 2
    run.say("end")
    run.end()
    deltas = [payload["deltaText"] for payload in peer.events("chat") if payload["state"] == "delta"]
    assert "".join(deltas) == run.text


@pytest.mark.parametrize("protocol", [3, 4])
async def test_thoughts_that_come_fast_are_told_together_and_before_what_follows_them(
    protocol: int, bench: Bench
) -> None:
    peer = FakePeer(protocol)
    run = await _begin(bench, peer)
    for index in range(100):
        run.emit(ThinkingDelta(f"{index} "))
    run.say("so")
    run.emit(ThinkingDelta("wait"))
    run.end()
    said = [(row["stream"], row["data"]) for row in peer.events("agent") if row["stream"] in ("thinking", "assistant")]
    assert [name for name, _ in said] == ["thinking", "thinking", "assistant", "thinking"]
    thoughts = [data for name, data in said if name == "thinking"]
    assert "".join(data["delta"] for data in thoughts) == thoughts[-1]["text"]
    assert thoughts[-1]["text"].endswith("99 wait")


@pytest.mark.parametrize("protocol", [3, 4])
async def test_an_abort_tells_the_partial_text_and_the_reason(protocol: int, bench: Bench) -> None:
    peer = FakePeer(protocol)
    run = await _begin(bench, peer)
    run.say("half")
    answer = await bench.ask(peer, "chat.abort", {"sessionKey": "main", "runId": "run-1"})
    assert answer["payload"] == {"ok": True, "aborted": True, "runIds": ["run-1"]}
    last = peer.events("chat")[-1]
    assert (last["state"], last["stopReason"]) == ("aborted", "rpc")
    assert last["message"]["content"][0]["text"] == "half"
    end = peer.events("agent")[-1]["data"]
    assert (end["phase"], end["status"], end["aborted"]) == ("end", "cancelled", True)


@pytest.mark.parametrize("protocol", [3, 4])
async def test_an_error_is_told_with_its_message(protocol: int, bench: Bench) -> None:
    peer = FakePeer(protocol)
    run = await _begin(bench, peer)
    run.end("error", {"code": "MODEL_TIMEOUT", "message": "the model was silent"})
    last = peer.events("chat")[-1]
    assert (last["state"], last["errorMessage"]) == ("error", "the model was silent")
    assert last.get("errorKind") == (None if protocol == 3 else "timeout")
    assert peer.events("agent")[-1]["data"]["phase"] == "error"


@pytest.mark.parametrize("protocol", [3, 4])
async def test_tool_calls_are_told_in_order_after_the_text_before_them(protocol: int, bench: Bench) -> None:
    peer = FakePeer(protocol, caps=("tool-events",))
    run = await _begin(bench, peer)
    run.say("a")
    run.say("b")
    run.emit(*TOOL)
    streams = [(row["stream"], row["data"]) for row in peer.events("agent") if row["stream"] in ("assistant", "tool")]
    assert [name for name, _ in streams] == ["assistant", "assistant", "tool", "tool"]
    assert streams[1][1]["delta"] == "b"
    assert streams[2][1] == {"phase": "start", "name": "read_file", "toolCallId": "c1", "args": {"path": "x"}}
    assert streams[3][1]["result"] == {"content": [{"type": "text", "text": "text"}]}


@pytest.mark.parametrize("protocol", [3, 4])
async def test_what_a_tool_has_to_show_is_told_at_once_then_at_times_and_never_after_its_result(
    protocol: int, bench: Bench
) -> None:
    def told() -> list[str]:
        rows = [row["data"] for row in peer.events("agent") if row["stream"] == "tool"]
        return [
            row["partialResult"]["content"][0]["text"] if row["phase"] == "update" else row["phase"] for row in rows
        ]

    peer = FakePeer(protocol, caps=("tool-events",))
    run = await _begin(bench, peer)
    run.emit(TOOL[0])
    for text in ("1", "12", "123"):
        run.emit(ToolProgress("c1", "exec", text))
    assert told() == ["start", "1"]
    await _advance(bench, PROGRESS_S)
    assert told() == ["start", "1", "123"]
    run.emit(ToolProgress("c1", "exec", "1234"), TOOL[1])
    await _advance(bench, PROGRESS_S)
    assert told() == ["start", "1", "123", "result"]
    run.emit(ToolProgress("c2", "exec", "a"), ToolProgress("c2", "exec", "ab"), TOOL[1])
    await _advance(bench, PROGRESS_S)
    assert told()[4:] == ["a", "result", "ab"]  # the other call's result is not this one's
    run.emit(ToolProgress("c2", "exec", "abc"), ToolProgress("c2", "exec", "abcd"))
    run.end("aborted")
    await _advance(bench, PROGRESS_S)
    assert told()[7:] == []
    assert peer.events("chat")[-1]["state"] == "aborted"


@pytest.mark.parametrize("protocol", [3, 4])
@pytest.mark.parametrize("caps", [(), ("tool-events",)])
async def test_only_clients_that_show_tools_hear_of_them_and_nobody_sees_a_gap(
    protocol: int, caps: tuple[str, ...], bench: Bench
) -> None:
    peer = FakePeer(protocol, caps=caps)
    run = await _begin(bench, peer)
    run.emit(*TOOL)
    run.say("done")
    run.end()
    agent = peer.events("agent")
    assert [row["seq"] for row in agent] == list(range(1, len(agent) + 1))
    assert ("tool" in [row["stream"] for row in agent]) is bool(caps)
    assert not peer.events("session.tool")


async def test_who_follows_a_session_hears_of_its_tools(bench: Bench) -> None:
    follower, watcher, elsewhere, old = FakePeer(4), FakePeer(4), FakePeer(4), FakePeer(3)
    for peer in (follower, watcher, elsewhere, old):
        bench.hub.join(peer)
        if peer in (follower, old):
            bench.hub.subscribe_sessions(peer, True)
    bench.hub.subscribe_messages(watcher, bench.agent.resolve_key(LOCAL_OPERATOR, "main"), True)
    bench.hub.subscribe_messages(elsewhere, bench.agent.resolve_key(LOCAL_OPERATOR, "other"), True)
    run = await _begin(bench, FakePeer(4))
    run.emit(*TOOL)
    for peer in (follower, watcher):
        told = peer.events("session.tool")
        assert [(row["stream"], row["data"]["phase"]) for row in told] == [("tool", "start"), ("tool", "result")]
        assert told[0]["sessionKey"] == "agent:main:main"
        assert peer.events("session.message")
    for peer in (elsewhere, old):
        assert not peer.events("session.tool")
        assert not peer.events("session.message")
    assert not watcher.events("sessions.changed")
    bench.hub.subscribe_messages(watcher, bench.agent.resolve_key(LOCAL_OPERATOR, "main"), False)
    run.emit(*TOOL)
    assert len(watcher.events("session.tool")) == 2


@pytest.mark.parametrize("protocol", [3, 4])
async def test_seq_of_a_run_and_of_the_connection_have_no_gaps(protocol: int, bench: Bench) -> None:
    peer = FakePeer(protocol)
    run = await _begin(bench, peer)
    run.say("x")
    run.end()
    outer = [frame["seq"] for frame in peer.frames if frame.get("type") == "event"]
    assert outer == list(range(1, len(outer) + 1))
    inner = [payload["seq"] for payload in peer.events("agent")]
    assert inner == list(range(1, len(inner) + 1))


async def test_nobody_who_may_not_read_or_does_not_own_the_run_hears_it(bench: Bench) -> None:
    owner = FakePeer(4, ("operator.write",), owner="ann")
    stranger = FakePeer(4, ("operator.read",), owner="ben")
    pairing = FakePeer(4, ("operator.pairing",), owner="ann")
    admin = FakePeer(4, ("operator.admin",), owner="root")
    run = await _begin(bench, owner, stranger, pairing, admin)
    run.say("x")
    run.end()
    assert owner.events("chat")
    assert admin.events("chat")
    assert not stranger.events("chat")
    assert not pairing.events("chat")


async def test_a_listener_that_comes_late_hears_the_whole_text_at_the_end(bench: Bench) -> None:
    await bench.ask(FakePeer(), "chat.send", SEND)
    run = next(iter(bench.agent.runs.values()))
    run.start()
    run.say("early ")
    late = FakePeer(4)
    bench.hub.join(late)
    run.say("late")
    run.end()
    assert [payload["state"] for payload in late.events("chat")] == ["final"]
    assert late.events("chat")[0]["message"]["content"][0]["text"] == "early late"


async def test_session_messages_reach_only_subscribers(bench: Bench) -> None:
    peer, other = FakePeer(4), FakePeer(4)
    bench.hub.join(peer)
    bench.hub.join(other)
    assert (await bench.ask(peer, "sessions.subscribe"))["payload"] == {"subscribed": True}
    run = await _begin(bench, FakePeer(4))
    run.say("hi")
    run.end()
    user, assistant = peer.events("session.message")
    assert (user["message"]["content"], user["message"]["idempotencyKey"]) == ("hello", "run-1:user")
    assert assistant["message"]["content"] == [{"type": "text", "text": "hi"}]
    assert not other.events("session.message")
    assert not other.events("sessions.changed")


async def test_the_life_of_a_session_is_told_to_who_follows_it(bench: Bench) -> None:
    peer, stranger = FakePeer(4, ("operator.read",)), FakePeer(4, ("operator.read",), owner="ben")
    for follower in (peer, stranger):
        bench.hub.join(follower)
        bench.hub.subscribe_sessions(follower, True)
    run = await _begin(bench, FakePeer(4))
    run.end()
    await _turns()
    await bench.ask(FakePeer(4), "sessions.reset", {"key": "main"})
    await bench.ask(FakePeer(4), "sessions.delete", {"key": "agent:main:none"})
    told = peer.events("sessions.changed")
    assert [row.get("reason", row.get("phase")) for row in told] == [
        "create",
        "send",
        "start",
        "end",
        "agent.input.settled",
        "reset",
    ]
    assert [row["session"]["hasActiveRun"] for row in told] == [True, True, True, False, False, False]
    assert told[3]["runId"] == "run-1"
    assert told[3]["session"]["key"] == "agent:main:main"
    assert not stranger.events("sessions.changed")


async def test_a_client_that_is_behind_gets_no_deltas_until_it_has_caught_up_and_then_the_whole_text(
    bench: Bench,
) -> None:
    slow, old, fast = FakePeer(4), FakePeer(3), FakePeer(4)
    run = await _begin(bench, fast, slow, old)
    run.say("a")
    slow.behind = old.behind = True
    for _ in range(5):
        await _advance(bench, FLUSH_S)
        run.say("b")
    slow.behind = old.behind = False
    await _advance(bench, FLUSH_S)
    run.say("c")
    await _advance(bench, FLUSH_S)
    run.say("d")
    deltas = [row for row in slow.events("chat") if row["state"] == "delta"]
    assert [(row["deltaText"], row.get("replace", False)) for row in deltas] == [
        ("a", False),
        ("abbbbbc", True),
        ("d", False),
    ]
    assert [row["deltaText"] for row in fast.events("chat") if row["state"] == "delta"] == list("abbbbbcd")
    assert [row["message"]["content"][0]["text"] for row in old.events("chat")] == ["a", "abbbbbc"]
    for peer in (slow, old, fast):
        seqs = [frame["seq"] for frame in peer.frames if frame.get("type") == "event"]
        assert seqs == list(range(1, len(seqs) + 1))
