"""Who hears what, in which order, and who must never wait."""

from __future__ import annotations

from typing import Any

import anyio.lowlevel
import msgspec
import pytest

from openclaw.base.clock import ManualClock
from openclaw.base.ids import AgentId, OwnerId, RunId
from openclaw.rpc.docs import render
from openclaw.rpc.hub import PRESENCE_PAUSE_S, Hub, Kind
from openclaw.rpc.presence import MAX_ENTRIES, MAX_LINE
from openclaw.rpc.versions import EVENTS
from openclaw.store.api import Spender
from tests.rpc.support import Bench, FakePeer

pytestmark = pytest.mark.anyio


async def _turns() -> None:
    for _ in range(5):
        await anyio.lowlevel.checkpoint()


class Counted(msgspec.Struct):
    """Counts how often it is asked for its payload."""

    calls: int = 0

    def __call__(self, kind: Kind) -> Any:
        self.calls += 1
        return {"v": kind.protocol}


async def test_a_payload_is_made_once_per_version_and_seq_counts_per_connection() -> None:
    hub = Hub(ManualClock())
    peers = [FakePeer(3), FakePeer(4), FakePeer(4)]
    for peer in peers:
        hub.join(peer)
    payload = Counted()
    assert hub.broadcast("chat", payload) == 3
    assert payload.calls == 2
    hub.leave(peers[1])
    hub.broadcast("chat", payload)
    assert [[frame["seq"] for frame in peer.frames] for peer in peers] == [[1, 2], [1], [1, 2]]
    assert peers[0].frames[0]["payload"] == {"v": 3}
    await hub.shutdown("test")


async def test_a_peer_that_leaves_during_a_broadcast_does_not_disturb_it() -> None:
    hub = Hub(ManualClock())

    class Leaver(FakePeer):
        def send(self, frame: bytes) -> None:
            hub.leave(self)

    leaver, other = Leaver(), FakePeer()
    hub.join(leaver)
    hub.join(other)
    hub.broadcast("chat", {})
    assert len(other.frames) == 1
    assert len(hub) == 1
    hub.leave(leaver)
    await hub.shutdown("test")


async def test_ticks_go_to_everybody_and_health_with_every_second(bench: Bench) -> None:
    peer = FakePeer(4, ("operator.pairing",))
    reader = FakePeer(3)
    bench.hub.join(peer)
    bench.hub.join(reader)
    for _ in range(2):
        await _turns()
        bench.clock.advance(30)
        await _turns()
    assert len(peer.events("tick")) == 2
    assert not peer.events("health")
    health = [frame for frame in reader.frames if frame.get("event") == "health"]
    assert health[0]["stateVersion"]["health"] == 2
    assert "plugins" not in health[0]["payload"]


async def test_comings_and_goings_are_told_together_and_passers_by_not_at_all() -> None:
    clock = ManualClock()
    hub = Hub(clock, "1.0")
    first = FakePeer()
    hub.join(first)
    for _ in range(10):
        hub.join(FakePeer())
        hub.join(FakePeer(mode="cli"))
    await _turns()
    clock.advance(PRESENCE_PAUSE_S)
    await _turns()
    told = first.events("presence")
    assert len(told) == 1
    assert len(told[0]["presence"]) == 12
    assert told[0]["presence"][0]["reason"] == "self"
    hub.leave(first)
    gone = [entry for entry in hub.presence() if entry["reason"] == "disconnect"]
    assert len(gone) == 1
    for _ in range(100):
        hub.join(FakePeer())
    assert len(hub.presence()) == MAX_ENTRIES + 1
    await hub.shutdown("test")


async def test_a_user_is_told_of_their_own_clients_only_and_the_operator_of_all() -> None:
    clock = ManualClock()
    hub = Hub(clock, "1.0")
    reads = ("operator.read",)
    alice, bob, operator = (FakePeer(4, reads, owner) for owner in ("proxy:alice", "proxy:bob", "operator"))
    for peer in (alice, operator):
        hub.join(peer)
    await _turns()
    clock.advance(PRESENCE_PAUSE_S)
    await _turns()
    hub.join(bob)
    await _turns()
    clock.advance(PRESENCE_PAUSE_S)
    await _turns()
    counts = [[len(event["presence"]) for event in peer.events("presence")] for peer in (alice, bob, operator)]
    assert counts == [[2], [2], [3, 4]], "the gateway, and whom one may know of"
    assert [len(hub.presence(peer.principal)) for peer in (alice, bob, operator)] == [2, 2, 4]
    hub.show_line("maintenance at noon")
    assert hub.presence(bob.principal)[1]["text"] == "maintenance at noon"
    await hub.shutdown("test")


async def test_an_event_calls_a_session_as_its_hearer_does() -> None:
    hub = Hub(ManualClock(), "1.0")
    alice, root = FakePeer(4, ("operator.read",), "proxy:alice"), FakePeer(4, owner="proxy:root")
    operator = FakePeer()
    for peer in (alice, root, operator):
        hub.join(peer)
    key = "agent:main:@proxy%3Aalice:main"
    hub.broadcast("chat", {"sessionKey": key, "runId": "@proxy%3Aalice:r", "state": "final"}, owner=alice.principal)
    hub.broadcast("chat", {"sessionKey": "agent:main:main", "state": "final"}, owner=operator.principal)
    assert [event["sessionKey"] for event in alice.events("chat")] == ["agent:main:main"]
    assert alice.events("chat")[0]["runId"] == "r"
    assert [event["sessionKey"] for event in root.events("chat")] == [key, "agent:main:@operator:main"]
    assert [event["sessionKey"] for event in operator.events("chat")] == [key, "agent:main:main"]
    await hub.shutdown("test")


@pytest.mark.parametrize("mode", ["cli", "probe", "backend"])
async def test_a_client_that_comes_for_one_call_is_not_present(mode: str) -> None:
    hub = Hub(ManualClock(), "1.0")
    passing = FakePeer(mode=mode)
    hub.join(passing)
    hub.leave(passing)
    assert [entry["reason"] for entry in hub.presence()] == ["self"]
    await hub.shutdown("test")


async def test_a_line_that_somebody_left_is_shown_once_and_cut() -> None:
    clock = ManualClock()
    hub = Hub(clock, "1.0")
    watcher = FakePeer()
    hub.join(watcher)
    before = hub.state_version()["presence"]
    for _ in range(2):
        hub.show_line("x" * 1000)
    await _turns()
    clock.advance(PRESENCE_PAUSE_S)
    await _turns()
    (told,) = watcher.events("presence")
    assert [entry["text"] for entry in told["presence"] if "mode" not in entry] == ["x" * MAX_LINE]
    assert hub.state_version()["presence"] == before + 2
    await hub.shutdown("test")


async def test_shutdown_tells_everybody_and_closes_with_1012() -> None:
    hub = Hub(ManualClock())
    peers = [FakePeer(3), FakePeer(4, ())]
    for peer in peers:
        hub.join(peer)
    await hub.shutdown("gateway restarting", 1500)
    for peer in peers:
        assert peer.events("shutdown") == [{"reason": "gateway restarting", "restartExpectedMs": 1500}]
        assert peer.closed == (1012, "service restart")


async def test_hello_names_methods_events_and_state_of_its_protocol(bench: Bench) -> None:
    for protocol in (3, 4):
        hello = bench.counter.hello_ok(FakePeer(protocol))
        assert hello["type"] == "hello-ok"
        assert hello["protocol"] == protocol
        assert ("sessions.subscribe" in hello["features"]["methods"]) is (protocol == 4)
        assert hello["features"]["events"] == list(EVENTS[protocol])
        assert ("capabilities" in hello["features"]) is (protocol == 4)
        assert hello["snapshot"]["sessionDefaults"]["mainSessionKey"] == "agent:main:main"
        assert hello["policy"] == {**hello["policy"], "maxPayload": 26214400, "tickIntervalMs": 30000}
        assert msgspec.json.decode(msgspec.json.encode(hello)) == hello
    assert "published-model-catalog" in bench.counter.hello_ok(FakePeer(4))["features"]["capabilities"]
    assert "configPath" not in bench.counter.hello_ok(FakePeer(4, ("operator.read",)))["snapshot"]


async def test_a_budgets_notice_reaches_its_spender_and_administrators_in_protocol_4() -> None:
    hub = Hub(ManualClock())
    own = FakePeer(4, ("operator.read",), owner="ann")
    old = FakePeer(3, ("operator.read",), owner="ann")
    blind = FakePeer(4, ("operator.pairing",), owner="ann")
    other = FakePeer(4, ("operator.read",), owner="ben")
    admin = FakePeer(4, owner="carl")
    for peer in (own, old, blind, other, admin):
        hub.join(peer)
    told = {"scope": "total", "subject": "", "window": "day", "text": "80 % gone"}
    spender = Spender(
        run_id=RunId("r"), tenant=own.principal.tenant, owner=OwnerId("ann"), agent_id=AgentId("main"), channel="rpc"
    )
    assert hub.broadcast("usage.notice", told, owner=spender) == 2
    assert own.events("usage.notice") == admin.events("usage.notice") == [told]
    await hub.shutdown("test")


def test_every_event_is_in_the_manual() -> None:
    manual = render()
    assert all(f"- **{name}** " in manual for names in EVENTS.values() for name in names)


@pytest.mark.parametrize("protocol", [3, 4])
async def test_who_may_not_read_learns_from_hello_neither_who_is_here_nor_which_sessions_there_are(
    protocol: int, bench: Bench
) -> None:
    bench.hub.join(FakePeer())
    for peer in (FakePeer(protocol, ("operator.pairing",)), FakePeer(protocol, (), role="node")):
        snapshot = bench.counter.hello_ok(peer)["snapshot"]
        assert snapshot["presence"] == []
        assert set(snapshot["health"]) == {"ok", "ts"}
    snapshot = bench.counter.hello_ok(FakePeer(protocol, ("operator.read",)))["snapshot"]
    assert len(snapshot["presence"]) == 2
    assert "sessions" in snapshot["health"]
