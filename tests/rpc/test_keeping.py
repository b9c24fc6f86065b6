"""How sessions are kept: changed with an eye on what was seen, made once, grouped; and what is kept for a person."""

from __future__ import annotations

from typing import Any

import pytest

from openclaw.base.principal import LOCAL_OPERATOR
from openclaw.policy.approvals import NewApproval
from openclaw.rpc.methods.conversation.session_patch import USED, SessionsPatchParams
from openclaw.rpc.methods.people.users import MAX_KEYS
from openclaw.store.api import SessionRow
from tests.rpc.support import Bench, FakePeer

pytestmark = pytest.mark.anyio

KEY = "agent:main:known"


@pytest.fixture
def row(bench: Bench) -> SessionRow:
    return bench.agent.make_session(bench.agent.resolve_key(LOCAL_OPERATOR, "known"), FakePeer().principal.owner)


async def payload(bench: Bench, method: str, params: Any = None, peer: FakePeer | None = None) -> Any:
    answer = await bench.ask(peer or FakePeer(), method, params)
    assert answer["ok"], answer
    return answer["payload"]


async def refusal(bench: Bench, method: str, params: Any, peer: FakePeer | None = None) -> dict[str, Any]:
    answer = await bench.ask(peer or FakePeer(), method, params)
    assert not answer["ok"], answer
    error: dict[str, Any] = answer["error"]
    return error


async def test_a_change_is_made_only_to_the_session_that_was_seen(bench: Bench, row: SessionRow) -> None:
    for expected in ({"expectedSessionId": "old"}, {"expectedLifecycleRevision": "old"}):
        error = await refusal(bench, "sessions.patch", {"key": KEY, "pinned": True, **expected})
        assert error["details"] == {"reason": "session-changed"}
    missing = await refusal(bench, "sessions.patch", {"key": "new", "pinned": True, "expectedSessionId": row.id})
    assert missing["details"] == {"reason": "session-changed"}
    patched = await payload(bench, "sessions.patch", {"key": KEY, "pinned": True, "expectedSessionId": row.id})
    assert patched["entry"]["pinnedAt"] == bench.clock.now_ms()


async def test_a_choice_before_the_first_message_makes_the_session(bench: Bench) -> None:
    await payload(bench, "sessions.patch", {"key": "main", "model": "fake/other"})
    shown = (await payload(bench, "sessions.describe", {"key": "main"}))["session"]
    assert (shown["modelProvider"], shown["model"], shown["modelOverrideSource"]) == ("fake", "other", "user")


async def test_reading_what_came_before_does_not_undo_a_later_mark(bench: Bench, row: SessionRow) -> None:
    first = (await payload(bench, "sessions.patch", {"key": KEY, "unread": True}))["entry"]["markedUnreadAt"]
    await payload(bench, "sessions.patch", {"key": KEY, "unread": False, "expectedMarkedUnreadAt": first - 1})
    assert (await payload(bench, "sessions.describe", {"key": KEY}))["session"]["unread"]
    await payload(bench, "sessions.patch", {"key": KEY, "unread": False, "expectedMarkedUnreadAt": first})
    assert not (await payload(bench, "sessions.describe", {"key": KEY}))["session"]["unread"]


async def test_a_note_stands_for_its_time(bench: Bench, row: SessionRow) -> None:
    await payload(bench, "sessions.patch", {"key": KEY, "statusNote": "busy", "attention": "flag", "ttlMinutes": 2})
    shown = (await payload(bench, "sessions.describe", {"key": KEY}))["session"]
    until_ms = bench.clock.now_ms() + 120_000
    assert shown["agentStatus"] == {"note": "busy", "attention": "flag", "expiresAt": until_ms}
    bench.clock.advance(121)
    assert "agentStatus" not in (await payload(bench, "sessions.describe", {"key": KEY}))["session"]


async def test_archiving_unpins_and_hides(bench: Bench, row: SessionRow) -> None:
    await payload(bench, "sessions.patch", {"key": KEY, "pinned": True})
    entry = (await payload(bench, "sessions.patch", {"key": KEY, "archived": True}))["entry"]
    assert "archivedAt" in entry
    assert "pinnedAt" not in entry
    assert (await payload(bench, "sessions.list"))["totalCount"] == 0
    assert (await payload(bench, "sessions.list", {"archived": "all"}))["totalCount"] == 1
    kept = await refusal(bench, "sessions.delete", {"key": KEY, "archivedOnly": True, "expectedSessionUpdatedAt": 1})
    assert kept["details"] == {"reason": "session-changed"}
    assert (await payload(bench, "sessions.delete", {"key": KEY, "archivedOnly": True}))["deleted"]


async def test_several_sessions_are_changed_and_each_failure_is_its_own(bench: Bench, row: SessionRow) -> None:
    targets = [{"key": KEY}, {"key": "other", "expectedSessionId": "x", "agentId": "main"}]
    outcomes = (await payload(bench, "sessions.patchMany", {"targets": targets, "patch": {"color": "red"}}))["outcomes"]
    assert outcomes[0] == {"ok": True, "key": KEY}
    assert (outcomes[1]["ok"], outcomes[1]["agentId"]) == (False, "main")
    assert outcomes[1]["error"]["details"] == {"reason": "session-changed"}
    assert (await payload(bench, "sessions.describe", {"key": KEY}))["session"]["color"] == "red"
    twice = {"targets": [{"key": KEY}, {"key": "known"}], "patch": {"color": "red"}}
    assert "twice" in (await refusal(bench, "sessions.patchMany", twice))["message"]
    empty = await refusal(bench, "sessions.patchMany", {"targets": [{"key": KEY}], "patch": {}})
    assert empty["message"] == "invalid sessions.patchMany params: at /patch: must NOT have fewer than 1 properties"


def test_every_field_that_is_used_is_a_field() -> None:
    assert set(SessionsPatchParams.__struct_fields__) >= USED


async def test_a_session_made_twice_with_one_idempotency_key_is_one(bench: Bench) -> None:
    bench.agent.answer = "hi"
    asked = {"idempotencyKey": "k", "message": "begin", "label": "plan"}
    first, second = [await payload(bench, "sessions.create", asked) for _ in range(2)]
    assert (first["key"], first["sessionId"]) == (second["key"], second["sessionId"])
    assert (first["runStarted"], first["runId"], first["status"]) == (True, "k", "started")
    assert len(bench.agent.runs) == 1
    theirs = await payload(bench, "sessions.create", {**asked, "label": "p", "message": ""}, FakePeer(owner="bob"))
    assert theirs["key"] != first["key"]
    taken = await refusal(bench, "sessions.create", {"label": "plan"})
    assert taken["message"] == "label already in use: plan"


@pytest.mark.parametrize(
    "wish", [{"worktree": True}, {"incognito": True}, {"visibility": "draft"}, {"projectId": "x"}, {"cwd": "/"}]
)
async def test_a_session_of_a_kind_that_is_not_offered_is_refused_and_not_made(bench: Bench, wish: Any) -> None:
    error = await refusal(bench, "sessions.create", {"key": "wished", **wish})
    assert error["details"]["code"] == "NOT_SUPPORTED"
    assert bench.agent.table == {}


async def test_a_copy_ends_before_a_persons_message_and_after_a_models(bench: Bench, row: SessionRow) -> None:
    bench.agent.answer = "hi"
    await payload(bench, "sessions.send", {"key": KEY, "message": "hello", "idempotencyKey": "k"})
    asked, answered = "k:user", "k:assistant"
    own = {"sessionKey": KEY}
    assert (await payload(bench, "sessions.branches.list", own))["branches"][0]["leafEntryId"] == answered
    fork = await payload(bench, "sessions.fork", {**own, "entryId": asked})
    assert fork["editorText"] == "hello"
    assert (await payload(bench, "chat.history", {"sessionKey": fork["sessionKey"]}))["messages"] == []
    whole = await payload(bench, "sessions.fork", {**own, "entryId": answered})
    assert "editorText" not in whole
    assert len((await payload(bench, "chat.history", {"sessionKey": whole["sessionKey"]}))["messages"]) == 2
    for wrong in ("x", f"{row.id}-9", f"{row.id}-", "other-1", f"{row.id}-1.x", f"{row.id}-1.7", "9-" + "9" * 400):
        one = await payload(bench, "chat.message.get", {**own, "messageId": wrong})
        assert one == {"ok": False, "unavailableReason": "not_found"}
    assert (await payload(bench, "sessions.rewind", {**own, "entryId": asked})) == {"editorText": "hello"}
    gone = await refusal(bench, "sessions.rewind", {**own, "entryId": asked})
    assert gone["message"] == f"message entry not found: {asked}"


async def test_a_run_is_stopped_by_session_or_by_its_id_alone(bench: Bench, row: SessionRow) -> None:
    await payload(bench, "sessions.send", {"key": KEY, "message": "hello", "idempotencyKey": "k"})
    running = (await payload(bench, "sessions.describe", {"key": KEY}))["session"]
    assert (running["status"], running["activeRunIds"]) == ("running", ["k"])
    assert [found["key"] for found in (await payload(bench, "sessions.list", {"activeOnly": True}))["sessions"]] == [
        KEY
    ]
    stranger = FakePeer(owner="bob", scopes=("operator.write",))
    nothing = {"ok": True, "abortedRunId": None, "status": "no-active-run"}
    assert await payload(bench, "sessions.abort", {"runId": "k"}, stranger) == nothing
    stopped = {"ok": True, "abortedRunId": "k", "status": "aborted"}
    assert await payload(bench, "sessions.abort", {"runId": "k"}) == stopped
    assert await payload(bench, "sessions.abort", {"key": KEY}) == nothing
    assert (await payload(bench, "sessions.list", {"activeOnly": True}))["sessions"] == []


async def test_groups_have_an_order_and_defaults_that_follow_their_names(bench: Bench) -> None:
    put = {"names": ["work", " home ", "work"], "sectionOrder": ["home", "work"]}
    named = (await payload(bench, "sessions.groups.put", put))["groups"]
    assert named == [{"name": "work", "position": 0}, {"name": "home", "position": 1}]
    await payload(bench, "sessions.groups.update", {"name": "work", "cwd": "/w", "worktree": False})
    await payload(bench, "sessions.groups.rename", {"name": "work", "to": "office"})
    defaults = (await payload(bench, "sessions.groups.defaults"))["defaults"]
    assert defaults == [{"name": "office", "cwd": "/w", "worktree": False}, {"name": "home"}]
    deleted = await payload(bench, "sessions.groups.delete", {"name": "office"})
    assert (deleted["groups"], deleted["sectionOrder"]) == ([{"name": "home", "position": 0}], ["home"])
    assert (await payload(bench, "sessions.groups.list", None, FakePeer(owner="bob")))["groups"] == []


async def test_what_is_kept_for_a_person_is_checked_bounded_and_told_to_nobody_else(bench: Bench) -> None:
    mine, theirs = FakePeer(), FakePeer(owner="a/b", scopes=("operator.write",))
    for peer in (mine, theirs):
        bench.hub.join(peer)
    await payload(bench, "users.prefs.set", {"entries": {"a": {"b": [1]}, "c": 2}}, mine)
    assert mine.events("users.prefs.changed") == [{"profileId": "operator", "keys": ["a", "c"]}]
    assert theirs.events("users.prefs.changed") == []
    assert (await payload(bench, "users.prefs.get", None, theirs))["entries"] == {}
    assert (await payload(bench, "users.prefs.get", {"keys": ["c", "x"]}, mine))["entries"] == {"c": 2}
    for expected, status in (({"c": 3}, "conflict"), ({"c": None}, "conflict"), ({"c": 2, "d": None}, "ok")):
        asked = {"entries": {"c": None}, "expectedEntries": expected}
        assert await payload(bench, "users.prefs.set", asked, mine) == {"status": status}
    large = await refusal(bench, "users.prefs.set", {"entries": {"l": "x" * 5000}}, mine)
    assert "4096 bytes" in large["message"]
    for start in range(0, MAX_KEYS - 32, 32):
        entries = {str(number): number for number in range(start, start + 32)}
        await payload(bench, "users.prefs.set", {"entries": entries}, mine)
        bench.clock.advance(10)
    many = {f"more{number}": 1 for number in range(32)}
    error = await refusal(bench, "users.prefs.set", {"entries": many}, mine)
    assert error["details"] == {"code": "USER_PREFS_LIMIT_EXCEEDED", "limit": MAX_KEYS, "currentCount": 225}


async def test_a_page_opens_with_the_newest_messages_that_fit(bench: Bench, row: SessionRow) -> None:
    bench.agent.answer = "word " * 300
    for number in range(3):
        await payload(bench, "sessions.send", {"key": KEY, "message": str(number), "idempotencyKey": f"k{number}"})
    own = {"sessionKey": KEY}
    whole = await payload(bench, "chat.startup", own)
    assert (len(whole["messages"]), whole["hasMore"], whole["sessionInfo"]["key"]) == (6, False, KEY)
    last = await payload(bench, "chat.startup", {**own, "limit": 2})
    assert (last["messages"], last["hasMore"]) == (whole["messages"][-2:], True)
    small = await payload(bench, "chat.startup", {**own, "maxBytes": 1024})
    assert (small["messages"], small["hasMore"]) == (whole["messages"][-1:], True)
    short = await payload(bench, "chat.startup", {"shortId": row.id, "agentId": "main"})
    assert short["sessionId"] == row.id
    assert await payload(bench, "chat.startup", {**own, "cursor": "x"}) == {"kind": "reset"}
    assert "sessionKey" in (await refusal(bench, "chat.startup", {}))["message"]
    fresh = await payload(bench, "chat.startup", {"sessionKey": "main"})
    assert (fresh["messages"], "sessionInfo" in fresh) == ([], False)


async def test_a_sender_is_told_what_became_of_its_message(bench: Bench, row: SessionRow) -> None:
    await payload(bench, "sessions.send", {"key": KEY, "message": "hello", "idempotencyKey": "k"})
    asked = {"sessionKey": KEY, "inputRunIds": ["k", "nobody's"]}
    history = await payload(bench, "chat.history", asked)
    consumed = {"runId": "k", "state": "consumed", "consumedByEventId": "k:user"}
    assert history["inputReceipts"] == [consumed]
    (waiting,) = history["pendingInputs"]["items"]
    assert (waiting["runId"], waiting["state"], waiting["message"]["content"]) == ("k", "queued", "hello")
    for wanted in ("k:user", f"{row.id}-1"):
        one = await payload(bench, "chat.message.get", {"sessionKey": KEY, "messageId": wanted})
        assert one["message"] == history["messages"][0]
    old = await payload(bench, "chat.history", asked, FakePeer(3))
    assert old.keys() == {"sessionKey", "sessionId", "messages", "thinkingLevel"}
    assert old["messages"][0].keys() == {"role", "content", "timestamp"}


async def test_who_follows_a_session_hears_at_once_what_waits_in_it(bench: Bench, row: SessionRow) -> None:
    reviewer = FakePeer()
    bench.hub.join(reviewer)
    for number, key in enumerate((KEY, "agent:main:other")):
        asked = {"id": f"a{number}", "command": "ls", "sessionKey": key, "timeoutMs": 60_000}
        assert bench.deps.approvals is not None
        await bench.deps.approvals.request(
            reviewer.principal,
            NewApproval(kind="exec", request=asked, timeout_ms=60_000, id=f"a{number}", session_key=key),
        )
    follow = {"key": KEY, "includeApprovals": True}
    replay = (await payload(bench, "sessions.messages.subscribe", follow, reviewer))["approvalReplay"]
    assert [approval["id"] for approval in replay["approvals"]] == ["a0"]
    reader = FakePeer(scopes=("operator.read",))
    assert (await payload(bench, "sessions.messages.subscribe", follow, reader))["approvalReplay"]["approvals"] == []
