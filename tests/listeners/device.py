"""A device that signs its connect requests, as clients do."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from openclaw.protocol.device_auth import DeviceKey, Signed, Version, encode_base64url

KEY: Final = DeviceKey(b"\x07" * 32)
OTHER: Final = DeviceKey(b"\x08" * 32)


def key(name: str) -> DeviceKey:
    """Return the key of a name, always the same."""
    return DeviceKey(hashlib.sha256(name.encode()).digest())


def sign(
    params: dict[str, Any],
    nonce: str,
    now_ms: int,
    /,
    *,
    by: DeviceKey = KEY,
    version: Version = "v3",
    token: str | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """Return connect parameters with a device that has signed them; `changes` are made to the device afterwards."""
    auth = params.get("auth") or {}
    sent = [auth[name] for name in ("token", "deviceToken", "bootstrapToken") if name in auth]
    signed = Signed(
        device_id=by.device_id,
        client_id=params["client"]["id"],
        client_mode=params["client"]["mode"],
        role=params.get("role") or "operator",
        scopes=tuple(params.get("scopes") or ()),
        signed_at_ms=changes.get("signedAt", now_ms),
        token=token if token is not None else (sent or [""])[0],
        nonce=nonce,
        platform=params["client"]["platform"],
        device_family=params["client"].get("deviceFamily", ""),
    )
    device = {
        "id": by.device_id,
        "publicKey": encode_base64url(by.public_key),
        "signature": by.sign(signed.text(version)),
        "signedAt": now_ms,
        "nonce": nonce,
        **changes,
    }
    return {**params, "device": {name: value for name, value in device.items() if value is not None}}
