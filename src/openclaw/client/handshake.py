"""What a client says when it connects: who it is, what it wants, and the proof that it is its device."""

from __future__ import annotations

import platform as host
import sys
from typing import Any, Final

import msgspec

from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.base.ids import new_id
from openclaw.base.secret import Secret
from openclaw.protocol.device_auth import DeviceKey, Signed, encode_base64url

ALL_SCOPES: Final = ("operator.read", "operator.write", "operator.admin", "operator.approvals", "operator.pairing")


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """What opens the gateway; any may be None. `source` says, for error messages, where it was read."""

    token: Secret | None = None
    password: Secret | None = None
    device_token: Secret | None = None
    bootstrap_token: Secret | None = None
    """A setup code: pairs this device once."""
    source: str = ""

    def wire(self) -> dict[str, str]:
        """Return the `auth` object."""
        found = {
            "token": self.token,
            "password": self.password,
            "deviceToken": self.device_token,
            "bootstrapToken": self.bootstrap_token,
        }
        return {name: value.reveal() for name, value in found.items() if value}

    def signed_token(self) -> str:
        """Return the credential that a device's signature covers."""
        first = self.token or self.device_token or self.bootstrap_token
        return first.reveal() if first else ""


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """Who the client is and what it asks for. A node also says what it can be invoked with."""

    client_id: str = "gateway-client"
    mode: str = "backend"
    version: str = "dev"
    display_name: str = ""
    role: str = "operator"
    scopes: tuple[str, ...] = ALL_SCOPES
    caps: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    permissions: dict[str, bool] = {}
    platform: str = sys.platform
    device_family: str = host.system() or "unknown"
    instance_id: str = msgspec.field(default_factory=new_id)
    min_protocol: int = 3
    max_protocol: int = 4


def connect_params(role: Role, credentials: Credentials, device: DeviceKey | None, nonce: str) -> dict[str, Any]:
    """Return the parameters of `connect` for a challenge's nonce."""
    client = {
        "id": role.client_id,
        "version": role.version,
        "platform": role.platform,
        "deviceFamily": role.device_family,
        "mode": role.mode,
        "instanceId": role.instance_id,
    }
    if role.display_name:
        client["displayName"] = role.display_name
    params: dict[str, Any] = {
        "minProtocol": role.min_protocol,
        "maxProtocol": role.max_protocol,
        "client": client,
        "caps": list(role.caps),
        "role": role.role,
        "scopes": list(role.scopes),
    }
    if role.commands:
        params["commands"] = list(role.commands)
    if role.permissions:
        params["permissions"] = role.permissions
    if auth := credentials.wire():
        params["auth"] = auth
    if device is not None:
        params["device"] = _proof(role, credentials, device, nonce)
    return params


def _proof(role: Role, credentials: Credentials, device: DeviceKey, nonce: str) -> dict[str, Any]:
    now_ms = SYSTEM_CLOCK.now_ms()
    signed = Signed(
        device_id=device.device_id,
        client_id=role.client_id,
        client_mode=role.mode,
        role=role.role,
        scopes=role.scopes,
        signed_at_ms=now_ms,
        token=credentials.signed_token(),
        nonce=nonce,
        platform=role.platform,
        device_family=role.device_family,
    )
    return {
        "id": device.device_id,
        "publicKey": encode_base64url(device.public_key),
        # Gateways of protocol 3 know the second form only, those of protocol 4 both.
        "signature": device.sign(signed.text("v2" if role.min_protocol < 4 else "v3")),
        "signedAt": now_ms,
        "nonce": nonce,
    }
