"""policy.* and channels.pairing.*: who may, what it answers, and who hears of it."""

from __future__ import annotations

import pytest

from openclaw.policy.dm_door import Message
from tests.rpc.support import Bench, FakePeer

pytestmark = pytest.mark.anyio

WIDEN = {"door": "egress", "value": "a.example.com", "forMs": 60_000, "ticket": "CHG-1", "why": "a test"}


async def test_administrators_hear_what_is_opened_and_closed_and_nobody_else_does(bench: Bench) -> None:
    admin, reader = FakePeer(4, ("operator.admin",)), FakePeer(4, ("operator.read", "operator.approvals"))
    for peer in (admin, reader):
        bench.hub.join(peer)
    opened = (await bench.ask(admin, "policy.widen", WIDEN))["payload"]["widening"]
    assert (opened["value"], opened["ticket"], opened["by"]) == ("a.example.com", "CHG-1", admin.principal.owner)
    listed = (await bench.ask(admin, "policy.widenings"))["payload"]["widenings"]
    assert listed == [opened]
    closed = (await bench.ask(admin, "policy.narrow", {"id": opened["id"]}))["payload"]["widening"]
    assert closed["end"] == "narrowed"
    assert (await bench.ask(admin, "policy.widenings"))["payload"]["widenings"] == []
    history = (await bench.ask(admin, "policy.widenings", {"history": True}))["payload"]["widenings"]
    assert history == [closed]
    heard = [
        [payload["id"] for payload in peer.events(f"policy.{what}")]
        for peer in (admin, reader)
        for what in ("widened", "narrowed")
    ]
    assert heard == [[opened["id"]], [opened["id"]], [], []]


@pytest.mark.parametrize("method", ["policy.widen", "policy.narrow", "policy.widenings"])
async def test_only_administrators_widen(bench: Bench, method: str) -> None:
    scopes = ("operator.read", "operator.write", "operator.approvals", "operator.pairing")
    peer = FakePeer(4, scopes)
    bench.hub.join(peer)
    answer = await bench.ask(peer, method, WIDEN if method == "policy.widen" else {})
    assert answer["ok"] is False
    assert "operator.admin" in answer["error"]["message"]
    assert bench.widenings.openings() == ()


async def test_what_is_shut_for_ever_is_refused_with_a_row(bench: Bench) -> None:
    admin = FakePeer(4, ("operator.admin",))
    bench.hub.join(admin)
    answer = await bench.ask(admin, "policy.widen", {**WIDEN, "value": "169.254.169.254"})
    assert answer["error"]["details"]["code"] == "WIDENING_FORBIDDEN"
    assert [(row.answer, row.rule) for row in bench.ledger.entries][-1] == ("deny", "policy.forbidden")


async def test_a_stranger_is_let_in_by_code_over_the_protocol(bench: Bench) -> None:
    senders = bench.deps.senders
    assert senders is not None
    peer = FakePeer(4, ("operator.pairing",))
    bench.hub.join(peer)
    message = Message(channel="telegram", sender="42")
    code = await senders.ask(message, "Alice")
    listed = (await bench.ask(peer, "channels.pairing.list", {"channel": "telegram"}))["payload"]
    (row,) = listed["requests"]
    assert (row["senderId"], row["senderLabel"], row["accountId"]) == ("42", "Alice", "default")
    assert code not in str(listed)
    params = {"channel": "telegram", "accountId": "default", "requestId": code}
    answer = (await bench.ask(peer, "channels.pairing.approve", params))["payload"]
    assert (answer["senderId"], answer["notification"]) == ("42", "not-requested")
    assert senders.is_paired(message)
    known = (await bench.ask(peer, "channels.pairing.senders"))["payload"]["senders"]
    assert [each["senderId"] for each in known] == ["42"]
    gone = {"channel": "telegram", "accountId": "default", "senderId": "42"}
    assert (await bench.ask(peer, "channels.pairing.remove", gone))["ok"]
    assert not senders.is_paired(message)
    assert [row.action for row in bench.ledger.entries if row.kind == "pairing"] == [
        "channels.pairing.approve",
        "channels.pairing.remove",
    ]
    assert all(code not in str(row) for row in bench.ledger.entries)
