"""The room of devices, on a real store: what is kept, who may give what, and how long things wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.clock import ManualClock
from openclaw.base.errors import Conflict, Forbidden, InvalidRequest, NotFound, Unavailable
from openclaw.base.principal import ALL_SCOPES, Principal
from openclaw.identity.devices import book
from openclaw.identity.devices.book import Devices
from openclaw.identity.devices.record import Ask, Decision, PairingRequest, Reason, SetupCode, lacking
from openclaw.identity.devices.tokens import gateway_seed
from openclaw.store.sqlite import SqliteStore
from tests.fakes.devices import no_devices

pytestmark = pytest.mark.anyio

ADMIN = Principal(scopes=frozenset(ALL_SCOPES))
PAIRING = Principal(scopes=frozenset(("operator.pairing",)))
NOBODY = Principal()
READ, WRITE = "operator.read", "operator.write"


def ask(name: str = "a", **changes: Any) -> Ask:
    said: dict[str, Any] = {"scopes": (READ,), "platform": "linux", "address": "9.9.9.9", **changes}
    return Ask(device_id=name * 64, public_key=name * 43, **{"role": "operator", **said})


class House:
    """A store and the room on it, which can be closed and opened again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = ManualClock()
        self.told: list[tuple[str, str]] = []
        self.store: SqliteStore
        self.devices: Devices

    async def open(self) -> Devices:
        self.store = await SqliteStore.open(self.folder / "openclaw.db", clock=self.clock)
        self.devices = await Devices.open(
            self.store.shelf, self.clock, self.folder / "credentials" / "gateway-identity"
        )
        self.devices.observer = self
        return self.devices

    async def close(self) -> None:
        await self.devices.close()
        await self.store.close()

    async def again(self) -> Devices:
        await self.close()
        return await self.open()

    def requested(self, request: PairingRequest) -> None:
        self.told.append(("requested", request.request_id))

    def resolved(self, request: PairingRequest, decision: Decision, now_ms: int) -> None:
        self.told.append((decision, request.request_id))

    def changed(self, device_id: str, now_ms: int) -> None:
        self.told.append(("changed", device_id[0]))

    def setup_used(self, setup: SetupCode) -> None:
        self.told.append(("used", setup.setup_id))


@pytest.fixture
async def house(tmp_path: Path, anyio_backend: object) -> AsyncIterator[House]:
    made = House(tmp_path)
    await made.open()
    yield made
    await made.close()


async def test_a_paired_device_and_its_token_outlive_the_gateway_and_the_store_cannot_tell_the_token(
    house: House,
) -> None:
    issued = await house.devices.pair(ask())
    house.devices.used("a" * 64, "operator")
    devices = await house.again()
    device = devices.get("a" * 64)
    assert device is not None
    assert (device.approved, device.approved_via) == ({"operator": (READ,)}, "silent")
    assert device.last_seen_at_ms == house.clock.now_ms()
    assert devices.token_of("a" * 64, "operator", issued.token) is not None
    assert devices.open_token("a" * 64, "operator") == issued
    assert issued.token.encode() not in (house.folder / "openclaw.db").read_bytes()
    assert issued.token.encode() not in (house.folder / "openclaw.db-wal").read_bytes()


async def test_only_the_right_token_of_the_right_device_and_role_is_known(house: House) -> None:
    devices = house.devices
    issued = await devices.pair(ask())
    await devices.pair(ask("b"))
    assert devices.token_of("b" * 64, "operator", issued.token) is None
    assert devices.token_of("a" * 64, "node", issued.token) is None
    assert devices.token_of("a" * 64, "operator", issued.token + "x") is None
    assert devices.token_of("c" * 64, "operator", issued.token) is None


async def test_without_its_key_file_the_gateway_still_knows_tokens_but_makes_no_old_one_again(house: House) -> None:
    issued = await house.devices.pair(ask())
    key = house.folder / "credentials" / "gateway-identity"
    assert key.stat().st_mode & 0o777 == 0o600
    key.unlink()
    devices = await house.again()
    assert devices.token_of("a" * 64, "operator", issued.token) is not None
    assert devices.open_token("a" * 64, "operator") is None
    fresh = await devices.renew("a" * 64, "operator")
    assert fresh.token != issued.token
    assert devices.token_of("a" * 64, "operator", issued.token) is None


def test_a_file_without_a_key_is_replaced_by_a_private_one(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "gateway-identity"
    first = gateway_seed(path)
    assert gateway_seed(path) == first
    path.write_text("what is this")
    path.chmod(0o644)
    assert gateway_seed(path) != first
    assert path.stat().st_mode & 0o777 == 0o600


async def test_whoever_approves_holds_what_is_given(house: House) -> None:
    devices = house.devices
    request = await devices.request(ask(scopes=("operator.admin",)), "not-paired")
    for by in (NOBODY, PAIRING, Principal(scopes=frozenset((READ, WRITE, "operator.pairing")))):
        with pytest.raises(Forbidden) as caught:
            await devices.approve(request.request_id, by)
        assert caught.value.details["missingScope"] == "operator.admin"
    assert devices.get("a" * 64) is None
    await devices.approve(request.request_id, ADMIN)
    assert devices.pending() == []
    assert house.told == [("requested", request.request_id), ("changed", "a"), ("approved", request.request_id)]
    with pytest.raises(InvalidRequest):
        await devices.approve(request.request_id, ADMIN)


async def test_a_changed_machine_is_approved_only_by_who_holds_all_that_it_had(house: House) -> None:
    devices = house.devices
    await devices.pair(ask(scopes=("operator.admin",)))
    moved = ask(scopes=(READ,), platform="win32")
    request = await devices.request(moved, "metadata-upgrade")
    with pytest.raises(Forbidden):
        await devices.approve(request.request_id, Principal(scopes=frozenset((READ, "operator.pairing"))))
    device = await devices.approve(request.request_id, ADMIN)
    assert (device.platform, device.approved) == ("win32", {"operator": ("operator.admin", READ)})
    assert lacking(device, moved) is None


@pytest.mark.parametrize("how", ["narrowed", "revoked"])
async def test_a_token_that_was_cut_down_grows_again_only_by_who_holds_all_that_it_opens_then(
    how: str, house: House
) -> None:
    devices = house.devices
    await devices.approve((await devices.request(ask(scopes=(READ, WRITE)), "not-paired")).request_id, ADMIN)
    if how == "narrowed":
        await devices.rotate("a" * 64, "operator", (READ,), ADMIN)
    else:
        await devices.revoke("a" * 64, "operator")
    more = await devices.request(ask(scopes=("operator.approvals",)), "scope-upgrade")
    approver = Principal(scopes=frozenset(("operator.pairing", "operator.approvals", READ)))
    with pytest.raises(Forbidden, match=WRITE):
        await devices.approve(more.request_id, approver)
    device = await devices.approve(more.request_id, ADMIN)
    assert device.tokens["operator"].scopes == ("operator.approvals", READ, WRITE)


async def test_what_a_person_has_read_is_what_they_approve(house: House) -> None:
    devices = house.devices
    first = await devices.request(ask(), "not-paired")
    house.clock.advance(5)
    same = await devices.request(ask(), "not-paired")
    assert same.request_id == first.request_id
    assert same.expires_at_ms == first.expires_at_ms + 5000
    greedy = await devices.request(ask(scopes=(READ, "operator.admin")), "not-paired")
    assert greedy.request_id != first.request_id
    with pytest.raises(InvalidRequest):
        await devices.approve(first.request_id, ADMIN)
    assert [one.request_id for one in devices.pending()] == [greedy.request_id]
    assert [what for what, _ in house.told] == ["requested", "expired", "requested"]


async def test_a_device_that_asks_for_less_or_more_waits_for_one_request_that_covers_all(house: House) -> None:
    devices = house.devices
    wide = await devices.request(ask(scopes=(READ, "operator.write"), client_id="tui"), "not-paired")
    less = await devices.request(ask(scopes=(READ,), client_id="cli"), "not-paired")
    assert (less.request_id, less.ask) == (wide.request_id, wide.ask)
    more = await devices.request(ask(scopes=("operator.pairing",)), "not-paired")
    assert more.request_id != wide.request_id
    assert more.ask.scopes == ("operator.pairing", READ, "operator.write")
    moved = await devices.request(ask(scopes=(READ,), platform="darwin"), "not-paired")
    assert moved.request_id != more.request_id
    assert [one.request_id for one in devices.pending()] == [moved.request_id]


async def test_requests_expire_and_whoever_waits_is_told(house: House) -> None:
    devices = house.devices
    request = await devices.request(ask(), "not-paired")
    waiting = asyncio.create_task(devices.wait(request.request_id, "a" * 64))
    await asyncio.sleep(0)
    house.clock.advance(book.REQUEST_TTL_MS / 1000 + 1)
    assert await asyncio.wait_for(waiting, 5) == "expired"
    assert devices.pending() == []
    assert (await house.again()).pending() == []


async def test_a_request_that_waits_outlives_the_gateway(house: House) -> None:
    request = await house.devices.request(ask(), "not-paired")
    devices = await house.again()
    assert [one.request_id for one in devices.pending()] == [request.request_id]
    await devices.reject(request.request_id)
    assert await devices.wait(request.request_id, "a" * 64) == "rejected"
    assert (await house.again()).pending() == []


async def test_nobody_waits_for_the_decision_about_another(house: House) -> None:
    request = await house.devices.request(ask(), "not-paired")
    with pytest.raises(InvalidRequest):
        await house.devices.wait(request.request_id, "b" * 64)
    await house.devices.approve(request.request_id, ADMIN)
    with pytest.raises(InvalidRequest):
        await house.devices.wait(request.request_id, "b" * 64)
    assert await house.devices.wait(request.request_id, "a" * 64) == "approved"


async def test_one_address_cannot_fill_the_list_and_nobody_can_overfill_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book, "MAX_PENDING_PER_ADDRESS", 2)
    monkeypatch.setattr(book, "MAX_PENDING", 3)
    devices = house.devices
    for name in "abc":
        await devices.request(ask(name), "not-paired")
        house.clock.advance(1)
    assert [one.ask.device_id[0] for one in devices.pending()] == ["c", "b"]
    await devices.request(ask("d", address="8.8.8.8"), "not-paired")
    with pytest.raises(Unavailable):
        await devices.request(ask("e", address="7.7.7.7"), "not-paired")
    await devices.request(ask("d", address="8.8.8.8", scopes=()), "not-paired")
    assert len(devices.pending()) == 3


async def test_there_is_an_end_to_devices(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book, "MAX_DEVICES", 1)
    await house.devices.pair(ask())
    with pytest.raises(Conflict):
        await house.devices.pair(ask("b"))
    await house.devices.pair(ask(scopes=(READ, WRITE)))


async def test_rotation_gives_no_more_than_was_approved_nor_than_the_caller_has(house: House) -> None:
    devices = house.devices
    old = await devices.pair(ask(scopes=("operator.admin",)))
    with pytest.raises(Forbidden):
        await devices.rotate("a" * 64, "operator", None, PAIRING)
    with pytest.raises(Forbidden):
        await devices.rotate("a" * 64, "operator", (READ,), PAIRING)
    narrow = await devices.rotate("a" * 64, "operator", (READ,), ADMIN)
    assert narrow.scopes == (READ,)
    assert devices.token_of("a" * 64, "operator", old.token) is None
    await devices.pair(ask("b"))
    with pytest.raises(Forbidden):
        await devices.rotate("b" * 64, "operator", ("operator.admin",), ADMIN)
    with pytest.raises(NotFound):
        await devices.rotate("b" * 64, "node", None, ADMIN)


async def test_a_revoked_token_is_worthless_until_another_is_made(house: House) -> None:
    devices = house.devices
    old = await devices.pair(ask())
    first = await devices.revoke("a" * 64, "operator")
    house.clock.advance(1)
    assert (await devices.revoke("a" * 64, "operator")).revoked_at_ms == first.revoked_at_ms
    assert devices.token_of("a" * 64, "operator", old.token) is None
    assert devices.open_token("a" * 64, "operator") is None
    fresh = await devices.renew("a" * 64, "operator")
    assert fresh.token != old.token
    assert (await house.again()).token_of("a" * 64, "operator", old.token) is None


async def test_a_removed_device_leaves_nothing(house: House) -> None:
    devices = house.devices
    old = await devices.pair(ask())
    await devices.request(ask(scopes=("operator.admin",)), "scope-upgrade")
    await devices.remove("a" * 64)
    assert devices.pending() == []
    devices = await house.again()
    assert devices.paired() == []
    assert devices.pending() == []
    fresh = await devices.pair(ask())
    assert fresh.token != old.token
    with pytest.raises(NotFound):
        await devices.remove("b" * 64)


async def test_a_setup_code_pairs_one_device_once(house: House) -> None:
    devices = house.devices
    setup, secret = await devices.make_setup("limited", {"node": (), "operator": (READ,)}, ADMIN)
    assert secret.encode() not in msgspec.json.encode(setup)
    assert devices.setup_of(secret + "x", "node") is None
    found = devices.setup_of(secret, "node")
    assert found is not None
    first, second = await devices.redeem(found.setup_id, ask(role="node", scopes=()))
    assert (first.role, second.role, second.scopes) == ("node", "operator", (READ,))
    assert devices.token_of("a" * 64, "operator", second.token) is not None
    assert devices.setup_of(secret, "node") is None
    with pytest.raises(NotFound):
        await devices.redeem(setup.setup_id, ask("b", role="node"))
    assert ("used", setup.setup_id) in house.told
    assert (await house.again()).setup_of(secret, "node") is None


async def test_two_devices_that_come_at_once_with_one_code_are_one(house: House) -> None:
    setup, _ = await house.devices.make_setup("node", {"node": ()}, ADMIN)
    came = await asyncio.gather(
        *(house.devices.redeem(setup.setup_id, ask(name, role="node", scopes=())) for name in "ab"),
        return_exceptions=True,
    )
    assert [isinstance(one, NotFound) for one in came] == [False, True]


async def test_setup_codes_expire_can_be_revoked_and_give_what_their_maker_has(house: House) -> None:
    devices = house.devices
    with pytest.raises(Forbidden):
        await devices.make_setup("full", {"operator": ("operator.admin",)}, PAIRING)
    setup, secret = await devices.make_setup("node", {"node": ()}, ADMIN)
    assert devices.setup_of(secret, "operator") is None
    house.clock.advance(book.SETUP_TTL_MS / 1000)
    assert devices.setup_of(secret, "node") is None
    with pytest.raises(NotFound):
        await devices.redeem(setup.setup_id, ask(role="node"))
    other, secret = await devices.make_setup("node", {"node": ()}, ADMIN)
    await devices.revoke_setup(other.setup_id)
    assert devices.setup_of(secret, "node") is None
    with pytest.raises(NotFound):
        await devices.revoke_setup(other.setup_id)


async def test_what_cannot_be_written_has_not_happened(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    devices = house.devices

    async def full(*_: object) -> None:
        raise Unavailable("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(devices, "_save", full)
        for change in (devices.pair(ask()), devices.request(ask(), "not-paired")):
            with pytest.raises(Unavailable):
                await change
    assert (devices.paired(), devices.pending(), house.told) == ([], [], [])


UPGRADES: list[tuple[dict[str, Any], Reason | None]] = [
    ({}, None),
    ({"platform": " LINUX "}, None),
    ({"device_family": "Linux"}, None),
    ({"scopes": ()}, None),
    ({"platform": "darwin"}, "metadata-upgrade"),
    ({"role": "node", "scopes": ()}, "role-upgrade"),
    ({"scopes": (READ, WRITE)}, "scope-upgrade"),
    ({"role": "node", "platform": "darwin"}, "metadata-upgrade"),
]


@pytest.mark.parametrize(("changes", "reason"), UPGRADES)
async def test_what_a_device_lacks_has_a_name(changes: dict[str, Any], reason: Reason | None) -> None:
    devices = no_devices(ManualClock())
    assert lacking(None, ask(**changes)) == "not-paired"
    await devices.pair(ask())
    assert lacking(devices.get("a" * 64), ask(**changes)) == reason


scopes = st.lists(st.sampled_from((*ALL_SCOPES, "operator.talk"))).map(tuple)


@given(held=scopes, wanted=scopes)
def test_nobody_approves_more_than_they_hold(held: tuple[str, ...], wanted: tuple[str, ...]) -> None:
    async def run() -> bool:
        devices = no_devices(ManualClock())
        request = await devices.request(ask(scopes=wanted), "not-paired")
        try:
            await devices.approve(request.request_id, Principal(scopes=frozenset(held)))
        except Forbidden:
            return False
        finally:
            await devices.close()
        return True

    reach = set(held) | ({READ} if WRITE in held else set())
    assert asyncio.run(run()) is ("operator.admin" in held or set(wanted) <= reach)
