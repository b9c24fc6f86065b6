"""What can go wrong between a client and a gateway, said so that a person knows which end to look at."""

from __future__ import annotations

from typing import Any

from openclaw.base.errors import OpenClawError, Unauthorized, Unavailable


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
    """Say which credential was refused, where it was read and what to do."""
    code = str(error.details.get("code") or error.wire_code)
    if token_source == "nowhere":  # noqa: S105  # a place, no secret
        what = "no token was sent"
    else:
        what = f"the token from {token_source or 'the caller'} was refused"
    return Unauthorized(
        f"{what} by {url}: {error.message}",
        hint="`openclaw gateway token show` on the gateway host prints the right one; give it by --token, "
        "OPENCLAW_GATEWAY_TOKEN or gateway.auth.token.",
        details={**error.details, "code": code, "tokenSource": token_source},
    )
