"""Our error tree in the words of each wire: RPC frames of protocol 3 and 4, and HTTP in the OpenAI shape."""

from __future__ import annotations

import math
from typing import Any, Final

from openclaw.base.errors import (
    BudgetExceeded,
    ConfigError,
    Conflict,
    Forbidden,
    InternalError,
    InvalidRequest,
    LaneBusy,
    ModelAuth,
    ModelBadRequest,
    ModelContentFiltered,
    ModelContextOverflow,
    ModelError,
    ModelNotFound,
    ModelOverloaded,
    ModelProtocol,
    ModelRateLimited,
    ModelTimeout,
    ModelUnavailable,
    ModelUnreachable,
    NotFound,
    NotSupported,
    OpenClawError,
    PolicyDenied,
    RateLimited,
    RunAborted,
    RunInterrupted,
    RunLimit,
    StateLocked,
    TooLarge,
    ToolError,
    Unauthorized,
    Unavailable,
    catalogue,
)

_INVALID: Final = "INVALID_REQUEST"
_UNAVAILABLE: Final = "UNAVAILABLE"

RPC_CODES: Final[dict[type[OpenClawError], str]] = {
    InvalidRequest: _INVALID,
    Unauthorized: _INVALID,
    NotFound: _INVALID,
    Conflict: _INVALID,
    TooLarge: _INVALID,
    ConfigError: _INVALID,
    ModelContextOverflow: _INVALID,
    Forbidden: "FORBIDDEN",
    PolicyDenied: "FORBIDDEN",
    ModelTimeout: "AGENT_TIMEOUT",
}
"""Codes that clients of the field know; every other error is UNAVAILABLE and names itself in `details.code`."""

HTTP_STATUSES: Final[dict[type[OpenClawError], tuple[int, str]]] = {
    InvalidRequest: (400, "invalid_request_error"),
    Unauthorized: (401, "unauthorized"),
    Forbidden: (403, "forbidden"),
    PolicyDenied: (403, "policy_denied"),
    NotFound: (404, "invalid_request_error"),
    NotSupported: (404, "not_supported"),
    Conflict: (409, "conflict_error"),
    TooLarge: (413, "invalid_request_error"),
    RateLimited: (429, "rate_limit_error"),
    LaneBusy: (429, "rate_limit_error"),
    BudgetExceeded: (429, "insufficient_quota"),
    ModelRateLimited: (429, "rate_limit_error"),
    ModelAuth: (502, "upstream_error"),
    ModelUnreachable: (502, "upstream_error"),
    ModelProtocol: (502, "upstream_error"),
    ModelBadRequest: (502, "upstream_error"),
    ModelNotFound: (502, "upstream_error"),
    ModelError: (502, "upstream_error"),
    ModelOverloaded: (503, "upstream_error"),
    ModelUnavailable: (503, "upstream_error"),
    ModelTimeout: (504, "upstream_error"),
    ModelContextOverflow: (400, "invalid_request_error"),
    ModelContentFiltered: (422, "content_filter"),
    RunLimit: (422, "run_limit"),
    RunAborted: (409, "run_aborted"),
    RunInterrupted: (503, "api_error"),
    ToolError: (502, "upstream_error"),
    Unavailable: (503, "api_error"),
    StateLocked: (503, "api_error"),
    ConfigError: (503, "api_error"),
    InternalError: (500, "api_error"),
}


def _lookup(table: dict[type[OpenClawError], Any], error_type: type[OpenClawError], default: Any) -> Any:
    for cls in error_type.__mro__:
        if cls in table:
            return table[cls]
    return default


def to_wire(error: OpenClawError, protocol: int) -> dict[str, Any]:
    """Return the error object of a response frame in that protocol's shape.

    Shape: protocol 3 knows no FORBIDDEN and puts no details on refusals of the caller.
    """
    code = _lookup(RPC_CODES, type(error), _UNAVAILABLE)
    details = dict(error.details)
    if code == "FORBIDDEN" and protocol < 4:
        return {"code": _INVALID, "message": error.message}
    if error.code not in (code, "INVALID_REQUEST", "FORBIDDEN"):
        details.setdefault("code", error.code)
        if error.hint:
            details.setdefault("hint", error.hint)
    out: dict[str, Any] = {"code": code, "message": error.message}
    if details:
        out["details"] = details
    if error.next_actor == "retry":
        out["retryable"] = True
    if error.retry_after_s is not None:
        out["retryAfterMs"] = max(0, int(error.retry_after_s * 1000))
    return out


def to_http(error: OpenClawError) -> tuple[int, dict[str, Any], list[tuple[bytes, bytes]]]:
    """Return status, body and extra headers for an error before the first byte of an answer."""
    status, kind = _lookup(HTTP_STATUSES, type(error), (500, "api_error"))
    headers: list[tuple[bytes, bytes]] = []
    if error.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(error.retry_after_s))))
    if status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="openclaw"'))
        return status, {"error": {"message": "Unauthorized", "type": kind}}, headers
    body: dict[str, Any] = {"message": error.message, "type": kind}
    if isinstance(error, Forbidden) and "code" in error.details:
        body["type"] = error.details["code"]
    if type(error) not in (InvalidRequest, NotFound, TooLarge):
        body["code"] = error.code
        if error.hint:
            body["hint"] = error.hint
    return status, {"error": body}, headers


def from_dict(raw: dict[str, Any]) -> OpenClawError:
    """Return the error that `as_dict` described: how a finished run's reply carries its failure."""
    cls = catalogue().get(str(raw.get("code", "")), InternalError)
    retry = raw.get("retryAfterMs")
    details = raw.get("details")
    return cls(
        str(raw.get("message", "the run failed")),
        hint=str(raw.get("hint", "")),
        retry_after_s=retry / 1000 if isinstance(retry, int | float) else None,
        details=details if isinstance(details, dict) else None,
    )
