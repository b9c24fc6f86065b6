"""What happens to devices, told to those who may decide about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from openclaw.identity.devices.record import Decision, PairingRequest, SetupCode
from openclaw.rpc.hub import Hub

PAIRING: Final = "operator.pairing"


def request_row(request: PairingRequest) -> dict[str, Any]:
    """Return a request as events and lists show it; what a device did not say is left out."""
    ask = request.ask
    said = {
        "displayName": ask.display_name,
        "platform": ask.platform,
        "deviceFamily": ask.device_family,
        "clientId": ask.client_id,
        "clientMode": ask.client_mode,
        "remoteIp": ask.address,
    }
    return {
        "requestId": request.request_id,
        "deviceId": ask.device_id,
        "publicKey": ask.public_key,
        **{name: text for name, text in said.items() if text},
        "role": ask.role,
        "roles": [ask.role],
        "scopes": list(ask.scopes),
        "silent": False,
        "isRepair": request.repair,
        "ts": request.requested_at_ms,
    }


def setup_row(setup: SetupCode) -> dict[str, Any]:
    """Return how a setup code was used."""
    row: dict[str, Any] = {"setupId": setup.setup_id, "deviceId": setup.used_by}
    if setup.used_by_name:
        row["deviceName"] = setup.used_by_name
    return {**row, "access": setup.access, "ts": setup.used_at_ms}


class DeviceEvents:
    """identity.devices.book.Observer that tells the hub."""

    def __init__(self, hub: Hub, recheck: Callable[[], None] = lambda: None) -> None:
        """`recheck` has every answer and socket that no hub knows look whether its caller still stands."""
        self._hub = hub
        self._recheck = recheck

    def requested(self, request: PairingRequest) -> None:
        """A device waits for a decision."""
        self._hub.broadcast("device.pair.requested", request_row(request), PAIRING)

    def resolved(self, request: PairingRequest, decision: Decision, now_ms: int) -> None:
        """A device waits no longer."""
        payload = {
            "requestId": request.request_id,
            "deviceId": request.ask.device_id,
            "decision": decision,
            "ts": now_ms,
        }
        self._hub.broadcast("device.pair.resolved", payload, PAIRING)

    def changed(self, device_id: str, now_ms: int) -> None:
        """A paired device came, went or changed."""
        self._recheck()
        self._hub.broadcast("device.pair.changed", {"deviceId": device_id, "ts": now_ms}, PAIRING)

    def setup_used(self, setup: SetupCode) -> None:
        """A setup code has paired a device."""
        self._hub.broadcast("device.pair.setup.completed", setup_row(setup), "operator.admin")
