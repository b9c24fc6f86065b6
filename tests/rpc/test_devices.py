"""device.* over the counter: what is answered in each protocol, who is told, who is closed."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from openclaw.base.principal import ALL_SCOPES
from openclaw.identity.devices.book import Devices
from openclaw.identity.devices.record import Ask
from openclaw.protocol.device_auth import decode_base64url, device_id_of
from openclaw.rpc.device_events import DeviceEvents
from tests.rpc.support import Bench, FakePeer

pytestmark = pytest.mark.anyio

ID = "a" * 64


def ask(**changes: Any) -> Ask:
    said: dict[str, Any] = {"role": "operator", "scopes": ("operator.read",), "platform": "linux", **changes}
    return Ask(**{"device_id": ID, "public_key": "k" * 43, "client_id": "cli", "client_mode": "cli", **said})


def room(bench: Bench) -> Devices:
    devices = bench.deps.devices
    assert devices is not None
    devices.observer = DeviceEvents(bench.hub)
    return devices


def join(bench: Bench, *peers: FakePeer) -> None:
    for peer in peers:
        bench.hub.join(peer)


async def test_a_request_is_told_to_those_who_may_decide_and_to_nobody_else(bench: Bench) -> None:
    owner, old, reader = FakePeer(4), FakePeer(3), FakePeer(4, ("operator.read",))
    join(bench, owner, old, reader)
    request = await room(bench).request(ask(address="9.9.9.9"), "not-paired")
    for peer in (owner, old):
        (told,) = peer.events("device.pair.requested")
        assert told == {
            "requestId": request.request_id,
            "deviceId": ID,
            "publicKey": "k" * 43,
            "platform": "linux",
            "clientId": "cli",
            "clientMode": "cli",
            "remoteIp": "9.9.9.9",
            "role": "operator",
            "roles": ["operator"],
            "scopes": ["operator.read"],
            "silent": False,
            "isRepair": False,
            "ts": bench.clock.now_ms(),
        }
    listed = await bench.ask(owner, "device.pair.list")
    assert listed["payload"] == {"pending": [told], "paired": []}
    answer = await bench.ask(owner, "device.pair.approve", {"requestId": request.request_id})
    assert answer["payload"]["device"]["roles"] == ["operator"]
    for peer in (owner, old):
        (resolved,) = peer.events("device.pair.resolved")
        assert (resolved["decision"], resolved["deviceId"]) == ("approved", ID)
    assert owner.events("device.pair.changed")
    assert not old.events("device.pair.changed")
    assert not [frame for frame in reader.frames if "device" in frame.get("event", "")]


async def test_a_caller_that_may_only_pair_cannot_make_an_administrator(bench: Bench) -> None:
    request = await room(bench).request(ask(scopes=("operator.admin",)), "not-paired")
    caller = FakePeer(4, ("operator.pairing",))
    answer = await bench.ask(caller, "device.pair.approve", {"requestId": request.request_id})
    assert answer["error"]["code"] == "FORBIDDEN"
    assert answer["error"]["details"]["missingScope"] == "operator.admin"
    await room(bench).pair(ask(scopes=("operator.admin",)))
    answer = await bench.ask(caller, "device.token.rotate", {"deviceId": ID, "role": "operator"})
    assert answer["error"]["details"]["code"] == "MISSING_SCOPE"
    old = await bench.ask(
        FakePeer(3, ("operator.pairing",)), "device.token.rotate", {"deviceId": ID, "role": "operator"}
    )
    assert old["error"] == {"code": "INVALID_REQUEST", "message": "missing scope: operator.admin"}


async def test_what_is_not_there_is_refused_in_the_words_of_each_protocol(bench: Bench) -> None:
    for method in ("approve", "reject"):
        for protocol in (3, 4):
            answer = await bench.ask(FakePeer(protocol), f"device.pair.{method}", {"requestId": "nope"})
            assert answer["error"] == {"code": "INVALID_REQUEST", "message": "unknown requestId"}
    for method, word in (("rotate", "rotation"), ("revoke", "revocation")):
        for role in ("operator", "king"):
            params = {"deviceId": "x", "role": role}
            new = await bench.ask(FakePeer(4), f"device.token.{method}", params)
            assert new["error"] == {"code": "INVALID_REQUEST", "message": f"device token {word} denied"}
            old = await bench.ask(FakePeer(3), f"device.token.{method}", params)
            assert old["error"] == {"code": "INVALID_REQUEST", "message": "unknown deviceId/role"}


async def test_a_new_token_is_told_to_its_own_device_and_in_protocol_3_to_who_asked(bench: Bench) -> None:
    devices = room(bench)
    await devices.pair(ask())
    params = {"deviceId": ID, "role": "operator"}
    own = (await bench.ask(FakePeer(4, device=ID), "device.token.rotate", params))["payload"]
    assert own["tokenDelivery"] == "in-band"
    assert devices.token_of(ID, "operator", own["token"]) is not None
    other = (await bench.ask(FakePeer(4), "device.token.rotate", params))["payload"]
    assert (other["tokenDelivery"], "token" in other) == ("withheld-cross-device", False)
    old = (await bench.ask(FakePeer(3), "device.token.rotate", params))["payload"]
    assert set(old) == {"deviceId", "role", "token", "scopes", "rotatedAtMs"}
    assert devices.token_of(ID, "operator", old["token"]) is not None


async def test_a_device_that_is_no_administrator_changes_no_other_device(bench: Bench) -> None:
    await room(bench).pair(ask())
    stranger = FakePeer(4, ("operator.pairing", "operator.read"), device="b" * 64)
    for method, params in (
        ("device.pair.remove", {"deviceId": ID}),
        ("device.pair.rename", {"deviceId": ID, "label": "mine"}),
        ("device.token.rotate", {"deviceId": ID, "role": "operator"}),
        ("device.token.revoke", {"deviceId": ID, "role": "operator"}),
    ):
        answer = await bench.ask(stranger, method, params)
        assert answer["error"]["message"].endswith(" denied"), method
    assert len(room(bench).paired()) == 1


async def test_removing_a_device_closes_its_connections_and_answers_first_when_it_is_the_callers(bench: Bench) -> None:
    await room(bench).pair(ask())
    admin, here, other = FakePeer(4), FakePeer(4, device=ID), FakePeer(4, device="b" * 64)
    caller = FakePeer(4, device=ID)
    join(bench, admin, here, other, caller)
    answer = await bench.ask(caller, "device.pair.remove", {"deviceId": ID})
    assert answer["payload"] == {"deviceId": ID}
    assert here.closed == caller.closed == (4001, "device removed")
    assert admin.closed is other.closed is None
    assert len(bench.hub) == 2


async def test_a_revoked_token_closes_its_role_and_a_rotated_one_what_came_by_it(bench: Bench) -> None:
    devices = room(bench)
    await devices.pair(ask())
    await devices.pair(ask(role="node", scopes=()))
    node, shared, by_token = FakePeer(4, role="node", device=ID), FakePeer(4, device=ID), FakePeer(4, device=ID)
    by_token.principal = msgspec.structs.replace(by_token.principal, method="device-token")
    admin = FakePeer(4)
    join(bench, node, shared, by_token, admin)
    params = {"deviceId": ID, "role": "operator"}
    await bench.ask(admin, "device.token.rotate", params)
    assert (by_token.closed, shared.closed) == ((4001, "device token rotated"), None)
    answer = await bench.ask(admin, "device.token.revoke", params)
    assert answer["payload"]["revokedAtMs"] == bench.clock.now_ms()
    assert shared.closed == (4001, "device token revoked")
    assert node.closed is None


async def test_a_list_shows_what_each_protocol_knows_and_never_a_token(bench: Bench) -> None:
    devices = room(bench)
    issued = await devices.pair(ask(device_family="Linux"))
    await devices.pair(ask(role="node", scopes=()))
    devices.used(ID, "operator")
    await devices.rename(ID, "desk")
    join(bench, FakePeer(4, device=ID))
    (new,) = (await bench.ask(FakePeer(4), "device.pair.list"))["payload"]["paired"]
    assert (new["displayName"], new["connected"], new["role"], new["roles"]) == (
        "desk",
        True,
        "operator",
        ["operator", "node"],
    )
    assert new["tokens"][0] == {
        "role": "operator",
        "scopes": ["operator.read"],
        "createdAtMs": issued.issued_at_ms,
        "lastUsedAtMs": bench.clock.now_ms(),
    }
    (old,) = (await bench.ask(FakePeer(3), "device.pair.list"))["payload"]["paired"]
    assert set(old) == {
        *("deviceId", "publicKey", "displayName", "platform", "clientId", "clientMode"),
        *("role", "roles", "scopes", "createdAtMs", "approvedAtMs", "tokens"),
    }
    assert issued.token not in str(new)


async def test_a_device_asks_for_more_scopes_and_is_given_them(bench: Bench) -> None:
    devices = room(bench)
    old = await devices.pair(ask())
    peer, admin = FakePeer(4, ("operator.read",), device=ID), FakePeer(4)
    asked = await bench.ask(peer, "device.scopes.requestUpgrade", {"scopes": ["operator.write"]})
    request_id = asked["payload"]["requestId"]
    answer = bench.begin(peer, "device.scopes.waitUpgrade", {"requestId": request_id}, "w")
    assert not isinstance(answer, bytes)
    waiting = asyncio.create_task(answer)
    await asyncio.sleep(0)
    await bench.ask(admin, "device.pair.approve", {"requestId": request_id})
    await asyncio.wait_for(waiting, 5)
    (told,) = [frame["payload"] for frame in peer.frames if frame.get("id") == "w"]
    assert told == {
        "status": "approved",
        "requestId": request_id,
        "deviceToken": old.token,
        "scopes": ["operator.read", "operator.write"],
    }
    for scopes in (["operator.write"], ["operator.root"]):
        again = await bench.ask(peer, "device.scopes.requestUpgrade", {"scopes": scopes})
        assert again["error"]["code"] == "INVALID_REQUEST"


async def test_an_upgrade_that_is_rejected_says_so(bench: Bench) -> None:
    await room(bench).pair(ask())
    peer = FakePeer(4, ("operator.read",), device=ID)
    asked = await bench.ask(peer, "device.scopes.requestUpgrade", {"scopes": ["operator.admin"]})
    params = asked["payload"]
    await bench.ask(FakePeer(4), "device.pair.reject", params)
    told = await bench.ask(peer, "device.scopes.waitUpgrade", params)
    assert told["payload"] == {"status": "rejected", **params}


async def test_the_gateway_has_one_identity(bench: Bench) -> None:
    first = (await bench.ask(FakePeer(4), "gateway.identity.get"))["payload"]
    assert first == (await bench.ask(FakePeer(4), "gateway.identity.get"))["payload"]
    key = decode_base64url(first["publicKey"], 32)
    assert key is not None
    assert device_id_of(key) == first["deviceId"]


@pytest.mark.parametrize(
    ("params", "url", "access", "downgraded"),
    [
        ({}, "ws://127.0.0.1:18789", "full", False),
        ({"publicUrl": "https://gw.example/base"}, "wss://gw.example/base", "full", False),
        ({"publicUrl": "ws://gw.example:1"}, "ws://gw.example:1", "limited", True),
        ({"publicUrl": "ws://gw.example:1", "bootstrapProfile": "node"}, "ws://gw.example:1", "node", False),
        ({"publicUrl": "ws://[::1]:5", "bootstrapProfile": "limited"}, "ws://[::1]:5", "limited", False),
    ],
)
async def test_a_setup_code_says_where_to_go_and_gives_less_over_an_open_way(
    params: dict[str, Any], url: str, access: str, downgraded: bool, bench: Bench
) -> None:
    admin = FakePeer(4)
    join(bench, admin)
    made = (await bench.ask(admin, "device.pair.setupCode", params))["payload"]
    assert (made["gatewayUrl"], made["access"], made.get("accessDowngraded", False)) == (url, access, downgraded)
    code = made["setupCode"]
    inner = msgspec.json.decode(decode_base64url(code, len(code) * 3 // 4) or b"")
    assert inner["url"] == url
    devices = room(bench)
    status = {"setupId": made["setupId"]}
    assert (await bench.ask(admin, "device.pair.setupStatus", status))["payload"] == {}
    setup = devices.setup_of(inner["bootstrapToken"], "node")
    assert setup is not None
    await devices.redeem(setup.setup_id, ask(role="node", scopes=(), display_name="Phone"))
    completion = (await bench.ask(admin, "device.pair.setupStatus", status))["payload"]["completion"]
    assert completion == {
        "setupId": made["setupId"],
        "deviceId": ID,
        "deviceName": "Phone",
        "access": access,
        "ts": bench.clock.now_ms(),
    }
    assert admin.events("device.pair.setup.completed") == [completion]
    (listed,) = (await bench.ask(admin, "device.pair.setupList"))["payload"]["setups"]
    assert (listed["state"], listed["deviceId"]) == ("used", ID)
    assert inner["bootstrapToken"] not in str(listed)


@pytest.mark.parametrize("url", ["ftp://x", "wss://user@host", "wss://", "x", "http://[", "ws://h:99999"])
async def test_a_setup_code_leads_to_gateways_only(url: str, bench: Bench) -> None:
    answer = await bench.ask(FakePeer(4), "device.pair.setupCode", {"publicUrl": url})
    assert answer["error"]["message"] == "publicUrl is no URL of a gateway"


async def test_setup_codes_are_for_administrators(bench: Bench) -> None:
    pairing = FakePeer(4, tuple(scope for scope in ALL_SCOPES if scope != "operator.admin"))
    for method in ("setupCode", "setupList"):
        answer = await bench.ask(pairing, f"device.pair.{method}")
        assert answer["error"]["details"]["missingScope"] == "operator.admin"
