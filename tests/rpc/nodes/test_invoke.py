"""A command goes to one node, once, and its answer to who asked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from openclaw.base.audit import Entry, Head
from openclaw.rpc.nodes.desk import MAX_KEPT_BYTES
from openclaw.rpc.nodes.live import MAX_PARAMS_BYTES, MAX_RESULT_BYTES, MAX_RUNNING_OF_NODE
from tests.rpc.nodes.support import DEVICE, House, settle
from tests.rpc.support import FakePeer

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("protocol", [3, 4])
async def test_the_answer_of_a_node_comes_back_whole(protocol: int, house: House) -> None:
    node = await house.admit("camera.snap", protocol=protocol)
    asking = house.invoke(DEVICE, "camera.snap", params={"q": 1})
    assert (await house.result(node, payloadJSON='{"a":[1]}'))["payload"] == {"ok": True}
    answer = (await asking)["payload"]
    assert answer == {
        "ok": True,
        "nodeId": DEVICE,
        "command": "camera.snap",
        "payload": {"a": [1]},
        "payloadJSON": '{"a":[1]}',
    }
    (frame,) = [frame for frame in node.frames if frame.get("event") == "node.invoke.request"]
    assert "seq" not in frame
    assert {key: value for key, value in frame["payload"].items() if key != "id"} == {
        "nodeId": DEVICE,
        "command": "camera.snap",
        "paramsJSON": '{"q":1}',
        "timeoutMs": 30_000,
        "idempotencyKey": "k",
    }
    assert house.operator.events("node.invoke.request") == []


@pytest.mark.parametrize(
    ("result", "payload", "text"),
    [
        ({"payload": {"b": None}}, {"b": None}, None),
        ({}, None, None),
        ({"payloadJSON": None, "error": None, "payload": 5}, 5, None),
        ({"payloadJSON": "no json"}, {"payloadJSON": "no json"}, "no json"),
        ({"payloadJSON": "[" * 5000}, {"payloadJSON": "[" * 5000}, "[" * 5000),
    ],
)
async def test_whatever_form_a_result_has_it_is_handed_on(
    result: dict[str, Any], payload: Any, text: str | None, house: House
) -> None:
    node = await house.admit("camera.snap")
    asking = house.invoke(DEVICE, "camera.snap")
    await house.result(node, **result)
    answer = (await asking)["payload"]
    assert (answer["payload"], answer["payloadJSON"]) == (payload, text)
    assert "paramsJSON" not in node.asked[0]


async def test_a_node_that_fails_is_quoted(house: House) -> None:
    node = await house.admit("camera.snap")
    asking = house.invoke(DEVICE, "camera.snap")
    await house.result(node, ok=False, error={"code": "NO_CAMERA", "message": "lens cap\x1b[2J"})
    error = (await asking)["error"]
    assert error == {
        "code": "UNAVAILABLE",
        "message": "NO_CAMERA: lens cap[2J",
        "details": {"code": "NO_CAMERA", "nodeError": {"code": "NO_CAMERA", "message": "lens cap[2J"}},
    }


async def test_a_node_that_is_not_there_is_named_so(house: House) -> None:
    error = (await house.invoke("x", "system.which"))["error"]
    assert error == {"code": "UNAVAILABLE", "message": "node not connected", "details": {"code": "NOT_CONNECTED"}}


async def test_what_was_not_offered_approved_or_configured_never_reaches_the_node(house: House) -> None:
    node = house.join("camera.snap", "sms.send")
    waiting = (await house.invoke(DEVICE, "camera.snap", "a"))["error"]
    assert waiting["details"] == {
        "reason": "command not approved",
        "command": "camera.snap",
        "rule": "node.unapproved",
    }
    await house.approve_all()
    unlisted = (await house.invoke(DEVICE, "sms.send", "b"))["error"]
    assert unlisted["details"]["reason"] == "command not allowlisted"
    undeclared = (await house.invoke(DEVICE, "system.which", "c"))["error"]
    assert undeclared["details"]["reason"] == "command not declared by node"
    assert unlisted["code"] == undeclared["code"] == "INVALID_REQUEST"
    assert node.asked == []


async def test_a_node_that_came_back_without_an_approval_while_the_row_was_written_is_not_asked(house: House) -> None:
    await house.admit("camera.snap")
    written, append = asyncio.Event(), house.ledger.append

    async def slowly(entries: Sequence[Entry]) -> Head:
        if entries[0].kind == "node":
            await written.wait()
        return await append(entries)

    house.ledger.append = slowly  # type: ignore[method-assign]  # the real one, later
    asking = house.invoke(DEVICE, "camera.snap")
    await settle()
    await house.ask(house.operator, "node.pair.remove", {"nodeId": DEVICE})
    node = house.join("camera.snap")
    written.set()
    assert (await asking)["error"]["details"]["rule"] == "node.unapproved"
    assert node.asked == []


async def test_a_program_is_not_run_for_who_may_only_write() -> None:
    house = House("system.run")
    node = await house.admit("system.run")
    writer = FakePeer(4, ("operator.write", "operator.read"))
    house.hub.join(writer)
    error = (await house.invoke(DEVICE, "system.run", caller=writer))["error"]
    assert error["details"]["missingScope"] == "operator.admin"
    assert node.asked == []
    await house.close()


async def test_the_deadline_ends_an_invoke_and_the_node_is_told(house: House) -> None:
    node = await house.admit("camera.snap")
    answer = await house.invoke(DEVICE, "camera.snap", timeoutMs=1)
    assert answer["error"]["details"]["code"] == "TIMEOUT"
    assert "retryable" not in answer["error"]
    invoke_id = node.asked[0]["id"]
    assert node.events("node.invoke.cancel") == [{"invokeId": invoke_id, "nodeId": DEVICE}]
    assert (await house.result(node, payload="late"))["payload"] == {"ok": True, "ignored": True}


async def test_a_host_of_protocol_3_is_not_told_of_a_cancel_that_it_does_not_know(house: House) -> None:
    node = await house.admit("camera.snap", protocol=3)
    await house.invoke(DEVICE, "camera.snap", timeoutMs=1)
    assert node.events("node.invoke.cancel") == []


async def test_a_node_that_leaves_ends_what_it_was_asked(house: House) -> None:
    node = await house.admit("camera.snap")
    asking = house.invoke(DEVICE, "camera.snap")
    await settle()
    house.hub.leave(node)
    error = (await asking)["error"]
    assert (error["message"], error["details"]["code"]) == ("node disconnected (camera.snap)", "DISCONNECTED")


async def test_who_asked_and_leaves_calls_it_off_but_not_while_another_waits(house: House) -> None:
    node = await house.admit("camera.snap")
    first, second = FakePeer(), FakePeer()
    house.hub.join(first)
    house.hub.join(second)
    one = house.invoke(DEVICE, "camera.snap", caller=first)
    two = house.invoke(DEVICE, "camera.snap", caller=second)
    await settle()
    house.hub.leave(first)
    await settle()
    assert node.events("node.invoke.cancel") == []
    house.hub.leave(second)
    assert (await one)["error"]["details"]["code"] == (await two)["error"]["details"]["code"] == "ABORTED"
    assert len(node.events("node.invoke.cancel")) == 1


async def test_a_repeated_key_gets_the_first_answer_and_the_node_is_asked_once(house: House) -> None:
    node = await house.admit("camera.snap")
    one, two = house.invoke(DEVICE, "camera.snap"), house.invoke(DEVICE, "camera.snap")
    await house.result(node, payload="first")
    assert (await one)["payload"] == (await two)["payload"]
    house.hub.leave(node)
    assert (await house.invoke(DEVICE, "camera.snap"))["payload"]["payload"] == "first"
    assert len(node.asked) == 1


async def test_a_key_of_another_command_is_a_conflict_running_or_ended(house: House) -> None:
    node = await house.admit("camera.snap")
    asking = house.invoke(DEVICE, "camera.snap")
    await settle()
    while_it_runs = await house.invoke(DEVICE, "camera.snap", params={"other": True})
    await house.result(node)
    await asking
    afterwards = await house.invoke(DEVICE, "camera.snap", params={"other": True})
    assert while_it_runs["error"]["details"]["code"] == afterwards["error"]["details"]["code"] == "CONFLICT"
    assert len(node.asked) == 1


async def test_an_invoke_that_never_began_may_be_asked_again_under_its_key(house: House) -> None:
    assert not (await house.invoke(DEVICE, "camera.snap"))["ok"]
    node = await house.admit("camera.snap")
    asking = house.invoke(DEVICE, "camera.snap")
    await house.result(node)
    assert (await asking)["ok"]


async def test_an_answer_too_big_to_keep_is_given_once_and_then_owned_up_to(house: House) -> None:
    node = await house.admit("camera.snap")
    asking = house.invoke(DEVICE, "camera.snap")
    await house.result(node, payload="x" * (MAX_KEPT_BYTES + 1))
    assert (await asking)["ok"]
    again = await house.invoke(DEVICE, "camera.snap")
    assert again["error"]["details"]["code"] == "CONFLICT"
    assert len(node.asked) == 1


async def test_another_node_cannot_answer(house: House) -> None:
    node = await house.admit("camera.snap")
    other = await house.admit("camera.snap", device="e" * 64, name="spy")
    asking = house.invoke(DEVICE, "camera.snap")
    await settle()
    invoke_id = node.asked[0]["id"]
    as_itself = await house.ask(other, "node.invoke.result", {"id": invoke_id, "nodeId": other.node_id, "ok": True})
    assert as_itself["payload"] == {"ok": True, "ignored": True}
    as_the_other = await house.ask(other, "node.invoke.result", {"id": invoke_id, "nodeId": DEVICE, "ok": True})
    assert as_the_other["error"]["message"] == "nodeId mismatch"
    progress = {"invokeId": invoke_id, "nodeId": other.node_id, "seq": 0, "chunk": "."}
    assert (await house.ask(other, "node.invoke.progress", progress))["payload"]["ignored"] is True
    await settle()
    assert not asking.done()
    await house.result(node, payload="mine")
    assert (await asking)["payload"]["payload"] == "mine"


async def test_only_the_connection_that_was_asked_may_answer(house: House) -> None:
    node = await house.admit("camera.snap")
    asking = house.invoke(DEVICE, "camera.snap")
    await settle()
    newer = house.join("camera.snap")
    assert node.closed == (4000, "replaced by a newer connection")
    assert (await asking)["error"]["details"]["code"] == "DISCONNECTED"
    late = await house.ask(node, "node.invoke.result", {"id": node.asked[0]["id"], "nodeId": DEVICE, "ok": True})
    assert late["error"]["message"] == "node not registered on this connection"
    house.hub.leave(node)
    again = house.invoke(DEVICE, "camera.snap", "k2")
    await house.result(newer, payload="new")
    assert (await again)["payload"]["payload"] == "new"


async def test_sizes_and_numbers_are_bounded(house: House) -> None:
    node = await house.admit("camera.snap")
    big = (await house.invoke(DEVICE, "camera.snap", "big", params="x" * MAX_PARAMS_BYTES))["error"]
    assert big["code"] == "INVALID_REQUEST"
    running = [house.invoke(DEVICE, "camera.snap", f"r{number}") for number in range(MAX_RUNNING_OF_NODE)]
    await settle()
    over = (await house.invoke(DEVICE, "camera.snap", "over"))["error"]
    assert over["retryAfterMs"] > 0
    assert len(node.asked) == MAX_RUNNING_OF_NODE
    refused = await house.result(node, 0, payloadJSON='"' + "x" * MAX_RESULT_BYTES + '"')
    assert refused["error"]["code"] == "INVALID_REQUEST"
    assert (await running[0])["error"]["details"]["code"] == "RESULT_TOO_LARGE"
    assert not running[1].done()


async def test_params_nested_without_end_are_refused(house: House) -> None:
    await house.admit("camera.snap")
    for depth in (*range(900, 1020, 3), 100_000):
        deep = msgspec.Raw(b"[" * depth + b"]" * depth)
        answer = await house.invoke(DEVICE, "camera.snap", f"d{depth}", params=deep, timeoutMs=1)
        assert "incident" not in answer["error"].get("details", {})


async def test_stopping_lets_go_of_everybody_who_waits(house: House) -> None:
    await house.admit("camera.snap")
    asking = house.invoke(DEVICE, "camera.snap")
    await settle()
    await house.nodes.close()
    assert (await asking)["error"]["details"]["code"] == "SHUTDOWN"


async def test_the_execution_policy_of_a_node_makes_a_round_trip_without_its_credential(house: House) -> None:
    node = await house.admit("system.execApprovals.get", "system.execApprovals.set")
    direct = (await house.invoke(DEVICE, "system.execApprovals.get"))["error"]
    assert direct["details"]["rule"] == "node.exec-policy"
    snapshot = {
        "path": "/x",
        "exists": True,
        "hash": "h",
        "file": {"version": 1, "socket": {"path": "/s", "token": "secret-1"}},
    }
    for method, params in (
        ("exec.approvals.node.get", {}),
        ("exec.approvals.node.set", {"file": {"version": 1}, "baseHash": "h"}),
    ):
        asking = house.tasks.spawn(house.ask(house.operator, method, {"nodeId": DEVICE, **params}), "ask")
        await house.result(node, payload=snapshot)
        answer = (await asking)["payload"]
        assert answer["file"] == {"version": 1, "socket": {"path": "/s"}}
    assert node.asked[-1]["paramsJSON"] == '{"file":{"version":1},"baseHash":"h"}'
    asking = house.tasks.spawn(house.ask(house.operator, "exec.approvals.node.get", {"nodeId": DEVICE}), "ask")
    await house.result(node, payload=[1])
    assert (await asking)["error"]["details"]["code"] == "INVALID_PAYLOAD"
    neither = await house.ask(house.operator, "exec.approvals.node.set", {"nodeId": DEVICE})
    assert neither["error"]["code"] == "INVALID_REQUEST"
