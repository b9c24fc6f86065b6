"""Approvals and questions over the counter, in both protocols."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from openclaw.policy.exec.rules_file import FILE_NAME
from tests.rpc.support import Bench, FakePeer

pytestmark = pytest.mark.anyio

OLD_COMMAND = {
    "id": "appr1",
    "command": "ls -la",
    "cwd": "/tmp",
    "host": "gateway",
    "security": "allowlist",
    "ask": "on-miss",
    "agentId": "main",
    "sessionKey": "agent:main:main",
    "timeoutMs": 3000,
}


def join(bench: Bench, *peers: FakePeer) -> None:
    for peer in peers:
        bench.hub.join(peer)


async def asking(bench: Bench, peer: FakePeer, method: str, params: dict[str, Any]) -> asyncio.Task[None]:
    """Begin a request that waits for a person, and let it begin to wait."""
    answer = bench.begin(peer, method, params, "ask")
    assert not isinstance(answer, bytes)
    task = bench.counter.room.tasks.spawn(answer, "ask")
    for _ in range(10):
        await asyncio.sleep(0)
    return task


def answers(peer: FakePeer) -> list[dict[str, Any]]:
    return [frame for frame in peer.frames if frame.get("id") == "ask"]


@pytest.mark.parametrize("protocol", [3, 4])
async def test_a_request_blocks_until_somebody_decides(protocol: int, bench: Bench) -> None:
    asker, approver = FakePeer(protocol), FakePeer(protocol)
    join(bench, asker, approver)
    task = await asking(bench, asker, "exec.approval.request", OLD_COMMAND)
    assert answers(asker) == []
    (requested,) = approver.events("exec.approval.requested")
    shown = {name: OLD_COMMAND[name] for name in ("command", "cwd", "host", "security", "ask", "agentId", "sessionKey")}
    assert requested["request"].items() >= {**shown, "resolvedPath": None}.items()
    assert requested["expiresAtMs"] - requested["createdAtMs"] == 3000
    resolved = await bench.ask(approver, "exec.approval.resolve", {"id": "appr1", "decision": "allow-once"})
    assert resolved["payload"] == {"ok": True}
    await task
    assert [answer["payload"] for answer in answers(asker)] == [
        {
            "id": "appr1",
            "decision": "allow-once",
            "createdAtMs": requested["createdAtMs"],
            "expiresAtMs": requested["expiresAtMs"],
        }
    ]
    (told,) = asker.events("exec.approval.resolved")
    if protocol == 3:
        assert set(requested) == {"id", "request", "createdAtMs", "expiresAtMs"}
        assert len(requested["request"]) == 8
        assert set(told) == {"id", "decision", "resolvedBy", "ts"}
    else:
        assert requested["approvalKind"] == told["approvalKind"] == "exec"
        assert requested["request"]["allowedDecisions"] == ["allow-once", "allow-always", "deny"]
    again = await bench.ask(approver, "exec.approval.resolve", {"id": "appr1", "decision": "deny"})
    assert again["error"]["message"] == "approval already resolved"


async def test_a_request_in_stages_says_at_once_that_people_are_asked(bench: Bench) -> None:
    asker, approver = FakePeer(), FakePeer()
    join(bench, asker, approver)
    task = await asking(bench, asker, "exec.approval.request", {**OLD_COMMAND, "twoPhase": True})
    (accepted,) = answers(asker)
    assert accepted["payload"]["status"] == "accepted"
    waiting = bench.begin(FakePeer(), "exec.approval.waitDecision", {"id": "appr1"}, "w")
    assert not isinstance(waiting, bytes)
    listed = await bench.ask(approver, "exec.approval.list")
    assert [row["id"] for row in listed["payload"]] == ["appr1"]
    assert (await bench.ask(approver, "exec.approval.get", {"id": "appr1"}))["payload"]["commandText"] == "ls -la"
    await bench.ask(approver, "exec.approval.resolve", {"id": "appr1", "decision": "deny"})
    await task
    await waiting
    assert answers(asker)[1]["payload"]["decision"] == "deny"
    assert (await bench.ask(approver, "exec.approval.list"))["payload"] == []
    assert "error" in await bench.ask(approver, "exec.approval.get", {"id": "appr1"})


async def test_protocol_3_knows_no_stages_and_no_lists(bench: Bench) -> None:
    peer = FakePeer(3)
    told = await bench.ask(peer, "exec.approval.request", {**OLD_COMMAND, "twoPhase": True})
    assert told["error"] == {
        "code": "INVALID_REQUEST",
        "message": "invalid exec.approval.request params: at root: unexpected property 'twoPhase'",
    }
    for method in ("exec.approval.list", "exec.approval.waitDecision", "approval.get", "question.list"):
        assert (await bench.ask(peer, method))["error"]["message"] == f"unknown method: {method}"


@pytest.mark.parametrize("protocol", [3, 4])
async def test_with_nobody_else_to_ask_the_answer_is_no_at_once(protocol: int, bench: Bench) -> None:
    asker = FakePeer(protocol)
    reader = FakePeer(protocol, ("operator.read",))
    foreign = FakePeer(protocol, ("operator.approvals",), owner="ben")
    join(bench, asker, reader, foreign)
    told = await bench.ask(asker, "exec.approval.request", OLD_COMMAND)
    assert told["payload"].keys() == {"id", "decision", "createdAtMs", "expiresAtMs"}
    assert told["payload"]["decision"] is None
    assert foreign.events("exec.approval.requested") == []
    if protocol == 4:
        waited = await bench.ask(asker, "exec.approval.waitDecision", {"id": "appr1"})
        assert waited["payload"] == {**told["payload"], "terminalReason": "no-route"}
        late = await bench.ask(asker, "exec.approval.resolve", {"id": "appr1", "decision": "allow-once"})
        assert late["error"]["details"]["reason"] == "APPROVAL_ALREADY_RESOLVED"


async def test_refusals_are_worded_as_each_protocol_words_them(bench: Bench) -> None:
    old, new = FakePeer(3), FakePeer(4)
    unknown = {"id": "nope", "decision": "deny"}
    assert (await bench.ask(old, "exec.approval.resolve", unknown))["error"] == {
        "code": "INVALID_REQUEST",
        "message": "unknown approval id",
    }
    error = (await bench.ask(new, "exec.approval.resolve", unknown))["error"]
    assert (error["code"], error["message"]) == ("INVALID_REQUEST", "unknown or expired approval id")
    assert error["details"]["reason"] == "APPROVAL_NOT_FOUND"
    for peer in (old, new):
        bad = await bench.ask(peer, "exec.approval.resolve", {"id": "nope", "decision": "bogus"})
        assert bad["error"] == {"code": "INVALID_REQUEST", "message": "invalid decision"}


@pytest.mark.parametrize("protocol", [3, 4])
async def test_a_request_ends_with_its_time(protocol: int, bench: Bench) -> None:
    asker, approver = FakePeer(protocol), FakePeer(protocol)
    join(bench, asker, approver)
    task = await asking(bench, asker, "exec.approval.request", OLD_COMMAND)
    bench.clock.advance(3)
    await task
    assert answers(asker)[0]["payload"]["decision"] is None
    assert approver.events("exec.approval.resolved") == []


async def test_a_foreign_approver_neither_hears_nor_sees_nor_decides(bench: Bench) -> None:
    scopes = ("operator.approvals",)
    asker, own = FakePeer(4, scopes, "ann"), FakePeer(4, scopes, "ann")
    foreign, deaf = FakePeer(4, scopes, "ben"), FakePeer(4, ("operator.write",), "ann")
    join(bench, asker, own, foreign, deaf)
    task = await asking(bench, asker, "exec.approval.request", OLD_COMMAND)
    assert len(own.events("exec.approval.requested")) == 1
    assert foreign.events("exec.approval.requested") == deaf.events("exec.approval.requested") == []
    assert (await bench.ask(foreign, "exec.approval.list"))["payload"] == []
    for method in ("exec.approval.resolve", "exec.approval.get", "approval.get", "exec.approval.waitDecision"):
        params = {"id": "appr1"} | ({"decision": "allow-once"} if method.endswith("resolve") else {})
        assert (await bench.ask(foreign, method, params))["error"]["details"]["reason"] == "APPROVAL_NOT_FOUND"
    await bench.ask(own, "exec.approval.resolve", {"id": "appr1", "decision": "deny"})
    await task
    assert foreign.events("exec.approval.resolved") == []


async def test_only_named_devices_are_asked_and_the_asker_still_hears_the_end(bench: Bench) -> None:
    asker, other = FakePeer(), FakePeer(device="laptop")
    phone = FakePeer(device="phone")
    join(bench, asker, other)
    params = {**OLD_COMMAND, "approvalReviewerDeviceIds": ["phone"]}
    assert (await bench.ask(asker, "exec.approval.request", params))["payload"]["decision"] is None
    join(bench, phone)
    task = await asking(bench, asker, "exec.approval.request", {**params, "id": "two"})
    assert other.events("exec.approval.requested") == []
    assert "error" in await bench.ask(other, "exec.approval.resolve", {"id": "two", "decision": "allow-once"})
    await bench.ask(phone, "exec.approval.resolve", {"id": "two", "decision": "allow-once"})
    await task
    assert answers(asker)[0]["payload"]["decision"] == "allow-once"


@pytest.mark.parametrize(
    ("params", "command", "offered"),
    [
        ({"commandArgv": ["echo", "a b"]}, "echo 'a b'", ["allow-once", "allow-always", "deny"]),
        ({"command": "ls", "ask": "always"}, "ls", ["allow-once", "deny"]),
        ({"command": "ls", "unavailableDecisions": ["allow-always"]}, "ls", ["allow-once", "deny"]),
        (
            {
                "systemRunPlan": {
                    "argv": ["rm", "x"],
                    "cwd": None,
                    "commandText": "rm x",
                    "agentId": None,
                    "sessionKey": None,
                },
                "env": {"TOKEN": "hush"},
            },
            "rm x",
            ["allow-once", "allow-always", "deny"],
        ),
    ],
)
async def test_what_is_asked_is_shown_without_the_values_of_its_environment(
    params: dict[str, Any], command: str, offered: list[str], bench: Bench
) -> None:
    asker, approver = FakePeer(), FakePeer()
    join(bench, asker, approver)
    task = await asking(bench, asker, "exec.approval.request", params)
    (requested,) = approver.events("exec.approval.requested")
    assert (requested["request"]["command"], requested["request"]["allowedDecisions"]) == (command, offered)
    assert b"hush" not in b"".join(approver.raw)
    bench.clock.advance(120)
    await task


async def test_nothing_to_run_is_nothing_to_ask(bench: Bench) -> None:
    nothing: tuple[dict[str, Any], ...] = ({}, {"command": "  "}, {"commandArgv": []})
    for params in nothing:
        told = await bench.ask(FakePeer(), "exec.approval.request", params)
        assert told["error"]["message"] == "invalid exec.approval.request params: command is required"


async def test_plugins_ask_at_the_same_desk_and_all_kinds_are_read_together(bench: Bench) -> None:
    asker, approver = FakePeer(), FakePeer()
    join(bench, asker, approver)
    params = {"title": "Send mail", "description": "To everybody", "severity": "critical", "pluginId": "mail"}
    task = await asking(bench, asker, "plugin.approval.request", params)
    (requested,) = approver.events("plugin.approval.requested")
    assert (await bench.ask(approver, "exec.approval.list"))["payload"] == []
    assert [row["id"] for row in (await bench.ask(approver, "plugin.approval.list"))["payload"]] == [requested["id"]]
    assert (await bench.ask(approver, "openclaw.approval.list"))["payload"] == []
    got = (await bench.ask(approver, "approval.get", {"id": requested["id"]}))["payload"]["approval"]
    assert (got["status"], got["presentation"]["title"]) == ("pending", "Send mail")
    wrong = {"id": requested["id"], "kind": "exec", "decision": "deny"}
    assert "error" in await bench.ask(approver, "approval.resolve", wrong)
    right = {**wrong, "kind": "plugin"}
    first = (await bench.ask(approver, "approval.resolve", right))["payload"]
    again = (await bench.ask(approver, "approval.resolve", {**right, "decision": "allow-once"}))["payload"]
    assert (first["applied"], again["applied"]) == (True, False)
    assert first["approval"] == again["approval"]
    assert (again["approval"]["decision"], again["approval"]["reason"]) == ("deny", "user")
    await task
    history = (await bench.ask(approver, "approval.history", {"kind": "plugin"}))["payload"]
    assert [row["id"] for row in history["items"]] == [requested["id"]]
    assert (await bench.ask(approver, "approval.history", {"kind": "exec"}))["payload"] == {"items": []}


async def test_a_standing_grant_is_listed_and_taken_back(bench: Bench) -> None:
    asker, approver = FakePeer(), FakePeer()
    join(bench, asker, approver)
    scope = {"kind": "standing-grant", "automation": "nightly", "command": "make"}
    task = await asking(bench, asker, "exec.approval.request", {**OLD_COMMAND, "scope": scope})
    await bench.ask(
        approver, "exec.approval.resolve", {"id": "appr1", "decision": "allow-always", "grantExpiresInDays": 1}
    )
    await task
    (grant,) = (await bench.ask(approver, "exec.approval.grants.list"))["payload"]["grants"]
    assert (grant["cronJobId"], grant["command"], grant["cwd"]) == ("nightly", "make", "/tmp")
    for outcome in ("revoked", "already-revoked"):
        told = await bench.ask(approver, "exec.approval.grants.revoke", {"grantId": grant["grantId"]})
        assert told["payload"] == {"outcome": outcome}


QUESTIONS: list[dict[str, Any]] = [
    {"questionId": "size", "header": "Size", "question": "How big?", "options": [{"label": "S"}, {"label": "L"}]},
    {"questionId": "why", "header": "Why", "question": "Why?", "options": []},
]


async def test_a_question_is_asked_answered_once_and_told(bench: Bench) -> None:
    asker, person = FakePeer(4, ("operator.questions",)), FakePeer(4, ("operator.questions",))
    foreign = FakePeer(4, ("operator.questions",), owner="ben")
    join(bench, asker, person, foreign)
    asked = (await bench.ask(asker, "question.request", {"questions": QUESTIONS, "sessionKey": "main"}))["payload"]
    (requested,) = person.events("question.requested")
    assert (requested["questions"], requested["status"]) == (QUESTIONS, "pending")
    assert foreign.events("question.requested") == []
    assert (await bench.ask(person, "question.list"))["payload"] == {"questions": [requested]}
    assert (await bench.ask(foreign, "question.list"))["payload"] == {"questions": []}
    waiting = await asking(bench, asker, "question.waitAnswer", {"id": asked["id"]})
    given = {"id": asked["id"], "answers": {"answers": {"size": ["L"], "why": ["because"]}}}
    assert "error" in await bench.ask(foreign, "question.resolve", given)
    told = (await bench.ask(person, "question.resolve", given))["payload"]
    assert told == {"status": "answered", "answers": {"answers": {"size": ["L"], "why": ["because"]}}}
    await waiting
    assert answers(asker)[0]["payload"] == told
    assert asker.events("question.resolved") == [{"id": asked["id"], **told}]
    again = await bench.ask(person, "question.resolve", {"id": asked["id"], "cancel": True})
    assert again["error"]["message"] == "approval already resolved"
    assert (await bench.ask(asker, "question.get", {"id": asked["id"]}))["payload"]["question"]["status"] == "answered"
    assert (await bench.ask(person, "question.list"))["payload"] == {"questions": []}
    assert "error" in await bench.ask(FakePeer(), "approval.get", {"id": asked["id"]})


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"size": ["M"], "why": ["x"]}, "question size takes 'S' or 'L'"),
        ({"size": ["S", "L"], "why": ["x"]}, "question size takes one answer"),
        ({"size": ["S"]}, "question why has no answer"),
        ({"size": ["S"], "why": ["x"], "colour": ["red"]}, "no question 'colour' was asked"),
    ],
)
async def test_what_is_no_answer_is_named(given: dict[str, list[str]], problem: str, bench: Bench) -> None:
    asked = (await bench.ask(FakePeer(), "question.request", {"questions": QUESTIONS}))["payload"]
    told = await bench.ask(FakePeer(), "question.resolve", {"id": asked["id"], "answers": {"answers": given}})
    assert told["error"]["message"] == problem
    both = {"id": asked["id"], "answers": {"answers": {}}, "cancel": True}
    assert "either answers or cancel" in (await bench.ask(FakePeer(), "question.resolve", both))["error"]["message"]


async def test_nobody_is_asked_for_a_secret_and_a_wait_ends_when_it_said(bench: Bench) -> None:
    secret = {"questions": [{**QUESTIONS[1], "isSecret": True}]}
    assert (await bench.ask(FakePeer(), "question.request", secret))["error"]["details"]["code"] == "NOT_SUPPORTED"
    twice = {"questions": [QUESTIONS[1], QUESTIONS[1]]}
    assert "each questionId" in (await bench.ask(FakePeer(), "question.request", twice))["error"]["message"]
    asked = (await bench.ask(FakePeer(), "question.request", {"questions": QUESTIONS}))["payload"]
    waited = await bench.ask(FakePeer(), "question.waitAnswer", {"id": asked["id"], "timeoutMs": 1})
    assert waited["payload"] == {"status": "pending"}


@pytest.mark.parametrize("protocol", [3, 4])
async def test_the_rules_are_read_and_replaced_against_their_hash(protocol: int, bench: Bench, tmp_path: Path) -> None:
    peer = FakePeer(protocol)
    first = (await bench.ask(peer, "exec.approvals.get"))["payload"]
    assert (first["exists"], first["path"]) == (False, str(tmp_path / FILE_NAME))
    assert first["file"] == {
        "version": 1,
        "socket": {"path": str(tmp_path / "exec-approvals.sock")},
        "defaults": {},
        "agents": {},
    }
    assert ("resolvedDefaults" in first) is (protocol == 4)
    file = {"version": 1, "defaults": {"security": "allowlist", "ask": "on-miss"}, "agents": {}}
    written = (await bench.ask(peer, "exec.approvals.set", {"file": file}))["payload"]
    assert written["file"] == {**first["file"], **file}
    blind = await bench.ask(peer, "exec.approvals.set", {"file": file})
    assert blind["error"]["message"] == "exec approvals base hash required; re-run exec.approvals.get and retry"
    stale = await bench.ask(peer, "exec.approvals.set", {"file": file, "baseHash": first["hash"]})
    assert stale["error"]["message"] == "exec approvals changed since last load; re-run exec.approvals.get and retry"
    odd = {**file, "agents": {"main": {"allowlist": [{"pattern": "x", "shell": True}]}}}
    told = await bench.ask(peer, "exec.approvals.set", {"file": odd, "baseHash": written["hash"]})
    assert "unexpected property 'shell'" in told["error"]["message"]
    assert (await bench.ask(peer, "exec.approvals.get"))["payload"] == written


async def test_an_id_that_is_no_name_is_refused(bench: Bench) -> None:
    for bad in ("", ".", "..", "a/b", "a\nb", "x" * 129):
        told = await bench.ask(FakePeer(), "exec.approval.request", {"command": "ls", "id": bad})
        assert told["error"]["message"].startswith("invalid exec.approval.request params: at /id"), msgspec.json.encode(
            bad
        )
