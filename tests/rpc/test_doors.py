"""Channels, speech, skills, usage of sessions and status pages: whole shapes, honest refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from openclaw.base.clock import ManualClock
from openclaw.base.ids import AgentId, OwnerId
from openclaw.base.model import Usage
from openclaw.base.principal import LOCAL_OPERATOR
from openclaw.rpc.methods.agents.speech import DEFAULT_WORDS
from openclaw.store.api import UsageRow
from openclaw.store.sqlite import SqliteStore
from tests.rpc.support import Bench, FakePeer

pytestmark = pytest.mark.anyio

CHANNELS = (
    "ts channelOrder channelLabels channelDetailLabels channelSystemImages channelMeta channels channelAccounts "
    "channelDefaultAccountId"
)


async def test_channels_have_their_whole_shape_and_protocol_4_the_event_loop_too(bench: Bench) -> None:
    old = (await bench.ask(FakePeer(3), "channels.status", {"probe": True, "timeoutMs": 2000}))["payload"]
    new = (await bench.ask(FakePeer(4), "channels.status", {"probe": False}))["payload"]
    assert set(old) == set(CHANNELS.split())
    assert set(new) == {*old, "eventLoop"}


async def test_a_message_to_a_channel_that_is_not_there_is_refused_by_its_name(bench: Bench) -> None:
    params = {"to": "1", "message": "x", "channel": "telegram", "idempotencyKey": "s1"}
    for _ in range(2):
        assert (await bench.ask(FakePeer(3), "send", params))["error"] == {
            "code": "INVALID_REQUEST",
            "message": "unsupported channel: telegram",
        }
        assert (await bench.ask(FakePeer(4), "send", params))["error"]["details"]["code"] == "UNKNOWN_CHANNEL"
    del params["channel"]
    assert (await bench.ask(FakePeer(4), "send", params))["error"]["details"]["code"] == "NO_CHANNEL"
    out = await bench.ask(FakePeer(3), "channels.logout", {"channel": "telegram"})
    assert out["error"]["message"] == "invalid channels.logout channel"


async def test_speech_is_off_in_the_words_of_each_protocol(bench: Bench) -> None:
    old = (await bench.ask(FakePeer(3), "tts.status"))["payload"]
    new = (await bench.ask(FakePeer(4), "tts.status"))["payload"]
    assert old["enabled"] is new["enabled"] is False
    assert {"hasOpenAIKey", "hasElevenLabsKey", "edgeEnabled"} <= set(old)
    assert {"persona", "personas", "providerStates"} <= set(new)
    assert set(new).isdisjoint({"hasOpenAIKey", "edgeEnabled"})
    assert (await bench.ask(FakePeer(3), "tts.disable"))["payload"] == {"enabled": False}


async def test_wake_words_are_kept_tidied_and_told_to_everybody(bench: Bench) -> None:
    old, new = FakePeer(3), FakePeer(4)
    bench.hub.join(old)
    bench.hub.join(new)
    assert (await bench.ask(new, "voicewake.get"))["payload"] == {"triggers": list(DEFAULT_WORDS)}
    told = await bench.ask(old, "voicewake.set", {"triggers": [" hal ", "", "hal", "jarvis"]})
    assert told["payload"] == {"triggers": ["hal", "jarvis"]}
    assert (await bench.ask(new, "voicewake.get"))["payload"] == {"triggers": ["hal", "jarvis"]}
    for peer in (old, new):
        assert peer.events("voicewake.changed") == [{"triggers": ["hal", "jarvis"]}]
    reset = await bench.ask(new, "voicewake.set", {"triggers": [" "]})
    assert reset["payload"] == {"triggers": list(DEFAULT_WORDS)}
    assert "error" in await bench.ask(new, "voicewake.set", {"triggers": ["x"] * 33})


async def test_talking_is_told_to_ones_own_clients_only(bench: Bench) -> None:
    scopes = ("operator.write",)
    ann, anns, ben = FakePeer(3, scopes, "ann"), FakePeer(4, scopes, "ann"), FakePeer(4, scopes, "ben")
    for peer in (ann, anns, ben):
        bench.hub.join(peer)
    told = (await bench.ask(ann, "talk.mode", {"enabled": True, "phase": "listening"}))["payload"]
    assert anns.events("talk.mode") == [told]
    assert ben.events("talk.mode") == []


async def test_skills_without_folders_are_an_empty_list_of_the_right_agent(bench: Bench) -> None:
    new = (await bench.ask(FakePeer(4), "skills.status", {"agentId": "bob"}))["payload"]
    bob = next(agent for agent in bench.agent.agents() if agent.id == "bob")
    assert (new["workspaceDir"], new["agentId"], new["skills"]) == (bob.workspace, "bob", [])
    old = (await bench.ask(FakePeer(3), "skills.status"))["payload"]
    assert set(old) == {"workspaceDir", "managedSkillsDir", "skills"}
    of_session = (await bench.ask(FakePeer(4), "skills.status", {"sessionKey": "agent:bob:main"}))["payload"]
    assert of_session["agentId"] == "bob"


async def test_status_pages_get_numbers(bench: Bench) -> None:
    info = (await bench.ask(FakePeer(4), "system.info"))["payload"]
    assert info["memoryTotalBytes"] > info["memoryFreeBytes"] >= 0
    assert len(info["loadAverage"]) == 3
    assert (await bench.ask(FakePeer(4), "diagnostics.lanes"))["payload"]["totals"] == {"active": 0, "queued": 0}
    assert (await bench.ask(FakePeer(4), "diagnostics.stability", {"limit": 25}))["payload"]["events"] == []
    suspended = await bench.ask(FakePeer(4), "gateway.suspend.status", {"suspensionId": "s"})
    assert suspended["payload"] == {"status": "running"}


def usage_row(bench: Bench, key: str, owner: str, **more: object) -> UsageRow:
    values = {
        "at_ms": bench.clock.now_ms(),
        "run_id": "r",
        "session_key": bench.agent.resolve_key(LOCAL_OPERATOR, key),
        "agent_id": AgentId("main"),
        "tenant": FakePeer().principal.tenant,
        "owner": OwnerId(owner),
        "provider": "fake",
        "model": "fake-1",
        "purpose": "interactive",
        "usage": Usage(10, 5),
        "latency_ms": 1,
        "first_token_ms": 1,
        "usd_micros": 2_000_000,
    }
    return UsageRow(**{**values, **more})  # type: ignore[arg-type]  # one table of values


@pytest.mark.parametrize("protocol", [3, 4])
async def test_what_each_session_used_is_summed_over_days_and_models(protocol: int, tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "db.sqlite", clock=ManualClock())
    bench = Bench(tmp_path, usage=store)
    try:
        for name in ("one", "two", "idle"):
            bench.agent.make_session(bench.agent.resolve_key(LOCAL_OPERATOR, name), OwnerId("operator"))
        day_ms = 86_400_000
        await store.record_usage(
            [
                usage_row(bench, "one", "operator"),
                usage_row(bench, "one", "operator", at_ms=bench.clock.now_ms() - day_ms, model="fake-2"),
                usage_row(bench, "one", "operator", error_code="MODEL_TIMEOUT", usage=Usage(0, 0), usd_micros=0),
                usage_row(bench, "two", "operator", usage=Usage(1, 1)),
                usage_row(bench, "one", "operator", at_ms=bench.clock.now_ms() - 60 * day_ms),
            ]
        )
        told = (await bench.ask(FakePeer(protocol), "sessions.usage"))["payload"]
        rows = {row["key"].rsplit(":", 1)[-1]: row["usage"] for row in told["sessions"]}
        assert rows["idle"] is None
        assert (rows["one"]["totalTokens"], rows["one"]["totalCost"]) == (30, 4)
        assert len(rows["one"]["activityDates"]) == 2
        assert rows["one"]["messageCounts"] == {
            "total": 2,
            "user": 0,
            "assistant": 2,
            "toolCalls": 0,
            "toolResults": 0,
            "errors": 1,
        }
        assert (told["totals"]["totalTokens"], told["totals"]["totalCost"]) == (32, 6)
        assert {row["model"]: row["count"] for row in told["aggregates"]["byModel"]} == {"fake-1": 3, "fake-2": 1}
        one = (await bench.ask(FakePeer(protocol), "sessions.usage", {"key": "two", "range": "7d"}))["payload"]
        assert [row["key"] for row in one["sessions"]] == ["agent:main:two"]
        foreign = FakePeer(protocol, ("operator.read",), owner="ben")
        assert (await bench.ask(foreign, "sessions.usage"))["payload"]["totals"]["totalTokens"] == 0
    finally:
        await bench.close()
        await store.close()


async def test_a_sessions_answers_are_points_in_time_and_its_messages_texts(bench: Bench) -> None:
    bench.agent.answer = "fine"
    await bench.ask(FakePeer(), "agent", {"message": "hi", "idempotencyKey": "k", "sessionKey": "main"})
    times = (await bench.ask(FakePeer(), "sessions.usage.timeseries", {"key": "main"}))["payload"]
    assert [point["cumulativeTokens"] for point in times["points"]] == [
        point["totalTokens"] for point in times["points"]
    ]
    assert len(times["points"]) == 1
    logs = (await bench.ask(FakePeer(), "sessions.usage.logs", {"key": "main"}))["payload"]["logs"]
    assert [(entry["role"], entry["content"]) for entry in logs] == [("user", "hi"), ("assistant", "fine")]
