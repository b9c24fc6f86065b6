"""One session looked at closely, and the slash commands that change or count it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio.lowlevel
import pytest

from openclaw.agent.api import CompactedSession
from openclaw.agent.compaction import MARK
from openclaw.base.errors import RunAborted
from openclaw.base.ids import OPERATOR, OwnerId, RunId, SessionKey
from openclaw.base.model import Usage
from openclaw.base.run import Compacted
from openclaw.models.fake.client import FakeClient
from openclaw.rpc.build import build_counter
from openclaw.store.api import Cap, UsageTotal
from tests.agent.house import house
from tests.rpc.support import Bench, FakePeer

pytestmark = pytest.mark.anyio

KEY = SessionKey("agent:main:known")


async def _payload(bench: Bench, method: str, params: dict[str, Any] | None = None, protocol: int = 4) -> Any:
    answer = await bench.ask(FakePeer(protocol), method, params)
    assert answer["ok"], answer
    return answer["payload"]


async def _refusal(bench: Bench, method: str, params: dict[str, Any], protocol: int = 4) -> str:
    answer = await bench.ask(FakePeer(protocol), method, params)
    assert not answer["ok"], answer
    return str(answer["error"]["message"])


async def _say(bench: Bench, peer: FakePeer, text: str, run_id: str = "c1") -> dict[str, Any]:
    sent = {"sessionKey": KEY, "message": text, "idempotencyKey": run_id}
    return (await bench.ask(peer, "chat.send", sent))["payload"]  # type: ignore[no-any-return]  # JSON


async def _turns() -> None:
    for _ in range(10):
        await anyio.lowlevel.checkpoint()


def _texts(peer: FakePeer) -> list[str]:
    return [event["message"]["content"][0]["text"] for event in peer.events("chat") if event["state"] == "final"]


@pytest.mark.parametrize("protocol", [3, 4])
async def test_a_preview_has_the_last_texts_of_each_session_cut_short(bench: Bench, protocol: int) -> None:
    row = bench.agent.make_session(KEY, OPERATOR)
    bench.agent.make_session(SessionKey("agent:main:empty"), OPERATOR)
    for number in range(4):
        bench.agent.add_step(row, RunId("r"), "model", f"{number} " + "tok " * 30)
    wanted = {"keys": [KEY, "agent:main:empty", "agent:main:none", "agent:"], "limit": 2, "maxChars": 20}
    got = await _payload(bench, "sessions.preview", wanted, protocol)
    assert [(one["key"], one["status"]) for one in got["previews"]] == [
        (KEY, "ok"),
        ("agent:main:empty", "empty"),
        ("agent:main:none", "missing"),
        ("agent:", "error"),
    ]
    assert got["previews"][0]["items"] == [
        {"role": "assistant", "text": "2 tok tok tok tok..."},
        {"role": "assistant", "text": "3 tok tok tok tok..."},
    ]


async def test_a_session_is_found_by_key_id_beginning_of_id_and_label(bench: Bench) -> None:
    row = bench.agent.make_session(KEY, OPERATOR)
    bench.agent.make_session(SessionKey("agent:main:other"), OPERATOR)
    await _payload(bench, "sessions.patch", {"key": KEY, "label": "mine"})
    for wanted in ({"key": "known"}, {"sessionId": row.id}, {"shortId": row.id}, {"label": "mine"}):
        found = await _payload(bench, "sessions.resolve", wanted)
        assert found == {"ok": True, "key": KEY, "agentId": "main", "displayName": "mine"}
        assert await _payload(bench, "sessions.resolve", wanted, 3) == {"ok": True, "key": KEY}
    assert await _refusal(bench, "sessions.resolve", {"label": "nobody's"}) == "No session found: nobody's"
    assert await _payload(bench, "sessions.resolve", {"label": "x", "allowMissing": True}) == {"ok": False}
    assert "exactly one" in await _refusal(bench, "sessions.resolve", {})
    assert "Several" in await _refusal(bench, "sessions.resolve", {"shortId": "session-"})
    both = await _payload(bench, "sessions.resolve", {"shortId": "session-", "allowMissing": True})
    assert [one["key"] for one in both["candidates"]] == [KEY, "agent:main:other"]


async def test_a_patch_answers_with_the_model_in_use_and_refuses_what_nothing_here_has(bench: Bench) -> None:
    row = bench.agent.make_session(KEY, OPERATOR)
    for protocol in (3, 4):
        patched = await _payload(bench, "sessions.patch", {"key": KEY, "model": "fake/other"}, protocol)
        assert patched["resolved"] == {"modelProvider": "fake", "model": "other"}
        assert patched["entry"]["modelOverride"] == "other"
    usual = {"thinkingLevel": "off", "execHost": None, "sendPolicy": "allow", "fastMode": False, "pinned": False}
    await _payload(bench, "sessions.patch", {"key": KEY, **usual})
    level = await _refusal(bench, "sessions.patch", {"key": KEY, "verboseLevel": "on"})
    assert level == 'verboseLevel "on" is not supported (use off)'
    assert "sendPolicy" in await _refusal(bench, "sessions.patch", {"key": KEY, "sendPolicy": "deny"})
    assert "session changed" in await _refusal(bench, "sessions.patch", {"key": KEY, "expectedSessionId": "old"})
    await _payload(bench, "sessions.patch", {"key": KEY, "expectedSessionId": row.id, "label": "ok"})


async def test_an_injected_message_is_stored_and_told_to_its_owners_clients_only(bench: Bench) -> None:
    bench.agent.make_session(KEY, OwnerId("alice"))
    admin, alice, bob, old = FakePeer(), FakePeer(owner="alice"), FakePeer(scopes=("operator.read",)), FakePeer(3)
    for peer in (admin, alice, bob, old):
        bench.hub.join(peer)
    await bench.ask(admin, "sessions.subscribe")
    asked = {"sessionKey": KEY, "message": "a note", "label": "cron"}
    answer = (await bench.ask(admin, "chat.inject", asked))["payload"]
    (told,) = alice.events("chat")
    assert told["runId"] == f"inject-{answer['messageId']}"
    assert (told["state"], told["seq"], told["agentId"]) == ("final", 0, "main")
    assert told["message"]["content"] == [{"type": "text", "text": "[cron]\n\na note"}]
    assert (told["message"]["provider"], told["message"]["model"]) == ("openclaw", "gateway-injected")
    assert bob.events("chat") == []
    assert "agentId" not in old.events("chat")[0]
    assert admin.events("session.message")[0]["messageId"] == answer["messageId"]
    history = await _payload(bench, "sessions.get", {"key": KEY})
    assert history["messages"][-1]["content"][0]["text"] == "[cron]\n\na note"
    assert "no session" in await _refusal(bench, "chat.inject", {"sessionKey": "none", "message": "x"})


async def test_a_compaction_is_told_from_start_to_end_and_answered_in_each_protocols_shape(bench: Bench) -> None:
    bench.agent.make_session(KEY, OPERATOR)

    async def shrink(key: SessionKey) -> CompactedSession:
        return CompactedSession(
            key=key, compacted=True, messages=6, kept=2, tokens_before=900, tokens_after=90, summary="S"
        )

    bench.agent.compaction = shrink
    peer = FakePeer()
    bench.hub.join(peer)
    answer = await bench.ask(peer, "sessions.compact", {"key": "known"})
    assert answer["payload"] == {
        "ok": True,
        "key": KEY,
        "compacted": True,
        "kept": 2,
        "result": {"summary": "S", "messages": 6, "tokensBefore": 900, "tokensAfter": 90},
    }
    start, end = peer.events("session.operation")
    assert (start["phase"], end["phase"], end["completed"]) == ("start", "end", True)
    assert start["operationId"] == end["operationId"]
    assert (start["operation"], start["sessionKey"], start["agentId"]) == ("compact", KEY, "main")
    old = FakePeer(3)
    bench.hub.join(old)
    assert (await bench.ask(old, "sessions.compact", {"key": KEY, "maxLines": 5}))["payload"] == {
        "ok": True,
        "key": KEY,
        "compacted": True,
        "kept": 2,
    }
    assert old.events("session.operation") == []


async def test_a_compaction_that_is_refused_or_stopped_ends_with_its_reason(bench: Bench) -> None:
    bench.agent.make_session(KEY, OPERATOR)
    peer = FakePeer()
    bench.hub.join(peer)
    assert "no session" in await _refusal(bench, "sessions.compact", {"key": "none"})
    assert peer.events("session.operation") == []

    async def stopped(key: SessionKey) -> CompactedSession:
        raise RunAborted("stopped (rpc)")

    bench.agent.compaction = stopped
    assert await _refusal(bench, "sessions.compact", {"key": KEY}) == "stopped (rpc)"
    end = peer.events("session.operation")[-1]
    assert (end["phase"], end["completed"], end["reason"]) == ("end", False, "stopped (rpc)")


async def test_slash_compact_is_answered_at_once_and_says_later_what_it_did(bench: Bench) -> None:
    bench.agent.make_session(KEY, OPERATOR)
    go = asyncio.Event()

    async def shrink(key: SessionKey) -> CompactedSession:
        await go.wait()
        return CompactedSession(key=key, compacted=True, messages=6, kept=2, reason="busy")

    bench.agent.compaction = shrink
    peer = FakePeer()
    bench.hub.join(peer)
    assert await _say(bench, peer, "/compact") == {"runId": "c1", "status": "started"}
    assert await _say(bench, peer, "/compact") == {"runId": "c1", "status": "in_flight"}
    assert _texts(peer) == []
    go.set()
    await _turns()
    (text,) = _texts(peer)
    assert text.startswith("Compacted without a summary: 6 old messages were dropped")
    assert await _say(bench, peer, "/compact") == {"runId": "c1", "status": "ok"}


async def test_slash_compact_without_a_session_or_with_a_run_says_so(bench: Bench) -> None:
    peer = FakePeer()
    bench.hub.join(peer)
    await _say(bench, peer, "/compact", "c1")
    await _turns()
    await _say(bench, peer, "a question", "r1")
    await _say(bench, peer, "/compact", "c2")
    await _turns()
    first, second = _texts(peer)
    assert first == "This session has not begun yet: send a message first."
    assert "is busy" in second


async def test_a_command_needs_its_scope_even_when_it_runs_later(bench: Bench) -> None:
    bench.agent.make_session(KEY, OPERATOR)
    answer = await bench.ask(
        FakePeer(scopes=("operator.write",)),
        "chat.send",
        {"sessionKey": KEY, "message": "/reset", "idempotencyKey": "c1"},
    )
    assert answer["error"]["message"] == "missing scope: operator.admin"


class FakeLedger:
    """Two groups of today's calls."""

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}

    async def usage_totals(self, by: Any, **asked: Any) -> list[UsageTotal]:
        self.asked = asked
        return [UsageTotal(key=("d",), calls=3, failed=0, usage=Usage(100, 20), usd_micros=1_500_000, unpriced=1)]

    async def spent(self, cap: Cap) -> tuple[int, int]:
        return 0, 0


async def test_slash_usage_counts_the_session_and_the_callers_calls_of_today(bench: Bench) -> None:
    ledger = FakeLedger()
    bench.counter.room.deps = replace(bench.deps, usage=ledger)
    peer = FakePeer(scopes=("operator.write",), owner="alice")
    bench.hub.join(peer)
    await _say(bench, peer, "/usage")
    (text,) = _texts(peer)
    assert text.splitlines()[0] == "This session: 0 tokens in, 0 out"
    assert "3, 120 tokens, $1.50" in text
    assert "1 calls of unknown price" in text
    assert ledger.asked["owner"] == "alice"


async def test_every_listed_command_is_understood_and_every_command_listed(bench: Bench) -> None:
    bench.agent.make_session(KEY, OPERATOR)
    listed = (await _payload(bench, "commands.list", {"agentId": "main", "scope": "text", "includeArgs": False}))[
        "commands"
    ]
    assert {"stop", "reset", "new", "compact", "model", "status", "usage", "help"} <= {row["name"] for row in listed}
    for number, row in enumerate(listed):
        assert row["textAliases"] == [f"/{row['name']}"]
        assert (row["source"], row["scope"]) == ("native", "text")
        assert "args" not in row
        await _say(bench, FakePeer(), row["textAliases"][0], f"c{number}")
    await _turns()
    assert bench.agent.runs == {}, "no command reached the agent"
    with_args = (await _payload(bench, "commands.list"))["commands"]
    assert [row["args"][0]["name"] for row in with_args if row["acceptsArgs"]] == ["model", "level"]
    assert await _payload(bench, "commands.list", {"scope": "native"}) == {"commands": []}


async def test_lists_of_what_waits_for_a_person_are_empty_in_the_shapes_clients_read(bench: Bench) -> None:
    assert await _payload(bench, "question.list") == {"questions": []}
    assert await _payload(bench, "plugin.approval.list") == []
    assert await _payload(bench, "taskSuggestions.list", {"sessionKey": KEY}) == {"suggestions": []}


@pytest.mark.parametrize("protocol", [3, 4])
async def test_a_run_that_compacts_says_so_between_its_texts(bench: Bench, protocol: int) -> None:
    peer = FakePeer(protocol)
    bench.hub.join(peer)
    await bench.ask(peer, "chat.send", {"sessionKey": "main", "message": "hello", "idempotencyKey": "r"})
    run = next(iter(bench.agent.runs.values()))
    run.start()
    run.say("before")
    run.emit(Compacted(12, "They like tea."))
    run.end()
    told = [event for event in peer.events("agent") if event["stream"] == "compaction"]
    assert [event["data"] for event in told] == [
        {"phase": "end", "completed": True, "willRetry": False, "messages": 12, "summary": "They like tea."}
    ]
    seqs = [event["seq"] for event in peer.events("agent")]
    assert seqs == sorted(set(seqs))
    assert (protocol == 4) is ("agentId" in told[0])


async def test_a_compaction_is_visible_in_the_history_of_a_real_study(tmp_path: Path) -> None:
    client = FakeClient(["word " * 60, "word " * 60, "They talked of tea."])
    async with house(tmp_path, client) as here:
        bench = Bench(tmp_path)
        counter = build_counter(replace(bench.deps, agent=here.study))
        bench.counter = counter
        for number in range(2):
            await (await here.say(f"message {number} " + "pad " * 30)).result()
        done = await _payload(bench, "sessions.compact", {"key": "main"})
        assert (done["compacted"], done["kept"]) == (True, 2)
        for protocol in (3, 4):
            history = await _payload(bench, "chat.history", {"sessionKey": "main"}, protocol)
            row = history["messages"][-1]
            assert row["role"] == "system"
            assert row["content"] == [{"type": "text", "text": MARK + "They talked of tea."}]
            assert row["__openclaw"] == {"kind": "compaction", "id": f"{history['sessionId']}-5", "seq": 5}
            assert [message["role"] for message in history["messages"][:-1]] == ["user", "assistant"] * 2
        assert (await _payload(bench, "sessions.get", {"key": "main"}))["messages"][-1]["role"] == "system"
        listed = await _payload(bench, "sessions.list", {"includeLastMessage": True})
        assert listed["sessions"][0]["lastMessagePreview"].startswith("word word")
        await bench.close()


async def test_a_sessions_level_of_thinking_is_set_shown_and_undone(bench: Bench) -> None:
    bench.agent.make_session(KEY, OPERATOR)
    patched = await _payload(bench, "sessions.patch", {"key": KEY, "thinkingLevel": "max"})
    assert patched["entry"]["thinkingLevel"] == "high"
    for protocol in (3, 4):
        history = await _payload(bench, "chat.history", {"sessionKey": KEY}, protocol)
        assert history["thinkingLevel"] == "high"
    assert (await _payload(bench, "sessions.list"))["sessions"][0]["thinkingLevel"] == "high"
    assert "thinkingLevel" in await _refusal(bench, "sessions.patch", {"key": KEY, "thinkingLevel": "lots"})
    await _payload(bench, "sessions.patch", {"key": KEY, "label": "kept"})
    assert bench.agent.table[KEY].thinking == "high"
    patched = await _payload(bench, "sessions.patch", {"key": KEY, "thinkingLevel": None})
    assert "thinkingLevel" not in patched["entry"]


async def test_think_shows_and_changes_the_level(bench: Bench) -> None:
    bench.agent.make_session(KEY, OPERATOR)
    peer = FakePeer()
    bench.hub.join(peer)
    texts = []
    for number, said in enumerate(("/think", "/think medium", "/think status", "/think lots", "/think default")):
        await _say(bench, peer, said, f"t{number}")
        texts.append(peer.events("chat")[-1]["message"]["content"][0]["text"])
    assert texts[0].startswith("Thinking: off.")
    assert "set to medium" in texts[1]
    assert texts[2].startswith("Thinking: medium.")
    assert "Use one of off, minimal" in texts[3]
    assert bench.agent.table[KEY].thinking == ""
    bench.hub.leave(peer)


async def test_a_message_brings_its_own_level(bench: Bench) -> None:
    await bench.ask(
        FakePeer(), "chat.send", {"sessionKey": KEY, "message": "x", "idempotencyKey": "r", "thinking": "on"}
    )
    assert next(iter(bench.agent.runs.values())).inbound.thinking == "low"
    send = {"sessionKey": KEY, "message": "x", "idempotencyKey": "r2", "thinking": "lots"}
    assert "lots" in await _refusal(bench, "chat.send", send)
    assert "lots" in await _refusal(bench, "agent", {"message": "x", "idempotencyKey": "r3", "thinking": "lots"})


async def _exported(bench: Bench, **params: Any) -> dict[str, Any]:
    found: dict[str, Any] = await _payload(bench, "sessions.export", {"key": KEY, **params})
    return found


async def test_an_export_brings_a_transcript_whole_page_by_page(bench: Bench) -> None:
    row = bench.agent.make_session(KEY, OPERATOR)
    for number in range(5):
        bench.agent.add_step(row, RunId(f"r{number}"), "model", f"said {number}")
    said: list[str] = []
    after: int | None = 0
    while after is not None:
        page = await _exported(bench, after=after, limit=2, sessionId=row.id)
        said += [message["content"][0]["text"] for message in page["messages"]]
        after = page["next"]
    assert said == [f"said {number}" for number in range(5)]
    assert (await _exported(bench, after=5))["messages"] == []


async def test_a_page_of_an_export_ends_where_a_frame_would_and_cuts_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openclaw.rpc.methods.conversation.transcript.MAX_HISTORY_CHARS", 1_000)
    row = bench.agent.make_session(KEY, OPERATOR)
    for text in ("a" * 3_000, "b", "c" * 800):
        bench.agent.add_step(row, RunId("r"), "model", text)
    first = await _exported(bench)
    assert ([len(each["content"][0]["text"]) for each in first["messages"]], first["next"]) == ([3_000], 1)
    second = await _exported(bench, after=1)
    assert (second["messages"][0]["content"][0]["text"], second["next"]) == ("b", 2)
    assert (await _exported(bench, after=2))["next"] is None


async def test_an_export_is_of_one_conversation_and_of_a_session_that_is_there(bench: Bench) -> None:
    row = bench.agent.make_session(KEY, OPERATOR)
    bench.agent.make_session(KEY, OPERATOR)
    assert "begun anew" in await _refusal(bench, "sessions.export", {"key": KEY, "sessionId": row.id})
    assert "not found" in await _refusal(bench, "sessions.export", {"key": "agent:main:none"})
