"""What waits for a node is bounded, goes out of date, and is judged anew when the node comes for it."""

from __future__ import annotations

from typing import Any

import pytest

from openclaw.rpc.nodes.work import ACTION_LIFE_MS, ITEM_LIFE_MS, MAX_ACTIONS
from tests.rpc.nodes.support import DEVICE, House, NodePeer
from tests.rpc.support import FakePeer

pytestmark = pytest.mark.anyio
BACKGROUND = {"code": "NODE_BACKGROUND_UNAVAILABLE", "message": "open the app"}


async def put(house: House, node: NodePeer, key: str) -> dict[str, Any]:
    """Ask a phone for what it cannot do now; return the error."""
    asking = house.invoke(DEVICE, "camera.snap", key, params={"n": key})
    await house.result(node, ok=False, error=BACKGROUND)
    error: dict[str, Any] = (await asking)["error"]
    return error


async def pull(house: House, node: NodePeer) -> list[dict[str, Any]]:
    actions: list[dict[str, Any]] = (await house.ask(node, "node.pending.pull"))["payload"]["actions"]
    return actions


async def test_a_command_waits_for_the_foreground_until_it_is_taken(house: House) -> None:
    node = await house.admit("camera.snap", platform="ios")
    error = await put(house, node, "k1")
    assert (error["details"]["code"], error["retryable"]) == ("QUEUED_UNTIL_FOREGROUND", True)
    (action,) = await pull(house, node)
    assert action["id"] == error["details"]["queuedActionId"]
    assert (action["command"], action["paramsJSON"]) == ("camera.snap", '{"n":"k1"}')
    again = (await house.invoke(DEVICE, "camera.snap", "k1", params={"n": "k1"}))["error"]
    assert again["details"]["queuedActionId"] == action["id"]
    assert len(await pull(house, node)) == 1
    acked = (await house.ask(node, "node.pending.ack", {"ids": [action["id"], "x"]}))["payload"]
    assert acked == {"nodeId": DEVICE, "ackedIds": [action["id"], "x"], "remainingCount": 0}
    assert await pull(house, node) == []


async def test_another_node_finds_nothing_and_takes_nothing(house: House) -> None:
    node = await house.admit("camera.snap")
    other = await house.admit("camera.snap", device="e" * 64, name="spy")
    error = await put(house, node, "k1")
    assert await pull(house, other) == []
    await house.ask(other, "node.pending.ack", {"ids": [error["details"]["queuedActionId"]]})
    assert len(await pull(house, node)) == 1


async def test_what_waits_is_judged_anew(house: House) -> None:
    node = await house.admit("camera.snap", "system.which")
    await put(house, node, "k1")
    back = house.join("system.which")
    assert await pull(house, back) == []
    await house.ask(house.operator, "node.pair.remove", {"nodeId": DEVICE})
    back = await house.admit("camera.snap")
    assert await pull(house, back) == []


async def test_commands_that_wait_are_bounded_and_go_out_of_date(house: House) -> None:
    node = await house.admit("camera.snap")
    for number in range(MAX_ACTIONS + 3):
        house.clock.advance(0.1)
        await put(house, node, f"k{number}")
    waiting = await pull(house, node)
    assert len(waiting) == MAX_ACTIONS
    assert waiting[0]["paramsJSON"] == '{"n":"k3"}'
    house.clock.advance(ACTION_LIFE_MS / 1000)
    assert await pull(house, node) == []


async def test_a_big_command_does_not_wait(house: House) -> None:
    node = await house.admit("camera.snap")
    asking = house.invoke(DEVICE, "camera.snap", params="x" * 20_000)
    await house.result(node, ok=False, error=BACKGROUND)
    assert (await asking)["error"]["details"]["code"] == "NODE_BACKGROUND_UNAVAILABLE"
    assert await pull(house, node) == []


async def test_questions_are_drained_urgent_ones_first(house: House) -> None:
    node = await house.admit("location.get", "system.which")
    ask = {"nodeId": DEVICE, "type": "status.request", "expiresInMs": 5000}
    first = (await house.ask(house.operator, "node.pending.enqueue", ask))["payload"]
    assert first["wakeTriggered"] is False
    assert first["queued"]["expiresAtMs"] == house.clock.now_ms() + 5000
    twice = (await house.ask(house.operator, "node.pending.enqueue", ask))["payload"]
    assert (twice["queued"]["id"], twice["revision"]) == (first["queued"]["id"], first["revision"])
    denied = await house.ask(house.operator, "node.pending.enqueue", {**ask, "type": "location.request"})
    assert denied["error"]["details"]["reason"] == "command not allowlisted"
    drained = (await house.ask(node, "node.pending.drain", {"maxItems": 1}))["payload"]
    assert [item["type"] for item in drained["items"]] == ["status.request"]
    assert drained["hasMore"] is False
    assert (await house.ask(node, "node.pending.drain"))["payload"]["items"] == []


async def test_a_place_is_asked_for_where_its_command_is_allowed() -> None:
    house = House("location.get")
    node = await house.admit("location.get")
    for kind, priority in (("status.request", "normal"), ("location.request", "high")):
        answer = await house.ask(
            FakePeer(4, ("operator.write",)),
            "node.pending.enqueue",
            {"nodeId": DEVICE, "type": kind, "priority": priority},
        )
        assert answer["ok"], answer
    drained = (await house.ask(node, "node.pending.drain", {"maxItems": 1}))["payload"]
    assert [item["type"] for item in drained["items"]] == ["location.request"]
    assert drained["hasMore"] is True
    house.clock.advance(ITEM_LIFE_MS / 1000)
    assert (await house.ask(node, "node.pending.drain"))["payload"]["items"] == []
    unapproved = house.join("x", device="e" * 64)
    refused = await house.ask(
        house.operator, "node.pending.enqueue", {"nodeId": unapproved.node_id, "type": "status.request"}
    )
    assert refused["error"]["message"] == "node not paired"
    await house.close()
