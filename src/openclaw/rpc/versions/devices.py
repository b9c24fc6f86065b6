"""Devices, for protocol 3."""

from __future__ import annotations

from typing import Any, Final

from openclaw.rpc.versions.shaping import Errors, Results, without


class Rotated(dict[str, Any]):
    """The answer of device.token.rotate. `token` is the new one: protocol 3 tells it to whoever asked for it."""

    token = ""


def _rotated(result: Rotated | dict[str, Any]) -> dict[str, Any]:
    kept = without("tokenDelivery")(result)
    return {**kept, "token": result.token if isinstance(result, Rotated) else result["token"]}


def _list(result: dict[str, Any]) -> dict[str, Any]:
    drop = without("approvedVia", "connected", "deviceFamily", "lastSeenAtMs")
    return {"pending": result["pending"], "paired": [drop(device) for device in result["paired"]]}


def _unknown(error: dict[str, Any]) -> dict[str, Any]:
    denied = error["message"] in ("device token rotation denied", "device token revocation denied")
    return {**error, "message": "unknown deviceId/role"} if denied else error


RESULTS: Final[Results] = {"device.pair.list": _list, "device.token.rotate": _rotated}
ERRORS: Final[Errors] = dict.fromkeys(("device.token.rotate", "device.token.revoke"), _unknown)
