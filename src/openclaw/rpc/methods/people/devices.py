"""device.*: who is paired, who waits, their tokens; and the gateway's own identity.

Whoever decides holds what is decided about (identity.devices.book). A device that is no administrator changes nothing
of another device but what it asks for.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, Final

from msgspec import UNSET, Meta, UnsetType

from openclaw.base.errors import InvalidRequest, NotFound, Unavailable
from openclaw.base.principal import Principal
from openclaw.identity.devices.book import Devices
from openclaw.identity.devices.record import Ask, Device, Token
from openclaw.identity.scopes import KNOWN, Role, covers
from openclaw.protocol.device_auth import encode_base64url
from openclaw.protocol.validate import NoParams, Params
from openclaw.rpc.device_events import request_row
from openclaw.rpc.method import MethodSpec, Rate
from openclaw.rpc.peer import Peer
from openclaw.rpc.room import Room
from openclaw.rpc.versions.devices import Rotated

Id = Annotated[str, Meta(min_length=1, max_length=256)]
CHANGES: Final = Rate(60, 5)
ROLES: Final[dict[str, Role]] = {"operator": "operator", "node": "node"}
BY_TOKEN: Final = ("device-token", "bootstrap-token")


class RequestIdParams(Params, frozen=True):
    """Names a request that waits."""

    request_id: Id


class DeviceIdParams(Params, frozen=True):
    """Names a paired device."""

    device_id: Id


class RenameParams(Params, frozen=True):
    """`label` is shown in the place of what the device calls itself."""

    device_id: Id
    label: Annotated[str, Meta(min_length=1, max_length=64)]


class TokenParams(Params, frozen=True):
    """Names a device's token."""

    device_id: Id
    role: Id


class RotateParams(Params, frozen=True):
    """Without `scopes` the new token has those of the old one."""

    device_id: Id
    role: Id
    scopes: Annotated[tuple[Id, ...], Meta(max_length=16)] | UnsetType = UNSET


class UpgradeParams(Params, frozen=True):
    """The scopes that the calling device would like."""

    scopes: Annotated[tuple[Id, ...], Meta(min_length=1, max_length=8)]


def devices_of(room: Room) -> Devices:
    """Return the room of devices. Raises: Unavailable where there is none."""
    if room.deps.devices is None:
        raise Unavailable("devices are not kept here")
    return room.deps.devices


def _token_row(role: Role, token: Token) -> dict[str, Any]:
    row: dict[str, Any] = {"role": role, "scopes": list(token.scopes), "createdAtMs": token.created_at_ms}
    times = {
        "rotatedAtMs": token.rotated_at_ms,
        "revokedAtMs": token.revoked_at_ms,
        "lastUsedAtMs": token.last_used_at_ms,
    }
    return {**row, **{name: time for name, time in times.items() if time is not None}}


def device_row(device: Device, connected: frozenset[str]) -> dict[str, Any]:
    """Return a paired device as lists show it; what is not known is left out."""
    roles = sorted(device.approved, key=lambda role: role != "operator")
    said = {
        "displayName": device.label or device.display_name,
        "platform": device.platform,
        "deviceFamily": device.device_family,
        "clientId": device.client_id,
        "clientMode": device.client_mode,
        "remoteIp": device.address,
    }
    row: dict[str, Any] = {
        "deviceId": device.device_id,
        "publicKey": device.public_key,
        **{name: text for name, text in said.items() if text},
        "role": roles[0],
        "roles": roles,
        "scopes": sorted({scope for scopes in device.approved.values() for scope in scopes}),
        "approvedVia": device.approved_via,
        "createdAtMs": device.created_at_ms,
        "approvedAtMs": device.approved_at_ms,
        "connected": device.device_id in connected,
        "tokens": [_token_row(role, device.tokens[role]) for role in roles if role in device.tokens],
    }
    if device.last_seen_at_ms is not None:
        row["lastSeenAtMs"] = device.last_seen_at_ms
    return row


def pair_list(room: Room, peer: Peer, params: NoParams) -> dict[str, Any]:
    """Return everybody."""
    devices, connected = devices_of(room), room.deps.hub.devices()
    return {
        "pending": [request_row(request) for request in devices.pending()],
        "paired": [device_row(device, connected) for device in devices.paired()],
    }


async def pair_approve(room: Room, peer: Peer, params: RequestIdParams) -> dict[str, Any]:
    """Let a device in. Raises: Forbidden when it asks for more than the caller has."""
    device = await devices_of(room).approve(params.request_id, peer.principal)
    return {"requestId": params.request_id, "device": device_row(device, room.deps.hub.devices())}


async def pair_reject(room: Room, peer: Peer, params: RequestIdParams) -> dict[str, Any]:
    """Keep a device out."""
    request = await devices_of(room).reject(params.request_id)
    return {"requestId": params.request_id, "deviceId": request.ask.device_id}


def _refuse_strangers(peer: Peer, device_id: str, what: str) -> None:
    """A device that is no administrator changes itself only. Raises: InvalidRequest."""
    own = peer.principal.device
    if own and own != device_id and not peer.principal.may("operator.admin"):
        raise InvalidRequest(f"{what} denied")


def _cut(room: Room, wanted: Callable[[Principal], bool], reason: str, peer: Peer) -> Callable[[], None]:
    """Close whom a decision shuts out; return what closes the caller, after its answer, when it is one of them."""
    room.deps.hub.cut(wanted, reason, spare=peer.conn_id)

    def cut_caller() -> None:
        room.deps.hub.cut(wanted, reason)

    return cut_caller


async def pair_remove(room: Room, peer: Peer, params: DeviceIdParams) -> AsyncIterator[dict[str, Any]]:
    """Forget a device and close its connections."""
    _refuse_strangers(peer, params.device_id, "device removal")
    await devices_of(room).remove(params.device_id)
    cut_caller = _cut(room, lambda who: who.device == params.device_id, "device removed", peer)
    yield {"deviceId": params.device_id}
    cut_caller()


async def pair_rename(room: Room, peer: Peer, params: RenameParams) -> dict[str, Any]:
    """Give a device a name."""
    _refuse_strangers(peer, params.device_id, "device rename")
    label = "".join(filter(str.isprintable, params.label)).strip()
    if not label:
        raise InvalidRequest("invalid device.pair.rename params: at /label: must not be blank")
    await devices_of(room).rename(params.device_id, label)
    return {"deviceId": params.device_id, "label": label}


def _role(text: str, denied: InvalidRequest) -> Role:
    if text not in ROLES:
        raise denied
    return ROLES[text]


async def token_rotate(room: Room, peer: Peer, params: RotateParams) -> dict[str, Any]:
    """Replace a token; only its own device is told the new one."""
    _refuse_strangers(peer, params.device_id, "device token rotation")
    denied = InvalidRequest("device token rotation denied")
    role = _role(params.role, denied)
    scopes = None if isinstance(params.scopes, UnsetType) else params.scopes
    try:
        issued = await devices_of(room).rotate(params.device_id, role, scopes, peer.principal)
    except NotFound:
        raise denied from None
    own = peer.principal.device == params.device_id
    _cut(
        room,
        lambda who: (who.device, who.role) == (params.device_id, role) and who.method in BY_TOKEN,
        "device token rotated",
        peer,
    )
    answer = Rotated(
        deviceId=params.device_id,
        role=role,
        scopes=list(issued.scopes),
        rotatedAtMs=issued.issued_at_ms,
        tokenDelivery="in-band" if own else "withheld-cross-device",
    )
    answer.token = issued.token
    return answer | {"token": issued.token} if own else answer


async def token_revoke(room: Room, peer: Peer, params: TokenParams) -> AsyncIterator[dict[str, Any]]:
    """Make a token worthless and close the device's connections of that role."""
    _refuse_strangers(peer, params.device_id, "device token revocation")
    denied = InvalidRequest("device token revocation denied")
    role = _role(params.role, denied)
    try:
        token = await devices_of(room).revoke(params.device_id, role)
    except NotFound:
        raise denied from None
    cut_caller = _cut(
        room, lambda who: (who.device, who.role) == (params.device_id, role), "device token revoked", peer
    )
    yield {"deviceId": params.device_id, "role": role, "revokedAtMs": token.revoked_at_ms}
    cut_caller()


def _own_device(room: Room, peer: Peer) -> Device:
    device = devices_of(room).get(peer.principal.device)
    if device is None:
        raise InvalidRequest(
            "only a paired device can ask for more scopes", details={"code": "DEVICE_IDENTITY_REQUIRED"}
        )
    return device


async def request_upgrade(room: Room, peer: Peer, params: UpgradeParams) -> dict[str, Any]:
    """Ask for more scopes on the connection that is there."""
    device = _own_device(room, peer)
    unknown = next((scope for scope in params.scopes if scope not in KNOWN), None)
    if unknown is not None:
        raise InvalidRequest(f"unknown scope: {unknown[:64]}")
    if covers(device.approved.get("operator", ()), params.scopes):
        raise InvalidRequest("the device has these scopes; connect again and ask for them")
    ask = Ask(
        device_id=device.device_id,
        public_key=device.public_key,
        role="operator",
        scopes=tuple(dict.fromkeys(params.scopes)),
        platform=device.platform,
        device_family=device.device_family,
        client_id=peer.client.id,
        client_mode=peer.client.mode,
        display_name=device.display_name,
        address=peer.client.host,
    )
    request = await devices_of(room).request(ask, "scope-upgrade")
    return {"requestId": request.request_id}


async def wait_upgrade(room: Room, peer: Peer, params: RequestIdParams) -> dict[str, Any]:
    """Answer when somebody has decided, or nobody did in time."""
    devices, device_id = devices_of(room), _own_device(room, peer).device_id
    decision = await devices.wait(params.request_id, device_id)
    issued = devices.open_token(device_id, "operator") if decision == "approved" else None
    if issued is None:
        return {"status": "rejected" if decision == "approved" else decision, "requestId": params.request_id}
    return {
        "status": decision,
        "requestId": params.request_id,
        "deviceToken": issued.token,
        "scopes": list(issued.scopes),
    }


def identity_get(room: Room, peer: Peer, params: NoParams) -> dict[str, Any]:
    """Return the gateway's own public key and its id."""
    key = devices_of(room).identity
    return {"deviceId": key.device_id, "publicKey": encode_base64url(key.public_key)}


METHODS = (
    MethodSpec(
        "device.pair.list",
        NoParams,
        "operator.pairing",
        pair_list,
        "Lists the devices that are paired and those that wait for a decision.",
        "`{pending: [{requestId, deviceId, publicKey, platform, clientId, clientMode, role, scopes, isRepair, ts, …}], "
        "paired: [{deviceId, publicKey, platform, clientId, clientMode, role, roles, scopes, createdAtMs, "
        "approvedAtMs, tokens[], connected, …}]}`; protocol 3 without `connected` and `approvedVia`.",
    ),
    MethodSpec(
        "device.pair.approve",
        RequestIdParams,
        "operator.pairing",
        pair_approve,
        "Gives a device what it asks for. The caller must hold every scope that the device gets by it.",
        "`{requestId, device}`",
        rate=CHANGES,
    ),
    MethodSpec(
        "device.pair.reject",
        RequestIdParams,
        "operator.pairing",
        pair_reject,
        "Refuses a device what it asks for.",
        "`{requestId, deviceId}`",
        rate=CHANGES,
    ),
    MethodSpec(
        "device.pair.remove",
        DeviceIdParams,
        "operator.pairing",
        pair_remove,
        "Forgets a device and its tokens, and closes its connections with 4001 `device removed`.",
        "`{deviceId}`",
        rate=CHANGES,
        since=4,
    ),
    MethodSpec(
        "device.pair.rename",
        RenameParams,
        "operator.pairing",
        pair_rename,
        "Gives a device a name.",
        "`{deviceId, label}`",
        rate=CHANGES,
        since=4,
    ),
    MethodSpec(
        "device.token.rotate",
        RotateParams,
        "operator.pairing",
        token_rotate,
        "Gives a device another token, with scopes that it was approved for and that the caller holds; closes what "
        "came by the old one with 4001.",
        "`{deviceId, role, scopes[], rotatedAtMs, tokenDelivery, token?}`: the token itself is told to its own device "
        "only, which else has it from its next hello; protocol 3 is told it always.",
        rate=CHANGES,
    ),
    MethodSpec(
        "device.token.revoke",
        TokenParams,
        "operator.pairing",
        token_revoke,
        "Makes a device's token worthless and closes the device's connections of that role with 4001.",
        "`{deviceId, role, revokedAtMs}`",
        rate=CHANGES,
    ),
    MethodSpec(
        "device.scopes.requestUpgrade",
        UpgradeParams,
        "operator.read",
        request_upgrade,
        "Asks for more scopes for the calling device.",
        "`{requestId}`",
        rate=CHANGES,
        since=4,
    ),
    MethodSpec(
        "device.scopes.waitUpgrade",
        RequestIdParams,
        "operator.read",
        wait_upgrade,
        "Waits until somebody has decided about more scopes for the calling device.",
        '`{status: "approved" | "rejected" | "expired", requestId, deviceToken?, scopes?}`',
        since=4,
        passing="waits",
    ),
    MethodSpec(
        "gateway.identity.get",
        NoParams,
        "operator.read",
        identity_get,
        "Returns the gateway's own identity.",
        "`{deviceId, publicKey}`",
        since=4,
    ),
)
