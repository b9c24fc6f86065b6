"""device.pair.setup*: codes that pair one device each, made by an administrator."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import msgspec
from msgspec import UNSET, Meta, UnsetType

from openclaw.base.errors import InvalidRequest
from openclaw.base.principal import ALL_SCOPES
from openclaw.identity.devices.record import Access, SetupCode
from openclaw.identity.locality import is_loopback
from openclaw.identity.scopes import Role
from openclaw.protocol.device_auth import encode_base64url
from openclaw.protocol.validate import NoParams, Params
from openclaw.rpc.device_events import setup_row
from openclaw.rpc.method import MethodSpec, Rate
from openclaw.rpc.methods.people.devices import devices_of
from openclaw.rpc.peer import Peer
from openclaw.rpc.room import Room

CODES: Final = Rate(20, 0.2)
GRANTED: Final[dict[Access, dict[Role, tuple[str, ...]]]] = {
    "node": {"node": ()},
    "limited": {"node": (), "operator": ("operator.approvals", "operator.read", "operator.write")},
    "full": {"node": (), "operator": tuple(sorted(ALL_SCOPES))},
}
"""What each kind of code gives."""

SCHEMES: Final = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}


class SetupCodeParams(Params, frozen=True):
    """`publicUrl` is how the device reaches the gateway. A picture of the code and a page to join by are not made."""

    public_url: Annotated[str, Meta(min_length=1, max_length=2048)] = ""
    prefer_remote_url: bool = False
    include_qr: bool = False
    bootstrap_profile: Literal["limited", "node"] | UnsetType = UNSET
    join_url: bool = False


class SetupIdParams(Params, frozen=True):
    """Names a setup code."""

    setup_id: Annotated[str, Meta(min_length=1, max_length=128)]


class _Way(NamedTuple):
    """Where a device goes with its code, and what said so."""

    url: str
    source: str
    safe: bool
    """Nobody on the way can read the code."""


def _way(url: str, source: str) -> _Way:
    """Raises: InvalidRequest for what is no URL of a gateway."""
    try:
        parts = urlsplit(url.strip())
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        host = ""
    if not host or parts.scheme not in SCHEMES or parts.username is not None:
        raise InvalidRequest(f"{source} is no URL of a gateway", hint="For example: wss://gateway.example")
    scheme = SCHEMES[parts.scheme]
    local = host == "localhost" or is_loopback(f"[{host}]" if ":" in host else host)
    return _Way(urlunsplit((scheme, parts.netloc, parts.path, "", "")), source, scheme == "wss" or local)


def _find_way(room: Room, params: SetupCodeParams) -> _Way:
    gateway = room.deps.config().config.gateway
    if params.public_url:
        return _way(params.public_url, "publicUrl")
    if params.prefer_remote_url and gateway.remote.url:
        return _way(gateway.remote.url, "gateway.remote.url")
    if gateway.public_base_url:
        return _way(gateway.public_base_url, "gateway.publicBaseUrl")
    scheme = "wss" if gateway.tls.enabled else "ws"
    if gateway.bind == "loopback":
        return _way(f"{scheme}://127.0.0.1:{gateway.port}", "gateway.bind")
    if gateway.bind == "custom":
        host = gateway.custom_bind_host.strip("[]")
        return _way(f"{scheme}://{f'[{host}]' if ':' in host else host}:{gateway.port}", "gateway.customBindHost")
    raise InvalidRequest(
        "how devices reach this gateway is not known", hint="Pass publicUrl, or set gateway.publicBaseUrl."
    )


async def setup_code(room: Room, peer: Peer, params: SetupCodeParams) -> dict[str, Any]:
    """Make a code. One that travels in the clear never gives everything."""
    way = _find_way(room, params)
    wanted: Access = "full" if isinstance(params.bootstrap_profile, UnsetType) else params.bootstrap_profile
    access: Access = "limited" if wanted == "full" and not way.safe else wanted
    setup, secret = await devices_of(room).make_setup(access, GRANTED[access], peer.principal)
    code = encode_base64url(msgspec.json.encode({"url": way.url, "bootstrapToken": secret}))
    answer: dict[str, Any] = {
        "setupId": setup.setup_id,
        "setupCode": code,
        "gatewayUrl": way.url,
        "auth": "password" if room.deps.config().config.gateway.auth.mode == "password" else "token",
        "urlSource": way.source,
        "access": access,
        "expiresAtMs": setup.expires_at_ms,
    }
    return {**answer, "accessDowngraded": True} if access != wanted else answer


def setup_status(room: Room, peer: Peer, params: SetupIdParams) -> dict[str, Any]:
    """Say whether a code was used, and by whom."""
    setup = devices_of(room).setup(params.setup_id)
    return {"completion": setup_row(setup)} if setup is not None and setup.used_by else {}


def _row(setup: SetupCode, now_ms: int) -> dict[str, Any]:
    row: dict[str, Any] = {
        "setupId": setup.setup_id,
        "access": setup.access,
        "createdAtMs": setup.created_at_ms,
        "expiresAtMs": setup.expires_at_ms,
        "state": "used" if setup.used_by else "expired" if setup.expires_at_ms <= now_ms else "open",
    }
    return {**row, "deviceId": setup.used_by} if setup.used_by else row


def setup_list(room: Room, peer: Peer, params: NoParams) -> dict[str, Any]:
    """Return the codes that are kept; never their secrets."""
    now_ms = room.deps.clock.now_ms()
    return {"setups": [_row(setup, now_ms) for setup in devices_of(room).setups()]}


async def setup_revoke(room: Room, peer: Peer, params: SetupIdParams) -> dict[str, Any]:
    """Make an unused code worthless."""
    await devices_of(room).revoke_setup(params.setup_id)
    return {"setupId": params.setup_id}


METHODS = (
    MethodSpec(
        "device.pair.setupCode",
        SetupCodeParams,
        "operator.admin",
        setup_code,
        "Makes a code that pairs one device, once, within ten minutes. Over a way that others can read it gives "
        "`limited` access at most.",
        '`{setupId, setupCode, gatewayUrl, auth, urlSource, access: "full" | "limited" | "node", accessDowngraded?, '
        "expiresAtMs}`; the code is base64url of `{url, bootstrapToken}`.",
        rate=CODES,
        since=4,
        announced=False,
    ),
    MethodSpec(
        "device.pair.setupStatus",
        SetupIdParams,
        "operator.admin",
        setup_status,
        "Says whether a setup code was used.",
        "`{completion?: {setupId, deviceId, deviceName?, access, ts}}`",
        since=4,
        announced=False,
    ),
    MethodSpec(
        "device.pair.setupList",
        NoParams,
        "operator.admin",
        setup_list,
        "Lists the setup codes of late, without their secrets.",
        '`{setups: [{setupId, access, createdAtMs, expiresAtMs, state: "open" | "used" | "expired", deviceId?}]}`',
        since=4,
        announced=False,
    ),
    MethodSpec(
        "device.pair.setupRevoke",
        SetupIdParams,
        "operator.admin",
        setup_revoke,
        "Makes an unused setup code worthless.",
        "`{setupId}`",
        since=4,
        announced=False,
    ),
)
