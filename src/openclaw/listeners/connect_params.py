"""What `connect` may carry in each protocol version, and what is said when it is wrong."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from openclaw.base.secret import masked
from openclaw.identity.authenticate import Evidence
from openclaw.identity.devices.proof import Claim
from openclaw.identity.devices.record import MAX_TEXT, Ask
from openclaw.identity.scopes import Role
from openclaw.protocol.device_auth import Signed
from openclaw.protocol.validate import problems
from openclaw.rpc.peer import ClientInfo

Text = Annotated[str, Meta(min_length=1)]

ClientId3 = Literal[
    "webchat-ui",
    "openclaw-control-ui",
    "webchat",
    "cli",
    "gateway-client",
    "openclaw-macos",
    "openclaw-ios",
    "openclaw-android",
    "node-host",
    "test",
    "fingerprint",
    "openclaw-probe",
]
ClientId4 = Literal[
    ClientId3,
    "openclaw-browser-copilot",
    "openclaw-tui",
    "openclaw-linux",
    "openclaw-watchos",
    "openclaw-worker",
]
Mode3 = Literal["webchat", "cli", "ui", "backend", "node", "probe", "test"]
Mode4 = Literal[Mode3, "worker"]


class _Part(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Base of the wire's objects: unknown properties are refused."""


class Client3(_Part, frozen=True):
    """`client` of protocol 3."""

    id: ClientId3
    version: Text
    platform: Text
    mode: Mode3
    display_name: Text | msgspec.UnsetType = msgspec.UNSET
    device_family: Text | msgspec.UnsetType = msgspec.UNSET
    model_identifier: Text | msgspec.UnsetType = msgspec.UNSET
    instance_id: Text | msgspec.UnsetType = msgspec.UNSET


class Client4(_Part, frozen=True):
    """`client` of protocol 4."""

    id: ClientId4
    version: Text
    platform: Text
    mode: Mode4
    display_name: Text | msgspec.UnsetType = msgspec.UNSET
    build_id: Annotated[str, Meta(min_length=1, max_length=96)] | msgspec.UnsetType = msgspec.UNSET
    device_family: Text | msgspec.UnsetType = msgspec.UNSET
    model_identifier: Text | msgspec.UnsetType = msgspec.UNSET
    time_zone: Annotated[str, Meta(min_length=1, max_length=64)] | msgspec.UnsetType = msgspec.UNSET
    instance_id: Text | msgspec.UnsetType = msgspec.UNSET


class Device3(_Part, frozen=True):
    """`device` of protocol 3: the nonce came later."""

    id: Text
    public_key: Text
    signature: Text
    signed_at: Annotated[int, Meta(ge=0)]
    nonce: Text | msgspec.UnsetType = msgspec.UNSET


class Device4(_Part, frozen=True):
    """`device` of protocol 4."""

    id: Text
    public_key: Text
    signature: Text
    signed_at: Annotated[int, Meta(ge=0)]
    nonce: Text


class Auth3(_Part, frozen=True):
    """`auth` of protocol 3."""

    token: str | msgspec.UnsetType = msgspec.UNSET
    password: str | msgspec.UnsetType = msgspec.UNSET

    __repr__ = masked


class Auth4(_Part, frozen=True):
    """`auth` of protocol 4."""

    token: str | msgspec.UnsetType = msgspec.UNSET
    bootstrap_token: str | msgspec.UnsetType = msgspec.UNSET
    device_token: str | msgspec.UnsetType = msgspec.UNSET
    password: str | msgspec.UnsetType = msgspec.UNSET
    approval_runtime_token: str | msgspec.UnsetType = msgspec.UNSET
    agent_runtime_identity_token: str | msgspec.UnsetType = msgspec.UNSET

    __repr__ = masked


class _Connect(_Part, frozen=True, kw_only=True):
    min_protocol: Annotated[int, Meta(ge=1)]
    max_protocol: Annotated[int, Meta(ge=1)]
    caps: tuple[Text, ...] = ()
    commands: tuple[Text, ...] | msgspec.UnsetType = msgspec.UNSET
    permissions: dict[str, bool] | msgspec.UnsetType = msgspec.UNSET
    path_env: str | msgspec.UnsetType = msgspec.UNSET
    role: Text | msgspec.UnsetType = msgspec.UNSET
    scopes: tuple[Text, ...] | msgspec.UnsetType = msgspec.UNSET
    locale: str | msgspec.UnsetType = msgspec.UNSET
    user_agent: str | msgspec.UnsetType = msgspec.UNSET


class Connect3(_Connect, frozen=True, kw_only=True):
    """Parameters of `connect`, protocol 3."""

    client: Client3
    device: Device3 | msgspec.UnsetType = msgspec.UNSET
    auth: Auth3 | msgspec.UnsetType = msgspec.UNSET


class Connect4(_Connect, frozen=True, kw_only=True):
    """Parameters of `connect`, protocol 4."""

    client: Client4
    device: Device4 | msgspec.UnsetType = msgspec.UNSET
    auth: Auth4 | msgspec.UnsetType = msgspec.UNSET
    computer_use: Any = msgspec.UNSET
    worker_runs: Any = msgspec.UNSET
    model_catalog: Any = msgspec.UNSET


Connect = Connect3 | Connect4
_TYPES: Final[dict[int, type[Connect]]] = {3: Connect3, 4: Connect4}
MAX_NAMES: Final = 512
"""Capabilities and commands of one client that are kept."""

_ENUM = "must be equal to one of the allowed values"


class BadConnect(Exception):
    """The parameters are wrong; the text names what."""


def parse_connect(params: Any, version: int) -> Connect:
    """Return the typed parameters. Raises: BadConnect in the words of that version."""
    try:
        return msgspec.convert(params, _TYPES[version])
    except msgspec.ValidationError as error:
        fallback = str(error)
    found = problems(params, _TYPES[version]) or [f"at root: {fallback}"]
    if version >= 4:
        raise BadConnect(found[0])
    told: list[str] = []
    for problem in found:
        path, is_enum, _ = problem.partition(_ENUM)
        told += [f"{path}must be equal to constant", f"{path}must match a schema in anyOf"] if is_enum else [problem]
    raise BadConnect("; ".join(told))


def _text(value: str | msgspec.UnsetType) -> str:
    return value if isinstance(value, str) else ""


def client_info(params: Connect, host: str) -> ClientInfo:
    """Return what the client says about itself."""
    client = params.client
    return ClientInfo(
        id=client.id,
        version=client.version[:64],
        platform=client.platform[:64],
        mode=client.mode,
        device_family=_text(client.device_family)[:64],
        instance_id=_text(client.instance_id)[:128],
        display_name=_text(client.display_name)[:128],
        host=host,
        caps=params.caps[:MAX_NAMES],
        commands=() if isinstance(params.commands, msgspec.UnsetType) else params.commands[:MAX_NAMES],
        permissions={} if isinstance(params.permissions, msgspec.UnsetType) else params.permissions,
        path_env=_text(params.path_env),
        model_identifier=_text(client.model_identifier)[:128],
    )


def evidence(params: Connect) -> Evidence:
    """Return the credentials that were sent; an empty one counts as absent."""
    auth = params.auth
    if isinstance(auth, msgspec.UnsetType):
        return Evidence()
    if isinstance(auth, Auth3):
        return Evidence(token=_text(auth.token) or None, password=_text(auth.password) or None)
    return Evidence(
        token=_text(auth.token) or None,
        password=_text(auth.password) or None,
        device_token=_text(auth.device_token) or None,
        bootstrap_token=_text(auth.bootstrap_token) or None,
    )


def claim(params: Connect, role: Role) -> Claim | None:
    """Return what the device claims to be and to have signed, or None without a device."""
    device, client = params.device, params.client
    if isinstance(device, msgspec.UnsetType):
        return None
    signed = Signed(
        device_id=device.id,
        client_id=client.id,
        client_mode=client.mode,
        role=role,
        scopes=() if isinstance(params.scopes, msgspec.UnsetType) else params.scopes,
        signed_at_ms=device.signed_at,
        token=_signed_token(params),
        nonce=_text(device.nonce),
        platform=client.platform,
        device_family=_text(client.device_family),
    )
    return Claim(device_id=device.id, public_key=device.public_key, signature=device.signature, signed=signed)


def _signed_token(params: Connect) -> str:
    """Return the first credential that is there, even when it is empty."""
    auth = params.auth
    if isinstance(auth, msgspec.UnsetType):
        return ""
    sent = (auth.token,) if isinstance(auth, Auth3) else (auth.token, auth.device_token, auth.bootstrap_token)
    return next((text for text in sent if isinstance(text, str)), "")


def ask(params: Connect, role: Role, scopes: tuple[str, ...], address: str) -> Ask:
    """Return what a device that has proved its key asks for."""
    device, client = params.device, params.client
    assert not isinstance(device, msgspec.UnsetType), "only a device asks"
    return Ask(
        device_id=device.id,
        public_key=device.public_key.strip().replace("+", "-").replace("/", "_").rstrip("="),
        role=role,
        scopes=scopes,
        platform=_plain(client.platform),
        device_family=_plain(_text(client.device_family)),
        client_id=client.id,
        client_mode=client.mode,
        display_name=_plain(_text(client.display_name)),
        address=address,
    )


def _plain(text: str) -> str:
    """Return what a stranger says of itself as it may be shown: on a terminal, too, where it must not draw."""
    return "".join(filter(str.isprintable, text)).strip()[:MAX_TEXT]
