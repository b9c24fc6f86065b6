"""What hello says of the credential."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from openclaw.base.principal import Principal
from openclaw.identity.devices.record import Issued


def _token(issued: Issued) -> dict[str, Any]:
    return {
        "deviceToken": issued.token,
        "role": issued.role,
        "scopes": sorted(issued.scopes),
        "issuedAtMs": issued.issued_at_ms,
    }


def hello_auth(principal: Principal, protocol: int, issued: Sequence[Issued]) -> dict[str, Any]:
    """Return `auth` of hello-ok. `issued` are the tokens of the client's device, that of its role first.

    Shape: protocol 3 speaks of a device's token only; protocol 4 of the connection, and of further tokens in a list.
    """
    if protocol < 4:
        return _token(issued[0]) if issued else {}
    auth: dict[str, Any] = {
        "method": principal.method,
        "role": principal.role,
        "scopes": sorted(principal.scopes),
    }
    if issued:
        auth |= {"deviceToken": issued[0].token, "issuedAtMs": issued[0].issued_at_ms}
    if len(issued) > 1:
        auth["deviceTokens"] = [_token(one) for one in issued]
    return auth
