"""A device that signs its connect requests, as clients do."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK

from openclaw.base.clock import SYSTEM_CLOCK
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


class Attached:
    """A connection of a device after its `connect`: the answer, and what comes after."""

    def __init__(self, socket: ClientConnection, answer: dict[str, Any]) -> None:
        self.socket = socket
        self.answer = answer

    @property
    def auth(self) -> dict[str, Any]:
        """What hello says of the credential."""
        assert self.answer["ok"], self.answer
        auth: dict[str, Any] = self.answer["payload"]["auth"]
        return auth

    @property
    def error(self) -> dict[str, Any]:
        """Why the gateway refused."""
        error: dict[str, Any] = self.answer["error"]
        return error

    async def closed(self) -> tuple[int, str]:
        """Read to the end; return how the gateway closed."""
        with suppress(ConnectionClosedOK, ConnectionClosedError):
            async with asyncio.timeout(10):
                while True:
                    await self.socket.recv()
        assert self.socket.close_code is not None
        return self.socket.close_code, self.socket.close_reason or ""


@asynccontextmanager
async def attached(
    url: str,
    body: dict[str, Any],
    *,
    by: DeviceKey = KEY,
    address: str = "",
    version: Version = "v3",
) -> AsyncIterator[Attached]:
    """Connect as a device; with `address`, through a proxy on this machine that names it."""
    headers = {"X-Forwarded-For": address} if address else {}
    async with connect(url, proxy=None, additional_headers=headers) as socket:
        nonce = json.loads(await socket.recv())["payload"]["nonce"]
        signed = sign(body, nonce, SYSTEM_CLOCK.now_ms(), by=by, version=version)
        await socket.send(json.dumps({"type": "req", "id": "c", "method": "connect", "params": signed}))
        yield Attached(socket, json.loads(await socket.recv()))
