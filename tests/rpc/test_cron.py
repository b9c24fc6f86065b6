"""Jobs, wakes and heartbeats as clients of both protocols see them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from openclaw.base.ids import OwnerId
from openclaw.base.principal import ALL_SCOPES, LOCAL_OPERATOR
from tests.rpc.support import Bench, FakePeer

pytestmark = pytest.mark.anyio

JOB = {
    "name": "job1",
    "schedule": {"kind": "every", "everyMs": 3_600_000},
    "sessionTarget": "isolated",
    "wakeMode": "now",
    "payload": {"kind": "agentTurn", "message": "do it"},
}
READ = ("operator.read",)


async def rest() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def add(bench: Bench, peer: FakePeer, **more: Any) -> dict[str, Any]:
    answer = await bench.ask(peer, "cron.add", {**JOB, **more})
    assert answer["ok"], answer
    job: dict[str, Any] = answer["payload"]
    return job


@pytest.mark.parametrize("protocol", [3, 4])
async def test_a_new_job_is_answered_whole_and_told(protocol: int, bench: Bench) -> None:
    peer = FakePeer(protocol)
    bench.hub.join(peer)
    job = await add(bench, peer)
    now_ms = bench.clock.now_ms()
    assert job == {
        "id": job["id"],
        "name": "job1",
        "enabled": True,
        "createdAtMs": now_ms,
        "updatedAtMs": now_ms,
        "schedule": {"kind": "every", "everyMs": 3_600_000, "anchorMs": now_ms},
        "sessionTarget": "isolated",
        "wakeMode": "now",
        "payload": {"kind": "agentTurn", "message": "do it"},
        "delivery": {"mode": "announce"},
        "state": {"nextRunAtMs": now_ms + 3_600_000},
    }
    (event,) = peer.events("cron")
    told = {"jobId": job["id"], "action": "added"}
    assert event == told | ({"job": job} if protocol >= 4 else {"nextRunAtMs": now_ms + 3_600_000})


async def test_a_run_is_told_from_its_start_to_its_end_and_logged(bench: Bench) -> None:
    old, new = FakePeer(3), FakePeer(4)
    for peer in (old, new):
        bench.hub.join(peer)
    job = await add(bench, new, enabled=False)
    answer = await bench.ask(new, "cron.run", {"id": job["id"], "mode": "force"})
    run_id = answer["payload"]["runId"]
    assert answer["payload"] == {"ok": True, "enqueued": True, "runId": run_id}
    assert (await bench.ask(old, "cron.run", {"id": job["id"]}))["payload"] == {
        "ok": True,
        "ran": False,
        "reason": "already-running",
    }
    await rest()
    bench.clock.advance(2)
    run = bench.agent.runs[run_id]
    run.start()
    run.say("tok0 tok1")
    run.end()
    await rest()
    assert [event["action"] for event in new.events("cron")] == ["added", "started", "finished"]
    finished = old.events("cron")[-1]
    assert (finished["status"], finished["summary"], "job" in finished) == ("ok", "tok0 tok1", False)
    assert new.events("cron")[-1]["job"]["state"]["lastRunStatus"] == "ok"
    page = (await bench.ask(new, "cron.runs", {"id": job["id"], "limit": 5}))["payload"]
    (entry,) = page["entries"]
    assert entry == {
        "ts": bench.clock.now_ms(),
        "jobId": job["id"],
        "jobName": "job1",
        "action": "finished",
        "status": "ok",
        "completionStatus": "succeeded",
        "summary": "tok0 tok1",
        "runAtMs": bench.clock.now_ms() - 2_000,
        "durationMs": 2_000,
        "runId": run_id,
        "sessionId": "session-1",
        "sessionKey": run.inbound.session_key,
        "model": "fake-1",
        "provider": "fake",
        "delivered": False,
        "deliveryStatus": "not-delivered",
        "deliveryError": entry["deliveryError"],
    }
    assert page["total"] == 1
    assert set((await bench.ask(old, "cron.runs", {"id": job["id"]}))["payload"]) == {"entries"}


async def test_a_job_is_changed_in_parts_and_removed(bench: Bench) -> None:
    old, new = FakePeer(3), FakePeer(4)
    job = await add(bench, new, payload={"kind": "agentTurn", "message": "do it", "model": "fake/fake-1"})
    patch = {"enabled": False, "payload": {"kind": "agentTurn", "message": "do that"}, "description": "d"}
    changed = (await bench.ask(new, "cron.update", {"id": job["id"], "patch": patch}))["payload"]
    assert changed["payload"] == {"kind": "agentTurn", "message": "do that", "model": "fake/fake-1"}
    assert (changed["enabled"], changed["state"], changed["description"]) == (False, {}, "d")
    assert (await bench.ask(new, "cron.get", {"jobId": job["id"]}))["payload"] == changed
    assert (await bench.ask(new, "cron.list"))["payload"]["jobs"] == []
    assert (await bench.ask(old, "cron.list", {"includeDisabled": True}))["payload"] == {"jobs": [changed]}
    assert (await bench.ask(new, "cron.remove", {"id": job["id"]}))["payload"] == {"ok": True, "removed": True}
    assert (await bench.ask(old, "cron.remove", {"id": job["id"]}))["payload"] == {"ok": True, "removed": False}
    error = (await bench.ask(new, "cron.remove", {"id": job["id"]}))["error"]
    assert (error["code"], error["details"]) == (
        "INVALID_REQUEST",
        {"code": "CRON_JOB_NOT_FOUND", "jobId": job["id"]},
    )


async def test_a_job_is_seen_by_its_owner_and_by_administrators_alone(bench: Bench) -> None:
    await bench.add_job("hers", owner="ann")
    ann, bob, admin = FakePeer(4, READ, "ann"), FakePeer(4, READ, "bob"), FakePeer(4, ALL_SCOPES)
    for peer in (ann, bob, admin):
        bench.hub.join(peer)
    await bench.automation.jobs.run("hers")
    await rest()
    for run in list(bench.agent.runs.values()):
        run.end()
    await rest()
    for peer, sees in ((ann, True), (bob, False), (admin, True)):
        assert len((await bench.ask(peer, "cron.list"))["payload"]["jobs"]) == sees
        assert (await bench.ask(peer, "cron.get", {"id": "hers"}))["ok"] is sees
        assert len((await bench.ask(peer, "cron.runs"))["payload"]["entries"]) == sees
        assert (await bench.ask(peer, "cron.status"))["payload"]["jobs"] == sees
        assert bool(peer.events("cron")) is sees


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"schedule": {"kind": "on-exit", "command": "x"}}, "NOT_SUPPORTED"),
        ({"payload": {"kind": "command", "argv": ["rm", "-rf", "/"]}}, "NOT_SUPPORTED"),
        ({"payload": {"kind": "agentTurn", "message": "x", "toolsAllow": ["read"]}}, "NOT_SUPPORTED"),
        ({"delivery": {"mode": "webhook", "to": "http://169.254.169.254/"}}, "NOT_SUPPORTED"),
        ({"trigger": {"script": "x"}}, "NOT_SUPPORTED"),
        ({"schedule": {"kind": "cron", "expr": "61 * * * *"}}, "INVALID_REQUEST"),
        ({"schedule": {"kind": "cron", "expr": "0 7 * * *", "tz": "Mars/Olympus"}}, "INVALID_REQUEST"),
        ({"schedule": {"kind": "every", "everyMs": 1}}, "INVALID_REQUEST"),
        ({"schedule": {"kind": "every"}}, "INVALID_REQUEST"),
        ({"schedule": {"kind": "at", "at": "2001-01-01T00:00:00Z"}}, "INVALID_REQUEST"),
        ({"schedule": {"kind": "sometimes"}}, "INVALID_REQUEST"),
        ({"payload": {"kind": "systemEvent", "text": "x"}}, "INVALID_REQUEST"),
        ({"payload": {"kind": "agentTurn", "message": ""}}, "INVALID_REQUEST"),
        ({"sessionTarget": "elsewhere"}, "INVALID_REQUEST"),
        ({"agentId": "nobody"}, "NOT_FOUND"),
        ({"bogus": 1}, "INVALID_REQUEST"),
    ],
    ids=str,
)
async def test_what_cannot_be_run_is_refused_and_leaves_nothing(more: dict[str, Any], code: str, bench: Bench) -> None:
    error = (await bench.ask(FakePeer(), "cron.add", {**JOB, **more}))["error"]
    assert error.get("details", {}).get("code", error["code"]) == code
    assert bench.automation.jobs.jobs() == []


async def test_what_is_missing_is_named(bench: Bench) -> None:
    error = (await bench.ask(FakePeer(3), "cron.add", {"name": "bad"}))["error"]
    assert error["message"] == (
        "invalid cron.add params: must have required property 'schedule'; "
        "must have required property 'sessionTarget'; must have required property 'payload'"
    )


async def test_a_declared_job_is_made_once_and_then_brought_to_what_is_declared(bench: Bench) -> None:
    peer = FakePeer()
    first = await add(bench, peer, declarationKey="tea")
    assert first["created"] is True
    again = await add(bench, peer, declarationKey="tea")
    assert (again["created"], again["updated"], again["job"]) == (False, False, first["job"])
    changed = await add(bench, peer, declarationKey="tea", name="coffee")
    assert (changed["updated"], changed["job"]["id"], changed["job"]["name"]) == (True, first["job"]["id"], "coffee")
    assert len(bench.automation.jobs.jobs()) == 1


async def test_a_page_of_jobs_says_where_it_goes_on(bench: Bench) -> None:
    for number in range(5):
        await add(bench, FakePeer(), name=f"job {number}")
    page = (await bench.ask(FakePeer(), "cron.list", {"limit": 2, "sortBy": "name", "sortDir": "desc"}))["payload"]
    assert [job["name"] for job in page["jobs"]] == ["job 4", "job 3"]
    assert (page["total"], page["hasMore"], page["nextOffset"]) == (5, True, 2)
    found = (await bench.ask(FakePeer(), "cron.list", {"query": "JOB 2"}))["payload"]
    assert [job["name"] for job in found["jobs"]] == ["job 2"]


async def test_pages_of_one_revision_belong_together(bench: Bench) -> None:
    async def page(offset: int) -> dict[str, Any]:
        answer: dict[str, Any] = (await bench.ask(FakePeer(), "cron.list", {"limit": 1, "offset": offset}))["payload"]
        return answer

    first = await add(bench, FakePeer(), name="one")
    await add(bench, FakePeer(), name="two")
    before = await page(0)
    assert before["snapshotRevision"] == (await page(1))["snapshotRevision"]
    await bench.ask(FakePeer(), "cron.remove", {"id": first["id"]})
    assert (await page(0))["snapshotRevision"] not in ("", before["snapshotRevision"])


async def test_where_an_answer_will_be_told_is_previewed_unless_it_is_not_wanted(bench: Bench) -> None:
    told = await add(bench, FakePeer())
    quiet = await add(bench, FakePeer(), delivery={"mode": "none"})
    plain = (await bench.ask(FakePeer(), "cron.list", {"includeDeliveryPreviews": False}))["payload"]
    assert "deliveryPreviews" not in plain
    listed = (await bench.ask(FakePeer(), "cron.list"))["payload"]
    assert {job["effectiveAgentId"] for job in listed["jobs"]} == {"main"}
    labels = {job: preview["label"] for job, preview in listed["deliveryPreviews"].items()}
    assert labels == {told["id"]: "announce -> last", quiet["id"]: "not requested"}


async def test_a_scratch_is_shared_under_its_revision(bench: Bench) -> None:
    await bench.add_job()
    peer = FakePeer()
    empty = (await bench.ask(peer, "cron.scratch.get", {"id": "known"}))["payload"]
    assert empty == {"scratch": None, "currentRevision": 0, "maxBytes": 262_144}
    wrote = await bench.ask(peer, "cron.scratch.set", {"id": "known", "content": "c", "expectedRevision": 0})
    assert wrote["payload"]["scratch"] == {"content": "c", "revision": 1, "updatedAtMs": bench.clock.now_ms()}
    late = await bench.ask(peer, "cron.scratch.set", {"id": "known", "content": "d", "expectedRevision": 0})
    assert late["payload"] == {"ok": False, "reason": "revision-conflict", "currentRevision": 1}


async def test_a_wake_queues_a_line_and_now_makes_a_turn(bench: Bench) -> None:
    await bench.automation.start()
    peer = FakePeer()
    bench.hub.join(peer)
    asked = await bench.ask(peer, "wake", {"mode": "next-heartbeat", "text": "later", "extra": "let pass"})
    assert asked["payload"] == {"ok": True}
    status = (await bench.ask(peer, "status"))["payload"]
    assert status["queuedSystemEvents"] == ["later"]
    assert bench.agent.runs == {}
    assert (await bench.ask(peer, "wake", {"mode": "now", "text": "wake up"}))["payload"] == {"ok": True}
    await rest()
    (run,) = bench.agent.runs.values()
    run.start()
    run.say("The kettle is on.")
    run.end()
    await rest()
    (event,) = peer.events("heartbeat")
    assert (event["status"], event["preview"]) == ("sent", "The kettle is on.")
    assert (await bench.ask(peer, "last-heartbeat"))["payload"] == event
    assert "preview" not in (await bench.ask(FakePeer(4, READ), "last-heartbeat"))["payload"]
    assert all(told["isHeartbeat"] for told in peer.events("agent"))
    assert [told["state"] for told in peer.events("chat") if told["state"] != "status"] == ["final"]


async def test_a_heartbeat_that_has_nothing_to_tell_is_not_told_as_chat(bench: Bench) -> None:
    await bench.automation.start()
    peer = FakePeer()
    bench.hub.join(peer)
    await bench.ask(peer, "wake", {"mode": "now", "text": "wake up"})
    await rest()
    (run,) = bench.agent.runs.values()
    run.start()
    run.say("HEARTBEAT_OK")
    run.end()
    await rest()
    assert [told["state"] for told in peer.events("chat") if told["state"] != "status"] == []
    assert peer.events("heartbeat")[0]["status"] == "ok-token"


async def test_heartbeats_are_shown_as_off_until_they_are_configured(bench: Bench) -> None:
    health = (await bench.ask(FakePeer(), "health"))["payload"]
    assert health["heartbeatSeconds"] == 0
    assert set(health["agents"][0]["heartbeat"]) == {"enabled", "every", "everyMs", "prompt", "target", "ackMaxChars"}
    assert health["agents"][0]["heartbeat"]["enabled"] is False
    answer = await bench.ask(FakePeer(), "set-heartbeats", {"enabled": False})
    assert answer["payload"] == {"ok": True, "enabled": False}
    assert (await bench.ask(FakePeer(), "last-heartbeat"))["payload"] is None


async def test_a_line_for_somebody_elses_session_is_refused(bench: Bench) -> None:
    key = bench.agent.resolve_key(LOCAL_OPERATOR, "hers")
    bench.agent.make_session(key, OwnerId("ann"))
    wish = {"mode": "next-heartbeat", "text": "do as bob says", "sessionKey": "hers"}
    refused = await bench.ask(FakePeer(4, ("operator.write",), "bob"), "wake", wish)
    assert refused["error"]["details"]["code"] == "NOT_FOUND"
    assert list(bench.automation.events.waiting(key)) == []
    assert (await bench.ask(FakePeer(4, ("operator.write",), "ann"), "wake", wish))["ok"]


async def test_a_job_speaks_only_in_sessions_of_its_own_agent(bench: Bench) -> None:
    named = await add(bench, FakePeer(), sessionTarget="session:tea", agentId="bob")
    assert named["sessionTarget"] == "session:tea"
    current = await add(bench, FakePeer(), sessionTarget="current", sessionKey="agent:bob:tea", agentId="bob")
    assert current["sessionTarget"] == "session:tea"
    for more in (
        {"sessionTarget": "session:agent:bob:tea", "agentId": "main"},
        {"sessionTarget": "main", "sessionKey": "agent:bob:tea", "agentId": "main"},
        {"sessionTarget": "main", "sessionKey": "agent:nobody:tea"},
        {"sessionTarget": "session:agent:"},
    ):
        assert not (await bench.ask(FakePeer(), "cron.add", {**JOB, **more}))["ok"], more
