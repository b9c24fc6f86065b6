"""chat.send, chat.history, agent and agent.wait: accepted once, answered once."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from openclaw.base.message import ImagePart, TextPart
from openclaw.base.principal import LOCAL_OPERATOR
from openclaw.protocol.frames import Request
from openclaw.rpc.build import build_counter
from openclaw.store.sqlite import SqliteStore
from tests.rpc.support import Bench, FakePeer

pytestmark = pytest.mark.anyio
SEND = {"sessionKey": "main", "message": "hello", "idempotencyKey": "run-1"}
PNG = "iVBORw0KGgo="
GIF = base64.b64encode(b"GIF89a").decode()


@pytest.mark.parametrize("protocol", [3, 4])
async def test_a_repeated_key_never_runs_twice(protocol: int, bench: Bench) -> None:
    peer = FakePeer(protocol)
    assert (await bench.ask(peer, "chat.send", SEND))["payload"] == {"runId": "run-1", "status": "started"}
    assert (await bench.ask(peer, "chat.send", SEND))["payload"] == {"runId": "run-1", "status": "in_flight"}
    run = bench.agent.runs[next(iter(bench.agent.runs))]
    run.start()
    run.end()
    assert (await bench.ask(peer, "chat.send", SEND))["payload"] == {"runId": "run-1", "status": "ok"}
    assert len(bench.agent.runs) == 1


@pytest.mark.parametrize(("method", "name"), [("chat.send", "timeoutMs"), ("agent", "timeout")])
async def test_a_time_past_every_number_is_only_long(method: str, name: str, bench: Bench) -> None:
    peer, params = FakePeer(), msgspec.json.encode({"sessionKey": "main", "message": "hello", "idempotencyKey": "long"})
    raw = msgspec.Raw(params[:-1] + f',"{name}":{"9" * 400}}}'.encode())
    answer = bench.counter.handle(peer, Request("1", method, raw))
    assert not isinstance(answer, bytes)
    task = asyncio.ensure_future(answer)
    await anyio.wait_all_tasks_blocked()
    assert peer.frames[0]["ok"], peer.frames
    (run,) = bench.agent.runs.values()
    assert run.inbound.timeout_s == 30 * 86_400
    run.start()
    run.end()
    await task


async def test_a_repeat_after_an_abort_says_so_in_protocol_4(bench: Bench) -> None:
    await bench.ask(FakePeer(), "chat.send", SEND)
    await bench.ask(FakePeer(), "chat.abort", {"sessionKey": "main"})
    new = (await bench.ask(FakePeer(4), "chat.send", SEND))["payload"]
    assert new == {
        "runId": "run-1",
        "status": "timeout",
        "summary": "aborted",
        "stopReason": "rpc",
        "endedAt": bench.clock.now_ms(),
    }
    assert (await bench.ask(FakePeer(3), "chat.send", SEND))["payload"] == {"runId": "run-1", "status": "ok"}
    nothing = (await bench.ask(FakePeer(), "chat.abort", {"sessionKey": "main"}))["payload"]
    assert nothing == {"ok": True, "aborted": False, "runIds": []}


@pytest.mark.parametrize("method", ["chat.send", "agent"])
async def test_an_image_is_attached_as_what_it_is_and_anything_else_refused(method: str, bench: Bench) -> None:
    bench.agent.answer = "seen"
    image = {"type": "image", "mimeType": "image/png", "fileName": "a.png", "content": PNG, "sizeBytes": 8}
    nested = {"type": "image", "source": {"type": "base64", "media_type": "image/gif", "data": GIF}}
    said = {"message": "hello", "idempotencyKey": "run-1", "sessionKey": "main"}
    params = {**said, "attachments": [image, {"content": f"data:image/gif;base64,{PNG}"}, nested]}
    assert (await bench.ask(FakePeer(), method, params))["ok"]
    inbound = next(iter(bench.agent.runs.values())).inbound
    assert inbound.message.parts == (
        TextPart("hello"),
        ImagePart(media_type="image/png", data=PNG),
        ImagePart(media_type="image/png", data=PNG),
        ImagePart(media_type="image/gif", data=GIF),
    )
    text = base64.b64encode(b"<svg onload=alert(1)>").decode()
    for wrong in ({"mimeType": "image/png", "content": text}, {"content": "no base64!"}, {"mimeType": "image/png"}):
        answer = await bench.ask(FakePeer(), method, {**said, "idempotencyKey": "2", "attachments": [wrong]})
        assert answer["error"]["message"].startswith(f"invalid {method} params: at /attachments/0")


async def test_an_image_over_the_limit_in_hello_is_too_large(bench: Bench) -> None:
    limit = bench.counter.hello_ok(FakePeer())["policy"]["attachments"]["maxImageBytes"]
    big = base64.b64encode(base64.b64decode(PNG) + bytes(limit)).decode()
    answer = await bench.ask(FakePeer(), "chat.send", {**SEND, "attachments": [{"content": big}]})
    assert answer["error"]["details"]["code"] == "TOO_LARGE"
    assert not bench.agent.runs


async def test_a_time_limit_of_a_message_is_in_milliseconds_and_of_an_agent_in_seconds(bench: Bench) -> None:
    bench.agent.answer = "x"
    await bench.ask(FakePeer(), "chat.send", {**SEND, "timeoutMs": 1500})
    await bench.ask(FakePeer(), "agent", {"message": "hi", "timeout": 600, "idempotencyKey": "a", "deliver": False})
    assert [run.inbound.timeout_s for run in bench.agent.runs.values()] == [1.5, 600.0]


async def test_an_agent_goes_on_in_the_session_with_an_id_and_makes_one_for_an_id_that_is_new(bench: Bench) -> None:
    bench.agent.answer = "x"
    row = bench.agent.make_session(bench.agent.resolve_key(LOCAL_OPERATOR, "old"), FakePeer().principal.owner)
    params = {"message": "hi", "idempotencyKey": "a"}
    await bench.ask(FakePeer(), "agent", {**params, "sessionId": row.id})
    assert next(iter(bench.agent.runs.values())).inbound.session_key == row.key
    for key in ("b", "c"):
        await bench.ask(FakePeer(), "agent", {**params, "idempotencyKey": key, "sessionId": "my-id"})
    made = [str(run.inbound.session_key) for run in bench.agent.runs.values()][1:]
    assert made == ["agent:main:explicit:my-id"] * 2
    reset = {**params, "idempotencyKey": "d", "sessionKey": "old", "expectedExistingSessionId": "earlier"}
    assert (await bench.ask(FakePeer(), "agent", reset))["error"]["details"]["code"] == "CONFLICT"


async def test_an_empty_message_and_null_bytes_are_refused(bench: Bench) -> None:
    for text in ("", "  ", "a\x00b"):
        assert not (await bench.ask(FakePeer(), "chat.send", {**SEND, "message": text}))["ok"]
    assert not bench.agent.runs


async def test_commands_are_answered_once_as_a_chat_final(bench: Bench) -> None:
    peer = FakePeer()
    bench.hub.join(peer)
    bench.agent.make_session(bench.agent.resolve_key(LOCAL_OPERATOR, "main"), peer.principal.owner)
    params = {"sessionKey": "main", "message": "/model fake/other", "idempotencyKey": "c1"}
    assert (await bench.ask(peer, "chat.send", params))["payload"]["status"] == "started"
    assert (await bench.ask(peer, "chat.send", params))["payload"]["status"] == "ok"
    finals = peer.events("chat")
    assert len(finals) == 1
    assert finals[0]["runId"] == "c1"
    assert finals[0]["message"]["content"][0]["text"].startswith("Model set to fake/other for this session only")
    await bench.ask(peer, "chat.send", {**params, "message": "/model nope/x", "idempotencyKey": "c2"})
    assert "no model nope/x" in peer.events("chat")[-1]["message"]["content"][0]["text"]
    before = bench.agent.table[bench.agent.resolve_key(LOCAL_OPERATOR, "main")].id
    await bench.ask(peer, "chat.send", {**params, "message": "/reset", "idempotencyKey": "c3"})
    assert bench.agent.table[bench.agent.resolve_key(LOCAL_OPERATOR, "main")].id != before
    for text in ("/status", "/help"):
        await bench.ask(peer, "chat.send", {**params, "message": text, "idempotencyKey": text})
    assert "/stop" in peer.events("chat")[-1]["message"]["content"][0]["text"]
    assert not bench.agent.runs


async def test_a_command_does_not_run_twice_even_after_a_restart(bench: Bench, tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "db.sqlite", clock=bench.clock)
    deps = dataclasses.replace(bench.deps, shelf=store.shelf)
    bench.agent.make_session(bench.agent.resolve_key(LOCAL_OPERATOR, "main"), FakePeer().principal.owner)
    reset = {"sessionKey": "main", "message": "/reset", "idempotencyKey": "c1"}
    ids, statuses = [], []
    for _ in range(2):
        bench.counter = build_counter(deps)
        statuses.append((await bench.ask(FakePeer(), "chat.send", reset))["payload"]["status"])
        ids.append(bench.agent.table[bench.agent.resolve_key(LOCAL_OPERATOR, "main")].id)
        await bench.counter.close()
    assert statuses == ["started", "ok"]
    assert ids[0] == ids[1]
    bench.counter = build_counter(deps)
    other = await bench.ask(FakePeer(), "chat.send", {**reset, "message": "/compact"})
    assert other["error"]["details"]["code"] == "IDEMPOTENCY_KEY_REUSED"
    await bench.counter.close()
    await store.close()


async def test_text_is_no_way_around_the_scope_of_a_method(bench: Bench) -> None:
    peer = FakePeer(4, ("operator.write",))
    bench.agent.make_session(bench.agent.resolve_key(LOCAL_OPERATOR, "main"), peer.principal.owner)
    answer = await bench.ask(peer, "chat.send", {**SEND, "message": "/reset"})
    assert answer["error"]["message"] == "missing scope: operator.admin"


async def test_stop_in_a_chat_aborts_what_runs(bench: Bench) -> None:
    await bench.ask(FakePeer(), "chat.send", SEND)
    answer = await bench.ask(FakePeer(), "chat.send", {**SEND, "message": "/stop", "idempotencyKey": "s"})
    assert answer["payload"] == {"ok": True, "aborted": True, "runIds": ["run-1"]}


async def test_history_shows_both_sides_and_an_unknown_session_is_empty(bench: Bench) -> None:
    bench.agent.answer = "hi there"
    await bench.ask(FakePeer(), "chat.send", SEND)
    history = (await bench.ask(FakePeer(), "chat.history", {"sessionKey": "main"}))["payload"]
    user, reply = history["messages"]
    own = {"id": "run-1:user", "seq": 1, "idempotencyKey": "run-1:user"}
    assert (user.pop("__openclaw"), user.pop("idempotencyKey")) == (own, "run-1:user")
    assert user == {"role": "user", "content": [{"type": "text", "text": "hello"}], "timestamp": user["timestamp"]}
    assert reply["content"] == [{"type": "text", "text": "hi there"}]
    assert (reply["provider"], reply["model"], reply["stopReason"]) == ("fake", "fake-1", "stop")
    assert (reply["usage"]["input"], reply["usage"]["output"], reply["usage"]["totalTokens"]) == (10, 20, 30)
    cut = (await bench.ask(FakePeer(), "chat.history", {"sessionKey": "main", "limit": 1, "maxChars": 2}))["payload"]
    assert [row["content"][0]["text"] for row in cut["messages"]] == ["hi…"]
    none = (await bench.ask(FakePeer(), "chat.history", {"sessionKey": "agent:main:nope"}))["payload"]
    assert (none["sessionKey"], none["messages"], none["thinkingLevel"]) == ("agent:main:nope", [], "off")
    assert (none["hasMore"], none["totalMessages"], none["pendingInputs"]["total"]) == (False, 0, 0)
    assert "sessionId" not in none
    old = (await bench.ask(FakePeer(3), "chat.history", {"sessionKey": "agent:main:nope"}))["payload"]
    assert old == {"sessionKey": "agent:main:nope", "messages": [], "thinkingLevel": "off"}


@pytest.mark.parametrize("protocol", [3, 4])
async def test_agent_answers_its_id_twice(protocol: int, bench: Bench) -> None:
    peer = FakePeer(protocol)
    pending = bench.begin(peer, "agent", {"message": "hi", "sessionKey": "agent:main:x", "idempotencyKey": "a1"})
    assert isinstance(pending, Coroutine)
    async with anyio.create_task_group() as group:
        group.start_soon(_drive, pending)
        await anyio.wait_all_tasks_blocked()
        first = peer.frames[0]
        run = next(iter(bench.agent.runs.values()))
        run.start()
        run.say("done")
        run.end()
    accepted = {"runId": "a1", "status": "accepted", "acceptedAt": bench.clock.now_ms()}
    if protocol == 4:
        accepted |= {"sessionKey": "agent:main:x", "agentId": "main"}
    assert first["payload"] == accepted
    second = peer.frames[1]
    assert second["id"] == first["id"] == "1"
    assert (second["payload"]["status"], second["payload"]["summary"]) == ("ok", "completed")
    assert second["payload"]["result"]["payloads"] == [{"text": "done", "mediaUrl": None}]
    assert second["payload"]["result"]["meta"]["agentMeta"]["usage"]["total"] == 30
    again = await bench.ask(peer, "agent", {"message": "hi", "sessionKey": "agent:main:x", "idempotencyKey": "a1"})
    assert again["payload"] == second["payload"]


async def _drive(pending: Coroutine[Any, Any, None]) -> None:
    await pending


async def test_a_failed_agent_run_is_an_error_that_names_its_run(bench: Bench) -> None:
    peer = FakePeer()
    pending = bench.begin(peer, "agent", {"message": "hi", "idempotencyKey": "a2"})
    assert isinstance(pending, Coroutine)
    async with anyio.create_task_group() as group:
        group.start_soon(_drive, pending)
        await anyio.wait_all_tasks_blocked()
        next(iter(bench.agent.runs.values())).end("error", {"code": "MODEL_UNREACHABLE", "message": "no route"})
    last = peer.frames[-1]
    assert last["ok"] is False
    assert last["payload"] == {"runId": "a2", "status": "error", "summary": "no route"}
    assert last["error"]["code"] == "UNAVAILABLE"
    assert last["error"]["details"]["code"] == "MODEL_UNREACHABLE"


async def test_waiting_for_a_run_ends_with_it_or_with_the_time(bench: Bench) -> None:
    bench.agent.answer = "x"
    await bench.ask(FakePeer(), "chat.send", SEND)
    done = (await bench.ask(FakePeer(3), "agent.wait", {"runId": "run-1"}))["payload"]
    assert done == {
        "runId": "run-1",
        "status": "ok",
        "startedAt": bench.clock.now_ms(),
        "endedAt": bench.clock.now_ms(),
    }
    unknown = (await bench.ask(FakePeer(), "agent.wait", {"runId": "nobody", "timeoutMs": 5}))["payload"]
    assert unknown == {"runId": "nobody", "status": "timeout"}


async def test_a_run_of_somebody_else_is_not_waited_for(bench: Bench) -> None:
    bench.agent.answer = "x"
    await bench.ask(FakePeer(owner="ann"), "chat.send", SEND)
    stranger = FakePeer(4, ("operator.write",), owner="ben")
    answer = await bench.ask(stranger, "agent.wait", {"runId": "run-1", "timeoutMs": 5})
    assert answer["payload"]["status"] == "timeout"
