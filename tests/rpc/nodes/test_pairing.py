"""Who may be asked for what: requests, approvals, and what becomes of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from openclaw.base.clock import ManualClock
from openclaw.rpc.nodes.book import KIND, MAX_NODES
from openclaw.store.lock import StateLock
from openclaw.store.shelf import Change
from openclaw.store.sqlite import SqliteStore
from tests.rpc.nodes.support import DEVICE, House, NodePeer, settle
from tests.rpc.support import FakePeer

pytestmark = pytest.mark.anyio
OTHER = "e" * 64


async def pending(house: House, protocol: int = 4) -> list[dict[str, Any]]:
    peer = FakePeer(protocol, ("operator.pairing",))
    rows: list[dict[str, Any]] = (await house.ask(peer, "node.pair.list"))["payload"]["pending"]
    return rows


async def listed(house: House, *scopes: str, protocol: int = 4) -> list[dict[str, Any]]:
    peer = FakePeer(protocol, scopes or ("operator.read", "operator.pairing"))
    rows: list[dict[str, Any]] = (await house.ask(peer, "node.list"))["payload"]["nodes"]
    return rows


async def test_a_new_node_waits_and_only_who_may_pair_is_told(house: House) -> None:
    reader = FakePeer(4, ("operator.read", "operator.write"))
    house.hub.join(reader)
    house.join("camera.snap", "system.run")
    (row,) = await pending(house)
    assert (row["nodeId"], row["commands"], row["silent"]) == (DEVICE, ["camera.snap", "system.run"], True)
    assert row["requiredApproveScopes"] == ["operator.pairing", "operator.admin"]
    assert house.operator.events("node.pair.requested") == [row]
    assert reader.events("node.pair.requested") == []
    (seen,) = await listed(house, "operator.read")
    assert seen["approvalState"] == "pending-approval"
    assert "pendingRequestId" not in seen
    assert "pendingDeclaredCommands" not in seen
    (known,) = await listed(house)
    assert known["pendingRequestId"] == row["requestId"]
    assert known["commands"] == []


async def test_protocol_3_sees_nodes_in_its_own_shape(house: House) -> None:
    await house.admit("camera.snap", "system.which")
    (row,) = await listed(house, protocol=3)
    assert set(row) == {
        "nodeId",
        "displayName",
        "platform",
        "version",
        "caps",
        "commands",
        "paired",
        "connected",
        "connectedAtMs",
    } - ({"connectedAtMs"} if not row.get("connectedAtMs") else set())
    house.join("camera.snap", device=OTHER)
    (request,) = await pending(house, 3)
    assert "requiredApproveScopes" not in request


async def test_an_approval_reaches_as_far_as_its_giver_and_no_further(house: House) -> None:
    house.join("system.run")
    (row,) = await pending(house)
    asked = {"requestId": row["requestId"]}
    for scopes, missing in (
        (("operator.pairing",), "operator.admin"),
        (("operator.pairing", "operator.write"), "operator.admin"),
    ):
        error = (await house.ask(FakePeer(4, scopes), "node.pair.approve", asked))["error"]
        assert error["details"]["missingScope"] == missing
    assert (await house.ask(FakePeer(4, ("operator.admin",)), "node.pair.approve", asked))["ok"]
    harmless = house.join("camera.snap", device=OTHER)
    (row,) = await pending(house)
    asked = {"requestId": row["requestId"]}
    error = (await house.ask(FakePeer(4, ("operator.pairing",)), "node.pair.approve", asked))["error"]
    assert error["details"]["missingScope"] == "operator.write"
    writer = FakePeer(4, ("operator.pairing", "operator.write"))
    assert (await house.ask(writer, "node.pair.approve", asked))["payload"]["node"]["nodeId"] == harmless.node_id


async def test_deciding_twice_is_refused_and_everybody_concerned_is_told_once(house: House) -> None:
    reader = FakePeer(4, ("operator.read", "operator.write"))
    house.hub.join(reader)
    node = house.join("camera.snap")
    (row,) = await pending(house)
    await house.approve_all()
    assert reader.events("node.pair.resolved") == []
    again = await house.ask(house.operator, "node.pair.approve", {"requestId": row["requestId"]})
    assert again["error"] == {"code": "INVALID_REQUEST", "message": "unknown requestId"}
    for peer in (house.operator, node):
        (told,) = peer.events("node.pair.resolved")
        assert (told["requestId"], told["nodeId"], told["decision"]) == (row["requestId"], DEVICE, "approved")


async def test_a_node_that_offers_more_keeps_what_it_had_and_asks_for_all_of_it_anew(house: House) -> None:
    await house.admit("system.which")
    node = house.join("system.which", "camera.snap")
    (row,) = await pending(house)
    assert row["commands"] == ["system.which", "camera.snap"]
    assert row["isRepair"] is True
    (shown,) = await listed(house)
    assert (shown["approvalState"], shown["commands"]) == ("pending-reapproval", ["system.which"])
    asking = house.invoke(DEVICE, "system.which")
    await house.result(node)
    assert (await asking)["ok"]
    rejected = await house.ask(house.operator, "node.pair.reject", {"requestId": row["requestId"]})
    assert rejected["payload"] == {"requestId": row["requestId"], "nodeId": DEVICE}
    (shown,) = await listed(house)
    assert (shown["approvalState"], shown["commands"]) == ("approved", ["system.which"])


async def test_a_node_that_offers_less_cannot_be_asked_for_the_rest(house: House) -> None:
    await house.admit("system.which", "camera.snap")
    house.join("system.which")
    assert await pending(house) == []
    (shown,) = await listed(house)
    assert shown["commands"] == ["system.which"]
    error = (await house.invoke(DEVICE, "camera.snap"))["error"]
    assert error["details"]["reason"] == "command not declared by node"


async def test_coming_back_with_the_same_offer_asks_no_second_time_and_another_offer_replaces_it(house: House) -> None:
    house.join("camera.snap")
    (first,) = await pending(house)
    house.join("camera.snap")
    assert [row["requestId"] for row in await pending(house)] == [first["requestId"]]
    house.join("camera.snap", "sms.send")
    (second,) = await pending(house)
    assert second["requestId"] != first["requestId"]
    stale = await house.ask(house.operator, "node.pair.approve", {"requestId": first["requestId"]})
    assert stale["error"]["message"] == "unknown requestId"
    assert len(house.operator.events("node.pair.requested")) == 2


async def test_a_removed_node_is_cut_off_at_once_and_starts_anew(house: House) -> None:
    node = await house.admit("camera.snap")
    asking = house.invoke(DEVICE, "camera.snap")
    await settle()
    removed = await house.ask(house.operator, "node.pair.remove", {"nodeId": DEVICE})
    assert removed["payload"] == {"nodeId": DEVICE}
    error = (await asking)["error"]
    assert (error["details"]["code"], error["retryable"]) == ("PAIRING_CHANGED", True)
    assert node.closed == (4001, "node removed")
    gone = (await house.invoke(DEVICE, "camera.snap", "k2"))["error"]
    assert gone["details"]["code"] == "NOT_CONNECTED"
    assert await listed(house) == []
    house.join("camera.snap")
    assert len(await pending(house)) == 1


async def test_a_device_that_was_removed_and_paired_anew_must_be_approved_anew(house: House) -> None:
    house.clock.advance(1)
    house.paired_at_ms[DEVICE] = house.clock.now_ms()
    house.hub.leave(await house.admit("system.which"))
    house.join("system.which")
    assert (await listed(house))[0]["approvalState"] == "approved"
    house.clock.advance(1)
    house.paired_at_ms[DEVICE] = house.clock.now_ms()
    house.join("system.which")
    assert (await listed(house))[0]["approvalState"] == "pending-approval"


async def test_without_a_device_an_approval_lasts_as_long_as_the_connection(house: House) -> None:
    node = await house.admit("camera.snap", protocol=3, device="")
    asking = house.invoke("lamp", "camera.snap")
    await house.result(node)
    assert (await asking)["ok"]
    imposter = house.join("camera.snap", protocol=3, device="")
    assert node.closed == (4000, "replaced by a newer connection")
    denied = (await house.invoke("lamp", "camera.snap", "k2"))["error"]
    assert denied["details"]["reason"] == "command not approved"
    house.hub.leave(node)
    house.hub.leave(imposter)
    assert await listed(house) == []


@pytest.mark.parametrize("connected", [True, False])
async def test_nobody_takes_the_name_of_a_device_without_being_it(connected: bool, house: House) -> None:
    node = await house.admit("camera.snap")
    if not connected:
        house.hub.leave(node)
    imposter = house.join("camera.snap", protocol=3, device="", name=DEVICE)
    assert imposter.closed == (1008, "device identity required")
    assert node.closed is None
    (shown,) = await listed(house)
    assert shown["connected"] is connected
    told = await house.ask(imposter, "node.event", {"event": "node.presence.alive", "payload": {"trigger": "manual"}})
    assert told["error"]["message"] == "node not registered on this connection"
    house.hub.leave(imposter)
    assert (await listed(house))[0]["connected"] is connected


async def test_a_request_of_protocol_3_gives_a_token_that_can_be_checked_and_nothing_else(house: House) -> None:
    old = FakePeer(3, ("operator.admin",))
    made = (await house.ask(old, "node.pair.request", {"nodeId": "n1", "commands": ["system.which"]}))["payload"]
    assert (made["status"], made["created"]) == ("pending", True)
    again = (await house.ask(old, "node.pair.request", {"nodeId": "n1", "commands": ["system.which"]}))["payload"]
    assert (again["request"]["requestId"], again["created"]) == (made["request"]["requestId"], False)
    before = await house.ask(old, "node.pair.verify", {"nodeId": "n1", "token": "guess"})
    assert before["payload"] == {"ok": False}
    approved = await house.ask(old, "node.pair.approve", {"requestId": made["request"]["requestId"]})
    token = approved["payload"]["node"]["token"]
    assert (await house.ask(old, "node.pair.verify", {"nodeId": "n1", "token": token}))["payload"]["ok"] is True
    assert (await house.ask(old, "node.pair.verify", {"nodeId": "n1", "token": token + "x"}))["payload"] == {
        "ok": False
    }
    assert "token" not in str((await house.ask(old, "node.pair.list"))["payload"])
    paired = await house.ask(old, "node.pair.request", {"nodeId": "n1", "commands": ["system.which"]})
    assert paired["error"]["message"] == "node already paired"
    imposter = house.join("system.which", protocol=3, device="", name="n1")
    assert imposter.closed == (1008, "device identity required")


async def test_a_name_given_by_the_operator_goes_before_the_nodes_own(house: House) -> None:
    await house.admit("camera.snap", name="phone\x1b[31m")
    assert (await listed(house))[0]["displayName"] == "phone[31m"
    renamed = await house.ask(house.operator, "node.rename", {"nodeId": DEVICE, "displayName": " Kitchen "})
    assert renamed["payload"] == {"nodeId": DEVICE, "displayName": "Kitchen"}
    described = (await house.ask(house.operator, "node.describe", {"nodeId": DEVICE}))["payload"]
    assert described["displayName"] == "Kitchen"
    empty = await house.ask(house.operator, "node.rename", {"nodeId": DEVICE, "displayName": "\x00 "})
    assert empty["error"]["message"] == "displayName required"


async def test_what_a_node_says_of_itself_is_cut_to_size(house: House) -> None:
    house.join(*(f"c.{number}" for number in range(500)), "x" * 1000, "\n", " padded ")
    (row,) = await pending(house)
    assert len(row["commands"]) == 128
    assert all(len(name) < 100 for name in row["commands"])


async def test_the_book_is_bounded_and_approved_nodes_are_never_pushed_out(house: House) -> None:
    house.hub.leave(await house.admit("camera.snap"))
    house.clock.advance(1)
    for number in range(MAX_NODES + 10):
        house.hub.leave(house.join("system.which", device=f"{number:064x}"))
        house.clock.advance(1)
    assert len(house.nodes.book.all()) == MAX_NODES
    approved = house.nodes.book.get(DEVICE)
    assert approved is not None
    assert approved.approved is not None
    assert house.nodes.book.get(f"{0:064x}") is None


async def test_readers_are_not_told_of_nodes_that_are_neither_here_nor_approved(house: House) -> None:
    house.hub.leave(house.join("camera.snap"))
    assert await listed(house, "operator.read") == []
    unknown = await house.ask(FakePeer(4, ("operator.read",)), "node.describe", {"nodeId": DEVICE})
    assert unknown["error"] == {"code": "INVALID_REQUEST", "message": "unknown nodeId"}
    assert len(await listed(house)) == 1


@asynccontextmanager
async def stored(folder: Path) -> AsyncIterator[SqliteStore]:
    lock = StateLock(folder)
    lock.acquire()
    store = await SqliteStore.open(folder / "openclaw.db", clock=ManualClock(), lock=lock)
    try:
        yield store
    finally:
        await store.close()
        lock.release()


async def test_a_restart_keeps_approvals_names_and_what_waits(tmp_path: Path) -> None:
    async with stored(tmp_path) as store:
        house = House(shelf=store.shelf)
        await house.admit("system.which")
        await house.ask(house.operator, "node.rename", {"nodeId": DEVICE, "displayName": "Kitchen"})
        house.join("camera.snap", device=OTHER)
        await house.admit("system.which", protocol=3, device="", name="passing")
        await house.close()
    async with stored(tmp_path) as store:
        await store.shelf.apply([Change(KIND, "broken", b"{")], 1)
        house = House(shelf=store.shelf)
        await house.nodes.book.load()
        rows = {row["nodeId"]: row for row in await listed(house)}
        assert set(rows) == {DEVICE, OTHER}
        assert (rows[DEVICE]["approvalState"], rows[DEVICE]["displayName"]) == ("approved", "Kitchen")
        assert rows[OTHER]["approvalState"] == "approved"  # admit() above approved everything that waited
        node = house.join("system.which")
        asking = house.invoke(DEVICE, "system.which")
        await house.result(node)
        assert (await asking)["ok"]
        await house.ask(house.operator, "node.pair.remove", {"nodeId": DEVICE})
        await house.close()
    async with stored(tmp_path) as store:
        assert sorted(record.id for record in await store.shelf.list(KIND)) == ["broken", OTHER]


async def test_a_removal_is_not_undone_by_an_approval_that_was_under_way(tmp_path: Path) -> None:
    async with stored(tmp_path) as store:
        house = House(shelf=store.shelf)
        house.join("system.which")
        (row,) = await pending(house)
        approving = house.tasks.spawn(
            house.ask(house.operator, "node.pair.approve", {"requestId": row["requestId"]}), "approve"
        )
        await settle()
        assert not approving.done()
        assert (await house.ask(FakePeer(), "node.pair.remove", {"nodeId": DEVICE}))["ok"]
        assert (await approving)["error"]["message"] == "unknown requestId"
        assert house.nodes.book.get(DEVICE) is None
        assert await store.shelf.list(KIND) == []
        await house.close()


async def test_an_approval_is_on_the_shelf_before_it_is_answered(tmp_path: Path) -> None:
    async with stored(tmp_path) as store:
        house = House(shelf=store.shelf)
        house.join("system.which")
        (row,) = await pending(house)
        await house.ask(house.operator, "node.pair.approve", {"requestId": row["requestId"]})
        (record,) = await store.shelf.list(KIND)
        assert b'"approved":{' in record.body
        await house.close()


def test_a_node_peer_is_a_node() -> None:
    assert NodePeer().principal.scopes == frozenset()
