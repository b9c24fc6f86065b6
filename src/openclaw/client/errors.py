"""What can go wrong between a client and a gateway, said so that a person knows which end to look at."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

from openclaw.base.errors import OpenClawError, Unauthorized, Unavailable

_OTHER: Final = {"ws": "wss", "wss": "ws", "http": "https", "https": "http"}
_NO_TLS: Final = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE")
_HUNG_UP: Final = ("RemoteDisconnected", "InvalidMessage")
"""What http.client and websockets say of a connection that ends before an answer."""


class GatewayDown(Unavailable):
    """Nothing answers at the URL."""

    default_hint = "Start it with `openclaw gateway`, or check the URL."


class RpcError(OpenClawError):
    """The gateway refused a request. `code` is the wire's, unlike the other classes' fixed one."""

    fault = "peer"
    next_actor = "caller"

    def __init__(
        self, code: str, message: str, details: dict[str, Any] | None = None, retry_after_ms: int | None = None
    ) -> None:
        details = details or {}
        super().__init__(
            message,
            hint=str(details.get("hint") or ""),
            retry_after_s=None if retry_after_ms is None else retry_after_ms / 1000,
            details=details,
        )
        self.wire_code = code

    def as_dict(self) -> dict[str, Any]:
        """Return the common JSON shape, with the wire's code."""
        return {**super().as_dict(), "code": self.wire_code}


def from_wire(error: Any) -> RpcError:
    """Return the error of a response frame, whatever is in it."""
    shape = error if isinstance(error, dict) else {}
    details = shape.get("details")
    retry_ms = shape.get("retryAfterMs")
    return RpcError(
        str(shape.get("code") or "UNAVAILABLE"),
        str(shape.get("message") or "the gateway gave no reason"),
        details if isinstance(details, dict) else None,
        retry_ms if isinstance(retry_ms, int) else None,
    )


def refused_token(url: str, token_source: str, error: RpcError) -> Unauthorized:
    """Say which credential was refused, where it was read and the one thing to do."""
    code = str(error.details.get("code") or error.wire_code)
    if token_source == "nowhere":  # noqa: S105  # a place, no secret
        what = "no token was sent to"
    else:
        what = f"the token from {token_source or 'the caller'} was refused by"
    return Unauthorized(
        f"{what} {url}: {error.message}",
        hint=remedy(url, token_source, code, error.details),
        details={**error.details, "code": code, "tokenSource": token_source},
    )


def remedy(url: str, source: str, code: str, details: Mapping[str, Any]) -> str:
    """Return the one action of an operator that lets this client in, as it would be typed."""
    if code == "PAIRING_REQUIRED":
        return f"On the gateway's host: `openclaw devices approve {details.get('requestId', 'REQUEST')}`."
    if code == "AUTH_RATE_LIMITED":
        return "Wait as long as it says, then try again with the right credential."
    if code == "AUTH_SCOPE_MISMATCH":
        return "Ask for fewer scopes, or approve more on the gateway's host: `openclaw devices approve`."
    if code == "AUTH_BOOTSTRAP_TOKEN_INVALID":
        return "Make a new setup code on the gateway's host; each pairs one device, once."
    if code == "AUTH_UNAUTHORIZED":
        return "On the gateway's host: `openclaw config set gateway.auth.mode token`."
    shown = "what `openclaw gateway token show` prints on the gateway's host"
    if source in ("", "the caller"):
        return f"Give the client {shown}."
    if "device" in source or code == "AUTH_DEVICE_TOKEN_MISMATCH":
        return f"Give the client {shown}, once: it then gets a new token of its own."
    if source.startswith("gateway.remote.token"):
        return f"`openclaw config set gateway.remote.token TOKEN`, where TOKEN is {shown}."
    here = is_local(url) and source != "nowhere"
    if here and _is_configured(source):
        return "The gateway runs with another credential than is configured; `openclaw gateway --force` restarts it."
    value, where = ('"$(openclaw gateway token show)"', "") if here else ("TOKEN", f", where TOKEN is {shown}")
    if source == "--token":
        return f"Repeat the command with `--token {value}`{where}."
    kind = "PASSWORD" if "OPENCLAW_GATEWAY_PASSWORD" in source else "TOKEN"
    return f"`export OPENCLAW_GATEWAY_{kind}={value}`{where}."


def other_scheme(url: str, error: BaseException) -> GatewayDown | None:
    """Say that one side speaks TLS and the other does not, if that is what an error means or may mean."""
    parts = urlsplit(url)
    place = f"{_OTHER.get(parts.scheme, parts.scheme)}://{parts.netloc}"
    restart = "after a change of gateway.tls.enabled, restart the gateway."
    if getattr(error, "reason", "") in _NO_TLS:
        return GatewayDown(f"{url} answers without TLS", hint=f"Use {place}; {restart}")
    if type(error).__name__ in _HUNG_UP:
        return GatewayDown(f"{url} hung up without an answer", hint=f"If it speaks TLS, use {place}; {restart}")
    return None


def is_local(url: str) -> bool:
    """Say whether a URL names this machine."""
    host = urlsplit(url if "://" in url else f"//{url}").hostname or ""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _is_configured(source: str) -> bool:
    """Say whether a credential came from what the gateway of this machine reads as well, not from this shell."""
    return source.startswith(("gateway.auth.", "/"))
