"""The devices this gateway knows: looked up at once, changed only durably.

1. A change is on the shelf before it is in memory, and in memory before anybody is told.
2. Changes happen one after the other. What was looked up before one is looked up again inside it.
3. Whoever approves, rotates or makes a code holds every scope that it gives: `by` is asked here, not at the doors.
4. A request that comes again, unchanged, is the same request; a changed one is another, with another id: what a person
   has read is what they approve.
5. When a device was last seen is written with its next change or at the end: a crash may lose it, and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import msgspec

from openclaw.base.bounded import BoundedMap
from openclaw.base.clock import Clock
from openclaw.base.errors import Conflict, Forbidden, InvalidRequest, NotFound, Unavailable
from openclaw.base.ids import OPERATOR, new_id
from openclaw.base.principal import Principal
from openclaw.base.tasks import TaskSet
from openclaw.identity.devices.record import (
    Access,
    Ask,
    Decision,
    Device,
    Issued,
    PairingRequest,
    Reason,
    SetupCode,
    Token,
    Via,
    grow,
    merged,
)
from openclaw.identity.devices.tokens import Mint, digest, gateway_seed, matches, new_code
from openclaw.identity.scopes import ADMIN, Role, covers, lacking_scope, missing_scope
from openclaw.protocol.device_auth import DeviceKey
from openclaw.store.shelf import Change, Record

DEVICE: Final = "device"
REQUEST: Final = "device-request"
SETUP: Final = "device-setup"

MAX_DEVICES: Final = 1000
MAX_PENDING: Final = 256
MAX_PENDING_PER_ADDRESS: Final = 16
MAX_SETUPS: Final = 64
MAX_DECISIONS: Final = 1024
REQUEST_TTL_MS: Final = 600_000
SETUP_TTL_MS: Final = 600_000
PAGE: Final = 500

_NO_DIGEST: Final = "0" * 64
T = TypeVar("T")


class Shelf(Protocol):
    """store.shelf.Shelf."""

    async def list(self, kind: str, *, after: str = "", limit: int = 1000) -> list[Record]: ...

    async def apply(self, changes: Sequence[Change], now_ms: int) -> None: ...


class Observer(Protocol):
    """Is told what has become durable. Must not block or raise."""

    def requested(self, request: PairingRequest) -> None: ...

    def resolved(self, request: PairingRequest, decision: Decision, now_ms: int) -> None: ...

    def changed(self, device_id: str, now_ms: int) -> None: ...

    def setup_used(self, setup: SetupCode) -> None: ...


class Devices:
    """The room. Lookups are synchronous; each change returns when it is durable."""

    def __init__(self, shelf: Shelf, clock: Clock, key_path: Path) -> None:
        self.observer: Observer | None = None
        self._shelf = shelf
        self._clock = clock
        self._key_path = key_path
        self._key: DeviceKey | None = None
        self._minted: Mint | None = None
        self._devices: dict[str, Device] = {}
        self._pending: dict[str, PairingRequest] = {}
        self._setups: dict[str, SetupCode] = {}
        self._decided: BoundedMap[str, tuple[str, Decision]] = BoundedMap("devices.decided", MAX_DECISIONS)
        self._waiting: dict[str, asyncio.Event] = {}
        self._unsaved: set[str] = set()
        self._turn = asyncio.Lock()
        self._tasks = TaskSet("devices")
        self._sweeping = False

    @classmethod
    async def open(cls, shelf: Shelf, clock: Clock, key_path: Path) -> Devices:
        """Read everything that is kept. Raises: Unavailable when the store cannot be read."""
        room = cls(shelf, clock, key_path)
        room._devices = {one.device_id: one for one in await room._load(DEVICE, Device)}
        room._pending = {one.request_id: one for one in await room._load(REQUEST, PairingRequest)}
        room._setups = {one.setup_id: one for one in await room._load(SETUP, SetupCode)}
        room._sweep()
        return room

    async def _load(self, kind: str, type_: type[T]) -> list[T]:
        found: list[T] = []
        after = ""
        while page := await self._shelf.list(kind, after=after, limit=PAGE):
            found += [msgspec.json.decode(record.body, type=type_) for record in page]
            after = page[-1].id
        return found

    async def close(self) -> None:
        """Write when devices were last seen, and stop."""
        await self._tasks.close()
        async with self._turn:
            await self._save(*(_put(DEVICE, name, self._devices[name]) for name in sorted(self._unsaved)))
            self._unsaved.clear()

    @property
    def identity(self) -> DeviceKey:
        """The gateway's own key, made at its first use. Raises: Unavailable when its file cannot be had."""
        if self._key is None:
            try:
                self._key = DeviceKey(gateway_seed(self._key_path))
            except OSError as error:
                raise Unavailable(
                    f"the gateway's key cannot be kept: {error.strerror}",
                    hint=f"Make {self._key_path.parent} writable for the gateway's user.",
                ) from error
        return self._key

    @property
    def _mint(self) -> Mint:
        if self._minted is None:
            self._minted = Mint(self.identity.seed)
        return self._minted

    def get(self, device_id: str) -> Device | None:
        """Return a paired device, or None."""
        return self._devices.get(device_id)

    def paired(self) -> list[Device]:
        """Return the paired devices, the first approved first."""
        return sorted(self._devices.values(), key=lambda one: (one.approved_at_ms, one.device_id))

    def pending(self) -> list[PairingRequest]:
        """Return the requests that wait, the latest first."""
        now = self._clock.now_ms()
        alive = [one for one in self._pending.values() if one.expires_at_ms > now]
        return sorted(alive, key=lambda one: (-one.requested_at_ms, one.request_id))

    def setups(self) -> list[SetupCode]:
        """Return the setup codes that are kept, the newest first."""
        return sorted(self._setups.values(), key=lambda one: (-one.created_at_ms, one.setup_id))

    def setup(self, setup_id: str) -> SetupCode | None:
        """Return a setup code that is kept, used or not, or None."""
        return self._setups.get(setup_id)

    def token_of(self, device_id: str, role: Role, candidate: str) -> Token | None:
        """Return the token that a device's candidate is for a role, or None."""
        device = self._devices.get(device_id)
        token = device.tokens.get(role) if device else None
        same = matches(token.digest if token else _NO_DIGEST, candidate)
        return token if same and token is not None and token.revoked_at_ms is None else None

    def bearer_of(self, candidate: str) -> tuple[str, Token] | None:
        """Return the device and its token as operator that a candidate is, or None.

        The candidate is looked up by its hash: how long that takes says nothing about a token.
        """
        wanted = digest(candidate)
        for device in self._devices.values():
            token = device.tokens.get("operator")
            if token is not None and hmac.compare_digest(token.digest, wanted) and token.revoked_at_ms is None:
                return device.device_id, token
        return None

    def holds(self, device_id: str, role: Role, fingerprint: str) -> bool:
        """Say whether the token that a device came by is still the one it has; see `authenticate.device_credential`."""
        device = self._devices.get(device_id)
        token = device.tokens.get(role) if device else None
        return token is not None and token.revoked_at_ms is None and token.digest.startswith(fingerprint)

    def setup_of(self, candidate: str, role: Role) -> SetupCode | None:
        """Return the unused code that a candidate is for a role, or None."""
        now, wanted = self._clock.now_ms(), digest(candidate)
        found = next((one for one in self._setups.values() if one.digest == wanted), None)  # hashes of random codes
        usable = found is not None and not found.used_by and found.expires_at_ms > now and role in found.granted
        return found if usable else None

    def open_token(self, device_id: str, role: Role) -> Issued | None:
        """Return a device's token to give it to the device, or None when it has none that holds."""
        device = self._devices.get(device_id)
        return self._mint.open(device, role) if device else None

    def used(self, device_id: str, role: Role) -> None:
        """Note that a device is here now."""
        device = self._devices.get(device_id)
        if device is None:
            return
        now = self._clock.now_ms()
        tokens = dict(device.tokens)
        if role in tokens:
            tokens[role] = msgspec.structs.replace(tokens[role], last_used_at_ms=now)
        self._devices[device_id] = msgspec.structs.replace(device, tokens=tokens, last_seen_at_ms=now)
        self._unsaved.add(device_id)

    async def pair(self, ask: Ask) -> Issued:
        """Pair a device without asking anybody: the door has seen the shared credential on this machine.

        Raises: Conflict when there are MAX_DEVICES, Unavailable.
        """
        async with self._turn:
            device = self._grown(ask, {ask.role: ask.scopes}, "silent")
            pending = [one for one in self._pending.values() if (one.ask.device_id, one.ask.role) == _who(ask)]
            await self._save(
                _put(DEVICE, device.device_id, device), *(Change(REQUEST, one.request_id, None) for one in pending)
            )
            self._take(device)
            for request in pending:
                self._resolve(request, "approved")
            return self._issued(device, ask.role)

    async def redeem(self, setup_id: str, ask: Ask) -> tuple[Issued, ...]:
        """Pair a device by a setup code; return its tokens, that of the role it asks for first.

        Raises: NotFound when the code was used, revoked or expired meanwhile, Conflict, Unavailable.
        """
        async with self._turn:
            now = self._clock.now_ms()
            setup = self._setups.get(setup_id)
            if setup is None or setup.used_by or setup.expires_at_ms <= now:
                raise NotFound("the setup code is gone")
            device = self._grown(ask, setup.granted, "setup-code")
            used = msgspec.structs.replace(setup, used_by=ask.device_id, used_by_name=ask.display_name, used_at_ms=now)
            await self._save(_put(DEVICE, device.device_id, device), _put(SETUP, setup_id, used))
            self._setups[setup_id] = used
            self._take(device)
            if self.observer is not None:
                self.observer.setup_used(used)
            roles = sorted(setup.granted, key=lambda role: role != ask.role)
            return tuple(self._issued(device, role) for role in roles)

    async def renew(self, device_id: str, role: Role) -> Issued:
        """Give a paired device a fresh token in the place of one that was revoked or is lost. Raises: NotFound."""
        async with self._turn:
            device = self._known(device_id, role)
            token = self._mint.new(
                device_id, role, device.approved[role], self._clock.now_ms(), device.tokens.get(role)
            )
            await self._keep(msgspec.structs.replace(device, tokens={**device.tokens, role: token}))
            return self._issued(self._devices[device_id], role)

    async def request(self, ask: Ask, reason: Reason) -> PairingRequest:
        """Keep what a device asks for until somebody decides. Raises: Unavailable when too many wait."""
        async with self._turn:
            now = self._clock.now_ms()
            old = next((one for one in self._pending.values() if (one.ask.device_id, one.ask.role) == _who(ask)), None)
            if old is not None and old.reason == reason:
                ask = _together(old.ask, ask)
            if old is not None and (old.ask, old.reason) == (ask, reason):
                same = msgspec.structs.replace(old, expires_at_ms=now + REQUEST_TTL_MS)
                await self._save(_put(REQUEST, same.request_id, same))
                self._pending[same.request_id] = same
                return same
            request = PairingRequest(
                request_id=new_id(),
                ask=ask,
                reason=reason,
                requested_at_ms=now,
                expires_at_ms=now + REQUEST_TTL_MS,
                repair=ask.device_id in self._devices,
            )
            gone = self._displaced(old, ask.address)
            await self._save(
                _put(REQUEST, request.request_id, request), *(Change(REQUEST, one.request_id, None) for one in gone)
            )
            self._pending[request.request_id] = request
            for one in gone:
                self._resolve(one, "expired")
            self._sweep()
            if self.observer is not None:
                self.observer.requested(request)
            return request

    def _displaced(self, old: PairingRequest | None, address: str) -> list[PairingRequest]:
        """Return the requests that a new one takes the place of. Raises: Unavailable."""
        if old is not None:
            return [old]
        neighbours = [one for one in self._pending.values() if one.ask.address == address]
        if len(neighbours) >= MAX_PENDING_PER_ADDRESS:
            return [min(neighbours, key=lambda one: one.requested_at_ms)]
        if len(self._pending) >= MAX_PENDING:
            raise Unavailable(
                "too many devices wait for approval",
                hint="`openclaw devices list` shows them; reject those that you do not know.",
                retry_after_s=60,
            )
        return []

    async def approve(self, request_id: str, by: Principal) -> Device:
        """Give a device what it asks for. Raises: InvalidRequest, Forbidden naming the scope that `by` lacks."""
        async with self._turn:
            request = self._request(request_id)
            ask = request.ask
            known = self._devices.get(ask.device_id)
            opened = ask.scopes
            if request.reason == "metadata-upgrade" and known is not None:
                for scopes in known.approved.values():  # the device has the use of all it was approved for again
                    opened = merged(opened, scopes)
            device = self._grown(ask, {ask.role: ask.scopes}, "owner")
            old = known.tokens.get(ask.role) if known else None
            held = old.scopes if old is not None and old.revoked_at_ms is None else ()
            # A token that was narrowed or revoked opens all that was approved again: that is given here, too.
            opened = merged(opened, tuple(one for one in device.tokens[ask.role].scopes if not covers(held, (one,))))
            _require(by, opened, ask.role)
            await self._save(_put(DEVICE, device.device_id, device), Change(REQUEST, request_id, None))
            self._take(device)
            self._resolve(request, "approved")
            return device

    async def reject(self, request_id: str) -> PairingRequest:
        """Refuse a request. Raises: InvalidRequest."""
        async with self._turn:
            request = self._request(request_id)
            await self._save(Change(REQUEST, request_id, None))
            self._resolve(request, "rejected")
            return request

    async def wait(self, request_id: str, device_id: str) -> Decision:
        """Wait until a request of a device is decided. Raises: InvalidRequest for one that is not the device's."""
        request = self._pending.get(request_id)
        if request is not None and request.ask.device_id == device_id:
            await self._waiting.setdefault(request_id, asyncio.Event()).wait()
        whose, decision = self._decided.get(request_id) or ("", "expired")
        if whose != device_id:
            raise _unknown_request()
        return decision

    async def remove(self, device_id: str) -> Device:
        """Forget a device, its tokens and what it asks for. Raises: NotFound."""
        async with self._turn:
            device = self._known(device_id)
            asked = [one for one in self._pending.values() if one.ask.device_id == device_id]
            await self._save(Change(DEVICE, device_id, None), *(Change(REQUEST, one.request_id, None) for one in asked))
            del self._devices[device_id]
            self._unsaved.discard(device_id)
            for request in asked:
                self._resolve(request, "rejected")
            self._tell_changed(device_id)
            return device

    async def rename(self, device_id: str, label: str) -> Device:
        """Give a device a name. Raises: NotFound."""
        async with self._turn:
            await self._keep(msgspec.structs.replace(self._known(device_id), label=label))
            return self._devices[device_id]

    async def rotate(self, device_id: str, role: Role, scopes: Sequence[str] | None, by: Principal) -> Issued:
        """Give a device another token, with some or all of its approved scopes.

        Raises: NotFound, Forbidden when the scopes are more than were approved or than `by` holds.
        """
        async with self._turn:
            device = self._known(device_id, role)
            old = device.tokens.get(role)
            wanted = tuple(sorted(set(scopes))) if scopes is not None else old.scopes if old else device.approved[role]
            if not covers(device.approved[role], wanted):
                raise Forbidden("the device was not approved for these scopes")
            _require(by, wanted, role)
            token = self._mint.new(device_id, role, wanted, self._clock.now_ms(), old)
            await self._keep(msgspec.structs.replace(device, tokens={**device.tokens, role: token}))
            return self._issued(self._devices[device_id], role)

    async def revoke(self, device_id: str, role: Role) -> Token:
        """Make a device's token worthless. Raises: NotFound."""
        async with self._turn:
            device = self._known(device_id, role)
            token = device.tokens.get(role)
            if token is None:
                raise NotFound("unknown deviceId/role")
            token = msgspec.structs.replace(token, revoked_at_ms=token.revoked_at_ms or self._clock.now_ms())
            await self._keep(msgspec.structs.replace(device, tokens={**device.tokens, role: token}))
            return token

    async def make_setup(
        self, access: Access, granted: dict[Role, tuple[str, ...]], by: Principal
    ) -> tuple[SetupCode, str]:
        """Make a setup code; return it with its secret. Raises: Forbidden, Conflict when too many are open."""
        for role, scopes in granted.items():
            _require(by, scopes, role)
        async with self._turn:
            now = self._clock.now_ms()
            stale = [one.setup_id for one in self._setups.values() if one.expires_at_ms + SETUP_TTL_MS <= now]
            if len(self._setups) - len(stale) >= MAX_SETUPS:
                raise Conflict(f"{MAX_SETUPS} setup codes are open", hint="Wait until some have expired.")
            secret = new_code()
            setup = SetupCode(
                setup_id=new_id(),
                digest=digest(secret),
                access=access,
                granted=granted,
                created_at_ms=now,
                expires_at_ms=now + SETUP_TTL_MS,
            )
            await self._save(_put(SETUP, setup.setup_id, setup), *(Change(SETUP, one, None) for one in stale))
            for one in stale:
                del self._setups[one]
            self._setups[setup.setup_id] = setup
            return setup, secret

    async def revoke_setup(self, setup_id: str) -> SetupCode:
        """Make an unused setup code worthless. Raises: NotFound."""
        async with self._turn:
            setup = self._setups.get(setup_id)
            if setup is None or setup.used_by:
                raise NotFound("there is no such setup code that is unused")
            await self._save(Change(SETUP, setup_id, None))
            del self._setups[setup_id]
            return setup

    def _request(self, request_id: str) -> PairingRequest:
        request = self._pending.get(request_id)
        if request is None or request.expires_at_ms <= self._clock.now_ms():
            raise _unknown_request()
        return request

    def _known(self, device_id: str, role: Role | None = None) -> Device:
        device = self._devices.get(device_id)
        if device is None or (role is not None and role not in device.approved):
            raise NotFound("unknown deviceId" if role is None else "unknown deviceId/role")
        return device

    def _grown(self, ask: Ask, more: dict[Role, tuple[str, ...]], via: Via) -> Device:
        """Return the device of an ask with what it has and `more`, and a token that holds for each new role.

        Raises: Conflict when there are MAX_DEVICES.
        """
        now = self._clock.now_ms()
        old = self._devices.get(ask.device_id)
        if old is None and len(self._devices) >= MAX_DEVICES:
            raise Conflict(f"{MAX_DEVICES} devices are paired", hint="Remove some: `openclaw devices list`.")
        approved = grow(old.approved if old else {}, more)
        tokens = dict(old.tokens) if old else {}
        for role in more:
            token = tokens.get(role)
            if token is None or token.revoked_at_ms is not None:
                tokens[role] = self._mint.new(ask.device_id, role, approved[role], now, token)
            else:
                tokens[role] = msgspec.structs.replace(token, scopes=approved[role])
        return Device(
            device_id=ask.device_id,
            public_key=ask.public_key,
            created_at_ms=old.created_at_ms if old else now,
            approved_at_ms=now,
            approved_via=via,
            approved=approved,
            tokens=tokens,
            platform=ask.platform,
            device_family=ask.device_family or (old.device_family if old else ""),
            client_id=ask.client_id,
            client_mode=ask.client_mode,
            display_name=ask.display_name or (old.display_name if old else ""),
            label=old.label if old else "",
            address=ask.address,
            last_seen_at_ms=old.last_seen_at_ms if old else None,
        )

    def _issued(self, device: Device, role: Role) -> Issued:
        issued = self._mint.open(device, role)
        assert issued is not None, "a token that was just made can be opened"
        return issued

    async def _keep(self, device: Device) -> None:
        await self._save(_put(DEVICE, device.device_id, device))
        self._take(device)

    def _take(self, device: Device) -> None:
        self._devices[device.device_id] = device
        self._unsaved.discard(device.device_id)
        self._tell_changed(device.device_id)

    def _tell_changed(self, device_id: str) -> None:
        if self.observer is not None:
            self.observer.changed(device_id, self._clock.now_ms())

    def _resolve(self, request: PairingRequest, decision: Decision) -> None:
        del self._pending[request.request_id]
        self._decided.put(request.request_id, (request.ask.device_id, decision))
        if waiting := self._waiting.pop(request.request_id, None):
            waiting.set()
        if self.observer is not None:
            self.observer.resolved(request, decision, self._clock.now_ms())

    async def _save(self, *changes: Change) -> None:
        if changes:
            await self._shelf.apply(changes, self._clock.now_ms())

    def _sweep(self) -> None:
        if self._pending and not self._sweeping:
            self._sweeping = True
            self._tasks.spawn(self._expire(), "expire")

    async def _expire(self) -> None:
        while self._pending:
            first = min(one.expires_at_ms for one in self._pending.values())
            await self._clock.sleep(max(first - self._clock.now_ms(), 0) / 1000)
            async with self._turn:
                now = self._clock.now_ms()
                over = [one for one in self._pending.values() if one.expires_at_ms <= now]
                for request in over:
                    self._resolve(request, "expired")
                with contextlib.suppress(Unavailable):  # it is over whether or not the record can be deleted now
                    await self._save(*(Change(REQUEST, one.request_id, None) for one in over))
        self._sweeping = False


def _who(ask: Ask) -> tuple[str, Role]:
    return ask.device_id, ask.role


def _together(old: Ask, new: Ask) -> Ask:
    """Return what a device that asks again waits for: the same request while it covers what is new, else all of both.

    A command line asks with each call for the scopes of that call alone; each answer is to name one request.
    """
    scopes = merged(old.scopes, new.scopes)
    if scopes == merged(old.scopes, ()) and (old.platform, old.device_family) == (new.platform, new.device_family):
        return old
    return msgspec.structs.replace(new, scopes=scopes)


def _put(kind: str, record_id: str, value: Any) -> Change:
    return Change(kind, record_id, msgspec.json.encode(value))


def _unknown_request() -> InvalidRequest:
    return InvalidRequest("unknown requestId", hint="`openclaw devices list` shows what waits; requests expire.")


def _require(by: Principal, scopes: Sequence[str], role: Role) -> None:
    missing = missing_scope(by.scopes, tuple(scopes))
    if missing is None and role == "operator" and by.owner != OPERATOR:
        missing = missing_scope(by.scopes, (ADMIN,))  # a device acts as the operator, who sees what is not theirs
    if missing is not None:
        raise lacking_scope(missing, scopes)
